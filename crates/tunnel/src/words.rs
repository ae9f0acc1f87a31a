//! Reads what `ssh` says when a login fails.

use std::path::PathBuf;

use crate::error::SshError;

/// Kinds of failed logins, as far as `ssh`'s words tell them apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    HostKeyChanged,
    HostKeyUnknown,
    Denied,
    Unresolved,
    Refused,
    TimedOut,
    NoRoute,
    NoJob,
    Config,
    Closed,
}

/// What `ssh` says of a host with another key than the known one, whether it goes on or not (`warn_changed_key` in
/// `sshconnect.c`).
const CHANGED_KEY: &str = "REMOTE HOST IDENTIFICATION HAS CHANGED";

/// Part of a line and what it means. The first that is found counts: a jump host that refuses makes the outer `ssh`
/// add that its connection was closed, and a changed host key ends with the words of an unknown one.
///
/// Source: the messages in `sshconnect.c`, `sshconnect2.c`, `readconf.c`, `packet.c` and `kex.c` of OpenSSH 9.2p1.
///
/// What a node says to a user without a job there is from `pam_slurm_adopt.c` and `pam_slurm.c` of Slurm 22.05; a name that
/// the login host does not know, from bash and `gai_strerror`.
/// A changed key is before all: what a host says before it has shown that it is the one that is meant stands here as well.
const SIGNS: &[(&str, Kind)] = &[
    (CHANGED_KEY, Kind::HostKeyChanged),
    ("no active jobs on this node", Kind::NoJob),
    ("host key is known for", Kind::HostKeyUnknown),
    ("Host key verification failed", Kind::HostKeyUnknown),
    ("Permission denied (", Kind::Denied),
    ("Too many authentication failures", Kind::Denied),
    ("Could not resolve hostname", Kind::Unresolved),
    ("Name or service not known", Kind::Unresolved),
    ("Connection refused", Kind::Refused),
    ("timed out", Kind::TimedOut),
    ("No route to host", Kind::NoRoute),
    ("Network is unreachable", Kind::NoRoute),
    ("Bad configuration option", Kind::Config),
    ("Bad owner or permissions", Kind::Config),
    ("Can't open user config file", Kind::Config),
    ("bad configuration options", Kind::Config),
    ("Connection closed by", Kind::Closed),
    ("Connection reset by", Kind::Closed),
    ("closed by remote host", Kind::Closed),
];

/// Turns the output of an `ssh` that failed to log in to `host` into an error.
pub(crate) fn read_failure(host: &str, said: &str) -> SshError {
    let host = host.to_owned();
    let found =
        SIGNS.iter().find_map(|(sign, kind)| Some((*kind, said.lines().find(|line| line.contains(sign))?)));
    let Some((kind, line)) = found else {
        return SshError::Failed { host, words: last_line(said) };
    };
    let words = tidy(line);
    match kind {
        Kind::HostKeyChanged => changed_key(host, said, words),
        Kind::HostKeyUnknown => SshError::HostKeyUnknown { host, words },
        Kind::Denied => SshError::Denied { host, words, login: None },
        Kind::Unresolved => SshError::Unresolved { host, words },
        Kind::Refused => SshError::Refused { host, words },
        Kind::TimedOut => SshError::TimedOut { host, words },
        Kind::NoRoute => SshError::NoRoute { host, words },
        Kind::NoJob => SshError::NoJobThere { host, words },
        Kind::Config => SshError::Config { host, words },
        Kind::Closed => SshError::Closed { host, words },
    }
}

/// Whether a host did not even answer the first packet of a connection: `ssh_connect_direct` in `sshconnect.c` names the
/// host, what comes later does not.
pub(crate) fn is_unanswered(error: &SshError) -> bool {
    matches!(error, SshError::TimedOut { words, .. } if words.starts_with("connect to host "))
}

/// Whether a refusal names a method by which a person types something, as in `Permission denied (publickey,password).`
pub(crate) fn has_typed_method(words: &str) -> bool {
    let methods =
        words.rsplit_once('(').and_then(|(_, rest)| rest.split_once(')')).map(|(methods, _)| methods);
    let is_typed = |method| ["password", "keyboard-interactive"].contains(&method);
    methods.is_some_and(|methods| methods.split(',').any(is_typed))
}

/// Whether `ssh` said that the host, or one on the way to it, shows another key than the known one. With
/// `StrictHostKeyChecking no` it goes on all the same.
pub(crate) fn tells_changed_key(said: &str) -> bool {
    said.contains(CHANGED_KEY)
}

/// Reads `Offending ED25519 key in FILE:7`, the known key which the host's key contradicts, and `Host key for NAME has
/// changed and ...` (`check_host_key` in `sshconnect.c`). `ssh` says the latter where it does not go on, and Debian's always
/// says `ssh-keygen -f "FILE" -R "NAME"`.
fn changed_key(host: String, said: &str, words: String) -> SshError {
    let offending = said.lines().find(|line| line.starts_with("Offending ")).map(tidy);
    let place = offending.as_deref().and_then(|line| line.split_once(" key in "));
    let file = place.and_then(|(_, place)| place.rsplit_once(':')).map(|(file, _)| PathBuf::from(file));
    let name = said.lines().find_map(|line| {
        let (_, rest) = line.split_once("ost key for ")?;
        rest.split_once(" has changed").map(|(name, _)| tidy(name))
    });
    let name = name.or_else(|| {
        let command = said.lines().map(str::trim).find(|line| line.starts_with("ssh-keygen -f "))?;
        let (_, rest) = command.split_once(" -R \"")?;
        rest.split_once('"').map(|(name, _)| tidy(name))
    });
    SshError::HostKeyChanged { host, words: offending.unwrap_or(words), name, file }
}

fn last_line(said: &str) -> String {
    said.lines()
        .rev()
        .map(tidy)
        .find(|line| !line.is_empty())
        .unwrap_or_else(|| "ssh said nothing".to_owned())
}

/// A line as part of a message: no control characters that a host could send, no `ssh: ` in front, not endless.
pub(crate) fn tidy(line: &str) -> String {
    let plain: String = line.trim().chars().filter(|c| !c.is_control()).take(300).collect();
    plain.strip_prefix("ssh: ").map(str::to_owned).unwrap_or(plain)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kind_and_words(said: &str) -> (&'static str, String) {
        match read_failure("lab", said) {
            SshError::HostKeyChanged { words, .. } => ("changed", words),
            SshError::HostKeyUnknown { words, .. } => ("unknown", words),
            SshError::Denied { words, .. } => ("denied", words),
            SshError::Unresolved { words, .. } => ("unresolved", words),
            SshError::Refused { words, .. } => ("refused", words),
            SshError::TimedOut { words, .. } => ("timed out", words),
            SshError::NoRoute { words, .. } => ("no route", words),
            SshError::NoJobThere { words, .. } => ("no job", words),
            SshError::Config { words, .. } => ("config", words),
            SshError::Closed { words, .. } => ("closed", words),
            SshError::Failed { words, .. } => ("failed", words),
            other => panic!("{other}"),
        }
    }

    #[test]
    fn each_failure_is_told_apart_by_its_line() {
        let cases = [
            ("ssh: Could not resolve hostname x: Name or service not known\r\n", "unresolved"),
            ("ssh: connect to host 127.0.0.1 port 1: Connection refused\r\n", "refused"),
            ("ssh: connect to host 192.0.2.1 port 22: Connection timed out", "timed out"),
            ("Connection timed out during banner exchange", "timed out"),
            ("ssh: connect to host 192.0.2.1 port 22: No route to host", "no route"),
            ("alice@lab: Permission denied (publickey,password).", "denied"),
            ("Host key verification failed.", "unknown"),
            (
                "Access denied by pam_slurm_adopt: you have no active jobs on this node\r\n\
                 Connection closed by UNKNOWN port 65535\r\n",
                "no job",
            ),
            ("Access denied: user alice (uid=2001) has no active jobs on this node.\r\n", "no job"),
            ("bash: line 1: c9: Name or service not known\r\n", "unresolved"),
            ("/x/config: line 3: Bad configuration option: bogus", "config"),
            ("kex_exchange_identification: Connection closed by remote host", "closed"),
            ("no matching cipher found", "failed"),
            ("", "failed"),
        ];
        for (said, kind) in cases {
            assert_eq!(kind_and_words(said).0, kind, "{said}");
        }
    }

    #[test]
    fn a_jump_host_s_words_count_more_than_what_follows_from_them() {
        let said = "ssh: connect to host jump port 22: Connection refused\r\n\
                    kex_exchange_identification: Connection closed by remote host\r\n\
                    Connection closed by UNKNOWN port 65535\r\n";
        assert_eq!(
            kind_and_words(said),
            ("refused", "connect to host jump port 22: Connection refused".to_owned())
        );
    }

    #[test]
    fn nothing_that_a_host_says_of_itself_hides_its_changed_key() {
        let said = "you have no active jobs on this node\r\nPermission denied (none).\r\n\
                    @    WARNING: REMOTE HOST IDENTIFICATION HAS CHANGED!     @\r\n";
        assert!(tells_changed_key(said));
        assert_eq!(kind_and_words(said).0, "changed");
    }

    #[test]
    fn a_changed_key_names_the_known_one() {
        let said = "@    WARNING: REMOTE HOST IDENTIFICATION HAS CHANGED!     @\r\n\
                    Offending ED25519 key in /home/a/.ssh/known_hosts:7\r\n\
                    Host key for [lab.example.org]:2222 has changed and you have requested strict checking.\r\n\
                    Host key verification failed.\r\n";
        let SshError::HostKeyChanged { words, name, file, .. } = read_failure("lab", said) else { panic!() };
        assert_eq!(words, "Offending ED25519 key in /home/a/.ssh/known_hosts:7");
        assert_eq!(name.as_deref(), Some("[lab.example.org]:2222"));
        assert_eq!(file, Some("/home/a/.ssh/known_hosts".into()));
        let (_, rest) = said.split_once("Offending").unwrap();
        let goes_on = format!(
            "@    WARNING: REMOTE HOST IDENTIFICATION HAS CHANGED!     @\r\nOffending{}\r\n  remove with:\r\n  \
             ssh-keygen -f \"/home/a/.ssh/known_hosts\" -R \"[lab.example.org]:2222\"\r\n",
            rest.lines().next().unwrap()
        );
        assert!(tells_changed_key(&goes_on) && !tells_changed_key("Host key verification failed."));
        let SshError::HostKeyChanged { name, file, .. } = read_failure("lab", &goes_on) else { panic!() };
        assert_eq!((name.as_deref(), file.is_some()), (Some("[lab.example.org]:2222"), true));
        let bare = read_failure("lab", "REMOTE HOST IDENTIFICATION HAS CHANGED!");
        assert!(matches!(bare, SshError::HostKeyChanged { name: None, file: None, .. }), "{bare}");
    }

    #[test]
    fn a_refusal_tells_whether_a_person_could_type_something() {
        for typed in ["publickey,password", "keyboard-interactive", "publickey,gssapi-with-mic,password"] {
            assert!(has_typed_method(&format!("a@lab: Permission denied ({typed}).")), "{typed}");
        }
        for other in
            ["a@password: Permission denied (publickey,hostbased).", "Too many authentication failures", ""]
        {
            assert!(!has_typed_method(other), "{other}");
        }
    }

    #[test]
    fn words_hold_no_escape_sequences() {
        let (kind, words) = kind_and_words("\u{1b}[31mgo away\u{7}\r\n\r\n");
        assert_eq!((kind, words.as_str()), ("failed", "[31mgo away"));
    }
}
