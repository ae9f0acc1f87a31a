//! One remote command a verb: the shell text of each, and how its answer is read.

pub(crate) mod cancel;
pub(crate) mod inspect;
pub(crate) mod log;
pub(crate) mod probe;
pub(crate) mod remove;
pub(crate) mod submit;
pub(crate) mod survey;
