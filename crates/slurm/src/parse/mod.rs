//! Reads what Slurm's commands and our jobs print. A line that cannot be read harms no other.

pub(crate) mod association;
pub(crate) mod disk;
pub(crate) mod partition;
pub(crate) mod records;
pub(crate) mod sacct;
pub(crate) mod squeue;
pub(crate) mod table;
pub(crate) mod text;
