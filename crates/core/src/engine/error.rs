//! What can go wrong in a verb of the engine.

use std::error::Error;

use crate::id::ServiceId;
use crate::lifecycle::Refusal;
use crate::ports::{LedgerError, SubmitError, SurveyError, TunnelError};
use crate::spec::SpecError;

/// Why a verb could not be carried out. What had been done by then is recorded and is taken up by the next turn.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EngineError {
    /// The spec cannot be run as it stands; nothing was recorded.
    #[error(transparent)]
    Spec(#[from] SpecError),
    /// The ledger failed.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
    /// The ledger knows no such service, or no longer.
    #[error("service {id} is not recorded")]
    Unknown {
        /// The service.
        id: ServiceId,
    },
    /// The row of the service cannot be read.
    #[error("the record of service {id} is damaged: {problem}")]
    Damaged {
        /// The service.
        id: ServiceId,
        /// What is wrong with it.
        problem: String,
    },
    /// The service belongs to another profile than the engine's.
    #[error("service {id} runs in profile {profile}")]
    OtherProfile {
        /// The service.
        id: ServiceId,
        /// Its profile.
        profile: String,
    },
    /// The wish cannot be granted where the service stands.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// No job came of the submission; the service is recorded as FAILED.
    #[error(transparent)]
    Submit(SubmitError),
    /// The scheduler told nothing.
    #[error(transparent)]
    Survey(#[from] SurveyError),
    /// There is no place to open a tunnel to: the job does not run, or has not said where it listens.
    #[error("the job has not told yet where its server listens: {why}")]
    NoPlace {
        /// Where the service stands.
        why: String,
    },
    /// The tunnel could not be opened or closed.
    #[error(transparent)]
    Tunnel(#[from] TunnelError),
}

/// An error and its causes in one line, outermost first, joined by `: `.
pub fn error_chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let words = error.to_string();
        if !text.ends_with(&words) {
            text.push_str(": ");
            text.push_str(&words);
        }
        cause = error.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ports::{BoxError, TunnelError};

    /// Says what its cause says as well, as errors of other crates do.
    #[derive(Debug, thiserror::Error)]
    #[error("failed to log in: {0}")]
    struct Login(#[source] BoxError);

    #[test]
    fn a_chain_tells_each_cause_once() {
        let tunnel = EngineError::Tunnel(TunnelError::Failed("no route to host".into()));
        assert_eq!(error_chain(&tunnel), "failed to set up a tunnel: no route to host");
        let survey = EngineError::Survey(SurveyError::Unreachable(Box::new(tunnel)));
        assert_eq!(
            error_chain(&survey),
            "failed to reach the scheduler: failed to set up a tunnel: no route to host"
        );
        assert_eq!(error_chain(&Login("no route to host".into())), "failed to log in: no route to host");
    }
}
