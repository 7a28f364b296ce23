//! Looks at everything a store node has on its disk.

use super::redb_store::{FORMAT, Group};
use super::{OpenError, RedbStore};
use ports::Disk;
use ports::message_store::{MessageStore, StoreError};
use protocol::Sequence;
use protocol::design::Fsync;
use segments::{Checked, LogError, Presence};
use std::fmt;
use std::io;
use std::sync::Arc;

/// What a look at the data of a store node found sound.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StoreChecked {
    /// Its log.
    pub log: Checked,
    /// Conversations.
    pub conversations: u64,
    /// Entries in them, without a gap.
    pub entries: u64,
}

impl fmt::Display for StoreChecked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { log, conversations, entries } = self;
        write!(f, "{log}; {conversations} conversations with {entries} entries, without a gap")
    }
}

/// Why a look ended.
#[derive(Debug, thiserror::Error)]
pub enum CheckError {
    /// The log; what of it is sound.
    #[error("{error}")]
    Log {
        /// What is wrong.
        error: LogError,
        /// What was read before.
        sound: Checked,
    },
    /// The database, or the rows of both.
    #[error(transparent)]
    Rows(#[from] OpenError),
}

impl CheckError {
    /// Whether data is damaged: otherwise it could not be read, which says nothing of it.
    pub const fn is_damage(&self) -> bool {
        match self {
            Self::Log { error, .. } => error.is_damage(),
            Self::Rows(error) => matches!(error, OpenError::Engine(StoreError::Corrupt(_))),
        }
    }

    /// What was read before.
    pub const fn sound(&self) -> Option<Checked> {
        match self {
            Self::Log { sound, .. } => Some(*sound),
            Self::Rows(_) => None,
        }
    }
}

/// Whether a disk has data of a store node.
///
/// # Errors
/// The disk refused.
pub fn is_on(disk: &dyn Disk) -> io::Result<bool> {
    let has_tree = disk.list()?.iter().any(|name| name.starts_with("store."));
    Ok(has_tree || FORMAT.presence(disk)? != Presence::Absent)
}

/// How many entries are read at once.
const CHUNK: usize = 1_000;

/// Reads all of it. Opening a database changes its file: give a disk that keeps that to itself.
///
/// # Errors
/// The first thing that is not as it was written.
pub fn check(disk: Arc<dyn Disk>) -> Result<StoreChecked, CheckError> {
    let (sound, read) = segments::check::<Group<'static>>(&*disk, FORMAT);
    if let Err(error) = read {
        return Err(CheckError::Log { error, sound });
    }
    let store = RedbStore::open(disk, Fsync::Always)?;
    let mut checked = StoreChecked { log: sound, conversations: 0, entries: 0 };
    count(&store, &mut checked).map_err(OpenError::Engine)?;
    Ok(checked)
}

fn count(store: &RedbStore, checked: &mut StoreChecked) -> Result<(), StoreError> {
    store.check_pages()?;
    let view = store.view()?;
    for (partition, conversation) in store.conversations()? {
        let Some(row) = view.conversation(partition, conversation)? else { continue };
        let (mut next, end) = (row.first, Sequence(row.head.0 + 1));
        while next < end {
            let after = Sequence(next.0 - 1);
            let entries = view.entries(partition, conversation, after, end, CHUNK)?;
            for entry in &entries {
                if entry.sequence != next {
                    return Err(missing(conversation, next, end));
                }
                next = Sequence(next.0 + 1);
            }
            checked.entries += entries.len() as u64;
            if entries.is_empty() {
                return Err(missing(conversation, next, end));
            }
        }
        checked.conversations += 1;
    }
    Ok(())
}

fn missing(conversation: protocol::ConversationId, at: Sequence, end: Sequence) -> StoreError {
    let head = end.0 - 1;
    StoreError::Corrupt(format!(
        "conversation {conversation} has the head {head}, and no entry at sequence {at}"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::conformance::acquire;
    use fakes::{FakeDisk, Rot};
    use ports::message_store::{Batch, ConversationRow};
    use protocol::store_calls::ConversationKind;
    use protocol::{
        ClientMessageId, Content, ConversationId, Entry, NodeNumber, Partition, UserId,
    };

    fn stored(entries: &[u64], checkpoint: bool) -> FakeDisk {
        let disk = FakeDisk::default();
        let store = RedbStore::open(Arc::new(disk.clone()), Fsync::Always).unwrap();
        let lease = acquire(&store, Partition(1));
        let conversation = ConversationId(7);
        let mut batch = Batch::default();
        for sequence in entries.iter().copied().map(Sequence) {
            let entry = Entry {
                conversation,
                sequence,
                epoch: lease.epoch,
                owner: NodeNumber(1),
                author: UserId(1),
                client_message_id: ClientMessageId(sequence.0),
                at_ms: 0,
                content: Content::Message { body: "x".repeat(200), reply_to: None },
            };
            batch.entries.insert((conversation, sequence), Arc::new(entry));
        }
        let (kind, head) = (ConversationKind::Group, Sequence(3_000));
        let row = ConversationRow { kind, head, first: Sequence(1), founders: 1 };
        batch.conversations.insert(conversation, row);
        assert_eq!(store.commit(&[(lease, batch)]), Ok(Vec::new()));
        if checkpoint {
            store.close().unwrap();
        }
        disk
    }

    #[test]
    fn everything_is_counted_whether_the_log_or_the_tree_has_it() {
        let all: Vec<u64> = (1..=3_000).collect();
        for checkpoint in [false, true] {
            let checked = check(Arc::new(stored(&all, checkpoint))).unwrap();
            assert_eq!((checked.conversations, checked.entries), (1, 3_000));
            assert_eq!(checked.log.records, 2, "the lease and the entries");
        }
    }

    #[test]
    fn a_missing_entry_is_named() {
        let all: Vec<u64> = (1..=3_000).filter(|n| *n != 1_500).collect();
        let error = check(Arc::new(stored(&all, true))).unwrap_err().to_string();
        assert!(
            error.ends_with("conversation 7 has the head 3000, and no entry at sequence 1500"),
            "{error}"
        );
    }

    #[test]
    fn damage_is_found_in_the_log_and_in_every_page_that_holds_rows() {
        let all: Vec<u64> = (1..=3_000).collect();
        let disk = stored(&all, true);
        let flip = |name: &str, at: usize| {
            let rotten = Rot::Flip(name.to_owned(), at, 3).befalls(&disk).unwrap();
            check(Arc::new(rotten)).map_err(|error| error.to_string())
        };
        let log = flip("store-0000000001.log", 600).unwrap_err();
        assert!(log.contains("damaged at byte"), "{log}");
        let pages = disk.contents("store.redb").len();
        let found = (8_192..pages).step_by(4_100).filter(|at| flip("store.redb", *at).is_err());
        assert!(found.count() > 150, "600 kB of rows stand in more pages than that");
    }
}
