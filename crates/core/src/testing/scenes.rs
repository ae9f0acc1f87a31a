//! Random lives: scenes that do happen, strung together under a clock that jumps.

use std::time::Duration;

use proptest::prelude::*;

use super::strategies::{
    doubt, echo, end_status, exit_status, fact, job_end, job_state, place, request, run_mark, stop,
    tunnel_to, word_of,
};
use crate::id::JobId;
use crate::job::{ExitStatus, JobReport, JobState, Place, Sight, Sighting};
use crate::lifecycle::{CancelFact, Echo, Fact, Life, Ping, Request, Submission, Terms, Tunnel, TunnelFact};
use crate::time::Timestamp;

/// When lives begin, by this machine's clock.
const BEGIN: Timestamp = Timestamp::from_secs(1_800_000_000);

/// One step of a life.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    /// How much time really passes before it.
    pub waits: Duration,
    /// How far this machine's clock is set besides, in milliseconds; backwards if negative.
    pub jumps: i64,
    /// What is learnt or wished then.
    pub news: News,
}

/// What moves a life.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum News {
    /// Something was learnt.
    Fact(Fact),
    /// Somebody wished for something.
    Request(Request),
}

impl News {
    /// The life after these news at `now`. A wish that is refused changes nothing.
    #[must_use]
    pub fn tell(&self, life: &Life, now: Timestamp) -> Life {
        match self {
            Self::Fact(fact) => life.observe(fact, now),
            Self::Request(request) => life.request(request, now).unwrap_or_else(|_| life.clone()),
        }
    }
}

/// A life, and the time by its own clock.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Moment {
    /// The life.
    pub life: Life,
    /// The time.
    pub now: Timestamp,
}

impl Moment {
    /// A service that was just asked for.
    pub const fn birth(terms: Terms) -> Self {
        Self { life: Life::new(terms, BEGIN), now: BEGIN }
    }

    /// The moment after `step`.
    #[must_use]
    pub fn after(&self, step: &Step) -> Self {
        let now = self.now.plus(step.waits);
        let jump = Duration::from_millis(step.jumps.unsigned_abs());
        let now = if step.jumps < 0 { now.minus(jump) } else { now.plus(jump) };
        Self { life: step.news.tell(&self.life, now), now }
    }
}

/// All moments of a life: its birth, and the one after each of `steps`.
pub fn moments(terms: &Terms, steps: &[Step]) -> Vec<Moment> {
    let mut moments = vec![Moment::birth(terms.clone())];
    for step in steps {
        moments.extend(moments.last().map(|before| before.after(step)));
    }
    moments
}

/// A life that was built by random [`steps`], at the time of the last one.
pub fn moment(terms: &Terms) -> impl Strategy<Value = Moment> + use<> {
    let birth = Moment::birth(terms.clone());
    steps(terms).prop_map(move |steps| steps.iter().fold(birth.clone(), |moment, step| moment.after(step)))
}

/// How far a clock jumps, in milliseconds: mostly not at all, else backwards by minutes or forwards by days.
pub fn clock_jump() -> impl Strategy<Value = i64> {
    prop_oneof![24 => Just(0), 1 => -1_200_000..0_i64, 1 => 0..300_000_000_i64]
}

/// How long nothing happens: mostly seconds, at times minutes.
pub fn pause() -> impl Strategy<Value = Duration> {
    prop_oneof![4 => Just(0), 8 => 0..3_000_u64, 4 => 0..70_000_u64, 1 => 0..1_000_000_u64]
        .prop_map(Duration::from_millis)
}

/// Steps of a life under `terms`: mostly a submission first, then scenes of a life, often an end, and what is told
/// after it. Where the scheduler tells its own clock, that goes on as time really does, whatever this machine's does.
pub fn steps(terms: &Terms) -> impl Strategy<Value = Vec<Step>> + use<> {
    let opening = prop_oneof![1 => Just(vec![]), 9 => submitted(terms.settle)];
    let timed = |scene: BoxedStrategy<Scene>| (pause(), clock_jump(), scene);
    let scenes = |most| prop::collection::vec(timed(scene(terms)), 0..most);
    let life = prop_oneof![1 => scenes(2), 2 => scenes(12)];
    let end = prop::option::weighted(0.6, timed(ending(terms)));
    let after = scenes(3);
    let clock = prop::option::weighted(0.8, -100_000..100_000_i64);
    (opening, life, end, after, clock).prop_map(|(opening, life, end, after, clock)| {
        let mut steps: Vec<Step> = opening.into_iter().map(step).collect();
        let after = if end.is_some() { after } else { vec![] };
        for (pause, jumps, scene) in life.into_iter().chain(end).chain(after) {
            let first = steps.len();
            steps.extend(scene.into_iter().map(step));
            if let Some(step) = steps.get_mut(first) {
                (step.waits, step.jumps) = (step.waits + pause, jumps);
            }
        }
        tell_clock(&mut steps, clock);
        count_runs(&mut steps);
        steps
    })
}

/// What happens in a scene: each after a while.
type Scene = Vec<(Duration, News)>;

fn step((waits, news): (Duration, News)) -> Step {
    Step { waits, jumps: 0, news }
}

/// Lets each look tell the scheduler's clock, which is `ahead` of ours by some seconds.
fn tell_clock(steps: &mut [Step], ahead: Option<i64>) {
    let Some(ahead) = ahead else { return };
    let mut at = Timestamp::from_secs(BEGIN.as_micros() / 1_000_000 + ahead);
    for step in steps {
        at = at.plus(step.waits);
        if let News::Fact(Fact::Job(sighting)) = &mut step.news {
            sighting.at = Some(at);
        }
    }
}

/// Counts the runs of the job on from each that looks have told of: every requeue is followed by another one.
fn count_runs(steps: &mut [Step]) {
    let (mut present, mut began) = (1_u64, false);
    for step in steps {
        let News::Fact(Fact::Job(Sighting { sight: Sight::Seen(report), .. })) = &mut step.news else {
            continue;
        };
        if let Some(mark) = &mut report.run {
            *mark = (present + *mark).saturating_sub(1);
        }
        if report.state == JobState::Queued {
            (present, began) = (present + u64::from(began), false);
        } else if report.run >= Some(present) {
            (present, began) = (report.run.unwrap_or(present), true);
        }
    }
}

const fn at_once(fact: Fact) -> (Duration, News) {
    (Duration::ZERO, News::Fact(fact))
}

/// A submission, with each of its answers; at times after another one that was missed for a while and came to nothing.
fn submitted(settle: Duration) -> BoxedStrategy<Scene> {
    let answered = |answer| vec![at_once(Fact::Submitting), at_once(Fact::Submission(answer))];
    let not_sent = || Fact::Submission(Submission::NotSent("no route to host".into()));
    let abandoned = News::Request(Request::Abandon { why: "no route to host".into() });
    let again = vec![
        at_once(Fact::Submitting),
        at_once(absent(None)),
        at_once(not_sent()),
        (settle, News::Fact(Fact::Submitting)),
        at_once(absent(None)),
    ];
    prop_oneof![
        20 => Just(answered(Submission::Accepted(JobId::new("1")))),
        5 => Just(answered(Submission::Unclear("connection reset".into()))),
        1 => Just(vec![at_once(Fact::Submitting), at_once(not_sent())]),
        1 => Just(answered(Submission::Refused("invalid partition".into()))),
        1 => Just(vec![(Duration::ZERO, abandoned)]),
        1 => Just(again),
    ]
    .boxed()
}

/// What happens in the midst of a life.
fn scene(terms: &Terms) -> BoxedStrategy<Scene> {
    let grace = terms.grace;
    let noise = prop_oneof![4 => fact().prop_map(News::Fact), 1 => request().prop_map(News::Request)];
    prop_oneof![
        4 => actor().prop_map(|actor| vec![at_once(actor.seen(JobState::Queued))]),
        2 => (actor(), job_state()).prop_map(|(actor, state)| vec![at_once(actor.seen(state))]),
        4 => actor().prop_map(|actor| vec![at_once(actor.seen(JobState::Running))]),
        9 => actor().prop_map(|actor| actor.answers()),
        4 => (actor(), echo()).prop_map(|(actor, echo)| vec![at_once(actor.pinged(echo))]),
        1 => (actor(), last()).prop_map(move |(actor, last)| actor.stays_silent(grace, last)),
        3 => actor().prop_map(|actor| actor.is_requeued()),
        1 => stop().prop_map(|stop| vec![(Duration::ZERO, News::Request(stop))]),
        4 => prop::collection::vec((pause(), noise), 1..5),
    ]
    .boxed()
}

/// What mostly ends a life.
fn ending(terms: &Terms) -> BoxedStrategy<Scene> {
    let (grace, settle) = (terms.grace, terms.settle);
    prop_oneof![
        3 => (actor(), last()).prop_map(move |(actor, last)| actor.stays_silent(grace, last)),
        2 => Just(vec![at_once(absent(None)), (settle, News::Fact(absent(None)))]),
        1 => exit_status().prop_map(move |exit| {
            vec![at_once(absent(None)), (settle, News::Fact(absent(Some(exit))))]
        }),
        1 => (actor(), doubt(), any::<bool>()).prop_map(move |(actor, doubt, seen)| {
            let broken_by = if seen { actor.seen(JobState::Running) } else { doubt };
            vec![at_once(absent(None)), at_once(broken_by), (settle, News::Fact(absent(None)))]
        }),
        6 => (actor(), job_end()).prop_map(|(actor, end)| vec![at_once(actor.seen(JobState::Ended(end)))]),
        1 => (actor(), stop(), job_end()).prop_map(|(actor, stop, end)| {
            vec![(Duration::ZERO, News::Request(stop)), at_once(actor.seen(JobState::Ended(end)))]
        }),
        3 => (actor(), end_status(), job_end()).prop_map(|(actor, status, end)| {
            let stop = News::Request(Request::Stop { delay: Duration::ZERO, status });
            let heard = at_once(Fact::Cancel(CancelFact::Accepted));
            vec![(Duration::ZERO, stop), heard, at_once(actor.seen(JobState::Ended(end)))]
        }),
    ]
    .boxed()
}

fn absent(exit: Option<ExitStatus>) -> Fact {
    Fact::Job(Sighting { exit, ..Sighting::absent(None) })
}

/// What the end of a grace period that passes in silence is learnt by.
#[derive(Clone, Copy, Debug)]
enum Last {
    Word,
    Ping,
    WordAlone,
}

fn last() -> impl Strategy<Value = Last> {
    prop_oneof![4 => Just(Last::Word), 1 => Just(Last::Ping), 1 => Just(Last::WordAlone)]
}

/// One run of the job, and where its server is.
#[derive(Clone, Debug)]
struct Actor {
    mark: Option<u64>,
    place: Place,
    tunnel: Tunnel,
}

fn actor() -> BoxedStrategy<Actor> {
    (run_mark(), place())
        .prop_flat_map(|(mark, place)| {
            tunnel_to(place.clone()).prop_map(move |tunnel| Actor { mark, place: place.clone(), tunnel })
        })
        .boxed()
}

impl Actor {
    fn seen(&self, state: JobState) -> Fact {
        let begun = !matches!(state, JobState::Queued);
        let report = JobReport {
            id: JobId::new("1"),
            word: word_of(&state).to_owned(),
            node: begun.then(|| self.place.host.clone()),
            reason: None,
            running_for: None,
            time_left: None,
            run: self.mark.filter(|_| begun),
            state,
        };
        let place = begun.then(|| self.place.clone());
        Fact::Job(Sighting { sight: Sight::Seen(report), place, exit: None, at: None })
    }

    fn pinged(&self, echo: Echo) -> Fact {
        Fact::Ping(Ping { place: self.place.clone(), echo })
    }

    fn answers(&self) -> Scene {
        let open = Fact::Tunnel(TunnelFact::Open(self.tunnel.clone()));
        let [seen, pinged] = [self.seen(JobState::Running), self.pinged(Echo::Answered)];
        vec![at_once(seen), at_once(open), at_once(pinged)]
    }

    /// Silence for a whole grace period, which ends with a ping and the scheduler's word, or (both at once) the other
    /// way round, or with that word alone.
    fn stays_silent(&self, grace: Duration, end: Last) -> Scene {
        let [seen, again] = [self.seen(JobState::Running), self.seen(JobState::Running)].map(News::Fact);
        let pinged = News::Fact(self.pinged(Echo::Silent("connection refused".into())));
        let (moment, second) = (Duration::ZERO, Duration::from_secs(1));
        match end {
            Last::Word => vec![(moment, seen), (grace, pinged), (second, again)],
            Last::Ping => vec![(moment, seen), (grace, again), (moment, pinged)],
            Last::WordAlone => vec![(moment, seen), (second, pinged), (grace, again)],
        }
    }

    fn is_requeued(&self) -> Scene {
        vec![at_once(self.seen(JobState::Queued)), at_once(self.seen(JobState::Running))]
    }
}
