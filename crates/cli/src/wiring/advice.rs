//! What to try against the adapters' own errors, found among the causes of the ports' errors.

use std::error::Error;
use std::path::Path;

use towline_slurm::ClusterError;
use towline_tunnel::{NodeError, SshError};

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
    if let Some(error) = cause.downcast_ref::<NodeError>() {
        return Some(node(error));
    }
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

/// Against a login to a node that failed.
fn node(error: &NodeError) -> Advice {
    let NodeError { node, login, known_hosts, source } = error;
    let file = known_hosts.as_deref().and_then(|file| shlex::try_quote(file).ok());
    let file = file.as_deref().unwrap_or("~/.ssh/known_hosts");
    let theirs = format!("ssh {login} ssh-keygen -F {node} -f /etc/ssh/ssh_known_hosts");
    let hint = match source {
        // No more than the node's own lines: start-up files may print, and the list may hold other hosts.
        SshError::HostKeyUnknown { .. } => format!(
            "the login host may know its key: `{theirs} | grep '^{node}[ ,]' >>{file}` takes it from there; else compare the fingerprint that \
             `ssh -J {login} {node}` shows with what the administrators tell"
        ),
        SshError::HostKeyChanged { .. } => format!(
            "`{theirs}` shows the key that the login host knows; only if that is another one than yours, the node was \
             reinstalled: forget yours with `ssh-keygen -R {node} -f {file}`; else ask the administrators"
        ),
        SshError::NoJobThere { .. } => {
            "the job may just have begun, or ended: try again in a moment; `towline why SERVICE` tells"
                .to_owned()
        }
        SshError::Denied { .. } => format!(
            "the node must let in this machine's key, as the login host does: it has to be in ~/.ssh/authorized_keys there, \
             and a job of yours may have to run there; where the cluster allows no SSH to {node}, set via = \"login\" in \
             the profile"
        ),
        SshError::NoProgram(_)
        | SshError::BadName { .. }
        | SshError::ControlPathTooLong { .. }
        | SshError::ControlDir { .. }
        | SshError::Files { .. }
        | SshError::Config { .. } => {
            return ssh(source).map_or_else(
                || Advice { kind: None, hint: "look at your ssh configuration for it".to_owned() },
                |(kind, hint)| Advice { kind, hint },
            );
        }
        _ => format!(
            "`ssh {login}` must get from there to sshd of {node}; where the cluster allows no SSH to its nodes, set \
             via = \"login\" in the profile"
        ),
    };
    Advice { kind: None, hint }
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
        SshError::HostKeyChanged { host, name, file, .. } => (
            None,
            format!(
                "ask the cluster's administrators. Only if they have changed the key, and give the fingerprint that \
                 `ssh {host}` shows, forget the old one with `{}`; if not, somebody may sit in between: do not log in",
                forget_key(name.as_deref().unwrap_or(host), file.as_deref())
            ),
        ),
        SshError::NotLoggedIn { login: Some(login), .. } => (None, login.clone()),
        SshError::NotAnswering { login: Some(login), .. } => (
            None,
            format!(
                "{login} (it ends that connection and makes another; should it go on by itself, it is used again)"
            ),
        ),
        SshError::Denied { host, login: Some(login), .. } => (
            None,
            format!(
                "{login} (it asks for what the host wants to know; where a key alone should do, `ssh {host}` must get in \
                 without a question)"
            ),
        ),
        SshError::NobodyToAsk { .. } => (
            None,
            "log in at a terminal, in its foreground, or set SSH_ASKPASS to a program that asks (ssh(1))"
                .to_owned(),
        ),
        SshError::Interrupted { .. } => (Some(Kind::Interrupted), "nothing is left of it".to_owned()),
        SshError::Denied { host, .. } => (
            None,
            format!("`ssh {host}` must get in without a question: check the user, the key and `ssh-add -l`"),
        ),
        _ => return None,
    })
}

/// What makes `ssh` forget the key that it knows of a host by that name.
fn forget_key(name: &str, file: Option<&Path>) -> String {
    let file = file.map(|file| file.display().to_string());
    let words = ["ssh-keygen", "-R", name].into_iter();
    shlex::try_join(words.chain(file.iter().flat_map(|file| ["-f", file.as_str()]))).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use towline_core::ports::{ShellError, SubmitError};

    use super::*;
    use crate::exit::Failure;

    #[test]
    fn a_changed_key_is_forgotten_under_the_name_by_which_it_is_known() {
        let error = SshError::HostKeyChanged {
            host: "lab".into(),
            words: "x".into(),
            name: Some("[lab.example.org]:2222".into()),
            file: Some("/home/a b/known_hosts".into()),
        };
        let hint = advice(&error).unwrap().hint;
        let command = "`ssh-keygen -R '[lab.example.org]:2222' -f '/home/a b/known_hosts'`";
        assert!(
            hint.contains(command) && hint.contains("Only if") && hint.ends_with("do not log in"),
            "{hint}"
        );
    }

    #[test]
    fn a_login_to_a_node_has_advice_of_its_own() {
        let (host, words) = ("c1".to_owned(), "x".to_owned());
        let source = SshError::HostKeyUnknown { host, words };
        let known_hosts = Some("/home/a/known".to_owned());
        let error = NodeError { node: "c1".into(), login: "login".into(), known_hosts, source };
        let failure = Failure::from_error(Kind::Unreachable, error);
        let command =
            "`ssh login ssh-keygen -F c1 -f /etc/ssh/ssh_known_hosts | grep '^c1[ ,]' >>/home/a/known`";
        assert!(failure.hints[0].contains(command), "{:?}", failure.hints);
        assert_eq!((failure.hints.len(), failure.kind), (1, Kind::Unreachable));
    }

    #[test]
    fn causes_deep_below_give_advice() {
        let denied = SshError::Denied { host: "login".into(), words: "x".into(), login: None };
        let shell = ShellError::NotSent { host: "login".into(), source: Box::new(denied) };
        let failure = Failure::from(SubmitError::NotSent(Box::new(shell)));
        assert_eq!(failure.kind, Kind::Unreachable);
        assert!(failure.hints[0].contains("ssh login"), "{:?}", failure.hints);

        let login_of_lab = || Some("towline profile login lab".to_owned());
        let login = login_of_lab();
        let gone = SshError::NotLoggedIn { host: "login".into(), login: login.clone() };
        let failure = Failure::from_error(
            Kind::Internal,
            ShellError::NotSent { host: "login".into(), source: gone.into() },
        );
        assert_eq!((failure.kind, failure.hints), (Kind::Internal, login.into_iter().collect()));

        let hangs = SshError::NotAnswering { host: "login".into(), login: login_of_lab() };
        let shell = ShellError::NotSent { host: "login".into(), source: hangs.into() };
        let failure = Failure::from(SubmitError::NotSent(Box::new(shell)));
        assert_eq!(failure.kind, Kind::Unreachable);
        assert!(failure.hints[0].starts_with("towline profile login lab ("), "{:?}", failure.hints);

        let home = ClusterError::Home { home: "/x".into(), words: "Permission denied".into() };
        let failure = Failure::from(SubmitError::NotSent(Box::new(home)));
        assert_eq!(failure.kind, Kind::Config);
    }
}
