//! The records that our jobs leave in their directories, as one command prints them all.

use std::collections::BTreeMap;

use towline_core::id::{JobId, ServiceId};
use towline_core::job::{ExitStatus, Place};
use towline_core::runner::{PublishedExit, PublishedPlace, parse_attempt, parse_exit, parse_place};
use towline_core::time::Timestamp;

use super::text::service;

/// What one service's directory holds.
#[derive(Clone, Debug, Default)]
pub(crate) struct Records {
    place: Option<PublishedPlace>,
    attempt: Option<PublishedPlace>,
    exit: Option<PublishedExit>,
}

/// Reads lines `UUID/FILE:CONTENT`, as `grep` prints them. Records that are none of our runner's are left out.
pub(crate) fn records<'a>(lines: impl Iterator<Item = &'a str>) -> BTreeMap<ServiceId, Records> {
    let mut texts: BTreeMap<(ServiceId, &str), String> = BTreeMap::new();
    for line in lines {
        let Some((path, content)) = line.split_once(':') else { continue };
        let Some((id, file)) = path.split_once('/') else { continue };
        let Some(id) = service(id) else { continue };
        let text = texts.entry((id, file)).or_default();
        text.push_str(content);
        text.push('\n');
    }
    let mut all: BTreeMap<ServiceId, Records> = BTreeMap::new();
    for ((id, file), text) in texts {
        let of = all.entry(id).or_default();
        match file {
            "place.json" => of.place = parse_place(&text).ok(),
            "attempt.json" => of.attempt = parse_attempt(&text).ok(),
            "exit.json" => of.exit = parse_exit(&text).ok(),
            _ => {}
        }
    }
    all
}

/// One run of a job: an earlier run's records are not its own.
#[derive(Clone, Copy, Debug)]
pub(crate) struct RunOf<'a> {
    pub(crate) job: &'a JobId,
    /// When it began, by the controller's clock, if that is known.
    pub(crate) start: Option<i64>,
}

impl RunOf<'_> {
    /// The clocks of node and controller may differ: munge would not work beyond minutes, but Slurm lets a requeued
    /// job wait for two minutes, so that no record of its earlier run can be younger than this.
    const CLOCKS: i64 = 60;

    fn wrote(&self, job: &JobId, at: Timestamp) -> bool {
        self.job == job && self.start.is_none_or(|start| at >= Timestamp::from_secs(start - Self::CLOCKS))
    }
}

impl Records {
    /// Where that run's server listens, or (until it does) is meant to.
    pub(crate) fn place(&self, run: RunOf<'_>) -> Option<Place> {
        let of_run = |place: &&PublishedPlace| run.wrote(&place.job, place.at);
        let place = self.place.as_ref().filter(of_run).or(self.attempt.as_ref().filter(of_run))?;
        Some(place.place.clone())
    }

    /// How that run ended, as it told itself.
    pub(crate) fn exit(&self, run: RunOf<'_>) -> Option<ExitStatus> {
        let exit = self.exit.as_ref().filter(|exit| run.wrote(&exit.job, exit.at))?;
        Some(exit.exit)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::testing::ID;

    fn lines(at: i64) -> Vec<String> {
        let place = format!(
            r#"{ID}/place.json:{{"job":"7","restarts":0,"published_at":{at},"host":"c2","node":"c2","port":23456,"pid":9,"address":"*","loopback":false}}"#
        );
        let attempt = format!(
            r#"{ID}/attempt.json:{{"job":"7","restarts":0,"started_at":{at},"host":"c2","port":23457,"pid":9}}"#
        );
        let exit = format!(
            r#"{ID}/exit.json:{{"job":"7","restarts":0,"ended_at":{at},"code":3,"signal":null,"time_limit":false}}"#
        );
        vec![place, attempt, exit]
    }

    fn read(lines: &[String]) -> Records {
        let id: ServiceId = ID.parse().unwrap();
        records(lines.iter().map(String::as_str)).remove(&id).unwrap_or_default()
    }

    #[test]
    fn a_place_counts_for_the_run_that_told_it() {
        let records = read(&lines(1000));
        let (job, other) = (JobId::new("7"), JobId::new("8"));
        let place = |job, start| records.place(RunOf { job, start }).map(|place| place.port);
        assert_eq!(place(&job, Some(995)), Some(23456));
        assert_eq!(place(&job, None), Some(23456));
        assert_eq!(place(&job, Some(1000 + 60)), Some(23456), "clocks may differ");
        assert_eq!(place(&job, Some(1000 + 61)), None, "an earlier run");
        assert_eq!(place(&other, Some(995)), None, "another job");
        assert_eq!(
            records.exit(RunOf { job: &job, start: Some(995) }),
            Some(ExitStatus { code: 3, signal: None })
        );
        assert_eq!(records.exit(RunOf { job: &other, start: Some(995) }), None);
    }

    #[test]
    fn an_attempt_stands_in_until_the_server_listens() {
        let job = JobId::new("7");
        let place = read(&lines(1000)[1..]).place(RunOf { job: &job, start: Some(995) }).unwrap();
        assert_eq!((place.port, place.listening), (23457, false));
    }

    #[test]
    fn broken_records_harm_no_other() {
        let mut all = lines(1000);
        all[0] = format!("{ID}/place.json:{{\"job\":");
        all.push("Binary file x matches".into());
        all.push("not-a-uuid/place.json:{}".into());
        all.push(String::new());
        let records = read(&all);
        assert!(records.place.is_none() && records.attempt.is_some() && records.exit.is_some());
    }

    proptest! {
        #[test]
        fn any_line_is_read_or_passed_over(text in "\\PC*", line in 0_usize..3, cut in 0_usize..80) {
            let mut all = lines(1000);
            let at = all[line].floor_char_boundary(cut);
            all[line].truncate(at);
            all[line].push_str(&text);
            all.push(text);
            drop(read(&all));
        }
    }
}
