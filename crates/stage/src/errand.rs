//! What goes on by itself where the cluster is used from, or in a job: begun by one command, followed by others.
//!
//! Each has a directory of its own below `stage` in the home of Towline's files there: the script, the list of what to do, and
//! `state`, which the script writes anew at each step. Whoever runs it holds the lock of that directory.

use std::time::Duration;

use towline_core::ports::ShellOutput;
use towline_core::runner::Directory;

use crate::ask::refusal;
use crate::error::StageError;
use crate::frame::{self, CLEAN, PRELUDE, here_document, text};
use crate::hub::Token;
use crate::image::ImageName;
use crate::model::Want;

/// Shell text by which a download is told to run or to wait.
pub(crate) const COMMON: &str = include_str!("shell/common.sh");
/// Shell text that begins each script that goes on by itself.
const RUN: &str = include_str!("shell/run.sh");

/// Something that is staged, by which its download is found again: only one of the same runs at a time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Errand {
    key: String,
    want: Option<Want>,
    with_token: bool,
}

/// Where it is done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// Where the scripts run: on the login host, or this machine.
    Here,
    /// In a job, submitted with these options of `sbatch`, each a word without spaces.
    Job(Vec<String>),
}

/// How it began.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Begun {
    /// It runs, or the job with this id is to run it.
    Started(Option<String>),
    /// The same was under way already, perhaps in the job with this id.
    Joined(Option<String>),
}

impl Begun {
    /// Whether it was under way already.
    pub const fn is_joined(&self) -> bool {
        matches!(self, Self::Joined(_))
    }
}

/// How far it is.
#[derive(Debug)]
pub struct Progress {
    /// What it does.
    pub state: State,
    /// How many files are done.
    pub files: usize,
    /// How many bytes are there: of files that are done, and of the one in work.
    pub bytes: u64,
    /// The id of its job.
    pub job: Option<String>,
}

/// What an errand does.
#[derive(Debug)]
pub enum State {
    /// Nothing yet; for a job, in Slurm's words.
    Waiting(String),
    /// It loads a file, or whatever there is to load.
    Loading(String),
    /// It compares a file with its checksum.
    Checking(String),
    /// It waits, and why.
    Pausing(String),
    /// All is done.
    Done,
    /// It has failed.
    Failed(StageError),
}

/// What an errand consists of.
pub(crate) struct Task<'a> {
    pub(crate) errand: &'a Errand,
    pub(crate) place: &'a Place,
    /// Assignments and the script that does it.
    pub(crate) text: &'a str,
    /// The list of what to do, if it has one.
    pub(crate) list: Option<&'a str>,
    pub(crate) token: Option<&'a Token>,
    /// Commands that it needs where it is begun.
    pub(crate) tools: &'static str,
}

impl Errand {
    /// The download of a model.
    pub fn model(want: &Want, with_token: bool) -> Self {
        Self { key: want.name.directory(), want: Some(want.clone()), with_token }
    }

    /// The pulling of an image.
    pub fn image(name: &ImageName) -> Self {
        Self { key: format!("image--{name}"), want: None, with_token: false }
    }

    /// The name of its job.
    pub fn job_name(&self) -> String {
        format!("towline-add-{}", self.key)
    }

    /// Assignments for every script about it. A key has letters, digits, `-`, `_` and `.` alone.
    pub(crate) fn variables(&self, home: &Directory) -> String {
        format!("dir={}/stage/{}\nname={}\n", home.word(), self.key, self.job_name())
    }
}

/// The remote command that begins it.
pub(crate) fn start(task: &Task<'_>, home: &Directory) -> String {
    let variables = task.errand.variables(home);
    let (place, options) = match task.place {
        Place::Here => ("here", Vec::new()),
        Place::Job(options) => ("job", options.clone()),
    };
    // A download that is broken off is begun again by a person, who has the token.
    let fixed = [format!("--job-name={}", task.errand.job_name()), "--no-requeue".to_owned()];
    let options: String = fixed.iter().chain(&options).map(|option| format!("#SBATCH {option}\n")).collect();
    let run = format!("#!/bin/sh\n{options}{CLEAN}{variables}{RUN}{}", task.text);
    let mut text = format!(
        "{PRELUDE}{variables}place={place}\ntools='{}'\n{COMMON}{}",
        task.tools,
        include_str!("shell/start.sh")
    );
    let mut put = |name: &str, content: &str| text.extend([format!("put {name} "), here_document(content)]);
    put("run", &run);
    if let Some(list) = task.list {
        put("list", list);
    }
    if let Some(token) = task.token {
        put("token", token.reveal());
    }
    text.push_str(include_str!("shell/begin.sh"));
    text
}

/// Reads the answer of [`start`].
pub(crate) fn read_start(output: &ShellOutput) -> Result<Begun, StageError> {
    let fields = frame::fields(output)?;
    let of = |index: usize| fields.get(index).map(|field| text(field)).unwrap_or_default();
    let job = Some(of(1)).filter(|job| !job.is_empty());
    let words = || frame::words(output);
    match of(0).as_str() {
        "j" => Ok(Begun::Started(job)),
        "b" => Ok(Begun::Joined(job)),
        "n" => Err(StageError::NoTool { tool: of(1) }),
        "d" => Err(StageError::Directory { path: of(1), words: words() }),
        "q" => Err(StageError::Refused { words: "squeue gives no answer".to_owned() }),
        "r" if of(1) == "127" => Err(StageError::NoTool { tool: "sbatch".to_owned() }),
        "r" => Err(StageError::Refused { words: words() }),
        _ => Err(StageError::Garbled { problem: "it says nothing of what was begun".to_owned() }),
    }
}

/// The first line of the list of what was under way already, from the answer of [`start`].
pub(crate) fn read_list(output: &ShellOutput) -> Result<Option<String>, StageError> {
    let fields = frame::fields(output)?;
    Ok(fields.get(2).map(|line| text(line)).filter(|line| !line.is_empty()))
}

/// The remote command that looks how far it is, and waits for its end, but not for longer than `wait`.
pub(crate) fn progress(errand: &Errand, home: &Directory, wait: Duration) -> String {
    format!(
        "{PRELUDE}{}wait={}\n{COMMON}{}",
        errand.variables(home),
        wait.as_secs(),
        include_str!("shell/progress.sh")
    )
}

/// Reads the answer of [`progress`].
pub(crate) fn read_progress(errand: &Errand, output: &ShellOutput) -> Result<Progress, StageError> {
    let fields = frame::fields(output)?;
    let of = |index: usize| fields.get(index).map(|field| text(field)).unwrap_or_default();
    if of(0) == "m" {
        let state = State::Failed(StageError::Ended { words: "there is no trace of it".to_owned() });
        return Ok(Progress { state, files: 0, bytes: 0, job: None });
    }
    if of(0) != "p" {
        return Err(StageError::Garbled { problem: "it says nothing of the download".to_owned() });
    }
    let number = |index: usize| of(index).parse::<u64>().unwrap_or_default();
    let (status, said, log) = (of(1), of(5), of(10));
    let state = match status.as_str() {
        "done" => State::Done,
        "failed" => State::Failed(errand.failure(&said)),
        _ if of(6) == "no" => {
            let words = log.lines().map(str::trim).filter(|line| !line.is_empty()).collect::<Vec<_>>();
            let words = match words.is_empty() {
                true => "it was killed, or its machine has gone".to_owned(),
                false => words.join("; "),
            };
            State::Failed(StageError::Ended { words })
        }
        "run" => State::Loading(said),
        "check" => State::Checking(said),
        "wait" => State::Pausing(said),
        "link" => State::Loading(String::new()),
        _ => State::Waiting(of(8).split_whitespace().collect::<Vec<_>>().join(" ")),
    };
    let in_work = match state {
        State::Done | State::Failed(_) => 0,
        _ => number(4),
    };
    Ok(Progress {
        state,
        files: usize::try_from(number(2)).unwrap_or(usize::MAX),
        bytes: number(3).saturating_add(in_work),
        job: Some(of(7)).filter(|job| !job.is_empty()),
    })
}

/// The remote command that ends it, if it runs where the command does.
pub(crate) fn stop(errand: &Errand, home: &Directory) -> String {
    format!("{PRELUDE}{}{COMMON}{}", errand.variables(home), include_str!("shell/stop.sh"))
}

/// Reads the answer of [`stop`]: the host on which it runs on, if it could not be ended.
pub(crate) fn read_stop(output: &ShellOutput) -> Result<Option<String>, StageError> {
    Ok(frame::fields(output)?.get(1).map(|host| text(host)))
}

/// Shell text that removes something unless the errand about it runs.
pub(crate) fn unless_running(errand: &Errand, home: &Directory) -> String {
    format!("{PRELUDE}{}{COMMON}{}", errand.variables(home), include_str!("shell/remove.sh"))
}

impl Errand {
    /// The kind of a failure and its words, as the script writes them.
    fn failure(&self, said: &str) -> StageError {
        let (kind, words) = said.split_once('\t').unwrap_or(("", said));
        let words = words.trim().to_owned();
        match kind {
            "tool" => StageError::NoTool { tool: words },
            "directory" => StageError::Directory { path: "of the model".to_owned(), words },
            "full" => StageError::Full { words },
            "checksum" => StageError::Checksum { path: words },
            "answer" => StageError::NoAnswer { words },
            "limited" => StageError::Limited { words },
            "hub" => StageError::Hub { what: words },
            "http" => self.refused(&words),
            "stopped" => StageError::Ended { words: "it was stopped".to_owned() },
            _ => StageError::Failed { words },
        }
    }

    /// A file that the hub does not give: status, its kind, its words and the file.
    fn refused(&self, said: &str) -> StageError {
        let parts: Vec<&str> = said.split('\t').collect();
        let of = |index: usize| parts.get(index).copied().unwrap_or_default();
        let what = format!("HTTP {} for {}", of(0), of(3));
        match (&self.want, of(0)) {
            (Some(want), "401" | "403") => match refusal(want, self.with_token, of(0), of(1), of(2)) {
                // The list of its files was shown: the model is there.
                StageError::NoModel { name } => {
                    StageError::Gated { name, with_token: self.with_token, words: what }
                }
                error => error,
            },
            _ => StageError::Hub { what },
        }
    }
}
