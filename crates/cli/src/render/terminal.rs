//! The two streams and what they can show.

use std::io::{self, IsTerminal, Write};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use serde::Serialize;
use towline_core::time::Timestamp;

use super::table::Columns;
use super::words::{clean_line, moment};
use crate::keeper::News;

/// The terminal, or whatever stands in its place.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Terminal {
    /// Width of standard output in columns, if it is a terminal.
    pub(super) width: Option<u16>,
    /// Whether standard error is a terminal, on which a live line can be drawn.
    pub(super) live: bool,
    /// Whether standard output takes colours.
    pub(super) color: bool,
    /// Whether standard error takes colours.
    pub(super) error_color: bool,
}

impl Terminal {
    /// Looks at the streams of this process, at `NO_COLOR` and at `TERM`.
    pub(crate) fn of_process() -> Self {
        let set = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty());
        let colorful = set("NO_COLOR").is_none() && set("TERM").is_some_and(|term| term != "dumb");
        let out = io::stdout();
        let width = out
            .is_terminal()
            .then(|| rustix::termios::tcgetwinsize(&out).ok().map(|size| size.ws_col))
            .flatten()
            .filter(|width| *width > 0);
        Self {
            width,
            live: io::stderr().is_terminal() && set("TERM").is_some_and(|term| term != "dumb"),
            color: colorful && out.is_terminal(),
            error_color: colorful && io::stderr().is_terminal(),
        }
    }

    /// Prints data.
    ///
    /// # Errors
    /// That of the stream; a broken pipe among them.
    pub(crate) fn data(&self, text: &str) -> io::Result<()> {
        self.bytes(text.as_bytes())?;
        if text.is_empty() || text.ends_with('\n') { Ok(()) } else { self.bytes(b"\n") }
    }

    /// Prints data as it is.
    ///
    /// # Errors
    /// That of the stream; a broken pipe among them.
    pub(crate) fn bytes(&self, bytes: &[u8]) -> io::Result<()> {
        let mut out = io::stdout().lock();
        out.write_all(bytes)?;
        out.flush()
    }

    /// Prints a value as JSON.
    ///
    /// # Errors
    /// That of the stream; a broken pipe among them.
    pub(crate) fn json(&self, value: &impl Serialize) -> io::Result<()> {
        let mut text = serde_json::to_vec_pretty(value)?;
        text.push(b'\n');
        self.bytes(&text)
    }

    /// Prints one line about an event: for people, or as JSON.
    ///
    /// # Errors
    /// That of the stream; a broken pipe among them.
    pub(crate) fn event(&self, at: Timestamp, news: &News, json: bool) -> io::Result<()> {
        if json {
            let mut line = serde_json::to_value(news)?;
            line["at"] = serde_json::to_value(at)?;
            return self.data(&line.to_string());
        }
        let whom = match (&news.service, &news.profile) {
            (Some(service), _) => service.clone(),
            (None, Some(profile)) => format!("profile {profile}"),
            (None, None) => "towline".to_owned(),
        };
        self.data(&format!("{} {whom}: {}", moment(at), clean_line(&news.message)))
    }

    /// Whether nobody reads what is printed any more: the other end of the pipe is closed.
    pub(crate) fn is_unread(&self) -> bool {
        let out = io::stdout();
        // A pipe without a reader shows an error, whatever is asked for: poll(2).
        let mut ends = [PollFd::new(&out, PollFlags::empty())];
        let asked = poll(&mut ends, Some(&Timespec::default()));
        asked.is_ok() && ends[0].revents().intersects(PollFlags::ERR | PollFlags::NVAL)
    }

    /// Prints a table: fitted to a terminal, whole anywhere else.
    ///
    /// # Errors
    /// That of the stream; a broken pipe among them.
    pub(crate) fn table(&self, columns: &Columns) -> io::Result<()> {
        self.data(&columns.lay_out(self.width, self.color))
    }

    /// Says something about what goes on, on standard error. If that is closed, nobody wants to know.
    pub(crate) fn note(&self, text: &str) {
        drop(writeln!(io::stderr().lock(), "{text}"));
    }

    /// Says something while another program asks on the same terminal: on a line of its own.
    pub(crate) fn interject(&self, text: &str) {
        self.note(&format!("{}{text}", if self.live { "\n" } else { "" }));
    }

    /// Warns of something, on standard error.
    pub(crate) fn warn(&self, text: &str) {
        self.note(&format!("{} {text}", self.paint("warning:", "33")));
    }

    /// Says what to try next, on standard error.
    pub(crate) fn hint(&self, text: &str) {
        self.note(&format!("{} {text}", self.paint("hint:", "36")));
    }

    /// Asks a question that is answered with yes or no; `None` where nobody is there to answer.
    ///
    /// # Errors
    /// That of the stream.
    pub(crate) fn confirm(&self, question: &str) -> io::Result<Option<bool>> {
        if !io::stdin().is_terminal() || !io::stderr().is_terminal() {
            return Ok(None);
        }
        write!(io::stderr().lock(), "{question} [y/N] ")?;
        let mut answer = String::new();
        io::stdin().read_line(&mut answer)?;
        Ok(Some(matches!(answer.trim().to_ascii_lowercase().as_str(), "y" | "yes")))
    }

    /// Marks a word on standard error with an ANSI colour.
    pub(super) fn paint(&self, word: &str, color: &str) -> String {
        if self.error_color { format!("\u{1b}[1;{color}m{word}\u{1b}[0m") } else { word.to_owned() }
    }
}
