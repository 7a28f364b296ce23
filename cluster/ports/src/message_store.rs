//! The storage engine under the owners: redb on a disk, memory, a database across a network.
//!
//! An engine keeps rows and fences stale owners; it decides nothing. All calls block: make them on a
//! `Worker`. The partition is the unit of everything: who owns one is written beside its rows, and the
//! rows of one `Batch` become durable as a whole or not at all. How an engine is opened, kept small and
//! closed is its own affair and that of whoever runs it.

use crate::directory::Owner;
use protocol::store_calls::{ConversationKind, Membership, ReceiptItem, UserConversation};
use protocol::{
    ClientMessageId, ConversationId, Entry, Epoch, NodeNumber, Partition, RejectReason, Sequence,
    UserId,
};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// The right to write to a partition, until somebody acquires it under a higher epoch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Lease {
    /// The partition.
    pub partition: Partition,
    /// The fencing number.
    pub epoch: Epoch,
}

/// Who owns a partition, as the engine has it; the default: nobody ever did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ownership {
    /// The store node. 0: nobody, or an owner from before the engine was opened, which is gone if the
    /// engine belongs to one process.
    pub owner: NodeNumber,
    /// The fencing number.
    pub epoch: Epoch,
    /// Rises with every `renew`. Whoever sees it stand still for long enough may take over.
    pub renewals: u64,
}

impl Ownership {
    /// The owner, if it is known.
    pub fn known(&self) -> Option<Owner> {
        let Self { owner: node, epoch, .. } = *self;
        (node != NodeNumber(0)).then_some(Owner { node, epoch })
    }
}

/// A node wants to own a partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Claim {
    /// The partition.
    pub partition: Partition,
    /// The node.
    pub owner: NodeNumber,
    /// What the node decided upon. The claim fails if anything of it has changed.
    pub seen: Ownership,
}

/// A lease is not the newest of its partition: certainly nothing was done under it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fenced {
    /// The partition.
    pub partition: Partition,
    /// Who owns it by now.
    pub current: Ownership,
}

/// Why the engine did not do what it was asked.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    /// Certainly not done: the engine cannot be reached or has no room. Try again.
    #[error("the engine cannot work now: {0}")]
    Unavailable(String),
    /// Maybe done. Commit the same batches under the same leases again: it brings the same rows.
    #[error("the engine did not say whether it was done: {0}")]
    Unknown(String),
    /// The engine's data is damaged, or of another version. Trying again will not help.
    #[error("the stored data cannot be used: {0}")]
    Corrupt(String),
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

/// A part of a conversation: entries with `after < sequence < before`, oldest first, at most `limit`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span {
    /// Where the conversation is.
    pub partition: Partition,
    /// The conversation.
    pub conversation: ConversationId,
    /// The last entry before it.
    pub after: Sequence,
    /// The first entry behind it.
    pub before: Sequence,
    /// Entries, at most.
    pub limit: usize,
}

/// Where a user stands in a conversation.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Standing {
    /// The user's memberships, by `joined`.
    pub memberships: Vec<Membership>,
    /// How far the user has got.
    pub cursors: Cursors,
}

/// Rows of one partition that become durable together. Maps, so that an engine inserts in the order of
/// its keys and a row that changes several times is written once.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Batch {
    /// New or changed conversations.
    pub conversations: BTreeMap<ConversationId, ConversationRow>,
    /// New entries.
    pub entries: BTreeMap<(ConversationId, Sequence), Arc<Entry>>,
    /// Messages that are deleted by now, by their own sequences. Their entries stay in the log.
    pub deletions: BTreeSet<(ConversationId, Sequence)>,
    /// New de-duplication keys.
    pub decisions: BTreeMap<(UserId, ClientMessageId), DecisionRow>,
    /// Memberships by (conversation, user, joined): the sequence of the `Leave` entry, if any.
    pub members: BTreeMap<(ConversationId, UserId, Sequence), Option<Sequence>>,
    /// Cursors.
    pub cursors: BTreeMap<(ConversationId, UserId), Cursors>,
    /// Entries and deletions of messages before this sequence are removed.
    pub trims: BTreeMap<ConversationId, Sequence>,
}

impl Batch {
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

/// Rows of one partition that a group of commands may need.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Keys {
    /// Conversations, each with its members.
    pub conversations: BTreeSet<ConversationId>,
    /// De-duplication keys; one that was accepted brings its entry along.
    pub decisions: BTreeSet<(UserId, ClientMessageId)>,
    /// Entries, each with whether its message was deleted.
    pub entries: BTreeSet<(ConversationId, Sequence)>,
    /// Cursors.
    pub cursors: BTreeSet<(ConversationId, UserId)>,
}

/// What is stored under some keys; what is missing is not stored.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rows {
    /// Conversations and their members, former ones too, by (user, joined).
    pub conversations: BTreeMap<ConversationId, (ConversationRow, Vec<Membership>)>,
    /// De-duplication keys.
    pub decisions: BTreeMap<(UserId, ClientMessageId), DecisionRow>,
    /// Entries.
    pub entries: BTreeMap<(ConversationId, Sequence), Arc<Entry>>,
    /// Which of the asked entries are deleted messages.
    pub deletions: BTreeSet<(ConversationId, Sequence)>,
    /// Cursors.
    pub cursors: BTreeMap<(ConversationId, UserId), Cursors>,
}

/// An engine, shared by the workers of a node, or by several nodes.
pub trait MessageStore: Send + Sync {
    /// Takes a partition under an epoch above the stored one; durable on `Some`. `None`: the ownership is not as the claim has seen it.
    fn acquire(&self, claim: &Claim) -> Result<Option<Lease>, StoreError>;
    /// Says that the owner lives, for each lease that is still the newest; the others are returned.
    fn renew(&self, leases: &[Lease]) -> Result<Vec<Fenced>, StoreError>;
    /// Writes each batch whose lease is still the newest, atomic, and durable on `Ok`; the others are
    /// returned, and nothing of them is written. Many batches share one forced write.
    fn commit(&self, batches: &[(Lease, Batch)]) -> Result<Vec<Fenced>, StoreError>;
    /// What is stored, as of now. Keep it for the length of one job: it may hold up writers.
    fn view(&self) -> Result<Box<dyn StoreView + '_>, StoreError>;
    /// How many jobs may read at a time. An engine across a network answers one while another one waits; one
    /// that is near is read as fast by a single job.
    fn readers(&self) -> usize {
        1
    }
    /// The rows of some keys, in the order of the partitions, from one instant. An engine across a
    /// network answers in one round trip.
    fn prefetch(&self, keys: &[(Partition, Keys)]) -> Result<Vec<Rows>, StoreError> {
        let view = self.view()?;
        keys.iter().map(|(partition, keys)| rows(&*view, *partition, keys)).collect()
    }
}

/// What was stored at one instant. An engine across a network answers a question about many in one round
/// trip.
pub trait StoreView {
    /// Who owned a partition.
    fn ownership(&self, partition: Partition) -> Result<Ownership, StoreError>;
    /// A conversation.
    fn conversation(
        &self,
        partition: Partition,
        conversation: ConversationId,
    ) -> Result<Option<ConversationRow>, StoreError>;
    /// The first conversations of a partition from an id on, by id, at most `limit`.
    fn conversations(
        &self,
        partition: Partition,
        from: ConversationId,
        limit: usize,
    ) -> Result<Vec<(ConversationId, ConversationRow)>, StoreError>;
    /// Its members, former ones too, by (user, joined).
    fn members(
        &self,
        partition: Partition,
        conversation: ConversationId,
    ) -> Result<Vec<Membership>, StoreError>;
    /// A user's memberships in a conversation, by `joined`.
    fn memberships(
        &self,
        partition: Partition,
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
        partition: Partition,
        conversation: ConversationId,
        sequence: Sequence,
    ) -> Result<Option<Entry>, StoreError>;
    /// Whether the message of a sequence was deleted.
    fn is_deleted(
        &self,
        partition: Partition,
        conversation: ConversationId,
        sequence: Sequence,
    ) -> Result<bool, StoreError>;
    /// Entries with `after < sequence < before`, oldest first, at most `limit`.
    fn entries(
        &self,
        partition: Partition,
        conversation: ConversationId,
        after: Sequence,
        before: Sequence,
        limit: usize,
    ) -> Result<Vec<Entry>, StoreError>;
    /// The entries of spans, in the order of the question.
    fn entries_of(&self, spans: &[Span]) -> Result<Vec<Vec<Entry>>, StoreError> {
        let entries = |&Span { partition, conversation, after, before, limit }: &Span| {
            self.entries(partition, conversation, after, before, limit)
        };
        spans.iter().map(entries).collect()
    }
    /// The conversations in these partitions that users are members of now, one user after another. Those of other
    /// partitions may be among them.
    fn conversations_of(
        &self,
        users: &[UserId],
        partitions: &BTreeSet<Partition>,
    ) -> Result<Vec<UserConversation>, StoreError>;
    /// Where users stand in conversations, in the order of the question.
    fn standings(
        &self,
        of: &[(Partition, ConversationId, UserId)],
    ) -> Result<Vec<Standing>, StoreError> {
        let standing = |&(partition, conversation, user): &_| {
            let memberships = self.memberships(partition, conversation, user)?;
            let cursors = self.cursor(partition, conversation, user)?.unwrap_or_default();
            Ok(Standing { memberships, cursors })
        };
        of.iter().map(standing).collect()
    }
    /// A member's cursors.
    fn cursor(
        &self,
        partition: Partition,
        conversation: ConversationId,
        user: UserId,
    ) -> Result<Option<Cursors>, StoreError>;
    /// The cursors of a conversation, by user.
    fn cursors(
        &self,
        partition: Partition,
        conversation: ConversationId,
    ) -> Result<Vec<ReceiptItem>, StoreError>;
    /// How many conversations a partition has; reads them all.
    fn count(&self, partition: Partition) -> Result<u64, StoreError>;
}

/// The rows of some keys, read one by one: `prefetch` for engines that are near.
pub fn rows(view: &dyn StoreView, partition: Partition, keys: &Keys) -> Result<Rows, StoreError> {
    let mut rows = Rows::default();
    for id in &keys.conversations {
        if let Some(row) = view.conversation(partition, *id)? {
            rows.conversations.insert(*id, (row, view.members(partition, *id)?));
        }
    }
    let mut entries = keys.entries.clone();
    for (author, message) in &keys.decisions {
        if let Some(row) = view.decision(partition, *author, *message)? {
            rows.decisions.insert((*author, *message), row);
            entries.extend(row.decision.map(|sequence| (row.conversation, sequence)));
        }
    }
    for (id, sequence) in entries {
        if let Some(entry) = view.entry(partition, id, sequence)? {
            rows.entries.insert((id, sequence), Arc::new(entry));
        }
    }
    for (id, sequence) in &keys.entries {
        if view.is_deleted(partition, *id, *sequence)? {
            rows.deletions.insert((*id, *sequence));
        }
    }
    for (id, user) in &keys.cursors {
        if let Some(cursors) = view.cursor(partition, *id, *user)? {
            rows.cursors.insert((*id, *user), cursors);
        }
    }
    Ok(rows)
}
