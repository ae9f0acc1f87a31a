//! The live line: what a waited-for service does just now.

use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use towline_core::lifecycle::Status;
use towline_core::service::Service;

use super::terminal::Terminal;
use super::words::{age, clean_line};

/// Follows one service on standard error. Each status it passes through stays as a line; on a terminal, the line below
/// tells what it does just now and for how long. That line disappears when this is dropped.
pub(crate) struct Live<'a> {
    terminal: &'a Terminal,
    bar: Option<ProgressBar>,
    shown: Option<(Status, bool)>,
}

impl<'a> Live<'a> {
    /// Begins to follow.
    pub(crate) fn new(terminal: &'a Terminal) -> Self {
        let bar = terminal.live.then(|| {
            let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr());
            if let Ok(style) = ProgressStyle::with_template("{spinner} {wide_msg} {elapsed:>4}") {
                bar.set_style(style);
            }
            bar.enable_steady_tick(Duration::from_millis(120));
            bar
        });
        Self { terminal, bar, shown: None }
    }

    /// Shows where the service stands.
    pub(crate) fn look(&mut self, service: &Service) {
        let (status, stopping) =
            (service.status(), service.life.stop.is_some() && !service.status().is_terminal());
        if self.shown != Some((status, stopping)) {
            let line = format!("{}: {status:9} {}", service.spec.name, doing(service));
            match &self.bar {
                Some(bar) => bar.println(line),
                None => self.terminal.note(&line),
            }
            self.shown = Some((status, stopping));
        }
        if let Some(bar) = &self.bar {
            bar.set_message(present(service));
        }
    }
}

impl Drop for Live<'_> {
    fn drop(&mut self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}

/// The line that is drawn over and over: what it does just now.
fn present(service: &Service) -> String {
    let mut text = format!("{} {}: {}", service.spec.name, service.status(), doing(service));
    if let Some(doubt) = &service.life.doubt {
        text.push_str(" (no news: ");
        text.push_str(&clean_line(&doubt.why));
        text.push(')');
    }
    text
}

fn doing(service: &Service) -> String {
    match (service.life.stop.is_some(), service.status().is_terminal(), service.life.is_cancelled()) {
        (true, false, true) => "the cancel was accepted; the end of the job is awaited".to_owned(),
        (true, false, false) => "the stop is recorded; the job is not cancelled yet".to_owned(),
        (_, _, _) => clean_line(&service.life.why()),
    }
}

/// How old the knowledge about a service is, as a word of warning; `None` if nothing is doubtful.
pub(super) fn staleness(service: &Service, now: towline_core::time::Timestamp) -> Option<String> {
    let doubt = service.life.doubt.as_ref()?;
    Some(match service.life.observed_at {
        Some(at) => format!("last known {} ago: {}", age(now.since(at)), doubt.why),
        None => format!("never seen: {}", doubt.why),
    })
}
