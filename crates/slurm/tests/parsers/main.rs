//! What is read of a cluster's answer: nothing panics, nothing is claimed that the answer does not say, and one bad
//! record never loses the others. The laws are the fuzz targets' as well (`crates/slurm/fuzz`).

mod answer;
mod any_bytes;
mod captures;
mod laws;
mod mutation;
mod mutations;
