//! The contract of a scheduler, kept by services in containers.

use std::net::TcpStream;
use std::sync::{Arc, Mutex};
use std::time::SystemTime;

use async_trait::async_trait;
use tempfile::TempDir;
use towline_core::container::{ContainerConfig, Network};
use towline_core::id::ServiceId;
use towline_core::job::Place;
use towline_core::ports::{Clock, Scheduler};
use towline_core::spec::ServiceSpec;
use towline_core::testing::{SchedulerBench, Work, scheduler_contract};
use towline_core::time::Timestamp;
use towline_local::LocalScheduler;

use crate::podman::{SERVER, clean_up, image, new_id, shells, spec};

struct SystemClock;

#[async_trait]
impl Clock for SystemClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_secs(0).plus(SystemTime::UNIX_EPOCH.elapsed().unwrap())
    }

    async fn sleep_until(&self, at: Timestamp) {
        tokio::time::sleep(at.since(self.now())).await;
    }
}

struct Engine {
    root: TempDir,
    container: ContainerConfig,
    ids: Mutex<Vec<ServiceId>>,
}

#[async_trait]
impl SchedulerBench for Engine {
    fn scheduler(&self) -> Arc<dyn Scheduler> {
        Arc::new(LocalScheduler::new(self.root.path()))
    }

    fn clock(&self) -> &dyn Clock {
        &SystemClock
    }

    fn new_id(&self) -> ServiceId {
        let id = new_id();
        self.ids.lock().unwrap().push(id);
        id
    }

    fn spec(&self, work: Work) -> Option<ServiceSpec> {
        let missing = ContainerConfig::new("podman", "localhost/towline-test:missing");
        match work {
            Work::Serve => Some(spec(&self.container, SERVER)),
            Work::Idle => Some(spec(&self.container, "trap 'exit 143' TERM; sleep 1000 & wait")),
            Work::Exit(code) => Some(spec(&self.container, &format!("exit {code}"))),
            Work::Refused => Some(spec(&missing, "true")),
            // There is no queue.
            Work::Wait => None,
        }
    }

    async fn live_jobs(&self, id: ServiceId) -> usize {
        shells(id).len()
    }

    async fn answers(&self, place: &Place) -> bool {
        TcpStream::connect((place.host.as_str(), place.port)).is_ok()
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        for id in self.ids.lock().unwrap().iter() {
            clean_up(*id);
        }
    }
}

async fn is_kept(test: &str, network: Network) {
    let Some(image) = image(test) else { return };
    let container = ContainerConfig { network, ..ContainerConfig::new("podman", image) };
    let engine = Engine { root: tempfile::tempdir().unwrap(), container, ids: Mutex::default() };
    let untested = scheduler_contract(&engine).await;
    // Nothing lies between a program and its own machine, and there is no queue.
    assert_eq!(
        untested,
        [
            "a waiting job is cancelled",
            "a requeued job comes back as another run",
            "who cannot be reached ends nothing",
            "a scheduler that is down ends nothing",
            "a job whose acceptance was not heard is found",
        ]
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn containers_in_the_hosts_network_keep_the_contract() {
    is_kept("contract::containers_in_the_hosts_network_keep_the_contract", Network::Host).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn containers_in_a_network_of_their_own_keep_the_contract() {
    is_kept("contract::containers_in_a_network_of_their_own_keep_the_contract", Network::Bridge).await;
}
