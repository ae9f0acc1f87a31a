//! A turnstile that says so if it has to be waited for.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use futures_util::future::{Either, select};
use towline_core::ports::{Pass, Turnstile};

use crate::render::Terminal;

/// A wait that is not worth a word: most looks take less.
const SHORT: Duration = Duration::from_secs(3);

/// Says once on standard error what keeps this process waiting.
pub(super) struct TellingTurnstile {
    inner: Arc<dyn Turnstile>,
    terminal: Terminal,
    has_told: AtomicBool,
}

impl TellingTurnstile {
    pub(super) const fn new(inner: Arc<dyn Turnstile>, terminal: Terminal) -> Self {
        Self { inner, terminal, has_told: AtomicBool::new(false) }
    }
}

#[async_trait]
impl Turnstile for TellingTurnstile {
    async fn enter(&self, whom: &str) -> Option<Pass> {
        match select(self.inner.enter(whom), Box::pin(tokio::time::sleep(SHORT))).await {
            Either::Left((pass, _)) => pass,
            Either::Right(((), entering)) => {
                if !self.has_told.swap(true, Ordering::Relaxed) {
                    let profile = whom.split(' ').next().unwrap_or(whom);
                    self.terminal
                        .note(&format!("waiting for another towline that looks at profile {profile}"));
                }
                entering.await
            }
        }
    }
}
