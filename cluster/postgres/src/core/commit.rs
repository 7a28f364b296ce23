//! A commit as one statement: it locks the owners' rows, writes the batches whose leases are the newest,
//! and says which ones were not.
//!
//! One statement is one transaction and one round trip, and a server has either all of it or nothing: a
//! node that dies in the middle leaves no transaction open that would hold its locks.

use super::numbers::stored;
use ports::message_store::{Batch, DecisionRow, Lease};
use protocol::store_calls::ConversationKind;
use protocol::{ConversationId, RejectReason, Sequence};
use std::fmt::Write as _;

/// A column of values, one for each row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Column {
    /// `smallint[]`
    Small(Vec<i16>),
    /// `integer[]`
    Integers(Vec<i32>),
    /// `bigint[]`
    Numbers(Vec<i64>),
    /// `bigint[]` with nulls
    Optional(Vec<Option<i64>>),
    /// `bytea[]`
    Bytes(Vec<Vec<u8>>),
}

/// A statement and its parameters. There are few texts, because rows are in the parameters: each is
/// prepared once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Statement {
    /// The text.
    pub sql: String,
    /// What stands for `$1` and so on.
    pub parameters: Vec<Column>,
}

/// A batch with the writer's number of its lease.
pub type Numbered<'a> = (Lease, i64, &'a Batch);

/// Entries that the format does not know how to write: a bug of ours.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("an entry cannot be encoded: {0}")]
pub struct NotEncoded(pub String);

/// Writes batches of different partitions.
pub fn statement(batches: &[Numbered<'_>]) -> Result<Statement, NotEncoded> {
    let mut writing = Writing::begin(batches);
    writing.conversations(batches);
    writing.entries(batches)?;
    writing.deletions(batches);
    writing.decisions(batches);
    writing.members(batches);
    writing.cursors(batches);
    writing.trims(batches);
    Ok(writing.end())
}

/// Leases that are still the newest. Locking the keys alone keeps claims away, and lets renewals pass.
const LIVE: &str = "\
WITH wanted AS (SELECT * FROM unnest($1::integer[], $2::bigint[], $3::bigint[]) \
AS wanted(partition, epoch, writer)), \
held AS MATERIALIZED (SELECT partition, owner, epoch, renewals, writer FROM ownerships \
WHERE partition = ANY($1) ORDER BY partition FOR KEY SHARE), \
live AS MATERIALIZED (SELECT held.partition FROM held JOIN wanted USING (partition) \
WHERE held.epoch = wanted.epoch AND held.writer = wanted.writer)";

/// Those that are not, and who is the owner.
const REFUSED: &str = "\
\nSELECT wanted.partition, held.owner, held.epoch, held.renewals \
FROM wanted LEFT JOIN held USING (partition) \
WHERE NOT EXISTS (SELECT FROM live WHERE live.partition = wanted.partition)";

const OF_LIVE: &str = "WHERE given.partition IN (SELECT partition FROM live)";

/// A kind of rows, as a part of the statement.
struct Table {
    name: &'static str,
    /// Its columns behind the partition.
    columns: &'static [&'static str],
    /// How many of them are of the key.
    key: usize,
}

struct Writing {
    sql: String,
    parameters: Vec<Column>,
}

impl Writing {
    fn begin(batches: &[Numbered<'_>]) -> Self {
        let leases = batches.iter().map(|(lease, ..)| lease);
        let parameters = vec![
            Column::Integers(leases.clone().map(|lease| i32::from(lease.partition.0)).collect()),
            Column::Numbers(leases.map(|lease| stored(lease.epoch.0)).collect()),
            Column::Numbers(batches.iter().map(|(_, writer, _)| *writer).collect()),
        ];
        Self { sql: LIVE.to_owned(), parameters }
    }

    fn end(mut self) -> Statement {
        self.sql.push_str(REFUSED);
        Statement { sql: self.sql, parameters: self.parameters }
    }

    /// `unnest` of further parameters, as rows of `given`.
    fn rows(&mut self, columns: &[&str], values: Vec<Column>) -> String {
        let mut arrays = Vec::with_capacity(values.len());
        for column in values {
            let array = match column {
                Column::Small(_) => "smallint[]",
                Column::Integers(_) => "integer[]",
                Column::Numbers(_) | Column::Optional(_) => "bigint[]",
                Column::Bytes(_) => "bytea[]",
            };
            self.parameters.push(column);
            arrays.push(format!("${}::{array}", self.parameters.len()));
        }
        format!("unnest({}) AS given(partition, {})", arrays.join(", "), columns.join(", "))
    }

    fn upsert(&mut self, table: &Table, values: Vec<Column>) {
        let Table { name, columns, key } = *table;
        let rows = self.rows(columns, values);
        let (key, rest) = columns.split_at(key);
        let change: Vec<String> = rest.iter().map(|it| format!("{it} = EXCLUDED.{it}")).collect();
        let change = if change.is_empty() {
            "DO NOTHING".to_owned()
        } else {
            format!("DO UPDATE SET {}", change.join(", "))
        };
        let (all, key) = (columns.join(", "), key.join(", "));
        // Writing to a string cannot fail.
        let _ = write!(
            self.sql,
            ",\nnew_{name} AS (INSERT INTO {name} (partition, {all}) SELECT * FROM {rows} {OF_LIVE} \
             ON CONFLICT (partition, {key}) {change})"
        );
    }

    fn conversations(&mut self, batches: &[Numbered<'_>]) {
        let rows = each(batches, |batch| batch.conversations.iter());
        let Some(partitions) = partitions(&rows) else { return };
        let kind = |kind| match kind {
            ConversationKind::Direct => 0,
            ConversationKind::Group => 1,
        };
        let values = vec![
            partitions,
            numbers(&rows, |(id, _)| id.0),
            Column::Small(rows.iter().map(|(_, (_, row))| kind(row.kind)).collect()),
            numbers(&rows, |(_, row)| row.head.0),
            numbers(&rows, |(_, row)| row.first.0),
            numbers(&rows, |(_, row)| u64::from(row.founders)),
        ];
        let columns = &["id", "kind", "head", "first", "founders"];
        self.upsert(&Table { name: "conversations", columns, key: 1 }, values);
    }

    fn entries(&mut self, batches: &[Numbered<'_>]) -> Result<(), NotEncoded> {
        let rows =
            each(batches, |batch| batch.entries.iter().filter(move |(key, _)| is_kept(batch, key)));
        let Some(partitions) = partitions(&rows) else { return Ok(()) };
        let encoded = rows.iter().map(|(_, (_, entry))| postcard::to_stdvec(&***entry));
        let encoded: Result<Vec<_>, _> = encoded.collect();
        let values = vec![
            partitions,
            numbers(&rows, |((conversation, _), _)| conversation.0),
            numbers(&rows, |((_, sequence), _)| sequence.0),
            Column::Bytes(encoded.map_err(|error| NotEncoded(error.to_string()))?),
        ];
        let columns = &["conversation", "sequence", "entry"];
        self.upsert(&Table { name: "entries", columns, key: 2 }, values);
        Ok(())
    }

    fn deletions(&mut self, batches: &[Numbered<'_>]) {
        let rows =
            each(batches, |batch| batch.deletions.iter().filter(move |key| is_kept(batch, key)));
        let Some(partitions) = partitions(&rows) else { return };
        let values = vec![
            partitions,
            numbers(&rows, |(conversation, _)| conversation.0),
            numbers(&rows, |(_, sequence)| sequence.0),
        ];
        let columns = &["conversation", "sequence"];
        self.upsert(&Table { name: "deletions", columns, key: 2 }, values);
    }

    /// No entry has the sequence 0, and no reason the number 0.
    fn decisions(&mut self, batches: &[Numbered<'_>]) {
        let rows = each(batches, |batch| batch.decisions.iter());
        let Some(partitions) = partitions(&rows) else { return };
        let refusal = |row: &DecisionRow| row.decision.err().map_or(0, RejectReason::number);
        let values = vec![
            partitions,
            numbers(&rows, |((author, _), _)| author.0),
            numbers(&rows, |((_, message), _)| message.0),
            numbers(&rows, |(_, row)| row.conversation.0),
            numbers(&rows, |(_, row)| row.decision.map_or(0, |sequence| sequence.0)),
            Column::Small(rows.iter().map(|(_, (_, row))| i16::from(refusal(row))).collect()),
            numbers(&rows, |(_, row)| row.epoch.0),
            Column::Integers(rows.iter().map(|(_, (_, row))| i32::from(row.owner.0)).collect()),
        ];
        let columns =
            &["author", "message", "conversation", "sequence", "refusal", "epoch", "owner"];
        self.upsert(&Table { name: "decisions", columns, key: 2 }, values);
    }

    fn members(&mut self, batches: &[Numbered<'_>]) {
        let rows = each(batches, |batch| batch.members.iter());
        let Some(partitions) = partitions(&rows) else { return };
        let left = rows.iter().map(|(_, (_, left))| left.map(|sequence| stored(sequence.0)));
        let values = vec![
            partitions,
            numbers(&rows, |((conversation, ..), _)| conversation.0),
            numbers(&rows, |((_, user, _), _)| user.0),
            numbers(&rows, |((.., joined), _)| joined.0),
            Column::Optional(left.collect()),
        ];
        let columns = &["conversation", "member", "joined", "left_at"];
        self.upsert(&Table { name: "members", columns, key: 3 }, values);
    }

    fn cursors(&mut self, batches: &[Numbered<'_>]) {
        let rows = each(batches, |batch| batch.cursors.iter());
        let Some(partitions) = partitions(&rows) else { return };
        let values = vec![
            partitions,
            numbers(&rows, |((conversation, _), _)| conversation.0),
            numbers(&rows, |((_, user), _)| user.0),
            numbers(&rows, |(_, row)| row.delivered.0),
            numbers(&rows, |(_, row)| row.read.0),
        ];
        let columns = &["conversation", "member", "delivered", "seen"];
        self.upsert(&Table { name: "cursors", columns, key: 2 }, values);
    }

    /// All parts of a statement see the rows as they were before it: what a batch brings and trims itself was
    /// left out above.
    fn trims(&mut self, batches: &[Numbered<'_>]) {
        let rows = each(batches, |batch| batch.trims.iter());
        let Some(partitions) = partitions(&rows) else { return };
        let values =
            vec![partitions, numbers(&rows, |(id, _)| id.0), numbers(&rows, |(_, first)| first.0)];
        let rows = self.rows(&["conversation", "first"], values);
        for name in ["entries", "deletions"] {
            let _ = write!(
                self.sql,
                ",\nold_{name} AS (DELETE FROM {name} AS stored USING {rows} {OF_LIVE} \
                 AND stored.partition = given.partition AND stored.conversation = given.conversation \
                 AND stored.sequence < given.first)"
            );
        }
    }
}

/// The rows of one kind, each with its partition.
fn each<'a, Rows: Iterator>(
    batches: &'a [Numbered<'a>],
    rows: impl Fn(&'a Batch) -> Rows,
) -> Vec<(u16, Rows::Item)> {
    let of_one = |(lease, _, batch): &Numbered<'a>| {
        let partition = lease.partition.0;
        rows(batch).map(move |row| (partition, row))
    };
    batches.iter().flat_map(of_one).collect()
}

/// Their partitions; `None`: there are no rows.
fn partitions<Row>(rows: &[(u16, Row)]) -> Option<Column> {
    let partitions = rows.iter().map(|(partition, _)| i32::from(*partition));
    (!rows.is_empty()).then(|| Column::Integers(partitions.collect()))
}

/// One of their numbers.
fn numbers<Row: Copy>(rows: &[(u16, Row)], of: impl Fn(Row) -> u64) -> Column {
    Column::Numbers(rows.iter().map(|(_, row)| stored(of(*row))).collect())
}

/// Whether a row is not trimmed by the batch that brings it.
fn is_kept(batch: &Batch, (conversation, sequence): &(ConversationId, Sequence)) -> bool {
    batch.trims.get(conversation).is_none_or(|first| sequence >= first)
}

#[cfg(test)]
mod tests {
    use super::*;
    use expect_test::expect;
    use protocol::{Epoch, Partition, UserId};

    fn numbered(batch: &Batch) -> Statement {
        let lease = Lease { partition: Partition(7), epoch: Epoch(3) };
        statement(&[(lease, 2, batch)]).unwrap()
    }

    #[test]
    fn a_commit_of_nothing_still_asks_who_owns() {
        let asked = numbered(&Batch::default());
        assert_eq!(asked.sql, format!("{LIVE}{REFUSED}"));
        let expected =
            [Column::Integers(vec![7]), Column::Numbers(vec![3]), Column::Numbers(vec![2])];
        assert_eq!(asked.parameters, expected);
    }

    #[test]
    fn only_the_kinds_that_are_there_are_written() {
        let mut batch = Batch::default();
        let key = (ConversationId(1), UserId(2), Sequence(3));
        batch.members.insert(key, None);
        batch.trims.insert(ConversationId(1), Sequence(9));
        // Trimmed by the batch itself, so there is nothing left of its kind.
        batch.deletions.insert((ConversationId(1), Sequence(8)));
        let written = numbered(&batch);
        let parts = written.sql.strip_prefix(LIVE).and_then(|sql| sql.strip_suffix(REFUSED));
        expect![[r"
            ,
            new_members AS (INSERT INTO members (partition, conversation, member, joined, left_at) SELECT * FROM unnest($4::integer[], $5::bigint[], $6::bigint[], $7::bigint[], $8::bigint[]) AS given(partition, conversation, member, joined, left_at) WHERE given.partition IN (SELECT partition FROM live) ON CONFLICT (partition, conversation, member, joined) DO UPDATE SET left_at = EXCLUDED.left_at),
            old_entries AS (DELETE FROM entries AS stored USING unnest($9::integer[], $10::bigint[], $11::bigint[]) AS given(partition, conversation, first) WHERE given.partition IN (SELECT partition FROM live) AND stored.partition = given.partition AND stored.conversation = given.conversation AND stored.sequence < given.first),
            old_deletions AS (DELETE FROM deletions AS stored USING unnest($9::integer[], $10::bigint[], $11::bigint[]) AS given(partition, conversation, first) WHERE given.partition IN (SELECT partition FROM live) AND stored.partition = given.partition AND stored.conversation = given.conversation AND stored.sequence < given.first)"]]
        .assert_eq(parts.unwrap());
        assert_eq!(written.parameters.len(), 11);
        assert_eq!(written.parameters[7], Column::Optional(vec![None]));
    }

    #[test]
    fn what_a_batch_trims_itself_is_not_written() {
        let batch = Batch { trims: [(ConversationId(1), Sequence(4))].into(), ..Batch::default() };
        let kept = |conversation, sequence| {
            is_kept(&batch, &(ConversationId(conversation), Sequence(sequence)))
        };
        assert!(!kept(1, 3) && kept(1, 4) && kept(2, 3));
    }
}
