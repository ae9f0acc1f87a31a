//! Words for people: the statuses, why a life stands where it stands, and what ended it.

use std::fmt;
use std::str::FromStr;

use crate::doubt::Doubt;
use crate::job::{JobEnd, Outcome};
use crate::lifecycle::{Absence, Cause, Echo, Job, Life, Phase, PingRecord, Stage, Status};
use crate::time::Timestamp;

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// A word that is none of the eight.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not a status")]
pub struct UnknownStatus(pub String);

impl FromStr for Status {
    type Err = UnknownStatus;

    /// Takes any case: people type `healthy`.
    fn from_str(text: &str) -> Result<Self, UnknownStatus> {
        Self::ALL
            .into_iter()
            .find(|status| status.as_str().eq_ignore_ascii_case(text))
            .ok_or_else(|| UnknownStatus(text.to_owned()))
    }
}

impl fmt::Display for Cause {
    /// A sentence fragment for people, such as `the job ran out of memory (signal 9)`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Requested => f.write_str("stopped on request"),
            Self::Job(end) => fmt::Display::fmt(end, f),
            Self::GraceSpent { grace } => {
                write!(f, "the server did not answer within the grace period of {} s", grace.as_secs())
            }
            Self::Refused(words) => write!(f, "the scheduler refused the job: {words}"),
            Self::NotSent(why) => write!(f, "the job was never submitted: {why}"),
            Self::Vanished => f.write_str("the job vanished: neither queue nor accounting knows it"),
        }
    }
}

impl fmt::Display for JobEnd {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.outcome {
            Outcome::Completed => "the job completed by itself",
            Outcome::Cancelled => "the job was cancelled",
            Outcome::TimeLimit => "the job reached its time limit",
            Outcome::Deadline => "the job could not meet its deadline",
            Outcome::Failed => "the job failed",
            Outcome::NodeFail => "the job's node failed",
            Outcome::BootFail => "the job's node did not boot",
            Outcome::OutOfMemory => "the job ran out of memory",
            Outcome::Preempted => "the job was preempted",
        })?;
        match (&self.exit, &self.reason) {
            (Some(exit), Some(reason)) => write!(f, " ({exit}, {reason})"),
            (Some(exit), None) => write!(f, " ({exit})"),
            (None, Some(reason)) => write!(f, " ({reason})"),
            (None, None) => Ok(()),
        }
    }
}

impl Cause {
    /// What such an end means to whoever asked for the service, and where to look next, in a sentence or two.
    pub const fn meaning(&self) -> &'static str {
        match self {
            Self::Requested => {
                "Somebody asked for the end of the service, and its job (if there was one) has ended."
            }
            Self::Job(end) => end.outcome.meaning(),
            Self::GraceSpent { .. } => {
                "The job ran for the whole grace period and its server never answered on its health path, so the job was \
                 cancelled. The log tells whether it was still loading: give it a longer grace period; or whether it \
                 listens elsewhere or answers another path."
            }
            Self::Refused(_) => {
                "The scheduler did not take the job; nothing ran. Its own words say what to change: an account, a \
                 partition, a limit."
            }
            Self::NotSent(_) => {
                "The submission never reached the scheduler, and whoever asked for the service was told so at once. \
                 Nothing ran; start it again once the cluster can be reached."
            }
            Self::Vanished => {
                "The scheduler answered for the whole settling time and knew nothing of the job: its records were \
                 purged, or the cluster lost it. The service's log is what is left."
            }
        }
    }
}

impl Outcome {
    const fn meaning(self) -> &'static str {
        match self {
            Self::Completed => {
                "The command ended by itself with exit code 0. A server is not meant to: the log tells why it stopped."
            }
            Self::Cancelled => {
                "Somebody cancelled the job, but not through Towline: the user by hand, or an administrator."
            }
            Self::TimeLimit => {
                "The job used up its time limit. Start it again with a longer one, as far as the partition allows."
            }
            Self::Deadline => {
                "The job could not end before the deadline that it was submitted with, so the scheduler removed it."
            }
            Self::Failed => {
                "The command ended with an error: an exit code other than 0, or a signal. The last lines of the log say \
                 why; code 127 is a command that was not found."
            }
            Self::NodeFail => {
                "The node went down under the job and the job was not requeued. Nothing is wrong with the service; start \
                 it again, or let the scheduler requeue it."
            }
            Self::BootFail => "The node that the job was given did not boot. Nothing ran; start it again.",
            Self::OutOfMemory => {
                "The job used more memory than it had asked for and was killed. Ask for more memory, or load less."
            }
            Self::Preempted => {
                "The job had to make room for another one and was not requeued. Start it again, on a partition or with a \
                 quality of service that is not preempted, or let the scheduler requeue it."
            }
        }
    }
}

impl Life {
    /// Why it stands where it stands, as a sentence fragment for people.
    pub fn why(&self) -> String {
        match &self.phase {
            Phase::Intent => "recorded; nothing is sent to the scheduler yet".into(),
            Phase::Sending { since } => self.why_sending(*since),
            Phase::Live { stage, job } => self.why_live(*stage, job),
            Phase::Ended(ending) => ending.cause.to_string(),
        }
    }

    /// Why there is no newer knowledge: what came to nothing, or answers that miss a job which is believed to live. They
    /// end it only once they have done so for the settling time.
    pub fn no_news(&self) -> Option<Doubt> {
        let missed = || {
            let (absence, job) = (self.absence?, self.phase.job()?);
            let until = absence.since.plus(self.terms.settle).whole_secs();
            let why =
                format!("neither queue nor accounting lists job {}; it counts as gone after {until}", job.id);
            let last = self.looked_at.unwrap_or(absence.since);
            Some(Doubt { since: absence.since, last, count: 0, why })
        };
        self.doubt.clone().or_else(missed)
    }

    fn why_sending(&self, sent_at: Timestamp) -> String {
        let sent_at = sent_at.whole_secs();
        match (self.absence, &self.doubt) {
            (Some(Absence { since, .. }), _) => format!(
                "the submission of {sent_at} is being settled, its answer has not come: no job was found since {}, and \
                 {} {}",
                since.whole_secs(),
                if self.stop.is_some() {
                    "without one it ends after"
                } else {
                    "none is submitted again before"
                },
                since.plus(self.terms.settle).whole_secs()
            ),
            (None, Some(doubt)) => {
                format!(
                    "the submission of {sent_at} is being settled, its answer has not come: {}",
                    doubt.why
                )
            }
            (None, None) => "sent to the scheduler; its answer is awaited".into(),
        }
    }

    fn why_live(&self, stage: Stage, job: &Job) -> String {
        let id = &job.id;
        match (stage, &job.reason, &job.node) {
            (Stage::Accepted, _, _) => format!("accepted as job {id}"),
            (Stage::Pending, Some(reason), _) => format!("job {id} waits in the queue: {reason}"),
            (Stage::Pending, None, _) => format!("job {id} waits in the queue"),
            (Stage::Starting, _, Some(node)) => format!("job {id} runs on {node}; {}", self.no_answer_yet()),
            (Stage::Starting, _, None) => format!("job {id} runs; {}", self.no_answer_yet()),
            (Stage::Healthy, _, _) => "the server answers".into(),
            (Stage::Unhealthy, _, _) => self.silence(job),
        }
    }

    fn no_answer_yet(&self) -> String {
        match self.ping.as_ref().map(|ping| &ping.echo) {
            Some(Echo::NoRoute(what)) => no_way(what),
            Some(Echo::Silent(what)) => format!("the server has not answered yet ({what})"),
            Some(Echo::Answered) | None => "the server has not answered yet".into(),
        }
    }

    fn silence(&self, job: &Job) -> String {
        match (&self.ping, job.run.is_some()) {
            (_, false) => format!("job {} does not run", job.id),
            (Some(PingRecord { echo: Echo::Silent(what), .. }), true) => what.clone(),
            (Some(PingRecord { echo: Echo::NoRoute(what), .. }), true) => no_way(what),
            (Some(PingRecord { echo: Echo::Answered, counted: false, .. }), true) => {
                "something answers, but the scheduler has not confirmed the job lately".into()
            }
            (Some(PingRecord { echo: Echo::Answered, counted: true, .. }) | None, true) => {
                "the server has not answered in this run of the job".into()
            }
        }
    }
}

fn no_way(what: &str) -> String {
    let hint = match what.contains("cannot be reached from the ssh host") && what.contains("prohibited") {
        true => "; via = \"node\" in its profile may lead there",
        false => "",
    };
    format!("no way to the server: {what}{hint}")
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::id::JobId;
    use crate::job::Sighting;
    use crate::lifecycle::{EndStatus, Fact, Request, Submission, Terms};

    #[test]
    fn a_start_that_takes_long_tells_what_the_pings_found() {
        let why = |echo: Option<Echo>| {
            let at = Timestamp::from_secs(1);
            let job = Job { node: Some("c1".into()), ..Job::accepted(JobId::new("7")) };
            let ping = echo.map(|echo| PingRecord { at, echo, counted: false });
            let terms = Terms::with_grace(Duration::from_secs(600));
            Life { phase: Phase::Live { stage: Stage::Starting, job }, ping, ..Life::new(terms, at) }.why()
        };
        assert_eq!(why(None), "job 7 runs on c1; the server has not answered yet");
        let silent = Echo::Silent("404 Not Found".into());
        assert_eq!(why(Some(silent)), "job 7 runs on c1; the server has not answered yet (404 Not Found)");
        let no_route = Echo::NoRoute("forwarding is prohibited".into());
        assert_eq!(why(Some(no_route)), "job 7 runs on c1; no way to the server: forwarding is prohibited");
    }

    #[test]
    fn answers_that_miss_a_living_job_are_no_news_until_they_end_it() {
        let at = Timestamp::from_secs;
        let missed = |life: &Life, second| life.observe(&Fact::Job(Sighting::absent(None)), at(second));
        let terms = Terms::with_grace(Duration::from_secs(600));
        let job = Job::accepted(JobId::new("7"));
        let life = Life { phase: Phase::Live { stage: Stage::Pending, job }, ..Life::new(terms, at(0)) };
        assert_eq!(life.no_news(), None);
        let life = missed(&missed(&life, 1), 9);
        let why = format!("neither queue nor accounting lists job 7; it counts as gone after {}", at(301));
        assert_eq!(life.no_news(), Some(Doubt { since: at(1), last: at(9), count: 0, why }));
        assert_eq!(life.no_news().unwrap().retry_at(), at(9), "it may be asked again at any time");
        let unseen = life.observe(&Fact::Job(Sighting::unseen("no route")), at(10));
        assert_eq!(unseen.no_news(), unseen.doubt, "what came to nothing goes first");
        assert_eq!(missed(&life, 301).no_news(), None, "an end is news");
    }

    #[test]
    fn a_submission_that_is_settled_says_so_since_when_and_why() {
        let at = |secs| Timestamp::from_secs(secs).plus(Duration::from_millis(250));
        let told = Timestamp::from_secs;
        let terms = Terms::with_grace(Duration::from_secs(600));
        let sent = Life::new(terms, at(0)).observe(&Fact::Submitting, at(1));
        assert_eq!(sent.why(), "sent to the scheduler; its answer is awaited");
        let unclear =
            sent.observe(&Fact::Submission(Submission::Unclear("the network is gone".into())), at(2));
        let settled = format!("the submission of {} is being settled, its answer has not come: ", told(1));
        assert_eq!(unclear.why(), format!("{settled}the network is gone"));
        let missed = unclear.observe(&Fact::Job(Sighting::absent(Some(at(3)))), at(3));
        let limits =
            format!("no job was found since {}, and none is submitted again before {}", told(3), told(303));
        assert_eq!(missed.why(), format!("{settled}{limits}"));
        let stop = Request::Stop { delay: Duration::ZERO, status: EndStatus::Stopped };
        let stopped = missed.request(&stop, at(4)).unwrap();
        let limits =
            format!("no job was found since {}, and without one it ends after {}", told(3), told(303));
        assert_eq!(stopped.why(), format!("{settled}{limits}"));
    }

    #[test]
    fn statuses_go_both_ways() {
        for status in Status::ALL {
            assert_eq!(status.as_str().parse(), Ok(status));
            assert_eq!(status.as_str().to_lowercase().parse(), Ok(status));
            assert_eq!(serde_json::to_string(&status).unwrap(), format!("\"{status}\""));
        }
        assert!("RUNNING".parse::<Status>().is_err());
    }
}
