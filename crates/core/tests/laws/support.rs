//! What the laws share.

use std::time::Duration;

use proptest::prelude::*;
use towline_core::job::{JobReport, JobState, Sight, Sighting};
use towline_core::lifecycle::{Fact, Life, Terms};
use towline_core::testing::strategies::{
    Moment, News, Step, fact, job_end, job_report, moment, moments, pause, request,
};
use towline_core::time::Timestamp;

/// The grace period of the lives that the laws are tried on.
pub(crate) const GRACE: Duration = Duration::from_secs(120);

/// The terms of those lives.
pub(crate) const TERMS: Terms = Terms::with_grace(GRACE);

/// As many cases as `PROPTEST_CASES` says. A failing case is printed whole, and kept as a test of its own.
pub(crate) fn config() -> ProptestConfig {
    ProptestConfig { failure_persistence: None, ..ProptestConfig::default() }
}

/// All moments of the life that `steps` build.
pub(crate) fn trail(steps: &[Step]) -> Vec<Moment> {
    moments(&TERMS, steps)
}

/// What was told, when, and what it changed.
pub(crate) struct Turn<'a> {
    /// How many steps were made before.
    pub(crate) past: usize,
    /// What was told beside the steps since, and when.
    pub(crate) aside: Vec<(Timestamp, &'a News)>,
    pub(crate) before: Life,
    pub(crate) news: &'a News,
    pub(crate) now: Timestamp,
    pub(crate) after: Life,
}

/// Every step of a life and, beside them, from each moment of it on, `more` told in a row.
pub(crate) fn turns<'a>(
    steps: &'a [Step],
    trail: &'a [Moment],
    more: &'a [(Duration, News)],
) -> impl Iterator<Item = Turn<'a>> {
    trail.iter().enumerate().flat_map(move |(past, moment)| {
        let mut turns = Vec::with_capacity(1 + more.len());
        if let Some(step) = steps.get(past) {
            let Moment { life, now } = trail[past + 1].clone();
            let before = moment.life.clone();
            turns.push(Turn { past, aside: vec![], before, news: &step.news, now, after: life });
        }
        let (mut moment, mut aside) = (moment.clone(), Vec::new());
        for (wait, news) in more {
            let now = moment.now.plus(*wait);
            let after = news.tell(&moment.life, now);
            let before = std::mem::replace(&mut moment, Moment { life: after.clone(), now }).life;
            turns.push(Turn { past, aside: aside.clone(), before, news, now, after });
            aside.push((now, news));
        }
        turns
    })
}

impl<'a> Turn<'a> {
    /// All that was told before this turn, of what the steps of the life `told`.
    pub(crate) fn told_before(&self, told: &[(Timestamp, &'a News)]) -> Vec<(Timestamp, &'a News)> {
        [&told[..self.past], &self.aside].concat()
    }
}

/// What is told beside the steps of a life, each after some time.
pub(crate) fn more() -> impl Strategy<Value = Vec<(Duration, News)>> {
    let news = prop_oneof![5 => fact().prop_map(News::Fact), 1 => request().prop_map(News::Request)];
    prop::collection::vec((pause(), news), 0..4)
}

/// What was told in the steps of a life, and when.
pub(crate) fn told<'a>(steps: &'a [Step], trail: &[Moment]) -> Vec<(Timestamp, &'a News)> {
    trail[1..].iter().map(|moment| moment.now).zip(steps.iter().map(|step| &step.news)).collect()
}

/// The same steps under a clock that never jumps.
pub(crate) fn without_jumps(steps: Vec<Step>) -> Vec<Step> {
    steps.into_iter().map(|step| Step { jumps: 0, ..step }).collect()
}

/// The report that news bring, if they bring one.
pub(crate) fn report_in(news: &News) -> Option<&JobReport> {
    match news {
        News::Fact(Fact::Job(sighting)) => match &sighting.sight {
            Sight::Seen(report) => Some(report),
            Sight::Absent | Sight::Unseen(_) => None,
        },
        News::Fact(_) | News::Request(_) => None,
    }
}

/// Lives that have ended, in whichever way.
pub(crate) fn ended() -> impl Strategy<Value = Moment> {
    (moment(&TERMS), job_report(), job_end()).prop_map(|(Moment { life, now }, report, end)| {
        if life.status().is_terminal() {
            return Moment { life, now };
        }
        let id = life.phase.job().map_or(report.id.clone(), |job| job.id.clone());
        let report = JobReport { id, state: JobState::Ended(end), run: None, ..report };
        let sight = Sight::Seen(report);
        let sighting = Sighting { sight, ..Sighting::unseen("") };
        Moment { life: life.observe(&Fact::Job(sighting), now), now }
    })
}
