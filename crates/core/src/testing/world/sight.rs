//! What the scheduler tells of a service's job: the judgement of the Slurm adapter over the simulated cluster.

use std::time::Duration;

use super::cluster::Cluster;
use super::faults::{Accounting, Faults, Garbage};
use super::job::{SimulatedJob, Stage};
use crate::id::ServiceId;
use crate::job::{ExitStatus, JobEnd, JobReport, JobState, Outcome, Sight, Sighting};
use crate::ports::Subject;
use crate::time::Timestamp;

/// The cluster as one look finds it.
pub(super) struct Look<'a> {
    pub(super) cluster: &'a Cluster,
    pub(super) faults: &'a Faults,
    pub(super) now: Timestamp,
}

impl Look<'_> {
    /// What this look tells of one service.
    pub(super) fn sighting(&self, subject: &Subject) -> Sighting {
        let judged = match (self.queued(subject), self.accounted(subject)) {
            (Some(job), _) => self.told_by_queue(job),
            (None, _) if self.faults.accounting == Accounting::Down => {
                Sighting::unseen("the queue does not list the job, and accounting gave no answer")
            }
            (None, Some(job)) => self.told_by_accounting(job),
            (None, None) => Sighting { exit: self.own_exit(subject), ..Sighting::absent(None) },
        };
        // The cluster's `date` tells whole seconds.
        Sighting { at: Some(whole_seconds(self.now)), ..judged }
    }

    fn of(&self, service: ServiceId) -> impl Iterator<Item = &SimulatedJob> {
        self.cluster.jobs.iter().filter(move |job| job.service == Some(service))
    }

    fn queued(&self, subject: &Subject) -> Option<&SimulatedJob> {
        let listed = self.of(subject.id).filter(|job| self.cluster.lists(job, self.faults, self.now));
        listed.max_by_key(|job| (job.is_live(), subject.job.as_ref() == Some(&job.id), job.submitted_at))
    }

    /// The service's job as accounting has it.
    fn accounted(&self, subject: &Subject) -> Option<&SimulatedJob> {
        let at = self.accounted_at().filter(|_| !self.faults.jobs_unlisted)?;
        let known = |job: &&SimulatedJob| job.submitted_at.plus(job.behaviour.listed_after) <= at;
        let asked = |job: &&SimulatedJob| subject.job.as_ref().is_none_or(|id| *id == job.id);
        self.of(subject.id).filter(known).filter(asked).max_by_key(|job| job.submitted_at)
    }

    /// As of when accounting tells.
    fn accounted_at(&self) -> Option<Timestamp> {
        match self.faults.accounting {
            Accounting::Fresh => Some(self.now),
            Accounting::Late(lag) => Some(self.now.minus(lag)),
            Accounting::Down | Accounting::None => None,
        }
    }

    /// How a job ended, as accounting has it.
    fn end_in_accounting<'a>(&self, job: &'a SimulatedJob) -> Option<&'a JobEnd> {
        let Stage::Ended(end) = &job.stage else { return None };
        self.accounted_at().filter(|at| job.since <= *at && !self.faults.jobs_unlisted).map(|_| end)
    }

    fn told_by_queue(&self, job: &SimulatedJob) -> Sighting {
        if job.service.is_some_and(|service| self.faults.garbage == Some(Garbage::Row(service))) {
            return Sighting::unseen(format!(
                "Slurm says \"HIBERNATING\" of job {}, an unknown state",
                job.id
            ));
        }
        let begun = !matches!(job.stage, Stage::Queued | Stage::Configuring);
        let running = matches!(job.stage, Stage::Running | Stage::Suspended);
        let place = job.place().filter(|_| begun && job.is_live());
        let exit = job.exit.filter(|_| begun);
        let state = match job.state() {
            // The queue does not print exit codes.
            JobState::Ended(end) => {
                let told = self.end_in_accounting(job).and_then(|end| end.exit).or(exit);
                let exit = told.filter(|_| end.outcome == Outcome::Failed);
                JobState::Ended(JobEnd { exit, ..end })
            }
            state => state,
        };
        let report = JobReport {
            id: job.id.clone(),
            word: word(&state).into(),
            node: place.as_ref().map(|place| place.host.clone()),
            reason: (state == JobState::Queued).then(|| "Priority".into()),
            running_for: running.then(|| whole(job.ran_for(self.now))),
            time_left: job.time_left(self.now).filter(|_| running).map(whole),
            run: job.began.filter(|_| begun).and_then(mark),
            state,
        };
        Sighting { sight: Sight::Seen(report), place, exit, at: None }
    }

    fn told_by_accounting(&self, job: &SimulatedJob) -> Sighting {
        let Some(end) = self.end_in_accounting(job) else {
            return Sighting::unseen(format!("accounting is late: the queue does not list job {}", job.id));
        };
        let state = JobState::Ended(end.clone());
        let report = JobReport {
            id: job.id.clone(),
            word: word(&state).into(),
            node: job.place().map(|place| place.host),
            reason: end.reason.clone(),
            running_for: None,
            time_left: None,
            run: job.began.and_then(mark),
            state,
        };
        Sighting { sight: Sight::Seen(report), place: None, exit: job.exit, at: None }
    }

    /// How the last run of a job that nobody knows any more ended, as it told itself.
    fn own_exit(&self, subject: &Subject) -> Option<ExitStatus> {
        let id = subject.job.as_ref().filter(|_| !self.faults.jobs_unlisted)?;
        self.of(subject.id).filter(|job| job.id == *id).last()?.exit
    }
}

/// The scheduler's word for a state.
const fn word(state: &JobState) -> &'static str {
    match state {
        JobState::Queued => "PENDING",
        JobState::Configuring => "CONFIGURING",
        JobState::Running => "RUNNING",
        JobState::Suspended => "SUSPENDED",
        JobState::Leaving => "COMPLETING",
        JobState::Ended(end) => match end.outcome {
            Outcome::Completed => "COMPLETED",
            Outcome::Cancelled => "CANCELLED",
            Outcome::TimeLimit => "TIMEOUT",
            Outcome::Deadline => "DEADLINE",
            Outcome::Failed => "FAILED",
            Outcome::NodeFail => "NODE_FAIL",
            Outcome::BootFail => "BOOT_FAIL",
            Outcome::OutOfMemory => "OUT_OF_MEMORY",
            Outcome::Preempted => "PREEMPTED",
        },
    }
}

/// A run is marked by the second in which it began.
fn mark(began: Timestamp) -> Option<u64> {
    u64::try_from(began.as_micros().div_euclid(1_000_000)).ok()
}

const fn whole(duration: Duration) -> Duration {
    Duration::from_secs(duration.as_secs())
}

const fn whole_seconds(at: Timestamp) -> Timestamp {
    Timestamp::from_secs(at.as_micros().div_euclid(1_000_000))
}
