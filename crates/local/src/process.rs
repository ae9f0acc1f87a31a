//! What `/proc` tells of processes, see proc(5).

use std::fs;
use std::io;
use std::str::FromStr;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process, kill_process_group};
use towline_core::id::ServiceId;

use crate::job::JobKey;

/// The variable by which each process of a service is recognised; the runner sets it.
pub(crate) const MARK: &str = "TOWLINE_SERVICE";

/// Whether the very process that `key` names still runs, as the job of that service. A zombie has ended.
pub(crate) fn is_running(key: JobKey, id: ServiceId) -> io::Result<bool> {
    let Some(stat) = read_proc(&format!("/proc/{}/stat", key.pid))? else { return Ok(false) };
    let Some((state, start)) = state_and_start(&stat) else {
        return Err(io::Error::new(
            io::ErrorKind::InvalidData,
            format!("/proc/{}/stat is not as expected", key.pid),
        ));
    };
    if start != key.start || matches!(state, b'Z' | b'X') {
        return Ok(false);
    }
    // After a reboot another process may have that pid and that start time; the job's own has the token in its name.
    let command = read_proc(&format!("/proc/{}/cmdline", key.pid))?.unwrap_or_default();
    Ok(contains(&command, id.to_string().as_bytes()))
}

/// How long ago a process started that did so `start` clock ticks after boot.
pub(crate) fn running_for(start: u64) -> Option<Duration> {
    let ticks = rustix::param::clock_ticks_per_second().max(1);
    Some(uptime()?.saturating_sub(Duration::from_millis(start.saturating_mul(1000) / ticks)))
}

/// For how long this machine has been up, asleep or awake: a clock that never jumps (proc(5)).
pub(crate) fn uptime() -> Option<Duration> {
    let uptime = fs::read_to_string("/proc/uptime").ok()?;
    Duration::try_from_secs_f64(uptime.split_ascii_whitespace().next()?.parse().ok()?).ok()
}

/// The name of this host.
pub(crate) fn host_name() -> Option<String> {
    fs::read_to_string("/proc/sys/kernel/hostname").ok().map(|name| name.trim().to_owned())
}

/// The id of the present boot.
pub(crate) fn boot_id() -> Option<String> {
    fs::read_to_string("/proc/sys/kernel/random/boot_id").ok().map(|id| id.trim().to_owned())
}

/// The processes of a service: those that carry its mark and, with `session`, those of that session. Processes of
/// other users cannot be told.
pub(crate) fn members(id: ServiceId, session: Option<i32>) -> io::Result<Vec<i32>> {
    let mark = format!("{MARK}={id}");
    let mut found = Vec::new();
    for entry in fs::read_dir("/proc")? {
        let Some(pid) = entry?.file_name().to_str().and_then(|name| name.parse().ok()) else { continue };
        let environment = fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
        let is_marked = environment.split(|byte| *byte == 0).any(|variable| variable == mark.as_bytes());
        // What the job's shell has forked carries no mark until it runs another program.
        if is_marked || (session.is_some() && session_of(pid) == session) {
            found.push(pid);
        }
    }
    Ok(found)
}

fn session_of(pid: i32) -> Option<i32> {
    // A zombie keeps its session and can do no more.
    let stat = fs::read(format!("/proc/{pid}/stat")).ok()?;
    let fields = fields_after_name(&stat)?;
    if fields.first() == Some(&&b"Z"[..]) { None } else { number(fields.get(3)?) }
}

/// Sends a signal to a process group; one that is gone needs none.
pub(crate) fn signal_group(leader: i32, signal: Signal) -> io::Result<()> {
    send(leader, |pid| kill_process_group(pid, signal))
}

/// Sends a signal to a process; one that is gone needs none.
pub(crate) fn signal(pid: i32, signal: Signal) -> io::Result<()> {
    send(pid, |pid| kill_process(pid, signal))
}

fn send(pid: i32, kill: impl Fn(Pid) -> rustix::io::Result<()>) -> io::Result<()> {
    let Some(pid) = Pid::from_raw(pid) else { return Ok(()) };
    match kill(pid) {
        Ok(()) | Err(rustix::io::Errno::SRCH) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

/// Reads a file of a process; `None` once that is gone.
fn read_proc(path: &str) -> io::Result<Option<Vec<u8>>> {
    match fs::read(path) {
        Ok(bytes) => Ok(Some(bytes)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) if error.raw_os_error() == Some(rustix::io::Errno::SRCH.raw_os_error()) => Ok(None),
        Err(error) => Err(error),
    }
}

/// The third and the twenty-second field.
fn state_and_start(stat: &[u8]) -> Option<(u8, u64)> {
    let fields = fields_after_name(stat)?;
    Some((*fields.first()?.first()?, number(fields.get(19)?)?))
}

/// The fields from the third on; the second, a name in brackets, may hold anything.
fn fields_after_name(stat: &[u8]) -> Option<Vec<&[u8]>> {
    let end = stat.iter().rposition(|byte| *byte == b')')?;
    Some(stat[end + 1..].split(u8::is_ascii_whitespace).filter(|field| !field.is_empty()).collect())
}

fn number<T: FromStr>(field: &[u8]) -> Option<T> {
    std::str::from_utf8(field).ok()?.parse().ok()
}

fn contains(text: &[u8], part: &[u8]) -> bool {
    text.windows(part.len()).any(|window| window == part)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_in_brackets_confuses_no_field() {
        let fields = "S 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 777 20";
        for name in ["bash", "a) Z 9", "(", "\n"] {
            let stat = format!("42 ({name}) {fields}");
            assert_eq!(state_and_start(stat.as_bytes()), Some((b'S', 777)), "{name:?}");
        }
        for bad in ["", "42 (bash)", "42 (bash) S 1 2", "42 bash S"] {
            assert_eq!(state_and_start(bad.as_bytes()), None, "{bad:?}");
        }
    }

    #[test]
    fn this_process_runs_but_is_no_job() {
        let pid = i32::try_from(std::process::id()).unwrap();
        let stat = fs::read("/proc/self/stat").unwrap();
        let (_, start) = state_and_start(&stat).unwrap();
        let id = "01890a5d-ac96-774b-bcce-b302099a8057".parse().unwrap();
        assert!(!is_running(JobKey { pid, start }, id).unwrap());
        assert!(running_for(start).unwrap() < running_for(0).unwrap());
    }
}
