//! Whether the way to a cluster works: from the program `ssh` to a forward.

use std::path::PathBuf;
use std::time::Instant;

use towline_slurm::ClusterProbe;
use towline_tunnel::{
    Denial, Forwarding, LONGEST_SOCKET_PATH, Master, MasterConfig, SshError, SshTunnels, ssh_program,
};

use super::Cluster;
use super::logins::login_command;
use crate::config::{Paths, Profile, Via};
use crate::doctor::Check;
use crate::exit::{Failure, Kind, Outcome};

/// The longest path of a control socket, in bytes.
pub(crate) const LONGEST_CONTROL_PATH: usize = LONGEST_SOCKET_PATH;

/// What a control socket's path comes to, whatever its cluster: its name is always as long.
///
/// # Errors
/// [`Kind::Config`] if `ssh` could not use it.
pub(crate) fn control_path(paths: &Paths) -> Outcome<PathBuf> {
    let master = Master::new(MasterConfig::new("host", &paths.runtime_dir));
    let master = master.map_err(|error| Failure::from_error(Kind::Config, error))?;
    Ok(master.control_path().to_owned())
}

/// Whether there is an `ssh` on this machine, and which.
pub(crate) async fn ssh_check() -> Check {
    const NAME: &str = "ssh";
    let program = match ssh_program().await {
        Ok(program) => program,
        Err(error) => return Check::failed(NAME, &Failure::from_error(Kind::Config, error)),
    };
    let hint = "install OpenSSH's client 8.0 or newer, and let PATH find it first (`ssh -V`)";
    match program.is_known {
        Some(true) => Check::ok(NAME, program.version),
        Some(false) => Check::warning(NAME, format!("{} is older than 8.0", program.version), hint),
        None => Check::wrong(NAME, format!("the program ssh is no OpenSSH: {:?}", program.version), hint),
    }
}

impl Cluster {
    /// Whether the cluster is reached by SSH; if not, this machine is one of its login nodes.
    pub(crate) fn is_far(&self) -> bool {
        self.master.is_some()
    }

    /// What `ssh` makes of the profile's host, if it is used at all. Connects to nothing.
    pub(crate) async fn ssh_config_check(&self, profile: &Profile) -> Option<Check> {
        const NAME: &str = "ssh-config";
        let master = self.master.as_ref()?;
        Some(match master.resolve().await {
            Ok(to) => {
                let way = to.by_way_of.map(|way| format!(", by way of {way}")).unwrap_or_default();
                Check::ok(
                    NAME,
                    format!("{} is {}@{} port {}{way}", master.host(), to.user, to.hostname, to.port),
                )
            }
            Err(error) => {
                let failure = Failure::from_error(Kind::Config, error);
                let command = profile.ssh_with(&["-G"]);
                Check::failed(
                    NAME,
                    &Failure { hints: Vec::new(), ..failure }.hint(format!("`{command}` must work")),
                )
            }
        })
    }

    /// Logs in unless that is done: whether the host is reached, shows the key that is known of it, and lets the user in.
    pub(crate) async fn login_checks(&self, name: &str, profile: &Profile) -> Vec<Check> {
        let Some(master) = &self.master else { return Vec::new() };
        let (begun, was_up) = (Instant::now(), master.login().await.is_some());
        let error = match master.session().await {
            Ok(_) if was_up && !master.host_answers().await => {
                let words = "the connection is there, and nothing comes back over it".to_owned();
                SshError::TimedOut { host: master.host().to_owned(), words }
            }
            Ok(_) => {
                let how = match was_up {
                    true => "logged in before".to_owned(),
                    false => format!("logged in within {} ms", begun.elapsed().as_millis()),
                };
                let whose = match master.login().await {
                    Some(login) if !login.is_ours => "the connection, which your own ssh has made, is",
                    _ => "the connection is",
                };
                let path = master.control_path();
                return vec![
                    Check::ok("host", format!("{} answers", master.host())),
                    Check::ok("host-key", "accepted, as your ssh configuration has it"),
                    Check::ok("authentication", format!("{how}; {whose} {}", path.display())),
                ];
            }
            Err(error) => error,
        };
        let denial = match &error {
            SshError::Denied { .. } => Some(master.explain_denial().await.unwrap_or_default()),
            _ => None,
        };
        failed_login(name, master, profile, error, denial.flatten())
    }

    /// Opens a forward through the connection, to the login host's own sshd, which speaks first.
    pub(crate) async fn forwarding_check(&self, probe: &ClusterProbe, profile: &Profile) -> Option<Check> {
        let master = self.master.clone()?;
        let (host, port) = probe.sshd.clone().unwrap_or_else(|| ("127.0.0.1".to_owned(), 22));
        let tried = SshTunnels::new(master).try_out(&host, port).await;
        Some(match tried {
            Ok(Forwarding::Prohibited(_)) if profile.via == Via::Node => {
                Check::ok("forwarding", "not permitted, and not needed: tunnels go through the nodes of jobs")
            }
            tried => forwarding(tried.map_err(Failure::from), &format!("{host}:{port}")),
        })
    }
}

/// How far a login came that failed: the checks before the one that failed are fine.
fn failed_login(
    name: &str,
    master: &Master,
    profile: &Profile,
    error: SshError,
    denial: Option<Denial>,
) -> Vec<Check> {
    let not_asked = match &error {
        SshError::NotLoggedIn { .. } => Some("nobody is logged in"),
        SshError::NotAnswering { .. } => Some("the connection does not answer"),
        _ => None,
    };
    let (reached, known) = match not_asked {
        None => (
            Check::ok("host", format!("{} answers", master.host())),
            Check::ok("host-key", "accepted, as your ssh configuration has it"),
        ),
        Some(why) => (
            Check::skipped("host", format!("not asked: {why}")),
            Check::skipped("host-key", format!("not looked at: {why}")),
        ),
    };
    let at = match &error {
        SshError::Denied { .. } | SshError::NotLoggedIn { .. } | SshError::NotAnswering { .. } => {
            "authentication"
        }
        SshError::HostKeyUnknown { .. } | SshError::HostKeyChanged { .. } => "host-key",
        _ => "host",
    };
    let mut failure = Failure::from_error(Kind::Unreachable, error);
    for hint in &mut failure.hints {
        *hint = profile.with_login(hint);
    }
    let mut failed = Check::failed(at, &failure);
    if let Some(denial) = denial {
        failed.text.push_str(&tried_keys(&denial));
        failed.hint = way_in(&denial, name, profile).or(failed.hint);
    }
    match at {
        "authentication" => vec![reached, known, failed],
        "host-key" => vec![reached, failed],
        _ => vec![failed],
    }
}

/// What the host was shown.
fn tried_keys(denial: &Denial) -> String {
    let mut text = String::new();
    let mut tell = |what: &str, keys: &[String]| {
        if !keys.is_empty() {
            text.push_str(&format_args!("; {what}: {}", keys.join(", ")).to_string());
        }
    };
    tell("taken, but not usable here", &denial.locked);
    tell("not taken", &denial.offered);
    tell("passed over, as others can read them", &denial.exposed);
    tell("not there", &denial.missing);
    text.push_str(match denial.agent {
        None => "; no agent answers",
        Some(0) => "; the agent has no keys",
        Some(_) => "",
    });
    text
}

/// What a person may do to be let in, if what was tried tells.
fn way_in(denial: &Denial, name: &str, profile: &Profile) -> Option<String> {
    let word = |text: &str| shlex::try_quote(text).map(|word| word.into_owned()).unwrap_or_default();
    let file = |key: &String| word(key.rsplit_once(' ').map_or(key.as_str(), |(file, _kind)| file));
    if denial.wants_a_person() {
        let methods = denial.accepts.join(", ");
        return Some(format!("{} (it wants what only you can type: {methods})", login_command(name)));
    }
    if let Some(key) = denial.exposed.first() {
        return Some(format!("`chmod 600 {}`", word(key)));
    }
    if let Some(key) = denial.locked.first() {
        let agent = if denial.agent.is_none() { "eval $(ssh-agent); " } else { "" };
        return Some(format!("unlock the key with its passphrase: `{agent}ssh-add {}`", file(key)));
    }
    let login = profile.ssh_with(&[]);
    match denial.offered.first() {
        Some(key) => {
            // Keys of an agent go by their comments.
            let public = match key.starts_with('/') {
                true => format!("{}.pub", file(key)),
                false => "what `ssh-add -L` prints".to_owned(),
            };
            Some(format!(
                "`{login}` must get in without a question: check the user, or have {public} added to \
                 ~/.ssh/authorized_keys there"
            ))
        }
        None => Some(format!(
            "no key was there to be shown: make one with `ssh-keygen -t ed25519` and have its .pub added to \
             ~/.ssh/authorized_keys there, or `ssh-add` the one that you have; then `{login}` must get in"
        )),
    }
}

fn forwarding(tried: Result<Forwarding, Failure>, to: &str) -> Check {
    const NAME: &str = "forwarding";
    match tried {
        Ok(Forwarding::Works) => Check::ok(NAME, format!("a forward to {to} works")),
        Ok(Forwarding::Refused) => Check::ok(NAME, format!("allowed; {to} itself refuses")),
        Ok(Forwarding::Prohibited(words)) => {
            let failure = Failure::new(Kind::Refused, format!("the login host opens no forwards: {words}"));
            Check::failed(
                NAME,
                &failure.hint(
                    "if the cluster lets you ssh to the nodes of your jobs, set via = \"node\" in the profile: tunnels go \
                     through the nodes then; else ask the administrators for `AllowTcpForwarding local` in sshd_config, or use \
                     another login host; services run without it, but no URL leads to them",
                ),
            )
        }
        Ok(Forwarding::Failed(words)) => Check::warning(
            NAME,
            format!("a forward to {to} was not answered: {words}"),
            "run the check again; if it stays so, ask the administrators whether sshd allows TCP forwarding",
        ),
        Err(failure) => Check::failed(NAME, &failure),
    }
}

#[cfg(test)]
mod tests {
    use figment::providers::{Format as _, Toml};

    use super::*;
    use crate::doctor::Verdict;

    fn profile() -> Profile {
        figment::Figment::from(Toml::string("kind = 'slurm'\nhost = 'login'\nuser = 'alice'\n"))
            .extract()
            .unwrap()
    }

    fn master() -> Master {
        Master::new(MasterConfig::new("login", "/run/t")).unwrap()
    }

    fn denied(denial: Denial) -> Check {
        let error = SshError::Denied {
            host: "login".into(),
            words: "Permission denied (publickey)".into(),
            login: None,
        };
        failed_login("lab", &master(), &profile(), error, Some(denial)).pop().unwrap()
    }

    #[test]
    fn what_comes_before_the_failure_is_fine() {
        let (host, words) = ("login".to_owned(), "x".to_owned());
        let path = |error| {
            let checks = failed_login("lab", &master(), &profile(), error, None);
            checks.iter().map(|check| (check.check, check.verdict)).collect::<Vec<_>>()
        };
        let refused = SshError::Refused { host: host.clone(), words: words.clone() };
        assert_eq!(path(refused), [("host", Verdict::Failed)]);
        let unknown = SshError::HostKeyUnknown { host: host.clone(), words: words.clone() };
        assert_eq!(path(unknown), [("host", Verdict::Ok), ("host-key", Verdict::Failed)]);
        let denied = path(SshError::Denied { host: host.clone(), words, login: None });
        assert_eq!(denied.last(), Some(&("authentication", Verdict::Failed)));
        assert_eq!(denied.len(), 3);
        let gone = path(SshError::NotLoggedIn { host: host.clone(), login: None });
        let skipped = |name| (name, Verdict::Skipped);
        assert_eq!(gone, [skipped("host"), skipped("host-key"), ("authentication", Verdict::Failed)]);
        assert_eq!(path(SshError::NotAnswering { host, login: None }), gone);
    }

    #[test]
    fn a_refused_login_says_what_to_type() {
        let keys = |name: &str| vec![format!("/home/a/{name} ED25519")];
        let publickey = || vec!["publickey".to_owned()];
        let locked = denied(Denial { locked: keys("id"), accepts: publickey(), ..Denial::default() });
        assert!(locked.hint.unwrap().contains("`eval $(ssh-agent); ssh-add /home/a/id`"), "{}", locked.text);
        let stranger =
            denied(Denial { offered: keys("x"), agent: Some(0), accepts: publickey(), ..Denial::default() });
        assert!(
            stranger.text.ends_with("; not taken: /home/a/x ED25519; the agent has no keys"),
            "{}",
            stranger.text
        );
        assert!(stranger.hint.unwrap().contains("have /home/a/x.pub added"));
        let exposed = denied(Denial { exposed: vec!["/k".into()], ..Denial::default() });
        assert_eq!(exposed.hint.unwrap(), "`chmod 600 /k`");
        assert!(denied(Denial::default()).hint.unwrap().contains("ssh-keygen"));
        let typed =
            Denial { is_partial: true, accepts: vec!["keyboard-interactive".into()], ..Denial::default() };
        let typed = denied(typed).hint.unwrap();
        assert_eq!(
            typed,
            "towline profile login lab (it wants what only you can type: keyboard-interactive)"
        );
    }

    #[test]
    fn a_forward_that_is_refused_at_its_end_was_allowed() {
        let check = |tried| forwarding(Ok(tried), "127.0.0.1:22");
        assert_eq!(check(Forwarding::Works).verdict, Verdict::Ok);
        assert_eq!(check(Forwarding::Refused).verdict, Verdict::Ok);
        assert_eq!(check(Forwarding::Failed("late".into())).verdict, Verdict::Warning);
        let prohibited = check(Forwarding::Prohibited("administratively prohibited: open failed".into()));
        assert_eq!((prohibited.verdict, prohibited.kind), (Verdict::Failed, Kind::Refused));
    }
}
