//! The live line of a download.

use std::time::{Duration, Instant};

use indicatif::ProgressBar;
use towline_stage::{Progress, State};

use super::live::live_line;
use super::terminal::Terminal;
use super::words::{age, clean_line, size};

/// How often a line is printed where there is no terminal.
const NOW_AND_THEN: Duration = Duration::from_secs(30);

/// Over which time the speed is taken.
const WINDOW: Duration = Duration::from_secs(15);

/// Follows a download on standard error: a live line at a terminal, else one now and then, and whenever it waits for something else.
pub(crate) struct Loading<'a> {
    terminal: &'a Terminal,
    what: String,
    /// Files and bytes in all, if that is known.
    all: Option<(usize, u64)>,
    bar: Option<ProgressBar>,
    samples: Vec<(Instant, u64)>,
    printed: Option<(Instant, String)>,
}

impl<'a> Loading<'a> {
    /// Begins to follow `what`, such as a model's name.
    pub(crate) fn new(terminal: &'a Terminal, what: &str, all: Option<(usize, u64)>) -> Self {
        let bar = live_line(terminal);
        Self { terminal, what: what.to_owned(), all, bar, samples: Vec::new(), printed: None }
    }

    /// Whether it is drawn again and again.
    pub(crate) fn is_live(&self) -> bool {
        self.bar.is_some()
    }

    /// Shows how far it is.
    pub(crate) fn look(&mut self, progress: &Progress) {
        let now = Instant::now();
        self.samples.push((now, progress.bytes));
        self.samples.retain(|(at, _)| now.duration_since(*at) <= WINDOW);
        let line = format!("{}: {}", self.what, clean_line(&self.words(progress)));
        if let Some(bar) = &self.bar {
            return bar.set_message(line);
        }
        let kind = match &progress.state {
            State::Waiting(why) | State::Pausing(why) => why.clone(),
            _ => String::new(),
        };
        let is_due = match &self.printed {
            Some((at, before)) => *before != kind || now.duration_since(*at) >= NOW_AND_THEN,
            None => true,
        };
        if is_due {
            self.terminal.note(&line);
            self.printed = Some((now, kind));
        }
    }

    fn words(&self, progress: &Progress) -> String {
        let job = progress.job.as_ref().map(|job| format!("job {job}: ")).unwrap_or_default();
        match &progress.state {
            State::Waiting(why) if why.is_empty() => format!("{job}waits to begin"),
            State::Waiting(why) => format!("{job}{why}"),
            State::Pausing(why) => format!("{job}{}: {why}", self.amount(progress)),
            State::Checking(file) => format!("{job}{}, checking {file}", self.amount(progress)),
            State::Loading(_) | State::Done | State::Failed(_) => {
                format!("{job}{}{}", self.amount(progress), self.pace(progress))
            }
        }
    }

    fn amount(&self, progress: &Progress) -> String {
        match self.all {
            Some((files, bytes)) => {
                let percent = progress.bytes.saturating_mul(100).checked_div(bytes).unwrap_or(100);
                let done = size(progress.bytes);
                format!("{} of {files} files, {done} of {} ({percent}%)", progress.files, size(bytes))
            }
            None if progress.bytes == 0 => "at work".to_owned(),
            None => format!("{} there", size(progress.bytes)),
        }
    }

    /// How fast it goes, and how long it will take at that.
    fn pace(&self, progress: &Progress) -> String {
        let (Some((first, before)), Some((last, _))) = (self.samples.first(), self.samples.last()) else {
            return String::new();
        };
        let millis = u64::try_from(last.duration_since(*first).as_millis()).unwrap_or(u64::MAX);
        let gained = progress.bytes.saturating_sub(*before);
        let Some(speed) = gained.saturating_mul(1000).checked_div(millis).filter(|speed| *speed > 0) else {
            return String::new();
        };
        let left = self.all.and_then(|(_, bytes)| bytes.checked_sub(progress.bytes)).map(|left| left / speed);
        let left =
            left.filter(|left| *left > 0).map(|left| format!(", {} left", age(Duration::from_secs(left))));
        format!(", {}/s{}", size(speed), left.unwrap_or_default())
    }
}

impl Drop for Loading<'_> {
    fn drop(&mut self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn progress(state: State, bytes: u64) -> Progress {
        Progress { state, files: 1, bytes, job: Some("7".into()) }
    }

    #[test]
    fn a_download_is_told_with_its_pace() {
        let terminal = Terminal::default();
        let mut loading = Loading::new(&terminal, "m", Some((3, 4000 << 20)));
        let begin = Instant::now();
        loading.samples = vec![(begin, 0), (begin + Duration::from_secs(10), 1000 << 20)];
        let told = loading.words(&progress(State::Loading("w".into()), 1000 << 20));
        assert_eq!(told, "job 7: 1 of 3 files, 1000.0 MiB of 3.9 GiB (25%), 100.0 MiB/s, 30s left");
        let told = loading.words(&progress(State::Waiting("PENDING (Priority)".into()), 0));
        assert_eq!(told, "job 7: PENDING (Priority)");
        loading.all = None;
        assert_eq!(loading.words(&progress(State::Checking("w".into()), 0)), "job 7: at work, checking w");
    }

    #[test]
    fn nothing_to_download_divides_by_nothing() {
        let terminal = Terminal::default();
        let loading = Loading::new(&terminal, "m", Some((0, 0)));
        assert_eq!(
            loading.words(&progress(State::Done, 0)),
            "job 7: 1 of 0 files, 0 bytes of 0 bytes (100%)"
        );
    }
}
