//! The answer: a sentence, its evidence, and what to do.

use serde::{Serialize, Serializer};

use super::evidence::Evidence;
use super::{clues, ending, pending, route, waiting};
use crate::lifecycle::{Phase, Stage};
use crate::service::Service;
use crate::time::Timestamp;

/// What is to be expected if nobody does anything.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Outlook {
    /// All is well.
    Fine,
    /// It goes on by itself.
    Waits,
    /// Somebody has to act, or something has to change, before it goes on.
    Blocked,
    /// Its job will never start as it is.
    Never,
    /// It has ended.
    Ended,
}

/// What a piece of evidence is about. Serialized as its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Topic {
    /// The scheduler's word for why the job waits.
    Reason,
    /// Where the job stands in its partition's queue.
    Queue,
    /// When the scheduler expects the job to start.
    Start,
    /// What the job asks for.
    Asked,
    /// A limit of the site.
    Limit,
    /// The job and its state.
    Job,
    /// How long the job runs.
    Run,
    /// The grace period.
    Grace,
    /// The way to the login host.
    Login,
    /// The node.
    Node,
    /// The server's port.
    Port,
    /// What the server answers.
    Http,
    /// What ended it, and what that means.
    Cause,
    /// How the command ended.
    Exit,
    /// The job's memory.
    Memory,
    /// The line of the log that tells most.
    Log,
    /// A stop that was asked for.
    Stop,
    /// Why the last look told nothing, and when the next one may.
    Doubt,
    /// How old what is known is.
    Age,
}

impl Topic {
    /// Its name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Reason => "reason",
            Self::Queue => "queue",
            Self::Start => "start",
            Self::Asked => "asked",
            Self::Limit => "limit",
            Self::Job => "job",
            Self::Run => "run",
            Self::Grace => "grace",
            Self::Login => "login",
            Self::Node => "node",
            Self::Port => "port",
            Self::Http => "http",
            Self::Cause => "cause",
            Self::Exit => "exit",
            Self::Memory => "memory",
            Self::Log => "log",
            Self::Stop => "stop",
            Self::Doubt => "doubt",
            Self::Age => "age",
        }
    }
}

impl Serialize for Topic {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

/// A piece of evidence.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// What it is about.
    pub topic: Topic,
    /// What was found, in words. May hold foreign text as it came.
    pub text: String,
}

/// Why a service stands where it stands. Its texts may hold foreign text (a scheduler's words, lines of a log) as it
/// came.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Explanation {
    /// The answer, in a sentence.
    pub sentence: String,
    /// What is to be expected.
    pub outlook: Outlook,
    /// What it rests on.
    pub evidence: Vec<Finding>,
    /// What to do, in words; never empty.
    pub advice: String,
    /// The last lines of the log, if it was read and tells something in this place.
    pub log: Vec<String>,
}

impl Explanation {
    pub(super) fn new(sentence: String, outlook: Outlook, advice: impl Into<String>) -> Self {
        Self { sentence, outlook, evidence: Vec::new(), advice: advice.into(), log: Vec::new() }
    }

    /// Adds a piece of evidence.
    #[must_use]
    pub(super) fn found(mut self, topic: Topic, text: impl Into<String>) -> Self {
        self.evidence.push(Finding { topic, text: text.into() });
        self
    }

    /// Adds one if there is any.
    #[must_use]
    pub(super) fn found_some(self, topic: Topic, text: Option<String>) -> Self {
        match text {
            Some(text) => self.found(topic, text),
            None => self,
        }
    }

    /// Adds the last lines of the log.
    #[must_use]
    pub(super) fn with_log(mut self, evidence: &Evidence) -> Self {
        self.log = evidence.log.as_deref().map(clues::last_lines).unwrap_or_default();
        self
    }
}

/// Explains where `service` stands, at `now`, from its record and from what was learnt besides.
pub fn explain(service: &Service, evidence: &Evidence, now: Timestamp) -> Explanation {
    let life = &service.life;
    let explanation = match &life.phase {
        Phase::Intent | Phase::Sending { .. } => waiting::submitted(service, now),
        Phase::Live { stage: Stage::Accepted, job } => waiting::accepted(service, job),
        Phase::Live { stage: Stage::Pending, job } => pending::pending(service, job, evidence, now),
        Phase::Live { stage: Stage::Starting, job } => waiting::starting(service, job, evidence, now),
        Phase::Live { stage: Stage::Healthy, .. } => waiting::healthy(service, evidence, now),
        Phase::Live { stage: Stage::Unhealthy, job } => route::unhealthy(service, job, evidence),
        Phase::Ended(ending) => return ending::ended(service, ending, evidence),
    };
    explanation
        .found_some(Topic::Stop, waiting::stop(service))
        .found_some(Topic::Doubt, waiting::doubt(life, now))
        .found_some(Topic::Age, waiting::age(life, evidence, now))
}
