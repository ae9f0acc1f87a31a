//! The explanations: every word of Slurm's, every state, the words of logs, and whatever else may come.

mod ends;
mod far_end;
mod logs;
mod partitions;
mod reasons;
mod states;
mod support;
mod whatever;
