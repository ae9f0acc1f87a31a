//! What the engine needs from the world: one trait a file, each with its error and its guarantees.
//!
//! A guarantee is what is true once a method has returned. Every method may be dropped before it returns; what it may
//! have done by then is said at the method.

mod clock;
mod inspector;
mod ledger;
mod probe;
mod remote_shell;
mod scheduler;
mod service_files;
mod tunnels;
mod turnstile;

pub use clock::Clock;
pub use inspector::{InspectError, Inspector};
pub use ledger::{Change, DamagedRow, Ledger, LedgerError, Listing, SaveOutcome, Select};
pub use probe::Probe;
pub use remote_shell::{RemoteShell, ShellError, ShellOutput, ShellScript};
pub use scheduler::{CancelError, Scheduler, Subject, SubmitError, Survey, SurveyError};
pub use service_files::{FilesError, LogChunk, LogFrom, ServiceFiles};
pub use tunnels::{TunnelError, Tunnels};
pub use turnstile::{Pass, Turnstile};

/// Whatever lies behind an adapter's error, kept as its source.
pub type BoxError = Box<dyn std::error::Error + Send + Sync>;

#[cfg(any(test, feature = "testing"))]
pub use self::{
    clock::MockClock, inspector::MockInspector, ledger::MockLedger, probe::MockProbe,
    remote_shell::MockRemoteShell, scheduler::MockScheduler, service_files::MockServiceFiles,
    tunnels::MockTunnels, turnstile::MockTurnstile,
};
