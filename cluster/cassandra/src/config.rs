//! What the adapter is told once.

use protocol::Secret;
use std::time::Duration;

/// How Cassandra is reached, and what lies in it.
#[derive(Clone, Debug)]
pub struct CassandraConfig {
    /// `host:port` of some of its nodes, at least one; they name the others.
    pub hosts: Vec<String>,
    /// The keyspace of the tables, in lower case: clusters on one Cassandra need different ones.
    pub keyspace: String,
    /// Replicas of the keyspace, if it is made here.
    pub replication: u16,
    /// Who connects, and the password, if Cassandra asks for it.
    pub user: Option<(String, Secret)>,
    /// Partitions of the cluster; they stay as they are for given tables.
    pub partitions: u16,
    /// How long things may take.
    pub timing: Timing,
}

/// How long things may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timing {
    /// Connecting to one node.
    pub connect: Duration,
    /// An answer is waited for. Longer than what Cassandra itself takes before it gives up (5 s for a read,
    /// by default), so that a server that runs says what became of the request.
    pub call: Duration,
    /// A write is repeated until its outcome is known, in all.
    pub settle: Duration,
    /// Making the tables, when the first node starts.
    pub migration: Duration,
    /// How old a view may be. Versions of rows that were replaced are removed after two of these.
    pub view: Duration,
}

impl Default for Timing {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(3),
            call: Duration::from_secs(6),
            settle: Duration::from_secs(10),
            migration: Duration::from_mins(1),
            view: Duration::from_secs(30),
        }
    }
}
