//! What the answers of a survey mean for one service: seen, absent, or unseen.

use towline_core::id::JobId;
use towline_core::job::{JobReport, JobState, Outcome, Sight, Sighting};
use towline_core::ports::Subject;
use towline_core::time::Timestamp;

use crate::command::survey::{Answer, SLACK};
use crate::parse::records::{Records, RunOf};
use crate::parse::sacct::AccountingRow;
use crate::parse::squeue::QueueRow;
use crate::parse::table::Table;
use crate::state::{Source, Standing, by_whom, exit_status, standing, whole_exit};

/// Judges what `answer` tells of `subject`. The queue comes first: it knows of an end or a requeue before
/// accounting does. Only if both answered and neither knows the job is it absent.
pub(crate) fn sighting(subject: &Subject, answer: &Answer) -> Sighting {
    Sighting { at: answer.at, ..judge(subject, answer) }
}

fn judge(subject: &Subject, answer: &Answer) -> Sighting {
    let records = answer.records.get(&subject.id);
    if let Some(row) = queued(subject, &answer.queue) {
        // Of a job that has ended nothing may be left unread: that could be its next run.
        let doubt = answer.queue.unread_of(subject.id, &row.job).filter(|_| has_ended(row));
        let accounted = accounted(subject, Some(&row.job), answer).and_then(Result::ok);
        return doubt.map_or_else(|| from_queue(row, accounted, records), |line| unread("the queue", line));
    }
    if let Some(line) = answer.queue.unread_for(subject.id, subject.job.as_ref()) {
        return unread("the queue", line);
    }
    match accounted(subject, None, answer) {
        Some(Ok(row)) => from_accounting(subject, row, records),
        Some(Err(line)) => unread("accounting", line),
        None => missed(subject, answer),
    }
}

/// What to say of a job that neither lists.
fn missed(subject: &Subject, answer: &Answer) -> Sighting {
    let accounting = &answer.accounting;
    if let Some(words) = &accounting.problem {
        return Sighting::unseen(format!(
            "the queue does not list the job, and accounting gave no answer: {words}"
        ));
    }
    if let Some(line) = accounting.rows.unread_for(subject.id, subject.job.as_ref()) {
        return unread("accounting", line);
    }
    if !accounting.asked.contains(&subject.id) {
        return Sighting::unseen("the queue does not list the job, and accounting was not asked for it");
    }
    Sighting { exit: absent_exit(subject, answer.records.get(&subject.id)), ..Sighting::absent(None) }
}

fn unread(who: &str, line: &str) -> Sighting {
    Sighting::unseen(format!("{who} has a line that may be this job's and cannot be read: {line:?}"))
}

/// The job of a subject in the queue. There should be one; of several the live one counts, then the known, then
/// the newest.
fn queued<'a>(subject: &Subject, queue: &'a Table<QueueRow>) -> Option<&'a QueueRow> {
    queue
        .of(subject.id)
        .iter()
        .max_by_key(|row| (!has_ended(row), subject.job.as_ref() == Some(&row.job), row.submitted))
}

fn has_ended(row: &QueueRow) -> bool {
    matches!(standing(&row.word, Source::Queue), Some(Standing::Ended(_)))
}

/// Accounting's newest record of a subject's job: every requeue made one more. The error is a line of that job that
/// cannot be read: it may be a newer one.
fn accounted<'a>(
    subject: &Subject,
    job: Option<&JobId>,
    answer: &'a Answer,
) -> Option<Result<&'a AccountingRow, &'a str>> {
    let rows = &answer.accounting.rows;
    let ours = rows.of(subject.id).iter().filter(|row| job.is_none_or(|job| *job == row.job));
    let newest = ours.max_by_key(|row| (row.submitted, row.start))?;
    Some(rows.unread_of(subject.id, &newest.job).map_or(Ok(newest), Err))
}

fn from_queue(row: &QueueRow, accounted: Option<&AccountingRow>, records: Option<&Records>) -> Sighting {
    let Some(standing) = standing(&row.word, Source::Queue) else {
        return Sighting::unseen(format!("Slurm says {:?} of job {}, an unknown state", row.word, row.job));
    };
    let begun = !matches!(standing, Standing::Queued | Standing::Configuring);
    let run = RunOf { job: &row.job, start: row.start.filter(|_| begun) };
    let place = records.filter(|_| begun).and_then(|records| records.place(run));
    let exit = records.filter(|_| begun).and_then(|records| records.exit(run));
    let reason = row.reason.clone();
    let state = match standing {
        // The queue does not print exit codes; of a failure one wants to know it.
        Standing::Ended(outcome @ Outcome::Failed) => {
            let told = whole_exit(accounted.and_then(|row| exit_status(&row.exit, outcome)), exit);
            let own = exit.filter(|exit| exit.code != 0 || exit.signal.is_some());
            standing
                .state(told.filter(|exit| exit.code != 0 || exit.signal.is_some()).or(own), reason.clone())
        }
        standing => standing.state(None, reason.clone()),
    };
    let running = matches!(standing, Standing::Running | Standing::Suspended);
    let report = JobReport {
        id: row.job.clone(),
        state,
        word: row.word.clone(),
        node: row.host.clone(),
        reason,
        running_for: row.used.filter(|_| running),
        time_left: row.left.filter(|_| running),
        run: row.start.filter(|_| begun).and_then(|start| u64::try_from(start).ok()),
    };
    let live = !matches!(report.state, JobState::Ended(_));
    Sighting { sight: Sight::Seen(report), place: place.filter(|_| live), exit, at: None }
}

fn from_accounting(subject: &Subject, row: &AccountingRow, records: Option<&Records>) -> Sighting {
    let earliest = subject.created_at.as_micros() / 1_000_000 - SLACK;
    if row.submitted.is_some_and(|submitted| submitted < earliest) {
        let at = Timestamp::from_secs(row.submitted.unwrap_or_default());
        return Sighting::unseen(format!(
            "accounting has job {} as submitted at {at}, before it was asked for",
            row.job
        ));
    }
    let outcome = match standing(&row.word, Source::Accounting) {
        Some(Standing::Ended(outcome)) => outcome,
        Some(_) => {
            let word = &row.word;
            return Sighting::unseen(format!(
                "accounting is late: it has job {} as {word}, which the queue does not list",
                row.job
            ));
        }
        None => {
            return Sighting::unseen(format!(
                "accounting says {:?} of job {}, an unknown state",
                row.word, row.job
            ));
        }
    };
    let run = RunOf { job: &row.job, start: row.start };
    let reason = by_whom(&row.word);
    let exit = records.and_then(|records| records.exit(run));
    let told = whole_exit(exit_status(&row.exit, outcome), exit);
    let report = JobReport {
        id: row.job.clone(),
        state: Standing::Ended(outcome).state(told, reason.clone()),
        word: row.word.clone(),
        node: row.host.clone(),
        reason,
        running_for: None,
        time_left: None,
        run: row.start.and_then(|start| u64::try_from(start).ok()),
    };
    Sighting { sight: Sight::Seen(report), place: None, exit, at: None }
}

/// How a job that nobody knows any more ended, as its last run told itself.
fn absent_exit(subject: &Subject, records: Option<&Records>) -> Option<towline_core::job::ExitStatus> {
    records?.exit(RunOf { job: subject.job.as_ref()?, start: None })
}

#[cfg(test)]
#[path = "sight_tests.rs"]
mod tests;
