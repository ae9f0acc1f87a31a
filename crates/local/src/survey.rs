//! Looking at one job.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::thread::sleep;
use std::time::{Duration, Instant};

use towline_core::engine::error_chain;
use towline_core::id::{JobId, ServiceId};
use towline_core::job::{ExitStatus, JobEnd, JobReport, JobState, Outcome, Sight, Sighting};
use towline_core::ports::Subject;
use towline_core::runner::PublishedExit;
use towline_core::time::Timestamp;

use crate::container::{self, Answer, Contained, Ended};
use crate::job::{JobKey, JobRecord};
use crate::process;
use crate::store::{ReadError, ServiceDir};

/// How long to wait for a job that is being started: many times what that takes.
pub(crate) const START_LIMIT: Duration = Duration::from_secs(3);
const PAUSE: Duration = Duration::from_millis(10);

/// Says what is known of a subject; whatever cannot be read harms it alone. A job that is being started is waited for
/// until `deadline`.
pub(crate) fn look(dir: &ServiceDir, subject: &Subject, deadline: Instant) -> Looked {
    let at = process::uptime().map(|uptime| Timestamp::from_micros(0).plus(uptime));
    let sighting =
        try_look(dir, subject, deadline).unwrap_or_else(|error| Sighting::unseen(error_chain(&error)));
    let sighting = Sighting { at, ..sighting };
    match container::contained(dir) {
        Ok(contained) => Looked { sighting, contained },
        Err(error) => {
            Looked { sighting: Sighting { at, ..Sighting::unseen(error_chain(&error)) }, contained: None }
        }
    }
}

/// What is seen of a service's job, and the container that it looks after.
pub(crate) struct Looked {
    sighting: Sighting,
    contained: Option<(Contained, Option<Ended>)>,
}

/// Asks the engines of those services that run in containers, each engine once for all of them, and joins what it says
/// with what was seen before.
pub(crate) async fn with_engines(looked: Vec<(ServiceId, Looked)>) -> BTreeMap<ServiceId, Sighting> {
    let mut answers: BTreeMap<String, Answer> = BTreeMap::new();
    let mut sightings = BTreeMap::new();
    for (id, Looked { sighting, contained }) in looked {
        let joined = match contained {
            Some((Contained { engine }, ended)) => {
                let answer = match answers.entry(engine) {
                    Entry::Occupied(known) => known.into_mut(),
                    Entry::Vacant(new) => {
                        let answer = container::ask_all(new.key()).await;
                        new.insert(answer)
                    }
                };
                container::verdict(sighting, id, ended, answer)
            }
            None => sighting,
        };
        sightings.insert(id, joined);
    }
    sightings
}

fn try_look(dir: &ServiceDir, subject: &Subject, deadline: Instant) -> Result<Sighting, ReadError> {
    // In this order: a job that was being started a moment ago has written its record by now.
    let starting = is_starting_still(dir, deadline)?;
    let record = dir.job()?;
    // A service has one job. Whoever names another is mistaken, and only if the record is lost can he know better.
    let Some(job) = record.as_ref().map(|record| &record.job).or(subject.job.as_ref()).cloned() else {
        return Ok(match starting {
            true => Sighting::unseen("its job is being started"),
            false => Sighting::absent(None),
        });
    };
    let Some(key) = JobKey::parse(&job) else {
        return Ok(Sighting::unseen(format!("{job} is no job of this machine")));
    };
    let running = match process::is_running(key, subject.id) {
        Ok(running) => running,
        Err(error) => return Ok(Sighting::unseen(format!("failed to look at process {}: {error}", key.pid))),
    };
    let cancelled = dir.cancelled_for(&job)?.is_some();
    let seen = Seen { id: subject.id, job, key, record };
    if running {
        return Ok(live(dir, &seen, cancelled));
    }
    // Read after the process was seen to be gone, so it is what there will ever be.
    let exit = dir.exit().map(|exit| exit.filter(|exit| exit.job == seen.job));
    Ok(gone(&seen, exit, cancelled))
}

/// Whether the job is being started and is not done with that by the deadline.
fn is_starting_still(dir: &ServiceDir, deadline: Instant) -> Result<bool, ReadError> {
    while dir.is_starting()? {
        if Instant::now() >= deadline {
            return Ok(true);
        }
        sleep(PAUSE);
    }
    Ok(false)
}

struct Seen {
    id: ServiceId,
    job: JobId,
    key: JobKey,
    record: Option<JobRecord>,
}

impl Seen {
    fn report(&self, state: JobState, word: &str, reason: Option<String>) -> JobReport {
        JobReport {
            id: self.job.clone(),
            state,
            word: word.to_owned(),
            node: process::host_name(),
            reason,
            running_for: None,
            time_left: None,
            run: Some(self.key.start),
        }
    }
}

fn live(dir: &ServiceDir, seen: &Seen, cancelled: bool) -> Sighting {
    let exit = dir.exit().ok().flatten().filter(|exit| exit.job == seen.job);
    let mut report = match cancelled || exit.is_some() {
        true => {
            seen.report(JobState::Leaving, "COMPLETING", cancelled.then(|| "it was cancelled".to_owned()))
        }
        false => seen.report(JobState::Running, "RUNNING", None),
    };
    report.running_for = process::running_for(seen.key.start);
    let limit = seen.record.as_ref().map(|record| Duration::from_secs(record.limit));
    if let (Some(limit), Some(elapsed)) = (limit.filter(|limit| !limit.is_zero()), report.running_for) {
        report.time_left = Some(limit.saturating_sub(elapsed));
    }
    // An unreadable place is none: the job's own state is what must not be lost.
    let place = dir.place().ok().flatten().filter(|place| place.job == seen.job).map(|place| place.place);
    Sighting { sight: Sight::Seen(report), place, exit: exit.map(|exit| exit.exit), at: None }
}

fn gone(seen: &Seen, exit: Result<Option<PublishedExit>, ReadError>, cancelled: bool) -> Sighting {
    let (exit, unreadable) = match exit {
        Ok(exit) => (exit, None),
        Err(error) => (None, Some(error)),
    };
    let told = exit.as_ref().map(|exit| exit.exit);
    if told.is_none() && process::members(seen.id, None).is_ok_and(|processes| !processes.is_empty()) {
        let reason = "the job's shell was killed and left its server behind: stop the service to end it";
        let report = seen.report(JobState::Leaving, "COMPLETING", Some(reason.to_owned()));
        return Sighting { sight: Sight::Seen(report), place: None, exit: None, at: None };
    }
    if seen.record.is_none() {
        // Whose job that was, or whether it ever was one, nothing here tells.
        return Sighting { exit: told, ..Sighting::absent(None) };
    }
    let (outcome, word, reason) = match &exit {
        _ if cancelled => (Outcome::Cancelled, "CANCELLED", None),
        Some(exit) if exit.time_limit => (Outcome::TimeLimit, "TIMEOUT", None),
        Some(PublishedExit { exit: ExitStatus { code: 0, signal: None }, .. }) => {
            (Outcome::Completed, "COMPLETED", None)
        }
        Some(_) => (Outcome::Failed, "FAILED", None),
        None => (Outcome::Failed, "FAILED", Some(why_gone(seen, unreadable.as_ref()))),
    };
    let end = JobEnd { outcome, exit: told, reason: reason.clone() };
    let report = seen.report(JobState::Ended(end), word, reason);
    Sighting { sight: Sight::Seen(report), place: None, exit: told, at: None }
}

fn why_gone(seen: &Seen, unreadable: Option<&ReadError>) -> String {
    if let Some(error) = unreadable {
        return format!("its processes are gone, and how they ended cannot be read: {}", error_chain(error));
    }
    let rebooted =
        seen.record.as_ref().zip(process::boot_id()).is_some_and(|(record, now)| record.boot != now);
    match rebooted {
        true => "this machine was restarted".to_owned(),
        false => "its processes are gone without a record of their end: they were killed".to_owned(),
    }
}
