//! Which rows a batch comes to.
//!
//! Each row carries the slot of its batch, in its key and as its write time. So writing rows again, late or in
//! any order, changes nothing, and a view reads what was newest at its slot.

use super::numbers::stored;
use ports::message_store::Batch;
use protocol::{ConversationId, Partition, Sequence, UserId};
use serde::Serialize;

/// Which rows lie together in one partition of Cassandra.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// The partition of the cluster; -1: of all of them.
    pub partition: i32,
    scope: Scope,
    /// Of the conversation, the author or the user.
    pub id: i64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Scope {
    Conversation = 0,
    Author = 1,
    /// Memberships by user, of all partitions of the cluster.
    User = 2,
    /// The conversations of a partition.
    Listing = 3,
    /// A large batch, by the attempt to write it.
    Payload = 4,
}

impl Place {
    /// Of a conversation.
    pub fn conversation(partition: Partition, id: ConversationId) -> Self {
        Self::new(i32::from(partition.0), Scope::Conversation, id.0)
    }

    /// Of what an author's messages came to.
    pub fn author(partition: Partition, author: UserId) -> Self {
        Self::new(i32::from(partition.0), Scope::Author, author.0)
    }

    /// Of a user's memberships.
    pub fn user(user: UserId) -> Self {
        Self::new(-1, Scope::User, user.0)
    }

    /// Of the list of a partition's conversations.
    pub fn listing(partition: Partition) -> Self {
        Self::new(i32::from(partition.0), Scope::Listing, 0)
    }

    /// Of a batch that is too large for its slot.
    pub fn payload(partition: Partition, attempt: i64) -> Self {
        Self { partition: i32::from(partition.0), scope: Scope::Payload, id: attempt }
    }

    fn new(partition: i32, scope: Scope, id: u64) -> Self {
        Self { partition, scope, id: stored(id) }
    }

    /// The scope, as it is stored.
    pub const fn scope(self) -> i8 {
        self.scope as i8
    }
}

/// What a row is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// `ConversationRow`.
    Conversation = 0,
    /// `Entry`, by sequence.
    Entry = 1,
    /// A deleted message, by sequence; empty.
    Deletion = 2,
    /// `Option<Sequence>` at which the member left, by user and sequence of joining.
    Member = 3,
    /// `Cursors`, by user.
    Cursors = 4,
    /// What is before this sequence and not of a later slot is gone; empty.
    Trim = 5,
    /// `DecisionRow`, by the client's number of the message.
    Decision = 6,
    /// (partition, `Option<Sequence>` at which the user left), by conversation and sequence of joining.
    Membership = 7,
    /// A conversation, by its id; empty. It has no versions: whoever reads it looks at the conversation.
    Listed = 8,
    /// A part of a large batch, by its number. It has no versions.
    Part = 9,
}

impl Kind {
    /// As it is stored.
    pub const fn number(self) -> i8 {
        self as i8
    }
}

/// A row without its version.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Key {
    /// Where it lies.
    pub place: Place,
    /// What it is.
    pub kind: Kind,
    /// The first number of its key.
    pub a: i64,
    /// The second.
    pub b: i64,
}

/// A row to be written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    /// Its key.
    pub key: Key,
    /// Its version; 0: it has none.
    pub version: i64,
    /// What it holds.
    pub value: Vec<u8>,
    /// No version of it can be older.
    pub is_first: bool,
}

/// A row that the format does not know how to write: a bug of ours.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a row cannot be encoded: {0}")]
pub struct NotEncoded(pub String);

/// The rows of a batch, those of one place behind each other.
pub fn rows(partition: Partition, slot: i64, batch: &Batch) -> Result<Vec<Row>, NotEncoded> {
    let mut all = Rows { slot, rows: Vec::new() };
    let of = |id: ConversationId| Place::conversation(partition, id);
    for (id, row) in &batch.conversations {
        all.put(of(*id), Kind::Conversation, (0, 0), row)?;
        let key =
            Key { place: Place::listing(partition), kind: Kind::Listed, a: stored(id.0), b: 0 };
        all.rows.push(Row { key, version: 0, value: Vec::new(), is_first: true });
    }
    for ((id, sequence), entry) in &batch.entries {
        all.put(of(*id), Kind::Entry, (sequence.0, 0), entry)?;
    }
    for (id, sequence) in &batch.deletions {
        all.put(of(*id), Kind::Deletion, (sequence.0, 0), &())?;
    }
    for ((author, message), row) in &batch.decisions {
        all.put(Place::author(partition, *author), Kind::Decision, (message.0, 0), row)?;
    }
    for ((id, user, joined), left) in &batch.members {
        all.put(of(*id), Kind::Member, (user.0, joined.0), left)?;
        let membership: (Partition, Option<Sequence>) = (partition, *left);
        all.put(Place::user(*user), Kind::Membership, (id.0, joined.0), &membership)?;
        // Who joins is written once, and again at leaving.
        all.rows.iter_mut().rev().take(2).for_each(|row| row.is_first = left.is_none());
    }
    for ((id, user), row) in &batch.cursors {
        all.put(of(*id), Kind::Cursors, (user.0, 0), row)?;
    }
    for (id, first) in &batch.trims {
        all.put(of(*id), Kind::Trim, (first.0, 0), &())?;
    }
    all.rows.sort_by_key(|row| row.key);
    Ok(all.rows)
}

/// Rows of one request, at most.
const ROWS: usize = 200;
/// Bytes of one request, a larger row excepted.
const BYTES: usize = 256 * 1024;

/// The rows by request: each has rows of one place, which are one mutation there.
pub fn requests(mut rows: &[Row]) -> Vec<&[Row]> {
    let mut all = Vec::new();
    while let Some(first) = rows.first() {
        let mut bytes = 0;
        let fits = rows.iter().take(ROWS).take_while(|row| {
            bytes += row.value.len();
            row.key.place == first.key.place && bytes <= BYTES
        });
        let (request, rest) = rows.split_at(fits.count().max(1));
        all.push(request);
        rows = rest;
    }
    all
}

struct Rows {
    slot: i64,
    rows: Vec<Row>,
}

impl Rows {
    fn put(
        &mut self,
        place: Place,
        kind: Kind,
        (a, b): (u64, u64),
        value: &impl Serialize,
    ) -> Result<(), NotEncoded> {
        let value = postcard::to_stdvec(value).map_err(|it| NotEncoded(it.to_string()))?;
        let key = Key { place, kind, a: stored(a), b: stored(b) };
        self.rows.push(Row { key, version: self.slot, value, is_first: false });
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_has_one_place_and_is_small() {
        let row = |user, bytes| Row {
            key: Key { place: Place::user(UserId(user)), kind: Kind::Member, a: 0, b: 0 },
            version: 1,
            value: vec![0; bytes],
            is_first: false,
        };
        let mut rows = vec![row(1, 9), row(1, 9), row(2, BYTES + 1), row(2, BYTES), row(2, 1)];
        rows.extend((0..=ROWS).map(|_| row(3, 1)));
        let sizes: Vec<usize> = requests(&rows).into_iter().map(<[Row]>::len).collect();
        assert_eq!(sizes, [2, 1, 1, 1, ROWS, 1]);
    }

    #[test]
    fn rows_of_one_place_lie_behind_each_other() {
        let mut batch = Batch::default();
        for user in [1, 2] {
            for id in [9, 4] {
                let (id, user) = (ConversationId(id), UserId(user));
                batch.members.insert((id, user, Sequence(3)), None);
                batch.trims.insert(id, Sequence(2));
            }
        }
        let rows = rows(Partition(7), 11, &batch).unwrap();
        let mut places: Vec<Place> = rows.iter().map(|row| row.key.place).collect();
        places.dedup();
        let conversation = |id| Place::conversation(Partition(7), ConversationId(id));
        let user = |id| Place::user(UserId(id));
        assert_eq!(places, [user(1), user(2), conversation(4), conversation(9)]);
        assert!(rows.iter().all(|row| row.version == 11));
        let is_of_member = |row: &Row| matches!(row.key.kind, Kind::Member | Kind::Membership);
        assert!(rows.iter().all(|row| row.is_first == is_of_member(row)), "all have just joined");
        batch.members.values_mut().for_each(|left| *left = Some(Sequence(5)));
        let rows = super::rows(Partition(7), 12, &batch).unwrap();
        assert!(rows.iter().all(|row| !row.is_first), "nobody has");
    }
}
