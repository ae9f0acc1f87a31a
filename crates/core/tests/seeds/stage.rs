//! The stage on which a story is played: the world, the ledger, and two processes.

use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt as _;
use towline_core::engine::Engine;
use towline_core::id::ServiceId;
use towline_core::lifecycle::{Cause, Status, Terms};
use towline_core::ports::{Clock as _, Ledger as _, Select};
use towline_core::service::{Event, Service};
use towline_core::testing::{Accounting, Errand, Faults, Garbage, Process, World, sample_service};
use towline_core::time::Timestamp;

use super::draw::SERVICES;
use super::records::{Records, Violation};
use super::step::{Blow, Fault, N, Step, Verb, Who};

/// How many steps a verb may take that waits for nothing. Sixteen conflicts in each save are the most that were seen.
const VERB: usize = 3_000;
/// How many steps a process is followed that waits for a service.
const WAIT: usize = 300;
/// How often in a row a process may wait for a time that has come: for one call of each kind.
const VAIN_SLEEPS: u32 = 20;

pub(crate) struct Stage {
    pub(crate) world: Arc<World>,
    pub(crate) records: Arc<Records>,
    actors: [Actor; 2],
    put_back: Duration,
    /// How long any call may have taken so far.
    slowest: Duration,
    cancels: usize,
    /// Tunnels that were left open and that nobody had recorded: whoever opened them was killed, or never heard of it.
    pub(crate) strays: usize,
}

struct Actor {
    process: Arc<Process>,
    errand: Option<Errand<()>>,
    waits: bool,
    steps: usize,
    stepped_at: Option<Timestamp>,
}

impl Stage {
    pub(crate) fn new() -> Self {
        let world = World::new();
        let records = Records::new(&world);
        let actors = [(); 2].map(|()| Actor {
            process: Process::new(&world, Arc::clone(&records) as _),
            errand: None,
            waits: false,
            steps: 0,
            stepped_at: None,
        });
        Self {
            world,
            records,
            actors,
            put_back: Duration::ZERO,
            slowest: Duration::ZERO,
            cancels: 0,
            strays: 0,
        }
    }

    pub(crate) fn id(n: N) -> ServiceId {
        sample_service(n, "x").id
    }

    pub(crate) fn ids() -> impl Iterator<Item = ServiceId> {
        (1..=SERVICES).map(Self::id)
    }

    /// Plays a story up to the first broken rule.
    pub(crate) fn play(&mut self, steps: &[Step]) -> Result<(), Violation> {
        steps.iter().try_for_each(|step| self.take(step))
    }

    fn take(&mut self, step: &Step) -> Result<(), Violation> {
        let world = &self.world;
        match step {
            Step::Begin(who, verb) => return self.begin(*who, verb),
            Step::Go(who, steps, choice) => return self.go(*who, usize::from(*steps), usize::from(*choice)),
            Step::Finish(who) => return self.finish(*who),
            Step::Kill(who) => self.actor(*who).errand = None,
            Step::Befall(who, call, mishap) => self.actor(*who).process.befall(*call, *mishap),
            Step::Takes(who, call, long) => self.actor(*who).process.takes(*call, *long),
            Step::Pass(long) => world.advance(*long),
            Step::ClockForwards(by) => world.put_clock_forwards(*by),
            Step::ClockBack(by) => {
                world.put_clock_back(*by);
                self.put_back += *by;
            }
            Step::Break(fault) => world.break_down(with(world.faults(), *fault, true)),
            Step::Mend(fault) => world.break_down(with(world.faults(), *fault, false)),
            Step::Blow(blow, n) => self.strike(*blow, *n),
            Step::Behave(behaviour) => world.behave((**behaviour).clone()),
            Step::KeepEndedJobsFor(long) => world.keep_ended_jobs_for(*long),
            Step::DropTunnels => world.drop_tunnels(),
            Step::RecycleIds => world.recycle_ids(),
            Step::StrangersJob => world.submit_by_stranger(),
        }
        self.check()
    }

    /// Whether a process is in the middle of a verb.
    pub(crate) const fn is_busy(&self, who: Who) -> bool {
        match who {
            Who::A => self.actors[0].errand.is_some(),
            Who::B => self.actors[1].errand.is_some(),
        }
    }

    const fn actor(&mut self, who: Who) -> &mut Actor {
        match who {
            Who::A => &mut self.actors[0],
            Who::B => &mut self.actors[1],
        }
    }

    fn begin(&mut self, who: Who, verb: &Verb) -> Result<(), Violation> {
        if self.actor(who).errand.is_some() {
            return Ok(());
        }
        if let Verb::Stop { n, .. } = verb {
            self.records.note_stop(Self::id(*n));
        }
        let now = self.world.now();
        let records = Arc::clone(&self.records);
        let actor = self.actor(who);
        let engine = actor.process.sharing_engine("lab");
        actor.errand = Some(Errand::new(&actor.process, perform(engine, verb.clone(), now, records)));
        actor.waits = matches!(verb, Verb::Wait(_) | Verb::Start { waits: true, .. });
        (actor.steps, actor.stepped_at) = (0, None);
        self.go(who, 1, 0)
    }

    fn go(&mut self, who: Who, steps: usize, choice: usize) -> Result<(), Violation> {
        for _ in 0..steps {
            self.note_delays(who);
            let actor = self.actor(who);
            let Some(errand) = &mut actor.errand else { return Ok(()) };
            actor.steps += 1;
            if errand.step(choice).is_some() {
                actor.errand = None;
            } else if actor.steps > VERB && !actor.waits || actor.process.vain_sleeps() > VAIN_SLEEPS {
                self.records
                    .accuse("every verb comes to an end", format!("process {who:?} goes round in circles"));
            }
            self.check()?;
        }
        Ok(())
    }

    /// Notes how long the call may have taken that goes on next.
    fn note_delays(&mut self, who: Who) {
        let now = self.world.cluster_now();
        let actor = self.actor(who);
        let gap = now.since(actor.stepped_at.replace(now).unwrap_or(now));
        let slowest = gap + actor.process.longest_call();
        self.slowest = self.slowest.max(slowest);
        self.records.note_delays(self.slowest, self.put_back);
    }

    /// Lets a process go on to the end of its verb; one that waits is followed for a while.
    pub(crate) fn finish(&mut self, who: Who) -> Result<(), Violation> {
        let limit = if self.actor(who).waits { WAIT } else { VERB + 1 };
        self.go(who, limit, 0)
    }

    fn strike(&self, blow: Blow, n: N) {
        let (world, id) = (&self.world, Self::id(n));
        match blow {
            Blow::CancelByHand => world.cancel_by_hand(id),
            Blow::Requeue => world.requeue(id),
            Blow::Suspend => world.suspend(id),
            Blow::Resume => world.resume(id),
            Blow::NodeFails => world.fail_node(id),
            Blow::Hush => world.hush(id, true),
            Blow::Unhush => world.hush(id, false),
            Blow::PortTaken => world.take_port(id),
            Blow::LocalPortTaken => {
                let port = self.service(id).and_then(|service| service.life.local_port);
                port.into_iter().for_each(|port| world.take_local_port(port));
            }
        }
    }

    /// Checks what must be true at every moment.
    pub(crate) fn check(&mut self) -> Result<(), Violation> {
        for id in Self::ids() {
            if self.world.most_live_jobs(id) > 1 && !self.is_misled(id) {
                self.records.accuse("one job a service at most", format!("{:?}", self.world.jobs(id)));
            }
        }
        let cancels = self.world.cancels();
        for (id, job) in &cancels[self.cancels..] {
            let grace_spent = self
                .service(*id)
                .is_some_and(|service| matches!(service.life.cause(), Some(Cause::GraceSpent { .. })));
            if !grace_spent && !self.records.is_stopped(*id) {
                self.records.accuse("cancelled only on request or after grace", format!("job {job} of {id}"));
            }
        }
        self.cancels = cancels.len();
        self.records.violation().map_or(Ok(()), Err)
    }

    /// Whether the world has told for the whole settling time that a living job of the service does not exist.
    pub(crate) fn is_misled(&self, id: ServiceId) -> bool {
        self.world.misled_for(id) >= Terms::with_grace(Duration::ZERO).settle
    }

    pub(crate) fn service(&self, id: ServiceId) -> Option<Service> {
        let listing = self.records.list(Select::Id(id)).now_or_never().expect("the ledger never waits");
        listing.expect("the ledger works").services.into_iter().next()
    }

    pub(crate) fn history(&self, id: ServiceId) -> Vec<Event> {
        let history = self.records.history(id).now_or_never().expect("the ledger never waits");
        history.expect("the ledger works")
    }

    /// The faults stop; each process comes to the end of its verb, or is killed if it waits for longer.
    pub(crate) fn end_the_faults(&mut self) -> Result<(), Violation> {
        let Faults { submissions_forgotten, accounting, .. } = self.world.faults();
        // A cluster that never had accounting has none afterwards.
        let accounting = if accounting == Accounting::None { accounting } else { Accounting::Fresh };
        self.world.break_down(Faults { submissions_forgotten, accounting, ..Faults::default() });
        for who in [Who::A, Who::B] {
            self.actor(who).process.recover();
            self.finish(who)?;
            self.actor(who).errand = None;
        }
        Ok(())
    }
}

async fn perform(engine: Engine, verb: Verb, now: Timestamp, records: Arc<Records>) {
    // What is refused is refused; what counts is what is left behind.
    match verb {
        Verb::Start { n, grace, waits } => {
            let sample = sample_service(n, &format!("web-{n}"));
            let service = Service::new(sample.id, sample.spec, Terms::with_grace(grace), now);
            let mut watch = |_: &Service| {};
            drop(engine.start(service, if waits { Some(&mut watch) } else { None }).await);
        }
        Verb::Refresh(n) => drop(engine.refresh(Stage::id(n)).await),
        Verb::RefreshAll => drop(engine.refresh_all().await),
        Verb::Stop { n, delay, status } => {
            let granted = engine.stop(Stage::id(n), delay, status).await.is_ok();
            granted.then(|| records.note_grant(Stage::id(n)));
        }
        Verb::GetJob(n) => drop(engine.get_job(Stage::id(n)).await),
        Verb::OpenTunnel(n) => drop(engine.open_tunnel(Stage::id(n)).await),
        Verb::CloseTunnel(n) => drop(engine.close_tunnel(Stage::id(n)).await),
        Verb::Wait(n) => drop(engine.wait(Stage::id(n), &[Status::Healthy], &mut |_| {}).await),
    }
}

/// The faults of the world with one of them broken, or mended.
fn with(mut faults: Faults, fault: Fault, is_broken: bool) -> Faults {
    let garbage = |garbage: Garbage| is_broken.then_some(garbage);
    let accounting = |state: Accounting| if is_broken { state } else { Accounting::Fresh };
    match fault {
        Fault::NetworkDown => faults.network_down = is_broken,
        Fault::NetworkSilent => faults.network_silent = is_broken,
        Fault::TunnelsStuck => faults.tunnels_stuck = is_broken,
        Fault::NodesCutOff => faults.nodes_cut_off = is_broken,
        Fault::SchedulerDown => faults.scheduler_down = is_broken,
        Fault::SubmissionsForgotten => faults.submissions_forgotten = is_broken,
        Fault::SubmissionsCutOff => faults.submit_reply_lost = is_broken,
        Fault::JobsUnlisted => faults.jobs_unlisted = is_broken,
        Fault::QueueEmpty => faults.queue_empty = is_broken,
        Fault::Garbled => faults.garbage = garbage(Garbage::Answer),
        Fault::OddRow(n) => faults.garbage = garbage(Garbage::Row(Stage::id(n))),
        // A cluster without accounting cannot have a late one.
        Fault::AccountingLate(_) | Fault::AccountingDown if faults.accounting == Accounting::None => {}
        Fault::AccountingLate(lag) => faults.accounting = accounting(Accounting::Late(lag)),
        Fault::AccountingDown => faults.accounting = accounting(Accounting::Down),
        Fault::NoAccounting => faults.accounting = accounting(Accounting::None),
    }
    faults
}
