//! The storage engine under the owners: redb on a disk, PostgreSQL.
//!
//! An engine keeps rows and fences stale owners; it decides nothing. All calls block: make them on a
//! `Worker`. Which rows belong together is said by one `WriteBatch`, which becomes durable as a whole
//! or not at all.

use protocol::store_calls::{ConversationKind, Membership, ReceiptItem, UserConversation};
use protocol::{
    ClientMessageId, ConversationId, Entry, Epoch, NodeNumber, Partition, RejectReason, Sequence,
    UserId,
};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;

/// The right to write to a partition, until somebody acquires it under a higher epoch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Lease {
    /// The partition.
    pub partition: Partition,
    /// The fencing number.
    pub epoch: Epoch,
}

/// Whose rows an engine holds. Which partitions live on a store node follows from these numbers, so
/// under others its conversations would seem to be gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// Which store node, from 1.
    pub number: NodeNumber,
    /// Of how many.
    pub stores: u16,
    /// Partitions of the cluster.
    pub partitions: u16,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { number, stores, partitions } = self;
        write!(f, "store {number} of {stores} with {partitions} partitions")
    }
}

/// Why the engine did not do what it was asked.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    /// Certainly not done: somebody acquired the partition under a higher epoch.
    #[error("partition {partition} is owned under epoch {current} by now")]
    Fenced {
        /// Which of the leases.
        partition: Partition,
        /// The epoch that the engine holds.
        current: Epoch,
    },
    /// Certainly not done: the engine cannot be reached or has no room. Try again.
    #[error("the engine cannot work now: {0}")]
    Unavailable(String),
    /// Maybe done. Commit the same batch under the same leases again: it brings the same rows.
    #[error("the engine did not say whether it was done: {0}")]
    Unknown(String),
    /// The engine's data is damaged. Trying again will not help.
    #[error("the stored data is damaged: {0}")]
    Corrupt(String),
    /// The engine's data belongs to another place. Trying again will not help.
    #[error(
        "the data was made for {made}, and was opened for {asked}; the number of stores and of \
         partitions never changes for given data: start with {} stores and {} partitions, or with \
         another data folder", .made.stores, .made.partitions
    )]
    OtherPlace {
        /// As it is stored.
        made: Place,
        /// As it was asked for.
        asked: Place,
    },
}

/// What is stored of a conversation besides its entries, members and cursors.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ConversationRow {
    /// Its kind.
    pub kind: ConversationKind,
    /// The newest sequence.
    pub head: Sequence,
    /// The oldest stored sequence.
    pub first: Sequence,
    /// How many members it was made with: their `Join` entries have the sequences 1 to this.
    pub founders: u32,
}

/// What became of a client's message. Decided once: a copy of the message that comes later, when the
/// membership may have changed, gets the same answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DecisionRow {
    /// The conversation.
    pub conversation: ConversationId,
    /// Its sequence there, or why it was refused for good.
    pub decision: Result<Sequence, RejectReason>,
    /// The epoch of the owner that decided.
    pub epoch: Epoch,
    /// The store node that decided.
    pub owner: NodeNumber,
}

/// How far a member has got.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cursors {
    /// Shown on one of the member's devices.
    pub delivered: Sequence,
    /// Read by the member.
    pub read: Sequence,
}

/// Rows that become durable together. Maps, so that an engine inserts in the order of its keys and
/// a row that changes several times is written once.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct WriteBatch {
    /// New or changed conversations.
    pub conversations: BTreeMap<(Partition, ConversationId), ConversationRow>,
    /// New entries.
    pub entries: BTreeMap<(ConversationId, Sequence), Arc<Entry>>,
    /// Messages that are deleted by now, by their own sequences. Their entries stay in the log.
    pub deletions: BTreeSet<(ConversationId, Sequence)>,
    /// New de-duplication keys.
    pub decisions: BTreeMap<(Partition, UserId, ClientMessageId), DecisionRow>,
    /// Memberships by (conversation, user, joined): the sequence of the `Leave` entry, if any.
    pub members: BTreeMap<(ConversationId, UserId, Sequence), Option<Sequence>>,
    /// Cursors.
    pub cursors: BTreeMap<(ConversationId, UserId), Cursors>,
    /// Entries and deletions of messages before this sequence are removed.
    pub trims: BTreeMap<ConversationId, Sequence>,
}

impl WriteBatch {
    /// Whether there is nothing to write.
    pub fn is_empty(&self) -> bool {
        self.conversations.is_empty()
            && self.entries.is_empty()
            && self.deletions.is_empty()
            && self.decisions.is_empty()
            && self.members.is_empty()
            && self.cursors.is_empty()
            && self.trims.is_empty()
    }
}

/// An engine, shared by the workers of a node.
pub trait MessageStore: Send + Sync {
    /// Takes a partition under an epoch above the stored one and above `above` (an epoch that was
    /// seen elsewhere, after the engine lost its memory of it). Durable on `Ok`.
    fn acquire(&self, partition: Partition, above: Epoch) -> Result<Lease, StoreError>;
    /// Writes a batch, atomic, and durable on `Ok`, if every lease is still the newest.
    fn commit(&self, leases: &[Lease], batch: &WriteBatch) -> Result<(), StoreError>;
    /// What is stored, as of now. Keep it for the length of one job: it may hold up writers.
    fn view(&self) -> Result<Box<dyn StoreView + '_>, StoreError>;
    /// Whether `checkpoint` should be called soon.
    fn is_checkpoint_due(&self) -> bool {
        false
    }
    /// Housekeeping beside commits and views: on a worker of its own, one call at a time.
    fn checkpoint(&self) -> Result<(), StoreError> {
        Ok(())
    }
    /// Gives up what the last checkpoint has made superfluous, without touching a disk: once the call of
    /// `checkpoint` is over. Until then nobody may act on what it has written.
    fn release(&self) {}
    /// Makes everything durable and gives the engine's resources back; the last call.
    fn close(&self) -> Result<(), StoreError>;
}

/// What was stored at one instant.
pub trait StoreView {
    /// A conversation.
    fn conversation(
        &self,
        partition: Partition,
        conversation: ConversationId,
    ) -> Result<Option<ConversationRow>, StoreError>;
    /// Its members, former ones too, by (user, joined).
    fn members(&self, conversation: ConversationId) -> Result<Vec<Membership>, StoreError>;
    /// A user's memberships in a conversation, by `joined`.
    fn memberships(
        &self,
        conversation: ConversationId,
        user: UserId,
    ) -> Result<Vec<Membership>, StoreError>;
    /// A de-duplication key.
    fn decision(
        &self,
        partition: Partition,
        author: UserId,
        message: ClientMessageId,
    ) -> Result<Option<DecisionRow>, StoreError>;
    /// One entry.
    fn entry(
        &self,
        conversation: ConversationId,
        sequence: Sequence,
    ) -> Result<Option<Entry>, StoreError>;
    /// Whether the message of a sequence was deleted.
    fn is_deleted(
        &self,
        conversation: ConversationId,
        sequence: Sequence,
    ) -> Result<bool, StoreError>;
    /// Entries with `after < sequence < before`, oldest first, at most `limit`.
    fn entries(
        &self,
        conversation: ConversationId,
        after: Sequence,
        before: Sequence,
        limit: usize,
    ) -> Result<Vec<Entry>, StoreError>;
    /// The conversations that a user is a member of now.
    fn conversations_of(&self, user: UserId) -> Result<Vec<UserConversation>, StoreError>;
    /// A member's cursors.
    fn cursor(
        &self,
        conversation: ConversationId,
        user: UserId,
    ) -> Result<Option<Cursors>, StoreError>;
    /// The cursors of a conversation, by user.
    fn cursors(&self, conversation: ConversationId) -> Result<Vec<ReceiptItem>, StoreError>;
    /// How many conversations a partition has; reads them all.
    fn count(&self, partition: Partition) -> Result<u64, StoreError>;
}
