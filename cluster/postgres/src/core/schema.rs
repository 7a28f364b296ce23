//! The tables, and how they change from version to version.
//!
//! Every table of rows begins its key with the partition and is split by its hash, so that the rows of
//! one owner lie together, and the index pages that one commit touches are few.

use std::fmt::Write;

/// Into how many tables each table of rows is split. It stays as it is for given data.
const SPLIT: u32 = 16;

/// One after another, from version 1; those that were released stay as they are.
const MIGRATIONS: [fn() -> String; 1] = [first];

/// A table of rows.
struct Table {
    name: &'static str,
    columns: &'static str,
    key: &'static str,
    /// How full a page is at first, in percent: rows that change are kept on their page.
    full: u8,
}

const TABLES: [Table; 6] = [
    Table {
        name: "conversations",
        columns: "id bigint NOT NULL, kind smallint NOT NULL, head bigint NOT NULL, \
                  first bigint NOT NULL, founders bigint NOT NULL",
        key: "id",
        full: 70,
    },
    Table {
        name: "entries",
        columns: "conversation bigint NOT NULL, sequence bigint NOT NULL, entry bytea NOT NULL",
        key: "conversation, sequence",
        full: 100,
    },
    Table {
        name: "deletions",
        columns: "conversation bigint NOT NULL, sequence bigint NOT NULL",
        key: "conversation, sequence",
        full: 100,
    },
    Table {
        name: "decisions",
        columns: "author bigint NOT NULL, message bigint NOT NULL, conversation bigint NOT NULL, \
                  sequence bigint NOT NULL, refusal smallint NOT NULL, epoch bigint NOT NULL, \
                  owner integer NOT NULL",
        key: "author, message",
        full: 100,
    },
    Table {
        name: "members",
        columns: "conversation bigint NOT NULL, member bigint NOT NULL, joined bigint NOT NULL, \
                  left_at bigint",
        key: "conversation, member, joined",
        full: 90,
    },
    Table {
        name: "cursors",
        columns: "conversation bigint NOT NULL, member bigint NOT NULL, \
                  delivered bigint NOT NULL, seen bigint NOT NULL",
        key: "conversation, member",
        full: 70,
    },
];

/// Why the stored tables cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the tables have version {stored}, this program knows up to {known}")]
pub struct TooNew {
    stored: i32,
    known: i32,
}

/// What is to be run on tables of this version (0: there are none): each with the version that it makes.
///
/// # Errors
/// A newer program has made them.
pub fn missing(stored: i32) -> Result<Vec<(i32, String)>, TooNew> {
    let all: Vec<(i32, _)> = (1..).zip(MIGRATIONS).collect();
    let known = all.last().map_or(0, |(version, _)| *version);
    if stored > known {
        return Err(TooNew { stored, known });
    }
    let all = (1..).zip(MIGRATIONS);
    Ok(all
        .filter(|(version, _)| *version > stored)
        .map(|(version, sql)| (version, sql()))
        .collect())
}

fn first() -> String {
    // A claim, and a writer's number that is raised, change a key that is unique; so they wait for commits,
    // which lock the row's key, and commits wait for them. A renewal does not, and waits for nobody
    // (PostgreSQL, "Row-Level Locks": FOR KEY SHARE).
    let mut sql = "\
        CREATE TABLE ownerships (partition integer PRIMARY KEY, owner integer NOT NULL, \
        epoch bigint NOT NULL, renewals bigint NOT NULL, writer bigint NOT NULL, \
        UNIQUE (partition, epoch, writer)) WITH (fillfactor = 50);\n"
        .to_owned();
    for Table { name, columns, key, full } in TABLES {
        // Writing to a string cannot fail.
        let _ = writeln!(
            sql,
            "CREATE TABLE {name} (partition integer NOT NULL, {columns}, \
             PRIMARY KEY (partition, {key})) PARTITION BY HASH (partition);"
        );
        for part in 0..SPLIT {
            let _ = writeln!(
                sql,
                "CREATE TABLE {name}_{part} PARTITION OF {name} \
                 FOR VALUES WITH (MODULUS {SPLIT}, REMAINDER {part}) WITH (fillfactor = {full});"
            );
        }
    }
    sql.push_str(
        "CREATE INDEX members_now ON members (member, conversation) INCLUDE (joined) \
         WHERE left_at IS NULL;\n",
    );
    sql
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_missing_is_run_in_its_order() {
        let versions = |stored| missing(stored).map(|all| all.iter().map(|it| it.0).collect());
        assert_eq!(versions(0), Ok(vec![1]));
        assert_eq!(versions(1), Ok(vec![]));
        assert_eq!(versions(2), Err(TooNew { stored: 2, known: 1 }));
    }

    #[test]
    fn every_table_of_rows_is_split_by_partition() {
        let sql = first();
        for Table { name, .. } in TABLES {
            let parts = sql.matches(&format!("PARTITION OF {name} FOR")).count();
            assert_eq!(parts, SPLIT as usize, "{name}");
        }
        assert_eq!(sql.matches("PRIMARY KEY (partition, ").count(), TABLES.len());
    }
}
