//! What the measurements share: CPU time for criterion, a folder on a disk, a cluster in a child
//! process, its memory, and sessions that do nothing. What is measured stands in the benchmarks and in
//! `src/bin`.

pub mod cluster;
pub mod cpu_time;
pub mod folder;
pub mod memory;
pub mod sessions;
