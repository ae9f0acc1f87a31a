//! What to try against the adapters' own errors, found among the causes of the ports' errors.

use std::error::Error;

use towline_slurm::ClusterError;
use towline_tunnel::SshError;

use crate::exit::Kind;

/// What a cause says about a failure.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Advice {
    /// Its kind, if that is more exact than being unreachable.
    pub(crate) kind: Option<Kind>,
    /// What to try next.
    pub(crate) hint: String,
}

/// What to try against a cause, if it is an adapter's.
pub(crate) fn advice(cause: &(dyn Error + 'static)) -> Option<Advice> {
    let (kind, hint) = match cause.downcast_ref::<SshError>() {
        Some(error) => ssh(error)?,
        None => cluster(cause.downcast_ref::<ClusterError>()?)?,
    };
    Some(Advice { kind, hint })
}

fn cluster(error: &ClusterError) -> Option<(Option<Kind>, String)> {
    let (kind, hint) = match error {
        ClusterError::NoSlurm { .. } => (
            Some(Kind::Config),
            "put Slurm's commands on the PATH that `ssh HOST command` has there, such as in ~/.bashrc",
        ),
        ClusterError::Home { .. } => {
            (Some(Kind::Config), "name a directory that you can write as the profile's home")
        }
        ClusterError::Controller { .. } => (None, "nothing is lost; try again later"),
        _ => return None,
    };
    Some((kind, hint.to_owned()))
}

fn ssh(error: &SshError) -> Option<(Option<Kind>, String)> {
    Some(match error {
        SshError::NoProgram(_) => {
            (Some(Kind::Config), "install OpenSSH's client; Debian's package is openssh-client".to_owned())
        }
        SshError::BadName { .. } => (Some(Kind::Config), "correct host and user of the profile".to_owned()),
        SshError::ControlPathTooLong { .. } | SshError::ControlDir { .. } => {
            (Some(Kind::Config), "set XDG_RUNTIME_DIR to a short directory of your own".to_owned())
        }
        SshError::Config { host, .. } => {
            (Some(Kind::Config), format!("`ssh -G {host}` shows how ssh understands it"))
        }
        SshError::LaunchInProgress { .. } => (None, "let the other login finish first".to_owned()),
        SshError::Unresolved { host, .. } => (
            None,
            format!(
                "check how the host is written, and whether its name is known only inside a VPN: `ssh {host}` must get there"
            ),
        ),
        SshError::Refused { host, .. } => (
            None,
            format!(
                "nothing takes SSH connections there: check host and port, or wait for the end of a maintenance; \
                 `ssh {host}` must get there"
            ),
        ),
        SshError::TimedOut { host, .. } => (
            None,
            format!("the host is down, or a firewall drops it; a VPN perhaps: `ssh {host}` must get there"),
        ),
        SshError::NoRoute { host, .. } => {
            (None, format!("check your network, a VPN perhaps: `ssh {host}` must get there"))
        }
        SshError::Closed { host, .. } => (
            None,
            format!(
                "the host hung up: it may be overloaded, or bar this address for a while; `ssh {host}` must get there"
            ),
        ),
        SshError::HostKeyUnknown { host, .. } => {
            (None, format!("log in once with `ssh {host}` and compare the key's fingerprint"))
        }
        SshError::HostKeyChanged { host, .. } => (
            None,
            format!(
                "ask the cluster's administrators; if the new key is right, forget the old one with \
                 `ssh-keygen -R {host}`"
            ),
        ),
        SshError::Denied { host, .. } => (
            None,
            format!("`ssh {host}` must get in without a question: check the user, the key and `ssh-add -l`"),
        ),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use towline_core::ports::{ShellError, SubmitError};

    use super::*;
    use crate::exit::Failure;

    #[test]
    fn causes_deep_below_give_advice() {
        let denied = SshError::Denied { host: "login".into(), words: "x".into() };
        let shell = ShellError::NotSent { host: "login".into(), source: Box::new(denied) };
        let failure = Failure::from(SubmitError::NotSent(Box::new(shell)));
        assert_eq!(failure.kind, Kind::Unreachable);
        assert!(failure.hints[0].contains("ssh login"), "{:?}", failure.hints);

        let home = ClusterError::Home { home: "/x".into(), words: "Permission denied".into() };
        let failure = Failure::from(SubmitError::NotSent(Box::new(home)));
        assert_eq!(failure.kind, Kind::Config);
    }
}
