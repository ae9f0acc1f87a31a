//! A scene with several processes, each of which can be held at any of its calls while others act.

use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use towline_core::engine::Engine;
use towline_core::id::ServiceId;
use towline_core::lifecycle::{Status, Terms};
use towline_core::ports::{Change, Clock as _, Ledger as _, SaveOutcome, Select};
use towline_core::service::Service;
use towline_core::testing::{Call, Errand, MemoryLedger, Process, World, sample_service};

pub(crate) const MINUTE: Duration = Duration::from_secs(60);

pub(crate) struct Scene {
    pub(crate) world: Arc<World>,
    pub(crate) ledger: Arc<MemoryLedger>,
}

impl Scene {
    pub(crate) fn new() -> Self {
        Self { world: World::new(), ledger: Arc::new(MemoryLedger::new()) }
    }

    /// A process whose calls wait for one another.
    pub(crate) fn process(&self) -> Arc<Process> {
        Process::new(&self.world, Arc::clone(&self.ledger) as _)
    }

    /// An engine whose calls are done at once.
    pub(crate) fn quick(&self) -> Engine {
        self.world.engine("lab", Arc::clone(&self.ledger) as _)
    }

    pub(crate) fn service(&self, n: u32) -> Service {
        let sample = sample_service(n, &format!("web-{n}"));
        Service::new(sample.id, sample.spec, Terms::with_grace(10 * MINUTE), self.world.now())
    }

    pub(crate) fn healthy(&self, n: u32) -> Service {
        run(self.quick().start(self.service(n), Some(&mut |_| {}))).unwrap()
    }

    /// Another process saves a service as it is.
    pub(crate) fn save_again(&self, id: ServiceId) {
        let service = run(self.ledger.list(Select::Id(id))).unwrap().services.remove(0);
        let saved = run(self.ledger.save(&[Change { service, event: None }])).unwrap();
        assert!(matches!(saved[..], [SaveOutcome::Saved(_)]), "{saved:?}");
    }

    /// The `nth` service, as it is recorded.
    pub(crate) fn listed(&self, nth: usize) -> Service {
        run(self.ledger.list(Select::All)).unwrap().services.remove(nth)
    }

    pub(crate) fn history(&self, id: ServiceId) -> Vec<Status> {
        run(self.ledger.history(id)).unwrap().into_iter().map(|event| event.to).collect()
    }
}

/// Begins a verb in a process of its own.
pub(crate) fn begin<T, F>(process: &Arc<Process>, verb: impl FnOnce(Engine) -> F) -> Errand<T>
where
    F: Future<Output = T> + Send + 'static,
{
    Errand::new(process, verb(process.engine("lab")))
}

/// Begins a verb in a process that shares what it learns.
pub(crate) fn begin_sharing<T, F>(process: &Arc<Process>, verb: impl FnOnce(Engine) -> F) -> Errand<T>
where
    F: Future<Output = T> + Send + 'static,
{
    Errand::new(process, verb(process.sharing_engine("lab")))
}

/// Follows a verb until it is about to make its `nth` call of that kind.
#[track_caller]
pub(crate) fn until<T>(errand: &mut Errand<T>, call: Call, nth: usize) {
    let mut made = 0;
    for _ in 0..1_000 {
        if errand.waiting().contains(&call) {
            made += 1;
            if made == nth {
                return;
            }
            assert!(errand.step(0).is_none(), "the call has its effect, and then its answer");
        }
        assert!(errand.step(0).is_none(), "it never comes to {call}");
    }
    panic!("it never comes to {call}");
}

/// Follows a verb to its end.
pub(crate) fn end<T>(mut errand: Errand<T>) -> T {
    errand.finish(10_000).expect("it comes to an end")
}

/// Runs what never waits.
pub(crate) fn run<T>(future: impl Future<Output = T>) -> T {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(done) => done,
        Poll::Pending => panic!("it waits"),
    }
}
