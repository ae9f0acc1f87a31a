//! What a call of a port may come to: each is a choice of the walk, as far as the world and the port's promises allow.

use std::time::Duration;

use towline_core::id::JobId;
use towline_core::job::{ExitStatus, JobReport, Place, Sight, Sighting};
use towline_core::lifecycle::{Action, CancelFact, Echo, Fact, Ping, Submission, Tunnel, TunnelFact};

use crate::ages::{NOW, STEP};
use crate::world::{
    Books, End, Event, JOBS, Listed, Published, SimJob, SimState, World, index_of, place, place_of,
};

/// What a call comes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Outcome {
    /// It is done, and answered. A ping: the server answers.
    Done,
    /// It is done, and its answer is lost.
    AnswerLost,
    /// It is not done, and who called cannot tell.
    Lost,
    /// It is not done, and who called knows. A ping: no way to the place.
    NotDone,
    /// A submission: the scheduler refuses it. A ping: nothing answers at the place.
    Refused,
    /// A ping: a stranger's server answers at the place.
    Stranger,
    /// A submission: accepted, under the number of a job that nobody remembers.
    Recycled,
}

/// An answer on its way to the process.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Reply {
    pub(crate) fact: Fact,
    /// Whether a stranger answered where the job's server does not listen yet, or where its run was over for long.
    pub(crate) is_a_strangers: bool,
}

impl Reply {
    fn new(fact: Fact) -> Self {
        Self { fact, is_a_strangers: false }
    }
}

fn words() -> String {
    String::new()
}

impl World {
    /// What that call may come to now.
    pub(crate) fn outcomes(&self, action: &Action) -> Vec<Outcome> {
        use Outcome::{AnswerLost, Done, Lost, NotDone, Recycled, Refused};
        match action {
            Action::Submit => {
                let mut outcomes = vec![Lost, NotDone, Refused];
                if self.kept_job().is_some() || self.jobs.contains(&None) {
                    outcomes.extend([Done, AnswerLost]);
                }
                if self.kept_job().is_none() && self.recyclable() {
                    outcomes.push(Recycled);
                }
                outcomes
            }
            Action::Survey => vec![Done, Lost],
            Action::Ping { tunnel } => self.echoes(index_of(&tunnel.place)),
            Action::Open { .. } | Action::Cancel { .. } | Action::Close { .. } => {
                vec![Done, AnswerLost, Lost]
            }
        }
    }

    fn echoes(&self, place: usize) -> Vec<Outcome> {
        use Outcome::{Done, NotDone, Refused, Stranger};
        if self.tunnels & (1 << place) == 0 {
            return vec![NotDone];
        }
        match self.running_at(place) {
            Some(job) if job.state == SimState::Suspended => vec![NotDone, Refused],
            Some(job) if job.published == Published::Listening => vec![NotDone, Refused, Done],
            Some(_) | None => vec![NotDone, Refused, Stranger],
        }
    }

    /// The job that a cluster with a memory returns when it is asked to submit again.
    fn kept_job(&self) -> Option<&SimJob> {
        self.jobs[0].as_ref().filter(|_| self.cluster.remembers)
    }

    fn recyclable(&self) -> bool {
        self.jobs[1].is_none() && self.jobs[0].is_some_and(|job| job.listed == Listed::Gone)
    }

    /// Carries out `action` with that outcome and returns the answer; a survey finds more of a job that it is told of.
    pub(crate) fn perform(&mut self, action: &Action, outcome: Outcome, job_is_known: bool) -> Reply {
        let effect = matches!(outcome, Outcome::Done | Outcome::AnswerLost | Outcome::Recycled);
        match action {
            Action::Submit => Reply::new(Fact::Submission(self.submit(outcome))),
            Action::Survey if effect => {
                self.note_silence();
                Reply::new(Fact::Job(self.survey(job_is_known)))
            }
            Action::Survey => Reply::new(Fact::Job(Sighting::unseen(words()))),
            Action::Open { place, before, .. } => {
                if effect {
                    if let Some(before) =
                        before.as_ref().filter(|before| !before.place.is_same_address(place))
                    {
                        self.close(&before.place);
                    }
                    self.tunnels |= 1 << index_of(place);
                    self.unrecorded |= 1 << index_of(place);
                }
                Reply::new(Fact::Tunnel(match outcome {
                    Outcome::Done => TunnelFact::Open(tunnel(place.clone())),
                    _ => TunnelFact::Unopened(words()),
                }))
            }
            Action::Ping { tunnel } => self.ping(tunnel, outcome),
            Action::Cancel { job } => {
                if effect {
                    self.cancel(job);
                }
                Reply::new(Fact::Cancel(match outcome {
                    Outcome::Done => CancelFact::Accepted,
                    _ => CancelFact::Failed(words()),
                }))
            }
            Action::Close { tunnel } => {
                if effect {
                    self.close(&tunnel.place);
                }
                Reply::new(Fact::Tunnel(match outcome {
                    Outcome::Done => TunnelFact::Closed,
                    _ => TunnelFact::Unclosed(words()),
                }))
            }
        }
    }

    fn submit(&mut self, outcome: Outcome) -> Submission {
        let id = match outcome {
            Outcome::NotDone => return Submission::NotSent(words()),
            Outcome::Refused | Outcome::Stranger => return Submission::Refused(words()),
            Outcome::Lost => return Submission::Unclear(words()),
            Outcome::Done | Outcome::AnswerLost => self.accept(None),
            Outcome::Recycled => self.accept(self.jobs[0].map(|job| job.id)),
        };
        match outcome {
            Outcome::AnswerLost => Submission::Unclear(words()),
            _ => Submission::Accepted(id),
        }
    }

    fn accept(&mut self, id: Option<u8>) -> JobId {
        if let Some(kept) = self.kept_job() {
            return kept.job_id();
        }
        let free = self.jobs.iter().position(Option::is_none).unwrap_or(JOBS - 1);
        let job = SimJob::new(id.unwrap_or(free as u8 + 1));
        self.jobs[free] = Some(job);
        job.job_id()
    }

    fn cancel(&mut self, id: &JobId) {
        self.jobs.iter_mut().flatten().filter(|job| job.job_id() == *id).for_each(SimJob::cancel);
    }

    /// Notes the places of which a look can tell that no server listened there when the grace period was over.
    fn note_silence(&mut self) {
        let late = |(index, job): (usize, &SimJob)| {
            let unpublished = job.state == SimState::Running && job.published != Published::Listening;
            (unpublished && job.ran > 0).then(|| 1_u8 << place_of(index, job.run))
        };
        self.silent |= self.jobs().filter_map(late).fold(0, |bits, bit| bits | bit);
    }

    fn close(&mut self, place: &Place) {
        self.tunnels &= !(1 << index_of(place));
        self.unrecorded &= self.tunnels;
    }

    fn ping(&mut self, tunnel: &Tunnel, outcome: Outcome) -> Reply {
        let place = index_of(&tunnel.place);
        let echo = match outcome {
            Outcome::Done | Outcome::Stranger => Echo::Answered,
            Outcome::Refused => Echo::Silent(words()),
            _ => Echo::NoRoute(words()),
        };
        let spent = self.running_at(place).is_some_and(|job| job.ran > 0);
        if spent && matches!(outcome, Outcome::Refused | Outcome::Stranger) {
            self.silent |= 1 << place;
        }
        let fact = Fact::Ping(Ping { place: tunnel.place.clone(), echo });
        let is_elsewhere = self.running_at(place).is_some() || self.is_long_over(place);
        Reply { fact, is_a_strangers: outcome == Outcome::Stranger && is_elsewhere }
    }

    /// What an adapter that keeps its promises makes of the answers of queue and accounting: of several jobs in the
    /// queue the live one counts, else the newest. Of a job that it is not told of it finds no exit record.
    fn survey(&self, job_is_known: bool) -> Sighting {
        let queued = self.jobs().filter(|(_, job)| job.listed == Listed::Queue);
        let mut accounted =
            self.jobs().filter(|(_, job)| matches!(job.listed, Listed::Late | Listed::Accounting));
        let sighting =
            match (queued.max_by_key(|(index, job)| (job.is_live(), *index)), accounted.next_back()) {
                (Some((index, job)), _) => seen(index, job),
                (None, Some((_, SimJob { listed: Listed::Late, .. }))) => Sighting::unseen(words()),
                (None, Some((index, job))) => seen(index, job),
                (None, None) => {
                    Sighting { exit: self.exit_record().filter(|_| job_is_known), ..Sighting::absent(None) }
                }
            };
        Sighting { at: Some(NOW), ..sighting }
    }

    fn exit_record(&self) -> Option<ExitStatus> {
        let (_, job) = self.jobs().rfind(|(_, job)| job.listed == Listed::Gone)?;
        let code = u8::from(job.state != SimState::Ended(End::Completed));
        (self.cluster.books == Books::ExitRecord).then_some(ExitStatus { code, signal: None })
    }

    /// What a world in which nothing breaks any more does next with its jobs; `false` if nothing.
    pub(crate) fn calm_down(&mut self) -> bool {
        let before = *self;
        for job in self.jobs.iter_mut().flatten() {
            match job.listed {
                Listed::NotYet => job.happen(Event::List),
                Listed::Late => job.happen(Event::CatchUp),
                Listed::Queue | Listed::Accounting | Listed::Gone => {}
            }
            match (job.state, job.published) {
                (SimState::Queued | SimState::Configuring, _) => job.happen(Event::Run),
                (SimState::Suspended, _) => job.happen(Event::Resume),
                (SimState::Leaving, _) => {
                    job.happen(Event::End(if job.cancelled { End::Cancelled } else { End::Completed }));
                }
                (SimState::Running, Published::Nothing | Published::Intention) => job.happen(Event::Listen),
                (SimState::Running | SimState::Ended(_), _) => {}
            }
        }
        *self != before
    }
}

fn tunnel(place: Place) -> Tunnel {
    Tunnel { host: words(), port: 1, place, handle: Some(words()) }
}

fn seen(index: usize, job: &SimJob) -> Sighting {
    let begun = matches!(job.state, SimState::Running | SimState::Suspended | SimState::Leaving);
    let running = matches!(job.state, SimState::Running | SimState::Suspended);
    let told = begun && job.published != Published::Nothing;
    let report = JobReport {
        id: job.job_id(),
        state: job.job_state(),
        word: words(),
        node: None,
        reason: None,
        running_for: running.then(|| Duration::from_secs(STEP.as_secs() * u64::from(job.ran))),
        time_left: None,
        run: (begun || !job.is_live()).then(|| place_of(index, job.run) as u64),
    };
    let place = told.then(|| place(place_of(index, job.run), job.published == Published::Listening));
    Sighting { sight: Sight::Seen(report), place, exit: None, at: None }
}
