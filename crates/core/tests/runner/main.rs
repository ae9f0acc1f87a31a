//! What Towline writes for a real bash, read back: nothing of a user's text is lost, changed or run, and of the records
//! that a job leaves nothing is read that it did not write.
#![expect(
    clippy::disallowed_methods,
    reason = "the texts are written for a shell, which is asked what it makes of them"
)]

mod records;
mod shell;
mod words;
