//! What is told twice or too late.

use std::time::Duration;

use proptest::prelude::*;
use towline_core::id::JobId;
use towline_core::job::{JobReport, Sight, Sighting};
use towline_core::lifecycle::{Cause, Fact, Life, TunnelFact};
use towline_core::testing::strategies::{
    Moment, News, fact, job_report, pause, ping, place, sighting, steps, tunnel,
};

use crate::support::{TERMS, config, trail, without_jumps};

proptest! {
    #![proptest_config(config())]

    #[test]
    fn folding_the_same_fact_twice_at_the_same_time_equals_folding_it_once(
        steps in steps(&TERMS),
        more in prop::collection::vec((pause(), fact()), 1..6),
    ) {
        let trail = trail(&steps);
        for Moment { life, now } in &trail {
            for (wait, fact) in &more {
                let now = now.plus(*wait);
                let once = life.observe(fact, now);
                prop_assert_eq!(once.observe(fact, now), once, "{:?}", fact);
            }
        }
        for (step, Moment { life, now }) in steps.iter().zip(&trail[1..]) {
            if let News::Fact(fact) = &step.news {
                prop_assert_eq!(&life.observe(fact, *now), life, "{:?}", fact);
            }
        }
    }

    #[test]
    fn folding_stale_facts_changes_nothing_reports_of_an_earlier_run(
        steps in steps(&TERMS),
        (report, place) in (job_report(), prop::option::of(place())),
        wait in pause(),
    ) {
        let (mut present, mut over) = (None, None);
        for Moment { life, now } in &trail(&without_jumps(steps)) {
            let Some(job) = life.phase.job() else { continue };
            match &job.run {
                // One that is not marked may be any but those before the last known.
                Some(run) => present = run.mark,
                // In the queue (again): what has run is over.
                None => over = over.max(present.take()),
            }
            over = over.max(present.and_then(|mark: u64| mark.checked_sub(1)));
            let Some(over) = over else { continue };
            let report = JobReport { id: job.id.clone(), run: Some(over), ..report.clone() };
            let stale = Sighting { sight: Sight::Seen(report), place: place.clone(), ..Sighting::unseen("") };
            assert_looked_only(life, &stale, now.plus(wait))?;
        }
    }

    #[test]
    fn folding_stale_facts_changes_nothing_reports_of_another_job(
        steps in steps(&TERMS),
        sighting in sighting(),
        wait in pause(),
    ) {
        let Sight::Seen(report) = &sighting.sight else { return Ok(()) };
        let sight = Sight::Seen(JobReport { id: JobId::new("another"), ..report.clone() });
        let foreign = Sighting { sight, ..sighting };
        for Moment { life, now } in &trail(&without_jumps(steps)) {
            if life.phase.job().is_none() {
                continue;
            }
            assert_looked_only(life, &foreign, now.plus(wait))?;
        }
    }

    #[test]
    fn folding_stale_facts_changes_nothing_pings_of_another_place(steps in steps(&TERMS), ping in ping(), wait in pause()) {
        for Moment { life, now } in &trail(&without_jumps(steps)) {
            let known = life.phase.job().and_then(|job| job.place());
            if known.is_none_or(|known| (&known.host, known.port) != (&ping.place.host, ping.place.port)) {
                prop_assert_eq!(&life.observe(&Fact::Ping(ping.clone()), now.plus(wait)), life);
            }
        }
    }

    #[test]
    fn folding_stale_facts_changes_nothing_facts_older_than_what_is_known(
        steps in steps(&TERMS),
        look in sighting(),
        (ping, tunnel) in (ping(), tunnel()),
        late in 1..400_000_u64,
        wait in pause(),
    ) {
        let unopened = TunnelFact::Unopened("no route".into());
        for Moment { life, now } in &trail(&steps) {
            let looked_at = life.looked_at;
            let pinged_at = life.ping.as_ref().map(|ping| ping.at);
            let checked_at = life.tunnel.as_ref().map(|tunnel| tunnel.checked_at);
            let facts = [
                (Fact::Job(look.clone()), looked_at),
                (Fact::Ping(ping.clone()), pinged_at),
                (Fact::Tunnel(unopened.clone()), pinged_at),
                (Fact::Tunnel(TunnelFact::Open(tunnel.clone())), checked_at),
                (Fact::Tunnel(TunnelFact::Closed), checked_at),
            ];
            for (fact, known) in facts {
                let now = now.plus(wait);
                let Some(known) = known.filter(|known| *known <= now) else { continue };
                let at = known.minus(Duration::from_millis(late));
                for learnt in [at, known, now] {
                    prop_assert_eq!(&life.observe_late(&fact, at, learnt, now), life, "{:?}", fact);
                }
                let told = life.observe(&fact, known);
                let spends_grace =
                    life.cause().is_none() && matches!(told.cause(), Some(Cause::GraceSpent { .. }));
                let expected = if spends_grace { life } else { &told };
                prop_assert_eq!(&life.observe_late(&fact, known, known, now), expected);
            }
        }
    }
}

/// Whether nothing but the time of the last look follows from `sighting`.
fn assert_looked_only(
    life: &Life,
    sighting: &Sighting,
    now: towline_core::time::Timestamp,
) -> Result<(), TestCaseError> {
    let told = life.observe(&Fact::Job(sighting.clone()), now);
    let looked_at = if life.status().is_terminal() { life.looked_at } else { Some(now) };
    prop_assert_eq!(told, Life { looked_at, ..life.clone() }, "{:?}", sighting);
    Ok(())
}
