//! The tables.
//!
//! Nothing here needs a tombstone to be remembered for long: what comes back after its removal is a slot that
//! nobody reads any more, or a version of a row behind a newer one.

/// The version of these tables.
pub const VERSION: i32 = 1;

/// The log of each partition of the cluster, and who may write to it: one partition of Cassandra, so that one
/// lightweight transaction covers both. Written by such transactions alone, apart from the removal of old slots.
///
/// `head` is the newest slot, `writer` says which attempt took it; the rows of all slots up to `applied` are in
/// place.
const SLOTS: &str = "slots (partition int, slot bigint, \
    owner int STATIC, epoch bigint STATIC, renewals bigint STATIC, claimer bigint STATIC, \
    head bigint STATIC, applied bigint STATIC, writer bigint STATIC, \
    attempt bigint, payload blob, PRIMARY KEY (partition, slot)) \
    WITH CLUSTERING ORDER BY (slot DESC) AND gc_grace_seconds = 3600";

/// Every version of every row, the newest one first. `scope` and `id` name what rows lie together: a
/// conversation, an author, a user.
const ROWS: &str = "rows (partition int, scope tinyint, id bigint, \
    kind tinyint, a bigint, b bigint, slot bigint, value blob, \
    PRIMARY KEY ((partition, scope, id), kind, a, b, slot)) \
    WITH CLUSTERING ORDER BY (kind ASC, a ASC, b ASC, slot DESC) AND gc_grace_seconds = 3600";

/// What was decided when the tables were made.
const FACTS: &str = "facts (name text PRIMARY KEY, value int)";

/// Statements that make whatever is missing.
pub fn making(keyspace: &str, replication: u16) -> Vec<String> {
    let mut all = vec![format!(
        "CREATE KEYSPACE IF NOT EXISTS {keyspace} WITH replication = \
         {{'class': 'NetworkTopologyStrategy', 'replication_factor': {replication}}}"
    )];
    let table = |table: &str| format!("CREATE TABLE IF NOT EXISTS {keyspace}.{table}");
    all.extend([SLOTS, ROWS, FACTS].map(table));
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everything_is_made_in_the_keyspace() {
        let all = making("chat", 3);
        assert!(all[0].contains("'replication_factor': 3}"), "{}", all[0]);
        assert!(all[1..].iter().all(|it| it.starts_with("CREATE TABLE IF NOT EXISTS chat.")));
    }
}
