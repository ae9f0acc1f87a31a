//! One remote command a verb: the shell text of each, and how its answer is read.
//!
//! A comment `# step: WORDS` says how far a script has come that has an effect, or whose answer may be lost: between two
//! of them there is one thing that can have happened or not. The end-to-end tests break connections there.

pub(crate) mod cancel;
pub(crate) mod inspect;
pub(crate) mod log;
pub(crate) mod probe;
pub(crate) mod remove;
pub(crate) mod submit;
pub(crate) mod survey;
