//! The live line: what a waited-for service does just now.

use std::time::Duration;

use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};
use towline_core::lifecycle::Status;
use towline_core::service::Service;

use super::terminal::Terminal;
use super::words::clean_line;

/// What makes a line that stays: the status, whether a stop is wished for, whether there is no news.
type Shown = (Status, bool, bool);

/// Follows one service on standard error. Each status it passes through stays as a line; on a terminal, the line below
/// tells what it does just now and for how long. That line disappears when this is dropped.
pub(crate) struct Live<'a> {
    terminal: &'a Terminal,
    bar: Option<ProgressBar>,
    shown: Option<Shown>,
}

impl<'a> Live<'a> {
    /// Begins to follow.
    pub(crate) fn new(terminal: &'a Terminal) -> Self {
        Self { terminal, bar: live_line(terminal), shown: None }
    }

    /// Begins to follow one of several, whose lines stand one below the other.
    pub(crate) fn among(terminal: &'a Terminal, others: &MultiProgress) -> Self {
        let mut live = Self::new(terminal);
        live.bar = live.bar.take().map(|bar| others.add(bar));
        live
    }

    /// Shows where the service stands.
    pub(crate) fn look(&mut self, service: &Service) {
        let life = &service.life;
        let now: Shown = (service.status(), life.stop.is_some(), life.doubt.is_some());
        if self.shown != Some(now) {
            let line = format!("{}: {:9} {}", service.spec.name, service.status(), doing(service));
            match &self.bar {
                Some(bar) => bar.println(line),
                None => self.terminal.note(&line),
            }
            self.shown = Some(now);
        }
        if let Some(bar) = &self.bar {
            bar.set_message(format!("{} {}: {}", service.spec.name, service.status(), doing(service)));
        }
    }
}

/// A line on standard error that is drawn again and again, where that is a terminal.
pub(super) fn live_line(terminal: &Terminal) -> Option<ProgressBar> {
    terminal.live.then(|| {
        let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr());
        if let Ok(style) = ProgressStyle::with_template("{spinner} {wide_msg} {elapsed:>4}") {
            bar.set_style(style);
        }
        bar.enable_steady_tick(Duration::from_millis(120));
        bar
    })
}

impl Drop for Live<'_> {
    fn drop(&mut self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}

fn doing(service: &Service) -> String {
    let life = &service.life;
    match (&life.doubt, life.stop.is_some(), life.is_cancelled()) {
        _ if service.status().is_terminal() => clean_line(&life.why()),
        (Some(doubt), _, _) => format!("no news: {}", clean_line(&doubt.why)),
        (None, true, true) => "the cancel was accepted; the end of the job is awaited".to_owned(),
        (None, true, false) => "the stop is recorded; the job is not cancelled yet".to_owned(),
        (None, false, _) => clean_line(&life.why()),
    }
}

#[cfg(test)]
mod tests {
    use towline_core::lifecycle::{Doubt, EndStatus, Request};
    use towline_core::time::Timestamp;

    use super::*;
    use crate::testing::{ended, healthy, service};

    #[test]
    fn the_line_tells_what_matters_most() {
        let at = Timestamp::from_secs(0);
        let mut web = healthy(service(1, "web"));
        assert_eq!(doing(&web), "the server answers");
        let stop = Request::Stop { delay: Duration::ZERO, status: EndStatus::Stopped };
        web.life = web.life.request(&stop, at).unwrap();
        assert!(doing(&web).contains("not cancelled yet"));
        web.life.doubt = Some(Doubt { since: at, last: at, count: 1, why: "no\nroute".into() });
        assert_eq!(doing(&web), "no news: no route");
        assert_eq!(doing(&ended(web)), "stopped on request");
    }
}
