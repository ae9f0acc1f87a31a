//! Reads what `ssh` says when a login fails.

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
    Config,
    Closed,
}

/// Part of a line and what it means. The first that is found counts: a jump host that refuses makes the outer `ssh`
/// add that its connection was closed, and a changed host key ends with the words of an unknown one.
///
/// Source: the messages in `sshconnect.c`, `sshconnect2.c`, `readconf.c`, `packet.c` and `kex.c` of OpenSSH 9.2p1.
const SIGNS: &[(&str, Kind)] = &[
    ("REMOTE HOST IDENTIFICATION HAS CHANGED", Kind::HostKeyChanged),
    ("host key is known for", Kind::HostKeyUnknown),
    ("Host key verification failed", Kind::HostKeyUnknown),
    ("Permission denied (", Kind::Denied),
    ("Too many authentication failures", Kind::Denied),
    ("Could not resolve hostname", Kind::Unresolved),
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
        Kind::HostKeyChanged => {
            SshError::HostKeyChanged { host, words: offending_key(said).unwrap_or(words) }
        }
        Kind::HostKeyUnknown => SshError::HostKeyUnknown { host, words },
        Kind::Denied => SshError::Denied { host, words },
        Kind::Unresolved => SshError::Unresolved { host, words },
        Kind::Refused => SshError::Refused { host, words },
        Kind::TimedOut => SshError::TimedOut { host, words },
        Kind::NoRoute => SshError::NoRoute { host, words },
        Kind::Config => SshError::Config { host, words },
        Kind::Closed => SshError::Closed { host, words },
    }
}

/// Whether a host did not even answer the first packet of a connection: `ssh_connect_direct` in `sshconnect.c` names the
/// host, what comes later does not.
pub(crate) fn is_unanswered(error: &SshError) -> bool {
    matches!(error, SshError::TimedOut { words, .. } if words.starts_with("connect to host "))
}

/// The line that names the known key which the host's key contradicts.
fn offending_key(said: &str) -> Option<String> {
    said.lines().find(|line| line.starts_with("Offending ")).map(tidy)
}

fn last_line(said: &str) -> String {
    said.lines()
        .rev()
        .map(tidy)
        .find(|line| !line.is_empty())
        .unwrap_or_else(|| "ssh said nothing".to_owned())
}

/// A line as part of a message: no control characters that a host could send, no `ssh: ` in front, not endless.
fn tidy(line: &str) -> String {
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
    fn a_changed_key_names_the_known_one() {
        let said = "@    WARNING: REMOTE HOST IDENTIFICATION HAS CHANGED!     @\r\n\
                    Offending ED25519 key in /home/a/.ssh/known_hosts:7\r\n\
                    Host key verification failed.\r\n";
        let (kind, words) = kind_and_words(said);
        assert_eq!(kind, "changed");
        assert_eq!(words, "Offending ED25519 key in /home/a/.ssh/known_hosts:7");
    }

    #[test]
    fn words_hold_no_escape_sequences() {
        let (kind, words) = kind_and_words("\u{1b}[31mgo away\u{7}\r\n\r\n");
        assert_eq!((kind, words.as_str()), ("failed", "[31mgo away"));
    }
}
