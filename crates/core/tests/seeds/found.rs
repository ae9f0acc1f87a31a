//! Stories that once broke a rule, as short as they were shrunk to.

use std::time::Duration;

use towline_core::lifecycle::EndStatus;
use towline_core::testing::{Behaviour, Call, Mishap};

use super::shrink::play;
use super::step::{Blow, N, Step, Verb, Who};

const fn secs(secs: u64) -> Duration {
    Duration::from_secs(secs)
}

const fn start(n: N, grace: u64, waits: bool) -> Verb {
    Verb::Start { n, grace: secs(grace), waits }
}

fn settles(steps: &[Step]) {
    if let Err(broken) = play(steps) {
        panic!("{}: {}", broken.1.rule, broken.1.how);
    }
}

#[test]
fn a_requeued_job_is_not_ended_by_what_its_first_run_left() {
    let jobs = Behaviour { queued_for: secs(11), listed_after: secs(40), ..Behaviour::default() };
    settles(&[
        Step::Behave(Box::new(jobs)),
        Step::Begin(Who::A, start(3, 600, false)),
        Step::Finish(Who::A),
        Step::Pass(secs(15)),
        Step::Blow(Blow::Requeue, 3),
    ]);
}

#[test]
fn a_look_that_is_recorded_late_does_not_stop_the_clock() {
    settles(&[
        Step::Begin(Who::A, start(3, 60, true)),
        Step::Go(Who::A, 15, 0),
        Step::Begin(Who::B, Verb::Wait(3)),
        Step::Finish(Who::B),
    ]);
}

#[test]
fn the_tunnel_of_the_slower_process_is_closed() {
    settles(&[
        Step::Begin(Who::A, start(2, 20, true)),
        Step::Go(Who::A, 19, 0),
        Step::Begin(Who::B, Verb::GetJob(2)),
        Step::Finish(Who::B),
        Step::Blow(Blow::Requeue, 2),
        Step::Begin(Who::B, Verb::RefreshAll),
        Step::Go(Who::B, 1, 0),
    ]);
}

#[test]
fn a_closing_does_not_undo_a_later_opening() {
    settles(&[
        Step::Begin(Who::A, start(1, 60, true)),
        Step::Finish(Who::A),
        Step::Begin(Who::A, Verb::CloseTunnel(1)),
        Step::Go(Who::A, 5, 0),
        Step::Begin(Who::B, Verb::OpenTunnel(1)),
        Step::Finish(Who::B),
    ]);
}

#[test]
fn silence_after_a_requeue_spends_no_grace() {
    settles(&[
        Step::Begin(Who::A, start(3, 60, false)),
        Step::Go(Who::A, 5, 0),
        Step::Befall(Who::B, Call::Open, Mishap::LostAfter),
        Step::Pass(secs(75)),
        Step::Begin(Who::B, Verb::Stop { n: 3, delay: secs(267), status: EndStatus::Failed }),
        Step::Finish(Who::B),
        Step::Blow(Blow::Requeue, 3),
    ]);
}
