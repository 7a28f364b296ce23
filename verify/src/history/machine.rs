//! What an event tells of the machines: what was used of them, and what was given up for want of room.

use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// The name of a process that generates the load.
pub const GENERATOR: &str = "generator";
/// The name of all that runs on a machine.
pub const MACHINE: &str = "machine";

/// What a process uses of its machine at one moment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Usage {
    /// A node, or `generator`; `cluster` where all nodes are one process; `machine` for all that runs there.
    pub process: Arc<str>,
    /// User and system time since the run began, of all its lives together.
    pub cpu_us: u64,
    /// Resident memory.
    pub memory_bytes: u64,
    /// Open descriptors.
    pub open_files: u64,
    /// Bytes of its data folder; not looked at every time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub disk_bytes: Option<u64>,
    /// Of `machine`: since it started, how long some task waited for a disk.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub disk_wait_us: Option<u64>,
    /// Of `machine`: since the run began, how long syncs of the disk under the cluster's data took that stalled for
    /// no reason of the cluster's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub disk_stalled_us: Option<u64>,
    /// Of `machine`: how many it has.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub processors: Option<u64>,
}

/// What a node may give up when there is no room.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Shed {
    /// The notifications of one message, to all who were to have one.
    PushJobs,
    /// The notification of one message to one member.
    Pushes,
    /// Dead letters.
    DeadLetters,
}
