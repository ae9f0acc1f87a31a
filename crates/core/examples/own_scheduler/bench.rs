//! What the contract needs to test that scheduler: specs, a clock, and the truth.

use std::net::TcpStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, SystemTime};

use async_trait::async_trait;
use towline_core::id::ServiceId;
use towline_core::job::Place;
use towline_core::ports::{Clock, Scheduler};
use towline_core::resources::Resources;
use towline_core::spec::ServiceSpec;
use towline_core::testing::{SchedulerBench, Work, sample_service};
use towline_core::time::Timestamp;

use crate::threads::Threads;

const WORKERS: u32 = 8;

/// The clock of this machine.
struct SystemClock;

#[async_trait]
impl Clock for SystemClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_secs(0).plus(SystemTime::UNIX_EPOCH.elapsed().unwrap_or_default())
    }

    async fn sleep_until(&self, at: Timestamp) {
        // The jobs run on threads of their own, so that this one may sleep.
        std::thread::sleep(at.since(self.now()));
    }
}

/// The scheduler, one of whose workers is always busy: a job that needs all of them waits for ever.
pub(crate) struct Bench {
    scheduler: Threads,
    ids: AtomicU32,
}

impl Bench {
    pub(crate) async fn new() -> Self {
        let bench = Self { scheduler: Threads::new(WORKERS), ids: AtomicU32::new(1) };
        let busy = bench.scheduler.submit(bench.new_id(), &spec("idle", 1)).await;
        busy.unwrap_or_else(|error| panic!("the first job is accepted, not {error:?}"));
        bench
    }
}

fn spec(command: &str, workers: u32) -> ServiceSpec {
    ServiceSpec {
        command: command.split(' ').map(str::to_owned).collect(),
        resources: Resources { cpus: Some(workers), ..Resources::default() },
        ..(*sample_service(1, "contract").spec).clone()
    }
}

#[async_trait]
impl SchedulerBench for Bench {
    fn scheduler(&self) -> Arc<dyn Scheduler> {
        Arc::new(self.scheduler.clone())
    }

    fn clock(&self) -> &dyn Clock {
        &SystemClock
    }

    fn new_id(&self) -> ServiceId {
        sample_service(self.ids.fetch_add(1, Ordering::Relaxed), "contract").id
    }

    fn spec(&self, work: Work) -> Option<ServiceSpec> {
        Some(match work {
            Work::Serve => spec("serve", 1),
            Work::Idle => spec("idle", 1),
            Work::Exit(code) => spec(&format!("exit {code}"), 1),
            Work::Wait => spec("idle", WORKERS),
            Work::Refused => spec("idle", WORKERS + 1),
        })
    }

    async fn live_jobs(&self, id: ServiceId) -> usize {
        self.scheduler.living(id)
    }

    async fn answers(&self, place: &Place) -> bool {
        TcpStream::connect((place.host.as_str(), place.port)).is_ok()
    }

    fn pause(&self) -> Duration {
        Duration::from_millis(5)
    }
}
