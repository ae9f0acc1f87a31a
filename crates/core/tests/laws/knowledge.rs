//! What is known of a job and of the way to it, and who told.

use proptest::prelude::*;
use towline_core::job::{JobState, Place, Sight, Sighting};
use towline_core::lifecycle::{Fact, Job, Life, Phase, Run, Stage, TunnelFact};
use towline_core::testing::strategies::{News, steps};

use crate::support::{TERMS, Turn, config, more, report_in, trail, turns};
use crate::verdicts::is_of_present_run;

proptest! {
    #![proptest_config(config())]

    #[test]
    fn only_the_scheduler_says_that_a_job_runs_and_where(steps in steps(&TERMS), more in more()) {
        for Turn { before, news, now, after, .. } in turns(&steps, &trail(&steps), &more) {
            let run = |life: &Life| life.phase.job().and_then(|job| job.run.clone());
            let Some(new) = run(&after) else { continue };
            let old = run(&before);
            if new.verified_at.is_some() && old.as_ref().is_none_or(|old| old.verified_at != new.verified_at) {
                let state = report_in(news).map(|report| &report.state);
                let told =
                    matches!(state, Some(JobState::Configuring | JobState::Running | JobState::Suspended));
                prop_assert!(told && new.verified_at == Some(now), "{news:?} at {now} made {new:?}");
            }
            if new.place.is_some() && old.is_none_or(|old| old.place != new.place) {
                prop_assert!(matches!(news, News::Fact(Fact::Job(sighting)) if sighting.place == new.place));
            }
        }
    }

    #[test]
    fn what_a_report_tells_of_the_present_run_is_known(steps in steps(&TERMS), more in more()) {
        for Turn { before, news, now, after, .. } in turns(&steps, &trail(&steps), &more) {
            let (Some(report), Phase::Live { job, .. }) = (report_in(news), &after.phase) else { continue };
            let known = before.phase.job();
            if !known.is_none_or(|_| is_of_present_run(&before, report.id.as_str(), report.run)) {
                continue;
            }
            prop_assert_eq!(&job.id, &report.id);
            prop_assert_eq!((&job.state, &job.reason), (&Some(report.state.clone()), &report.reason));
            prop_assert_eq!(job.word.as_ref(), Some(&report.word));
            prop_assert_eq!((after.observed_at, after.absence, &after.doubt), (Some(now), None, &None));
            match &report.state {
                JobState::Queued => prop_assert_eq!((&job.run, &job.node), (&None, &None)),
                JobState::Leaving => {
                    let run = |job: &Job| job.run.as_ref().map(|run| (run.mark, run.place.clone()));
                    prop_assert_eq!(run(job), known.and_then(run));
                }
                JobState::Configuring | JobState::Running | JobState::Suspended => {
                    let node = report.node.clone().or_else(|| known.and_then(|job| job.node.clone()));
                    prop_assert_eq!(&job.node, &node);
                    let same = known.and_then(|job| job.run.as_ref()).filter(|run| run.mark == report.run);
                    let told = place_in(news).or_else(|| same.and_then(|run| run.place.clone()));
                    let run = job.run.as_ref().unwrap();
                    prop_assert_eq!((&run.place, run.mark), (&told, report.run));
                    prop_assert_eq!(run.ends_at, report.time_left.map(|left| now.plus(left)));
                    prop_assert_eq!(run.verified_at, Some(now));
                }
                JobState::Ended(_) => prop_assert!(false, "{report:?} left {after:?}"),
            }
        }
    }

    #[test]
    fn another_run_is_neither_healthy_nor_pinged_before_it_is_pinged(steps in steps(&TERMS), more in more()) {
        for Turn { before, after, .. } in turns(&steps, &trail(&steps), &more) {
            let Phase::Live { stage, job: Job { run: Some(Run { mark, .. }), .. } } = &after.phase else { continue };
            let known = before.phase.job().and_then(|job| job.run.as_ref());
            if known.is_none_or(|known| known.mark != *mark) {
                prop_assert!(*stage != Stage::Healthy && after.ping.is_none(), "{after:?}");
            }
        }
    }

    #[test]
    fn an_absence_is_an_answer_and_begins_where_it_was_first_missed(steps in steps(&TERMS), more in more()) {
        for Turn { before, news, now, after, .. } in turns(&steps, &trail(&steps), &more) {
            let News::Fact(Fact::Job(Sighting { sight: Sight::Absent, at, .. })) = news else { continue };
            if matches!(after.phase, Phase::Sending { .. } | Phase::Live { .. }) {
                prop_assert_eq!((&after.doubt, after.looked_at), (&None, Some(now)));
                let absence = after.absence.unwrap();
                prop_assert!(absence.since <= now && absence.told_since <= *at);
                let continues = before.absence.is_some_and(|before| {
                    before.since <= now && before.told_since.is_some() == at.is_some()
                });
                prop_assert_eq!(absence.since, if continues { before.absence.unwrap().since } else { now });
            }
        }
    }

    #[test]
    fn an_open_tunnel_is_known_until_it_is_closed_and_its_local_port_for_life(
        steps in steps(&TERMS),
        more in more(),
    ) {
        for Turn { before, news, now, after, .. } in turns(&steps, &trail(&steps), &more) {
            let (tunnel, port) = match news {
                News::Fact(Fact::Tunnel(TunnelFact::Open(tunnel))) => {
                    prop_assert_eq!(after.tunnel.as_ref().map(|record| record.checked_at), Some(now));
                    let held = tunnel.handle.is_some();
                    (Some(tunnel), if held { Some(tunnel.port) } else { before.local_port })
                }
                News::Fact(Fact::Tunnel(TunnelFact::Closed)) => (None, before.local_port),
                News::Fact(_) | News::Request(_) => (before.open_tunnel(), before.local_port),
            };
            prop_assert_eq!((after.open_tunnel(), after.local_port), (tunnel, port));
        }
    }
}

/// The place that a look tells of.
fn place_in(news: &News) -> Option<Place> {
    match news {
        News::Fact(Fact::Job(sighting)) => sighting.place.clone(),
        News::Fact(_) | News::Request(_) => None,
    }
}
