//! How a command ends: its exit code, and every library's error turned into one with a hint.

use std::{fmt::Display, io};

use towline_core::engine::EngineError;
use towline_core::lifecycle::Refusal;
use towline_core::ports::{BoxError, FilesError, LedgerError, SubmitError, SurveyError, TunnelError};
use towline_core::spec::SpecError;

use crate::config::{EditError, LoadError, PathError};
use crate::wiring;

/// The exit codes of `towline`, as the manual lists them.
pub(crate) mod code {
    /// Everything was done.
    pub(crate) const DONE: u8 = 0;
    /// An error that is nobody's fault but this program's or this machine's.
    pub(crate) const INTERNAL: u8 = 1;
    /// The command line was wrong.
    pub(crate) const USAGE: u8 = 2;
    /// The configuration, or what it points to, is wrong.
    pub(crate) const CONFIG: u8 = 3;
    /// No such service or profile.
    pub(crate) const NOT_FOUND: u8 = 4;
    /// The scheduler, or the state in which the service is, does not allow it.
    pub(crate) const REFUSED: u8 = 5;
    /// The cluster could not be reached.
    pub(crate) const UNREACHABLE: u8 = 6;
    /// A name or port is taken, or another process was quicker.
    pub(crate) const CONFLICT: u8 = 7;
    /// The service ended without becoming healthy.
    pub(crate) const UNHEALTHY: u8 = 8;
    /// `wait --timeout` ran out; the same code as of `timeout(1)`.
    pub(crate) const TIMED_OUT: u8 = 124;
    /// Interrupted by Ctrl-C; what a shell makes of a command killed by SIGINT.
    pub(crate) const INTERRUPTED: u8 = 130;
}

/// What a command returns.
pub(crate) type Outcome<T> = Result<T, Failure>;

/// In which way a command failed. Each has its exit code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// [`code::INTERNAL`]
    Internal,
    /// [`code::USAGE`]
    Usage,
    /// [`code::CONFIG`]
    Config,
    /// [`code::NOT_FOUND`]
    NotFound,
    /// [`code::REFUSED`]
    Refused,
    /// [`code::UNREACHABLE`]
    Unreachable,
    /// [`code::CONFLICT`]
    Conflict,
    /// [`code::UNHEALTHY`]
    Unhealthy,
    /// [`code::TIMED_OUT`]
    TimedOut,
    /// [`code::INTERRUPTED`]
    Interrupted,
    /// Whoever read our output has gone: nothing is said, and nothing went wrong.
    BrokenPipe,
}

impl Kind {
    /// Its exit code.
    pub(crate) const fn code(self) -> u8 {
        match self {
            Self::Internal => code::INTERNAL,
            Self::Usage => code::USAGE,
            Self::Config => code::CONFIG,
            Self::NotFound => code::NOT_FOUND,
            Self::Refused => code::REFUSED,
            Self::Unreachable => code::UNREACHABLE,
            Self::Conflict => code::CONFLICT,
            Self::Unhealthy => code::UNHEALTHY,
            Self::TimedOut => code::TIMED_OUT,
            Self::Interrupted => code::INTERRUPTED,
            Self::BrokenPipe => code::DONE,
        }
    }
}

/// Why a command failed, and what to try next.
#[derive(Debug)]
pub(crate) struct Failure {
    /// In which way.
    pub(crate) kind: Kind,
    /// The error with its causes.
    pub(crate) error: anyhow::Error,
    /// Text that helps to understand it, such as the end of a log, under a headline.
    pub(crate) excerpt: Option<(String, String)>,
    /// Things to try next.
    pub(crate) hints: Vec<String>,
}

impl Failure {
    /// A failure without a cause below it.
    pub(crate) fn new(kind: Kind, message: impl Into<String>) -> Self {
        Self::from_error(kind, anyhow::Error::msg(message.into()))
    }

    /// An error of a library. What its causes say of a cluster makes kind and hint more exact.
    pub(crate) fn from_error(kind: Kind, error: impl Into<anyhow::Error>) -> Self {
        let error = error.into();
        let advice = error.chain().find_map(wiring::advice);
        let (exact, hint) = advice.map(|advice| (advice.kind, advice.hint)).unzip();
        let kind = exact.flatten().unwrap_or(kind);
        Self { kind, error, excerpt: None, hints: hint.into_iter().collect() }
    }

    /// Adds a thing to try next.
    #[must_use]
    pub(crate) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hints.push(hint.into());
        self
    }

    /// Adds a text that helps to understand it.
    #[must_use]
    pub(crate) fn excerpt(mut self, headline: impl Into<String>, text: String) -> Self {
        self.excerpt = Some((headline.into(), text));
        self
    }

    /// Names what was being done.
    #[must_use]
    pub(crate) fn during(mut self, deed: impl Display) -> Self {
        self.error = self.error.context(deed.to_string());
        self
    }
}

/// Names what was being done when something failed.
pub(crate) trait During<T> {
    /// Puts `deed`, such as "failed to stop service web", above the error.
    fn during<D: Display>(self, deed: impl FnOnce() -> D) -> Outcome<T>;
}

impl<T, E: Into<Failure>> During<T> for Result<T, E> {
    fn during<D: Display>(self, deed: impl FnOnce() -> D) -> Outcome<T> {
        self.map_err(|err| err.into().during(deed()))
    }
}

impl From<EngineError> for Failure {
    fn from(error: EngineError) -> Self {
        match error {
            EngineError::Spec(error) => error.into(),
            EngineError::Ledger(error) => error.into(),
            EngineError::Submit(error) => error.into(),
            EngineError::Survey(error) => error.into(),
            EngineError::Tunnel(error) => error.into(),
            EngineError::Refused(error) => error.into(),
            EngineError::Unknown { .. } => {
                Self::from_error(Kind::NotFound, error).hint("another process may have removed it")
            }
            EngineError::NoPlace { .. } => Self::from_error(Kind::Refused, error)
                .hint("wait until the service has started with `towline wait`"),
            EngineError::Damaged { .. } | EngineError::OtherProfile { .. } => {
                Self::from_error(Kind::Internal, error)
            }
            _ => Self::from_error(Kind::Internal, error),
        }
    }
}

impl From<Refusal> for Failure {
    fn from(error: Refusal) -> Self {
        Self::from_error(Kind::Refused, error)
    }
}

impl From<SpecError> for Failure {
    fn from(error: SpecError) -> Self {
        Self::from_error(Kind::Usage, error).hint("`towline run --help` explains every option")
    }
}

impl From<SubmitError> for Failure {
    fn from(error: SubmitError) -> Self {
        match error {
            SubmitError::Spec(error) => error.into(),
            SubmitError::Refused { ref words } => {
                let hint = refusal_hint(words);
                Self::from_error(Kind::Refused, error).hint(hint)
            }
            SubmitError::NotSent(_) => Self::from_error(Kind::Unreachable, error),
            SubmitError::Unclear(_) => Self::from_error(Kind::Unreachable, error).hint(
                "`towline ls` settles it: a job that was accepted is found again, never submitted twice",
            ),
            _ => Self::from_error(Kind::Internal, error),
        }
    }
}

/// What may help when a scheduler refuses in these words (`slurm_errno.c` of Slurm 20.11 to 26.05).
fn refusal_hint(words: &str) -> &'static str {
    let words = words.to_ascii_lowercase();
    if words.contains("account") {
        "name an account that you may use with --account; `sacctmgr show assoc user=$USER` lists them on the cluster"
    } else if words.contains("partition") {
        "name a partition with --partition; `sinfo` lists them on the cluster"
    } else if words.contains("qos") {
        "name a quality of service with --qos; `sacctmgr show qos` lists them on the cluster"
    } else if words.contains("time limit") {
        "ask for less --time; `sinfo -o '%P %l'` lists the partitions' limits on the cluster"
    } else if words.contains("node configuration") || words.contains("gres") {
        "ask for less, or for another partition; `sinfo -N -o '%N %c %m %G'` lists what the nodes have"
    } else {
        "`towline run --dry-run` shows what is submitted"
    }
}

impl From<BoxError> for Failure {
    /// Of a look at a cluster, whose errors are told apart by their causes.
    fn from(error: BoxError) -> Self {
        Self::from_error(Kind::Unreachable, anyhow::Error::from_boxed(error))
    }
}

impl From<SurveyError> for Failure {
    fn from(error: SurveyError) -> Self {
        let kind = match error {
            SurveyError::Unreachable(_) | SurveyError::Scheduler { .. } => Kind::Unreachable,
            _ => Kind::Internal,
        };
        Self::from_error(kind, error)
    }
}

impl From<TunnelError> for Failure {
    fn from(error: TunnelError) -> Self {
        let kind = match error {
            TunnelError::PortTaken { .. } => Kind::Conflict,
            TunnelError::Unreachable(_) => Kind::Unreachable,
            _ => Kind::Internal,
        };
        Self::from_error(kind, error)
    }
}

impl From<FilesError> for Failure {
    fn from(error: FilesError) -> Self {
        let kind = match error {
            FilesError::Missing => Kind::Refused,
            FilesError::Unreachable(_) => Kind::Unreachable,
            _ => Kind::Internal,
        };
        Self::from_error(kind, error)
    }
}

/// What helps wherever the ledger is now: it goes before the data directory.
const ANOTHER_LEDGER: &str = "set database_url (TOWLINE_DATABASE_URL=sqlite:///PATH) to use another ledger";

impl From<LedgerError> for Failure {
    fn from(error: LedgerError) -> Self {
        let (kind, hint) = match &error {
            LedgerError::NameTaken { name, .. } => (
                Kind::Conflict,
                format!("choose another --name, or look at the other one with `towline show {name}`"),
            ),
            LedgerError::Exists { .. } | LedgerError::Conflict { .. } => {
                (Kind::Conflict, "run the command again".to_owned())
            }
            LedgerError::Locked { .. } => (
                Kind::Conflict,
                "wait until the other program has let go of it, or end that program".to_owned(),
            ),
            LedgerError::Newer { .. } => (Kind::Config, format!("update towline, or {ANOTHER_LEDGER}")),
            LedgerError::ReadOnly { .. } => {
                (Kind::Config, format!("make it writable, its directory too, or {ANOTHER_LEDGER}"))
            }
            LedgerError::Corrupt { .. } => {
                (Kind::Config, "`towline db check` tells what is damaged, and how to go on".to_owned())
            }
            LedgerError::Full { .. } => (Kind::Internal, format!("free some space, or {ANOTHER_LEDGER}")),
            _ => (
                Kind::Config,
                "`towline db path` tells where it is, `towline config show` where that was set".to_owned(),
            ),
        };
        Self::from_error(kind, error).hint(hint)
    }
}

impl From<LoadError> for Failure {
    fn from(error: LoadError) -> Self {
        Self::from_error(Kind::Config, error)
            .hint("`towline config path` tells which file is read; unknown keys are errors")
    }
}

impl From<EditError> for Failure {
    fn from(error: EditError) -> Self {
        let (kind, hint) = match &error {
            EditError::Duplicate { name } => (
                Kind::Conflict,
                Some(format!(
                    "remove the other one with `towline profile rm {name}`, or choose another name"
                )),
            ),
            EditError::BuiltIn => (
                Kind::Refused,
                Some("it needs no configuration; choose another name for your own".to_owned()),
            ),
            EditError::NoProfile { .. } => {
                (Kind::NotFound, Some("`towline profile ls` lists the profiles".to_owned()))
            }
            EditError::Read { .. }
            | EditError::Write { .. }
            | EditError::Syntax { .. }
            | EditError::NoTable { .. } => (Kind::Config, None),
        };
        let failure = Self::from_error(kind, error);
        match hint {
            Some(hint) => failure.hint(hint),
            None => failure,
        }
    }
}

impl From<PathError> for Failure {
    fn from(error: PathError) -> Self {
        let hint = match &error {
            PathError::NoHome(_) => "set HOME, or TOWLINE_CONFIG and TOWLINE_DATA_DIR",
            PathError::Make { .. } => "set TOWLINE_DATA_DIR to a directory that you can write",
            PathError::Foreign { .. } | PathError::InTheWay { .. } => {
                "have it removed, or set XDG_RUNTIME_DIR to a directory of your own"
            }
        };
        Self::from_error(Kind::Config, error).hint(hint)
    }
}

/// For output: everything else that can fail with an `io::Error` has an error type of its own.
impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        let kind = match error.kind() {
            io::ErrorKind::BrokenPipe => Kind::BrokenPipe,
            _ => Kind::Internal,
        };
        Self::from_error(kind, error).during("failed to write the output")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_codes_are_those_of_the_manual() {
        let codes = [
            Kind::BrokenPipe,
            Kind::Internal,
            Kind::Usage,
            Kind::Config,
            Kind::NotFound,
            Kind::Refused,
            Kind::Unreachable,
            Kind::Conflict,
            Kind::Unhealthy,
            Kind::TimedOut,
            Kind::Interrupted,
        ]
        .map(Kind::code);
        assert_eq!(codes, [0, 1, 2, 3, 4, 5, 6, 7, 8, 124, 130]);
    }

    #[test]
    fn errors_of_libraries_get_their_kind() {
        let kind = |failure: Failure| failure.kind;
        assert_eq!(kind(SpecError::new("time", "x").into()), Kind::Usage);
        assert_eq!(kind(SubmitError::NotSent("x".into()).into()), Kind::Unreachable);
        assert_eq!(kind(SubmitError::Refused { words: "x".into() }.into()), Kind::Refused);
        assert_eq!(
            kind(EngineError::Submit(SubmitError::Spec(SpecError::new("a", "b"))).into()),
            Kind::Usage
        );
        assert_eq!(kind(TunnelError::PortTaken { port: 1 }.into()), Kind::Conflict);
        assert_eq!(kind(io::Error::from(io::ErrorKind::BrokenPipe).into()), Kind::BrokenPipe);
    }

    #[test]
    fn refusals_get_a_hint_of_their_own() {
        assert!(
            refusal_hint("Invalid account or account/partition combination specified").contains("--account")
        );
        assert!(refusal_hint("invalid partition specified: gpuu").contains("--partition"));
        assert!(refusal_hint("Invalid qos specification").contains("--qos"));
        assert!(refusal_hint("something else").contains("--dry-run"));
    }
}
