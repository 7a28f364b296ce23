//! What the adapter is told once.

use protocol::Secret;
use std::time::Duration;

/// How a database is reached, and what lies in it.
#[derive(Clone, Debug)]
pub struct PostgresConfig {
    /// `host:port` of every server of the database, at least one: the primary, and standbys that may take
    /// its place. The one that takes writes is looked for.
    pub hosts: Vec<String>,
    /// The database.
    pub database: String,
    /// Who connects; owns the schema, or may create it.
    pub user: String,
    /// The password.
    pub password: Secret,
    /// The schema of the tables, in lower case: clusters in one database need different ones.
    pub schema: String,
    /// Whether connections are encrypted; the certificate must be good for the host, by name (what libpq
    /// calls `verify-full`). Without it nothing is encrypted.
    pub tls: bool,
    /// Certificates in PEM that are trusted beside those of the system.
    pub authority: Option<String>,
    /// How many connections a node has, at most.
    pub connections: u16,
    /// Whether a commit waits until it is durable, whatever the server's setting is. `false` is a bad design
    /// choice: what was accepted is lost with the server's process.
    pub synchronous_commit: bool,
    /// Partitions of the cluster; they stay as they are for given tables.
    pub partitions: u16,
    /// How long things may take.
    pub timing: Timing,
}

/// How long things may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timing {
    /// Connecting to one server, with everything up to its first answer.
    pub connect: Duration,
    /// A statement waits for a lock, by the server's time: a claim for a commit under way.
    pub lock: Duration,
    /// A statement is carried out, by the server's time, its commit excluded.
    pub statement: Duration,
    /// An answer is waited for, its commit included. Longer than `statement`, so that a server that runs
    /// gives up first, and what became of the call is known.
    pub call: Duration,
    /// Making the tables, when the first node starts.
    pub migration: Duration,
}

impl Default for Timing {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(3),
            lock: Duration::from_secs(2),
            statement: Duration::from_secs(4),
            call: Duration::from_secs(6),
            migration: Duration::from_mins(1),
        }
    }
}
