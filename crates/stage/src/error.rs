//! Why something on a cluster could not be looked at, staged or removed.

use towline_core::ports::ShellError;
use towline_core::spec::SpecError;

/// What went wrong. A caller can tell the kinds apart and give advice.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StageError {
    /// The script was not run, or its outcome is not known.
    #[error(transparent)]
    Shell(#[from] ShellError),
    /// A value that no script can hold.
    #[error(transparent)]
    Value(#[from] SpecError),
    /// What came back is no answer of our script.
    #[error("failed to read the answer of the login host: {problem}")]
    Garbled {
        /// What is wrong with it.
        problem: String,
    },
    /// A command is missing where the script runs.
    #[error("there is no {tool} on PATH")]
    NoTool {
        /// The command.
        tool: String,
    },
    /// A directory cannot be used.
    #[error("failed to use the directory {path}: {words}")]
    Directory {
        /// The directory, or what it is for.
        path: String,
        /// The shell's words.
        words: String,
    },
    /// The file system is full, or a quota is reached.
    #[error("there is no room left for it: {words}")]
    Full {
        /// The words of who tried to write.
        words: String,
    },
    /// The hub could not be reached from there, or went away.
    #[error("the hub gave no answer: {words}")]
    NoAnswer {
        /// The words of `curl`.
        words: String,
    },
    /// The hub wants fewer requests.
    #[error("the hub asks for fewer requests ({words})")]
    Limited {
        /// How long it wants to be left alone, in its own words.
        words: String,
    },
    /// The hub knows no such model, or shows it to nobody who has not logged in.
    #[error("the hub has no model {name}, or not for everybody")]
    NoModel {
        /// The name that was asked for.
        name: String,
    },
    /// The model has no such revision.
    #[error("model {name} has no revision {revision}")]
    NoRevision {
        /// The model.
        name: String,
        /// The revision that was asked for.
        revision: String,
    },
    /// A licence must be accepted, or access be granted, before it can be had.
    #[error("model {name} is gated: {words}")]
    Gated {
        /// The model.
        name: String,
        /// Whether a token was given.
        with_token: bool,
        /// The hub's words.
        words: String,
    },
    /// The token is not a valid one, or not allowed to read this.
    #[error("the hub does not accept the token: {words}")]
    BadToken {
        /// The hub's words.
        words: String,
    },
    /// The hub said something else than what was asked for.
    #[error("the hub answered {what}")]
    Hub {
        /// Its answer, in a line.
        what: String,
    },
    /// What the hub says of a model cannot be right; nothing of it is written.
    #[error("the hub's list of files is refused: {problem}")]
    Hostile {
        /// What is wrong with it.
        problem: String,
    },
    /// A file is not what the hub says it is.
    #[error("{path} does not have the checksum that the hub tells, twice")]
    Checksum {
        /// The file within the model.
        path: String,
    },
    /// No file of the model is chosen.
    #[error("no file of model {name} is left to download")]
    Nothing {
        /// The model.
        name: String,
    },
    /// Slurm did not take the job.
    #[error("the job was refused: {words}")]
    Refused {
        /// The words of `sbatch`.
        words: String,
    },
    /// The same is under way.
    #[error("it is being downloaded just now")]
    Busy,
    /// An image of the same name is pulled from elsewhere.
    #[error("an image of that name is being pulled from {other}")]
    OtherSource {
        /// Where that is pulled from.
        other: String,
    },
    /// A part of a model cannot be read, so that nobody knows what it needs.
    #[error("what is in use of it cannot be told: {words}")]
    Unseen {
        /// The words of `find`.
        words: String,
    },
    /// What was begun has ended without a word.
    #[error("it ended before it was done: {words}")]
    Ended {
        /// The last words of its log.
        words: String,
    },
    /// A command of the runner failed.
    #[error("{words}")]
    Failed {
        /// Its words.
        words: String,
    },
}
