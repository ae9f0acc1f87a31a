//! The terminal at which a person answers `ssh`.

use std::fs::{File, OpenOptions};
use std::io;

use nix::sys::signal::{SigSet, SigmaskHow, Signal};
use rustix::process::{Pid, getpgrp, kill_process_group};
use rustix::termios::{
    LocalModes, OptionalActions, SpecialCodeIndex, Termios, tcgetattr, tcgetpgrp, tcsetattr, tcsetpgrp,
};

/// What a special character is set to so that none has its meaning (`_POSIX_VDISABLE`).
const DISABLED: u8 = if cfg!(target_os = "linux") { 0 } else { 0xff };

/// The controlling terminal of this process, which has it in its foreground. As it was once this is dropped.
pub(crate) struct Terminal {
    tty: File,
    settings: Termios,
    group: Pid,
}

impl Terminal {
    /// `None` if there is none, or if somebody else has it: who asks in the background is stopped.
    pub(crate) fn find() -> Option<Self> {
        let tty = OpenOptions::new().read(true).write(true).open("/dev/tty").ok()?;
        let (settings, group) = (tcgetattr(&tty).ok()?, getpgrp());
        (tcgetpgrp(&tty).ok()? == group).then_some(Self { tty, settings, group })
    }

    /// Puts a process group of this session in the foreground: it may ask, and Ctrl-C is for it alone. Ctrl-Z is for
    /// nobody meanwhile, since no shell would notice that only it has stopped.
    pub(crate) fn lend(&self, to: Pid) -> io::Result<()> {
        let mut settings = self.settings.clone();
        settings.special_codes[SpecialCodeIndex::VSUSP] = DISABLED;
        // What is said meanwhile comes from the background.
        settings.local_modes.remove(LocalModes::TOSTOP);
        from_anywhere(|| {
            tcsetattr(&self.tty, OptionalActions::Now, &settings)?;
            tcsetpgrp(&self.tty, to)
        })?;
        // It may have asked already, and was stopped for it.
        Ok(kill_process_group(to, rustix::process::Signal::CONT)?)
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        // An `ssh` that was killed leaves the echo off, and half a password in the input. A terminal that has gone needs
        // none of it.
        let _gone = from_anywhere(|| {
            tcsetpgrp(&self.tty, self.group)?;
            tcsetattr(&self.tty, OptionalActions::Flush, &self.settings)
        });
    }
}

/// Does something to the terminal that stops whoever does it from the background, unless SIGTTOU is blocked.
fn from_anywhere<T>(deed: impl FnOnce() -> T) -> T {
    let mut set = SigSet::empty();
    set.add(Signal::SIGTTOU);
    let before = set.thread_swap_mask(SigmaskHow::SIG_BLOCK);
    let done = deed();
    if let Ok(before) = before {
        // It was in force a moment ago.
        let _same = before.thread_set_mask();
    }
    done
}
