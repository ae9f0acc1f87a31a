//! Finds the `ssh` processes that were to become, or were, the master of a socket that no longer leads to them.
//!
//! There are such processes when a directory of sockets was emptied under them (the end of a user's session), when a
//! login was under way in a process that was killed, and when a master is stopped or stuck. They hold local ports, and
//! some of them a login; nothing but their command line leads to them.

use std::path::Path;

/// Kills them all and waits for their end; returns how many there were. Only a process counts that belongs to this user
/// and is an `ssh` whose arguments are those of a master on exactly this socket. Finds none where there is no `/proc`.
///
/// Only for whoever holds the lock of that master and has seen that its socket does not answer.
#[cfg(target_os = "linux")]
pub(crate) async fn reap(socket: &Path) -> usize {
    use rustix::process::{Signal, getpgid, kill_process_group, pidfd_send_signal};
    use tokio::time::{Duration, Instant, sleep};

    const END: Duration = Duration::from_secs(5);

    let found = linux::masters_of(socket);
    for (pid, process) in &found {
        tracing::warn!(pid = pid.as_raw_pid(), "an ssh process is left over; killing it");
        // Either may just have ended by itself. Its group is its own, with the `ProxyCommand` of a login under way.
        if getpgid(Some(*pid)) == Ok(*pid) {
            let _gone = kill_process_group(*pid, Signal::KILL);
        }
        let _gone = pidfd_send_signal(process, Signal::KILL);
    }
    let until = Instant::now() + END;
    while found.iter().any(|(_, process)| !linux::has_ended(process)) && Instant::now() < until {
        sleep(Duration::from_millis(5)).await;
    }
    found.len()
}

/// Finds none where there is no `/proc`.
#[cfg(not(target_os = "linux"))]
pub(crate) async fn reap(_socket: &Path) -> usize {
    0
}

#[cfg(target_os = "linux")]
mod linux {
    use std::ffi::OsStr;
    use std::fs;
    use std::os::fd::OwnedFd;
    use std::os::unix::ffi::OsStrExt as _;
    use std::os::unix::fs::MetadataExt as _;
    use std::path::Path;

    use rustix::event::{PollFd, PollFlags, Timespec, poll};
    use rustix::process::{Pid, PidfdFlags, geteuid, pidfd_open};

    /// The masters of that socket, each held by a descriptor, so that no other process is ever taken for it.
    pub(super) fn masters_of(socket: &Path) -> Vec<(Pid, OwnedFd)> {
        let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
        let pids = entries.filter_map(|entry| Pid::from_raw(entry.file_name().to_str()?.parse().ok()?));
        pids.filter_map(|pid| {
            // Cheap for the many that are none; what is then held is looked at once more.
            is_master_of(pid, socket).then_some(())?;
            let process = pidfd_open(pid, PidfdFlags::empty()).ok()?;
            is_master_of(pid, socket).then_some((pid, process))
        })
        .collect()
    }

    fn is_master_of(pid: Pid, socket: &Path) -> bool {
        let dir = format!("/proc/{}", pid.as_raw_pid());
        let is_ours = |dir: &str| fs::metadata(dir).is_ok_and(|meta| meta.uid() == geteuid().as_raw());
        fs::read(format!("{dir}/cmdline")).is_ok_and(|line| names_master(&line, socket)) && is_ours(&dir)
    }

    /// Whether a command line, its words ended by NUL, is `ssh -M -S SOCKET ...`, as [`crate::launch`] writes it.
    pub(super) fn names_master(line: &[u8], socket: &Path) -> bool {
        let mut words = line.split(|byte| *byte == 0);
        let program = words.next().map(|word| Path::new(OsStr::from_bytes(word)).file_name());
        program == Some(Some(OsStr::new("ssh")))
            && words.next() == Some(b"-M")
            && words.next() == Some(b"-S")
            && words.next() == Some(socket.as_os_str().as_bytes())
    }

    /// A descriptor of a process can be read from once that has ended (pidfd_open(2)).
    pub(super) fn has_ended(process: &OwnedFd) -> bool {
        let at_once = Timespec { tv_sec: 0, tv_nsec: 0 };
        poll(&mut [PollFd::new(process, PollFlags::IN)], Some(&at_once)).is_ok_and(|ready| ready > 0)
    }
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use std::os::unix::process::CommandExt as _;
    use std::process::{Command, Stdio};
    use std::time::Duration;

    use tokio::time::{Instant, sleep};

    use super::*;

    #[test]
    fn only_the_whole_command_line_of_a_master_counts() {
        let names = |line: &str| linux::names_master(line.as_bytes(), Path::new("/run/t/x.sock"));
        assert!(names("ssh\0-M\0-S\0/run/t/x.sock\0-f\0-N\0"));
        assert!(names("/usr/bin/ssh\0-M\0-S\0/run/t/x.sock\0"));
        for other in [
            "ssh\0-M\0-S\0/run/t/x.sock2\0",
            "ssh\0-M\0-S\0/run/t/x\0",
            "ssh\0-S\0/run/t/x.sock\0-O\0check\0",
            "vim\0-M\0-S\0/run/t/x.sock\0",
            "tail\0ssh\0-M\0-S\0/run/t/x.sock\0",
            "ssh -M -S /run/t/x.sock\0",
            "",
        ] {
            assert!(!names(other), "{other:?}");
        }
    }

    #[tokio::test]
    async fn who_is_left_over_is_ended_and_nobody_else() {
        let dir = tempfile::tempdir().unwrap();
        let socket = dir.path().join("x.sock");
        // A login that hangs: its proxy says nothing.
        let start = |socket: &Path| {
            let mut ssh = Command::new("ssh");
            ssh.args(["-M", "-S"]).arg(socket).args(["-F", "none", "-o", "ProxyCommand=sleep 60", "host"]);
            ssh.process_group(0).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn()
        };
        let Ok(mut left) = start(&socket) else {
            println!("skipped: ssh is not installed");
            return;
        };
        let mut other = start(&dir.path().join("y.sock")).unwrap();
        // Until its program is loaded a process has no command line, and the proxy has that of who forked it.
        let until = Instant::now() + Duration::from_secs(10);
        while reap(&socket).await == 0 {
            assert!(Instant::now() < until, "it is not found");
            sleep(Duration::from_millis(1)).await;
        }
        assert!(!left.wait().unwrap().success());
        assert!(other.try_wait().unwrap().is_none(), "the master of another socket was ended");
        assert_eq!(reap(&socket).await, 0);
        assert!(reap(&dir.path().join("y.sock")).await > 0);
        other.wait().unwrap();
    }
}
