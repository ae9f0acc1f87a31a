//! Signals that ask to end.

use std::io;

use futures_util::future::{pending, select_all};
use tokio::signal::unix::{SignalKind, signal};

/// Returns at the first of these signals. One that whoever started this process had it ignore stays ignored: `nohup` does so
/// with SIGHUP, and a shell without job control with SIGINT in what it puts in the background.
///
/// # Errors
/// Whatever keeps a signal from being waited for.
pub(crate) async fn first_of(kinds: &[SignalKind]) -> io::Result<()> {
    let ignored = ignored();
    let heeded = kinds.iter().filter(|kind| !is_in(ignored, **kind));
    let mut signals = heeded.map(|kind| signal(*kind)).collect::<io::Result<Vec<_>>>()?;
    if signals.is_empty() {
        return pending().await;
    }
    select_all(signals.iter_mut().map(|signal| Box::pin(signal.recv()))).await;
    Ok(())
}

/// The signals that this process ignores, as a mask; none where the kernel has no such file.
fn ignored() -> u64 {
    std::fs::read_to_string("/proc/self/status").ok().as_deref().and_then(ignored_in).unwrap_or_default()
}

/// The mask `SigIgn` of proc_pid_status(5): hexadecimal, bit 0 for signal 1.
fn ignored_in(status: &str) -> Option<u64> {
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"))?;
    u64::from_str_radix(mask.trim(), 16).ok()
}

fn is_in(mask: u64, kind: SignalKind) -> bool {
    u32::try_from(kind.as_raw_value() - 1).is_ok_and(|bit| mask.checked_shr(bit).unwrap_or_default() & 1 == 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_mask_of_ignored_signals_is_read() {
        let status = "Name:\ttowline\nSigBlk:\t0000000000000007\nSigIgn:\t0000000000001001\nSigCgt:\t0\n";
        let mask = ignored_in(status).unwrap();
        assert!(is_in(mask, SignalKind::hangup()), "signal 1");
        assert!(!is_in(mask, SignalKind::interrupt()), "signal 2");
        assert!(!is_in(mask, SignalKind::terminate()), "signal 15");
        assert_eq!(ignored_in("Name:\ttowline\n"), None);
    }
}
