//! One job of the simulated cluster: what is true of it, whoever knows.

use std::time::Duration;

use super::behaviour::Behaviour;
use crate::id::{JobId, ServiceId};
use crate::job::{ExitStatus, JobEnd, JobState, Outcome, Place};
use crate::time::Timestamp;

/// How long the scheduler takes to notice that a node has failed.
const NODE_FAILURE_SHOWS: Duration = Duration::from_secs(30);
/// What a run that is told to end leaves as its exit status: the signal TERM.
const TERMINATED: ExitStatus = ExitStatus { code: 143, signal: Some(15) };
/// How far the next port is that a server tries when its first was taken.
const NEXT_PORT: u16 = 1000;

#[derive(Clone, Debug)]
pub(super) struct SimulatedJob {
    pub(super) id: JobId,
    /// Whose token is in its name; `None` for a stranger's job.
    pub(super) service: Option<ServiceId>,
    pub(super) behaviour: Behaviour,
    pub(super) submitted_at: Timestamp,
    pub(super) stage: Stage,
    /// Since when it is in that stage.
    pub(super) since: Timestamp,
    /// How often it began, or is to begin, to run.
    pub(super) runs: u64,
    /// When its present run began; that of the last one after its end.
    pub(super) began: Option<Timestamp>,
    /// How long the present run had lasted when it last went on.
    ran: Duration,
    /// The exit status that its last run left behind; forgotten when another begins.
    pub(super) exit: Option<ExitStatus>,
    port: u16,
    /// Whether its server listens, or did so before the run was suspended.
    listening: bool,
    /// Whether its server keeps silent although it listens.
    pub(super) hushed: bool,
    node_failed_at: Option<Timestamp>,
    /// Until when its server last listened in a run that did not go on.
    served_until: Option<Timestamp>,
    /// The longest running after which its server was asked through a working way and did not answer.
    pub(super) silent_after: Option<Duration>,
}

/// Where it stands; with what comes after it has left its nodes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Stage {
    Queued,
    Configuring,
    Running,
    Suspended,
    Leaving(After),
    Ended(JobEnd),
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum After {
    Queue,
    End(JobEnd),
}

impl SimulatedJob {
    pub(super) fn new(
        id: JobId,
        service: Option<ServiceId>,
        behaviour: Behaviour,
        port: u16,
        now: Timestamp,
    ) -> Self {
        Self {
            id,
            service,
            behaviour,
            submitted_at: now,
            stage: Stage::Queued,
            since: now,
            runs: 1,
            began: None,
            ran: Duration::ZERO,
            exit: None,
            port,
            listening: false,
            hushed: false,
            node_failed_at: None,
            served_until: None,
            silent_after: None,
        }
    }

    pub(super) const fn is_live(&self) -> bool {
        !matches!(self.stage, Stage::Ended(_))
    }

    /// Its state in the words of the port.
    pub(super) fn state(&self) -> JobState {
        match &self.stage {
            Stage::Queued => JobState::Queued,
            Stage::Configuring => JobState::Configuring,
            Stage::Running => JobState::Running,
            Stage::Suspended => JobState::Suspended,
            Stage::Leaving(_) => JobState::Leaving,
            Stage::Ended(end) => JobState::Ended(end.clone()),
        }
    }

    /// How long its present run has lasted, suspensions left out.
    pub(super) fn ran_for(&self, now: Timestamp) -> Duration {
        if self.stage == Stage::Running { self.ran + now.since(self.since) } else { self.ran }
    }

    /// Lets all happen to it that is due by `now`.
    pub(super) fn pass(&mut self, now: Timestamp) {
        while let Some((at, change)) = self.next_change().filter(|(at, _)| *at <= now) {
            self.enter(change, at);
        }
        let listens = self.behaviour.listens_after.is_some_and(|after| self.ran_for(now) >= after);
        self.listening |= listens && self.stage == Stage::Running && self.node_failed_at.is_none();
    }

    fn next_change(&self) -> Option<(Timestamp, Stage)> {
        let Behaviour { queued_for, configures_for, leaves_for, .. } = self.behaviour;
        match &self.stage {
            Stage::Queued => {
                let waits = if self.runs > 1 { queued_for.max(Duration::from_secs(1)) } else { queued_for };
                Some((self.since.plus(waits), Stage::Configuring))
            }
            Stage::Configuring => Some((self.since.plus(configures_for), Stage::Running)),
            Stage::Running => self.next_end(),
            Stage::Suspended => self.node_failure(),
            Stage::Leaving(After::Queue) => Some((self.since.plus(leaves_for), Stage::Queued)),
            Stage::Leaving(After::End(end)) => Some((self.since.plus(leaves_for), Stage::Ended(end.clone()))),
            Stage::Ended(_) => None,
        }
    }

    /// What ends its run first.
    fn next_end(&self) -> Option<(Timestamp, Stage)> {
        let after = |total: Duration| self.since.plus(total.saturating_sub(self.ran));
        let by_itself = self.behaviour.runs_for.map(|total| (after(total), self.behaviour.end.clone()));
        let limit = JobEnd { outcome: Outcome::TimeLimit, exit: None, reason: Some("TimeLimit".into()) };
        let by_limit = self.behaviour.time_limit.map(|total| (after(total), limit));
        let ends = [by_itself, by_limit].into_iter().flatten();
        let ends = ends.map(|(at, end)| (at, Stage::Leaving(After::End(end))));
        ends.chain(self.node_failure()).min_by_key(|(at, _)| *at)
    }

    fn node_failure(&self) -> Option<(Timestamp, Stage)> {
        let shows_at = self.node_failed_at?.plus(NODE_FAILURE_SHOWS).max(self.since);
        let end = JobEnd { outcome: Outcome::NodeFail, exit: None, reason: Some("NodeDown".into()) };
        let next = if self.behaviour.requeues { Stage::Queued } else { Stage::Ended(end) };
        Some((shows_at, next))
    }

    /// Enters another stage at `at`.
    fn enter(&mut self, stage: Stage, at: Timestamp) {
        let ran = self.ran_for(at);
        self.served_until = self.served_until(at);
        let was_running = matches!(self.stage, Stage::Running | Stage::Suspended);
        match &stage {
            Stage::Queued => {
                self.runs += 1;
                (self.began, self.node_failed_at) = (None, None);
                (self.listening, self.hushed) = (false, false);
            }
            Stage::Configuring => {}
            Stage::Running if self.stage == Stage::Configuring => {
                (self.began, self.ran, self.exit) = (Some(at), Duration::ZERO, None);
            }
            Stage::Running => {}
            Stage::Suspended => self.ran = ran,
            Stage::Leaving(after) => {
                self.ran = ran;
                if was_running && self.node_failed_at.is_none() {
                    self.exit = Some(own_exit(after));
                }
            }
            Stage::Ended(_) => self.ran = ran,
        }
        (self.stage, self.since) = (stage, at);
    }

    /// What a cancel does.
    pub(super) fn cancel(&mut self, now: Timestamp) {
        let end = JobEnd { outcome: Outcome::Cancelled, exit: None, reason: None };
        match &self.stage {
            Stage::Queued => self.enter(Stage::Ended(end), now),
            Stage::Configuring | Stage::Running | Stage::Suspended => {
                self.enter(Stage::Leaving(After::End(end)), now);
            }
            Stage::Leaving(After::Queue) => self.stage = Stage::Leaving(After::End(end)),
            Stage::Leaving(After::End(_)) | Stage::Ended(_) => {}
        }
    }

    /// Puts it back into the queue.
    pub(super) fn requeue(&mut self, now: Timestamp) {
        match &self.stage {
            Stage::Configuring | Stage::Running | Stage::Suspended => {
                self.enter(Stage::Leaving(After::Queue), now);
            }
            Stage::Queued | Stage::Leaving(_) | Stage::Ended(_) => {}
        }
    }

    pub(super) fn suspend(&mut self, now: Timestamp) {
        if self.stage == Stage::Running {
            self.enter(Stage::Suspended, now);
        }
    }

    pub(super) fn resume(&mut self, now: Timestamp) {
        if self.stage == Stage::Suspended {
            self.enter(Stage::Running, now);
        }
    }

    pub(super) fn fail_node(&mut self, now: Timestamp) {
        if matches!(self.stage, Stage::Running | Stage::Suspended) {
            self.served_until = self.served_until(now);
            self.node_failed_at.get_or_insert(now);
        }
    }

    /// Another program takes the port of its server, which tries the next one; where that was. `None` if the server
    /// has the port, or there is none yet.
    pub(super) fn lose_port(&mut self) -> Option<Place> {
        let place = self.place()?;
        if self.listening && matches!(self.stage, Stage::Running | Stage::Suspended) {
            return None;
        }
        self.port = self.port.wrapping_add(NEXT_PORT);
        Some(place)
    }

    /// Where its present or last run's server listens, or is to.
    pub(super) fn place(&self) -> Option<Place> {
        self.began?;
        let host = format!("node{}", self.runs);
        Some(Place { host, port: self.port, pid: 1, listening: self.listening, loopback: false })
    }

    /// Whether its own server answers.
    pub(super) fn answers(&self) -> bool {
        self.stage == Stage::Running && self.listening && !self.hushed && self.node_failed_at.is_none()
    }
    /// When its server last listened.
    pub(super) fn served_until(&self, now: Timestamp) -> Option<Timestamp> {
        let serves = self.stage == Stage::Running && self.listening && self.node_failed_at.is_none();
        if serves { Some(now) } else { self.served_until }
    }

    /// How long until its time limit.
    pub(super) fn time_left(&self, now: Timestamp) -> Option<Duration> {
        Some(self.behaviour.time_limit?.saturating_sub(self.ran_for(now)))
    }
}

/// What a run leaves as its own exit status.
fn own_exit(after: &After) -> ExitStatus {
    match after {
        After::End(JobEnd { outcome: Outcome::Completed | Outcome::Failed, exit, .. }) => {
            exit.unwrap_or(ExitStatus { code: 0, signal: None })
        }
        After::End(_) | After::Queue => TERMINATED,
    }
}
