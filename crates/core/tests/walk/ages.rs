//! Time as the walk knows it: steps that are longer than every interval of the machine, and nothing between them.
//!
//! A state has no clock. Now is always [`NOW`], and when time passes everything that is remembered becomes one
//! [`STEP`] older. A state is then brought into its canonical form, so that two states from which the same can follow
//! are one. This drops no behaviour, because the machine does two things only with a time: it compares its age with
//! an interval, or the distance of two times with one. All intervals (the [`terms`], and those of the plan, which are
//! at most a minute) are shorter than a step and longer than nothing, so that
//!
//! - an age matters only as none or some: one that is compared with nothing but now is kept at one step at most;
//! - a distance matters only as none, some, or the other way round: of times that are compared with one another
//!   ([`shared`]) only the order is kept, one step between one and the next.
//!
//! What the machine never reads (texts for people, `since` of a status, counts of failures, whose longest delay is a
//! minute) is the same in all canonical forms. [`crate::soundness`] holds this against histories in full time.

use std::time::Duration;

use towline_core::job::JobEnd;
use towline_core::lifecycle::{Cause, Doubt, Echo, Job, Life, Phase, Run, Terms};
use towline_core::time::Timestamp;

/// The time now, always.
pub(crate) const NOW: Timestamp = Timestamp::from_secs(1_800_000_000);
/// How much time passes at once.
pub(crate) const STEP: Duration = Duration::from_secs(100);
/// What lies between two things that happen in the same step.
pub(crate) const MOMENT: Duration = Duration::from_micros(1);
/// How long an interval is that a step exceeds.
pub(crate) const LESS_THAN_A_STEP: Duration = Duration::from_secs(80);

/// Terms whose intervals are all over after one step.
pub(crate) const fn terms() -> Terms {
    Terms {
        grace: LESS_THAN_A_STEP,
        settle: LESS_THAN_A_STEP,
        verify: LESS_THAN_A_STEP,
        fresh: Duration::from_secs(2),
    }
}

/// How many steps ago that was.
pub(crate) fn age(at: Timestamp) -> u64 {
    (NOW.since(at) + STEP / 2).as_secs() / STEP.as_secs()
}

/// How many moments before the end of its step that was.
pub(crate) fn moments(at: Timestamp) -> u64 {
    u64::try_from(ago(age(at)).as_micros() - at.as_micros()).unwrap_or(0)
}

/// The time so many steps ago.
pub(crate) fn ago(steps: u64) -> Timestamp {
    NOW.minus(Duration::from_secs(STEP.as_secs() * steps))
}

/// Forgets how long ago that was, but for whether it was now.
fn near(at: &mut Timestamp) {
    *at = ago(age(*at).min(1));
}

/// Lets a step pass: makes everything that a life remembers older. When a submission was announced is a name of it, not a time: it is
/// compared with nothing but another one's.
pub(crate) fn grow_older(life: &mut Life) {
    each(life, &mut |at| *at = at.minus(STEP));
}

/// Shows every time of a life that is a time to `visit`.
fn each(life: &mut Life, visit: &mut impl FnMut(&mut Timestamp)) {
    let Life { phase, stop, tunnel, ping, looked_at, absence, doubt, .. } = life;
    if let Phase::Live { job: Job { run: Some(run), .. }, .. } = phase {
        visit(&mut run.since);
        run.verified_at.iter_mut().for_each(&mut *visit);
    }
    if let Some(stop) = stop {
        visit(&mut stop.asked_at);
        visit(&mut stop.due);
        stop.cancelled_at.iter_mut().for_each(&mut *visit);
        stop.failed.iter_mut().for_each(|failed| visit(&mut failed.last));
    }
    tunnel.iter_mut().for_each(|record| visit(&mut record.checked_at));
    ping.iter_mut().for_each(|ping| visit(&mut ping.at));
    looked_at.iter_mut().for_each(&mut *visit);
    if let Some(absence) = absence {
        visit(&mut absence.since);
        absence.told_since.iter_mut().for_each(&mut *visit);
    }
    doubt.iter_mut().for_each(|doubt| visit(&mut doubt.last));
}

/// Shows the times of a life that are compared with one another to `visit`, and whether their order within a step
/// counts: the beginning of the run, the last word of the scheduler and the last ping. If somebody holds news that may
/// be told late, and so folded as of a time that is over, those that are compared with that time too.
pub(crate) fn shared(life: &Life, late: bool, visit: &mut impl FnMut(Timestamp, bool)) {
    if let Phase::Live { job: Job { run: Some(Run { since, verified_at, .. }), .. }, .. } = &life.phase {
        visit(*since, false);
        verified_at.iter().for_each(|at| visit(*at, true));
    }
    life.ping.iter().for_each(|ping| visit(ping.at, true));
    if late {
        let absence = life.absence.iter().flat_map(|absence| [Some(absence.since), absence.told_since]);
        let asked = life.stop.iter().map(|stop| stop.asked_at);
        let checked = life.tunnel.iter().map(|record| record.checked_at);
        let others = life.looked_at.into_iter().chain(absence.flatten()).chain(asked).chain(checked);
        others.for_each(|at| visit(at, true));
    }
}

/// Moves the times that [`shared`] shows.
pub(crate) fn move_shared(life: &mut Life, late: bool, to: &impl Fn(Timestamp, bool) -> Timestamp) {
    let ordered = |at: &mut Timestamp| *at = to(*at, true);
    if let Phase::Live { job: Job { run: Some(Run { since, verified_at, .. }), .. }, .. } = &mut life.phase {
        *since = to(*since, false);
        verified_at.iter_mut().for_each(ordered);
    }
    life.ping.iter_mut().for_each(|ping| ordered(&mut ping.at));
    if !late {
        return;
    }
    life.looked_at.iter_mut().for_each(ordered);
    life.tunnel.iter_mut().for_each(|record| ordered(&mut record.checked_at));
    if let Some(absence) = &mut life.absence {
        ordered(&mut absence.since);
        absence.told_since.iter_mut().for_each(ordered);
    }
    if let Some(stop) = &mut life.stop {
        let delay = stop.due.since(stop.asked_at);
        ordered(&mut stop.asked_at);
        stop.due = stop.asked_at.plus(delay);
    }
}

/// Brings what a life holds for itself into its canonical form; the order of its [`shared`] times is left as it is.
pub(crate) fn settle(life: &mut Life, late: bool) {
    life.since = NOW;
    life.observed_at = None;
    // Whoever asks is told no sooner: after a step all is asked for anyway.
    life.asked_at = None;
    life.local_port = None;
    life.doubt.iter_mut().for_each(forget_words);
    life.tunnel.iter_mut().for_each(|record| record.tunnel.place.listening = true);
    if let Some(ping) = &mut life.ping
        && let Echo::Silent(words) | Echo::NoRoute(words) = &mut ping.echo
    {
        words.clear();
    }
    if let Some(stop) = &mut life.stop {
        stop.cancelled_at.iter_mut().for_each(near);
        stop.failed.iter_mut().for_each(forget_words);
    }
    match &mut life.phase {
        Phase::Intent | Phase::Sending { .. } => {}
        Phase::Live { job, .. } => {
            (job.word, job.node, job.reason) = (None, None, None);
            // Nothing is compared with the moment of it.
            job.run.iter_mut().for_each(|run| run.since = ago(age(run.since)));
        }
        Phase::Ended(ending) => {
            ending.at = NOW;
            ending.job = ending.job.take().map(|job| Job { over: job.over, ..Job::accepted(job.id) });
            if let Cause::Job(JobEnd { exit, reason, .. }) = &mut ending.cause {
                (*exit, *reason) = (None, None);
            }
            (life.ping, life.tunnel_unwanted) = (None, false);
        }
    }
    if !late {
        settle_for_now(life);
    }
}

/// Forgets the order of what is compared with nothing but now.
fn settle_for_now(life: &mut Life) {
    life.tunnel.iter_mut().for_each(|record| near(&mut record.checked_at));
    life.looked_at.iter_mut().for_each(near);
    if matches!(life.phase, Phase::Ended(_)) {
        life.looked_at = None;
    }
    if let Some(absence) = &mut life.absence {
        near(&mut absence.since);
        absence.told_since.iter_mut().for_each(near);
    }
    if let Some(stop) = &mut life.stop {
        let due = stop.due <= NOW.plus(MOMENT);
        stop.asked_at = NOW;
        stop.due = if due { NOW } else { NOW.plus(LESS_THAN_A_STEP) };
    }
}

fn forget_words(doubt: &mut Doubt) {
    near(&mut doubt.last);
    (doubt.since, doubt.count) = (doubt.last, 1);
    doubt.why.clear();
}
