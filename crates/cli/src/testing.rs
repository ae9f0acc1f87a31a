//! Services for tests.

use std::collections::BTreeMap;
use std::time::Duration;

use towline_core::id::{JobId, ServiceId};
use towline_core::lifecycle::{Cause, EndStatus, Ending, Job, Phase, Stage, Terms};
use towline_core::ready::Ready;
use towline_core::resources::Resources;
use towline_core::service::Service;
use towline_core::spec::{Bind, ServiceSpec};
use towline_core::time::Timestamp;
use uuid::Uuid;

/// The id with that number.
pub(crate) fn id(number: u128) -> ServiceId {
    ServiceId::new(Uuid::from_u128(number))
}

/// A service of that name that was just asked for, at the beginning of time.
pub(crate) fn service(number: u128, name: &str) -> Service {
    let spec = ServiceSpec {
        name: name.parse().unwrap(),
        profile: "lab".into(),
        command: vec!["serve".into(), "--port".into(), "{port}".into(), "a b".into()],
        setup: Vec::new(),
        env: BTreeMap::from([("TOKEN".to_owned(), "hush".to_owned())]),
        secret: None,
        chdir: None,
        container: None,
        bind: Bind::All,
        health: "/health".into(),
        ready: Ready::default(),
        grace: Duration::from_secs(60),
        resources: Resources::default(),
    };
    Service::new(id(number), spec, Terms::with_grace(Duration::from_secs(60)), Timestamp::from_secs(0))
}

/// The same, healthy as job 4711 on node c1.
pub(crate) fn healthy(mut service: Service) -> Service {
    let mut job = Job::accepted(JobId::new("4711"));
    job.word = Some("RUNNING".into());
    job.node = Some("c1".into());
    service.life.phase = Phase::Live { stage: Stage::Healthy, job };
    service
}

/// The same, stopped on request ten seconds later.
pub(crate) fn ended(mut service: Service) -> Service {
    service.life.phase = Phase::Ended(Ending {
        status: EndStatus::Stopped,
        cause: Cause::Requested,
        at: Timestamp::from_secs(10),
        job: None,
        owes_cancel: false,
    });
    service
}
