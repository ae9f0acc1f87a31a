//! Whether a host can be reached: found out soon, and again soon after it could not.

use std::time::Duration;

use tokio::time::Instant;

use crate::control::ControlFiles;
use crate::diagnose::read_resolved;
use crate::error::SshError;
use crate::launch::{Try, launch};
use crate::master::{Master, MasterConfig};
use crate::words::{is_unanswered, read_failure};

/// How long a host may take to answer the first connection, and each of its questions, before it is tried anew. TCP
/// repeats a lost question after 1, 3, 7 and 15 s (RFC 6298): a new connection finds out sooner than the repetitions
/// that a network is back.
const ANSWER: Duration = Duration::from_secs(4);

/// The same for a host that was out of reach at the last login, and is asked again and again: `ssh` must end by itself for
/// its words to tell the next one so.
const ANSWER_AGAIN: Duration = Duration::from_secs(2);

/// How long a host may take for the same while it is found out whether it can be reached at all.
const PATIENCE: [Duration; 2] = [ANSWER, ANSWER.saturating_mul(2)];

/// What is left of the time for a login when it is not worth another try; and the time that `ssh` gets to end by itself, for
/// the reason why it could not go on.
const TOO_LATE: Duration = Duration::from_secs(1);

/// Logs in as [`launch`] does, within the time for a login. A host that does not answer at all is out of reach after 12 s,
/// and after 2 s if it was so at the last login; one that answers, and is slow, has the whole time.
///
/// With a jump host or a command in between it is one try, and how long the host may take to answer is as the
/// user has configured: it counts from the beginning, and the login to a jump host, for which a person may have something
/// to do, is a part of it (`ConnectTimeout` in ssh_config(5)).
pub(crate) async fn reach(
    config: &MasterConfig,
    files: &ControlFiles,
    configured: Configured,
) -> Result<(), SshError> {
    let attempt = |answer, whole| Try { answer, whole, takes_any_key: configured.takes_any_key };
    if configured.by_proxy {
        return launch(config, files, attempt(None, config.connect_timeout)).await;
    }
    let again = [ANSWER_AGAIN];
    let patience = if is_out_of_reach(config, files) { &again[..] } else { &PATIENCE };
    let until = Instant::now() + config.connect_timeout;
    let left = || until.saturating_duration_since(Instant::now());
    let mut unanswered = None;
    for answer in patience {
        unanswered = match left() >= *answer * 2 {
            true => match launch(config, files, attempt(Some(*answer), left())).await {
                Err(error) if is_unanswered(&error) => Some(error),
                Err(SshError::TimedOut { .. }) if left() >= TOO_LATE => None,
                tried => return tried,
            },
            false => None,
        };
        if unanswered.is_none() {
            break;
        }
    }
    match unanswered {
        Some(error) => Err(error),
        None => {
            let answer = Some(left().saturating_sub(TOO_LATE)).filter(|answer| *answer >= TOO_LATE);
            launch(config, files, attempt(answer, left())).await
        }
    }
}

/// What the user's configuration says of a host, as far as the way to log in depends on it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Configured {
    /// Whether something is between this machine and the host.
    by_proxy: bool,
    /// Whether any host key is taken, also one that has changed.
    pub(crate) takes_any_key: bool,
}

impl Configured {
    /// Reads what `ssh -G` prints. If it prints nothing in time, as when a `Match exec` waits for a network that is away,
    /// nothing is in between: the first try is short then, and the last one long.
    pub(crate) fn read(said: Option<&str>) -> Self {
        let Some(said) = said else { return Self::default() };
        let any_key =
            ["stricthostkeychecking false", "stricthostkeychecking no", "stricthostkeychecking off"];
        Self {
            by_proxy: read_resolved(said).by_way_of.is_some(),
            takes_any_key: said.lines().any(|line| any_key.contains(&line.trim())),
        }
    }
}

/// Why the last login failed, by what `ssh` has left in the log; `None` where a master is there, or none was launched.
fn last_failure(config: &MasterConfig, files: &ControlFiles) -> Option<SshError> {
    if files.socket.exists() {
        return None;
    }
    Some(read_failure(&config.host, &files.last_words()?))
}

/// Whether the last login failed before anything had come back from the host, so that asking again costs it nothing; or
/// the last master gave up since nothing came any more.
fn is_out_of_reach(config: &MasterConfig, files: &ControlFiles) -> bool {
    match last_failure(config, files) {
        Some(SshError::Refused { .. } | SshError::NoRoute { .. } | SshError::Unresolved { .. }) => true,
        Some(SshError::Failed { words, .. }) => words.starts_with("Timeout, server "),
        Some(error) => is_unanswered(&error),
        None => false,
    }
}

impl Master {
    /// Tries to log in if the network or the host was away at the last login of any process, or ended the last
    /// master by silence, and says whether there is a master by that. A host that is away does not notice; one that is back is found by the first of
    /// all that ask. Any other failure, such as a login that was refused, is not tried again here.
    pub async fn reconnect(&self) -> bool {
        // A master of the user's own leaves our log of an earlier failure as it is.
        if !is_out_of_reach(&self.config, &self.files) || self.is_up().await {
            return false;
        }
        self.forget_failure().await;
        self.session().await.is_ok()
    }

    /// Why the last login, by any process, failed; `None` if it did not, or if there was none.
    pub fn last_failure(&self) -> Option<SshError> {
        last_failure(&self.config, &self.files)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_configuration_tells_what_is_in_between_and_whether_any_key_is_taken() {
        let read = |said| {
            let Configured { by_proxy, takes_any_key } = Configured::read(said);
            (by_proxy, takes_any_key)
        };
        assert_eq!(read(None), (false, false));
        assert_eq!(read(Some("stricthostkeychecking ask\nproxyjump none\n")), (false, false));
        // ssh -G prints `no` so.
        assert_eq!(read(Some("proxyjump gate\nstricthostkeychecking false\n")), (true, true));
        assert_eq!(read(Some("stricthostkeychecking accept-new\n")), (false, false));
    }

    #[test]
    fn only_what_the_host_does_not_notice_is_tried_again_at_once() {
        let base = tempfile::tempdir().unwrap();
        let config = MasterConfig::new("lab", base.path());
        let files = ControlFiles::new(base.path(), "x").unwrap();
        assert!(!is_out_of_reach(&config, &files), "no login was tried");
        for (said, expected) in [
            ("ssh: connect to host 192.0.2.1 port 22: Connection timed out\r\n", true),
            ("ssh: connect to host 127.0.0.1 port 1: Connection refused\r\n", true),
            ("ssh: connect to host 192.0.2.1 port 22: Network is unreachable\r\n", true),
            ("ssh: Could not resolve hostname lab: Temporary failure in name resolution\r\n", true),
            ("Timeout, server 192.0.2.1 not responding.\r\n", true),
            ("channel 2: open failed: connect failed: Connection refused\r\n", false),
            ("Connection timed out during banner exchange\r\n", false),
            ("alice@lab: Permission denied (publickey,password).\r\n", false),
            ("Host key verification failed.\r\n", false),
            ("kex_exchange_identification: Connection closed by remote host\r\n", false),
            ("", false),
        ] {
            std::fs::write(&files.log, said).unwrap();
            assert_eq!(is_out_of_reach(&config, &files), expected, "{said}");
        }
        std::fs::write(&files.log, "ssh: connect to host x port 1: Connection refused\r\n").unwrap();
        std::fs::write(&files.socket, "").unwrap();
        assert!(!is_out_of_reach(&config, &files), "a master is there");
    }
}
