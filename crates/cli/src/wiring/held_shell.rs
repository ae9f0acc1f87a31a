//! A shell on a cluster, one of whose scripts waits at a named step, so that its client or its connection can be ended
//! just there.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use async_trait::async_trait;
use towline_core::ports::{RemoteShell, ShellError, ShellOutput, ShellScript};
use towline_core::runner::quote;

use crate::exit::Outcome;

/// The steps, in the order of a submission, a survey and a cancel: `a-b` is where a script says `# step: a b`.
pub(super) const STEPS: [&str; 9] = [
    "nothing-made",
    "directory-made",
    "files-written",
    "job-accepted",
    "id-kept",
    "queue-not-asked",
    "queue-read",
    "job-is-ours",
    "cancel-sent",
];

/// Lets the first script that has the step wait there, and no other.
pub(super) struct HeldShell {
    inner: Arc<dyn RemoteShell>,
    /// The comment that stands at the step.
    comment: String,
    /// What is put behind it.
    wait: String,
    was_held: AtomicBool,
}

impl HeldShell {
    /// Around `inner`. At `step` a script makes the file `held` in `home`, as the profile names it, and waits while it
    /// exists, for a minute at most.
    ///
    /// # Errors
    /// For a home that no shell could be told of.
    pub(super) fn new(inner: Arc<dyn RemoteShell>, step: &str, home: &str) -> Outcome<Self> {
        let home = match home.strip_prefix('~') {
            Some(rest) => format!("\"$HOME\"{}", quote(rest)?),
            None => quote(home)?,
        };
        let wait = format!(
            "mkdir -p {home}\n: >{home}/held\nleft=600\n\
             while [ -e {home}/held ] && [ \"$left\" -gt 0 ]; do sleep 0.1; left=$((left - 1)); done\n"
        );
        let comment = format!("# step: {}\n", step.replace('-', " "));
        Ok(Self { inner, comment, wait, was_held: AtomicBool::new(false) })
    }
}

#[async_trait]
impl RemoteShell for HeldShell {
    async fn run(&self, script: &ShellScript) -> Result<ShellOutput, ShellError> {
        if !script.text.contains(&self.comment) || self.was_held.swap(true, Ordering::Relaxed) {
            return self.inner.run(script).await;
        }
        let text = script.text.replacen(&self.comment, &format!("{}{}", self.comment, self.wait), 1);
        self.inner.run(&ShellScript { text, deadline: script.deadline }).await
    }
}
