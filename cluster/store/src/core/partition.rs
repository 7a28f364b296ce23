//! A partition as a deterministic state machine: commands in, rows and effects out.
//!
//! Its durable state is the rows; what it keeps in memory is a cache of them, which also shows the
//! uncommitted writes of the batch under construction. A group of commands first names the rows that
//! it may need (`keys`); with them at hand, `apply` reads nothing and cannot fail. A batch that is not
//! committed ends the state machine: whoever owns the partition next starts a new one from the rows.
//! It knows nothing of disks, brokers, gateways or time.

use super::command::{Command, Effect, Outcome};
use super::conversation::Conversation;
use super::overlay::Overlay;
use super::step::{Owned, Step};
use super::{membership, receipts, retention, sequencing};
use ports::message_store::{Keys, Rows};
use protocol::design::{Deletion, Design, Poison, Receipts, Refusal};
use protocol::limits::StoreLimits;
use protocol::{ConversationId, Epoch, NodeNumber, Partition as PartitionId};
use std::collections::BTreeMap;

/// The design choices that a partition follows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Choices {
    /// How a receipt changes a cursor.
    pub receipts: Receipts,
    /// What becomes of an edit of a deleted message.
    pub deletion: Deletion,
    /// What is remembered of a refusal.
    pub refusal: Refusal,
    /// What becomes of a message that cannot be processed.
    pub poison: Poison,
}

impl From<Design> for Choices {
    fn from(design: Design) -> Self {
        let Design { receipts, deletion, refusal, poison, .. } = design;
        Self { receipts, deletion, refusal, poison }
    }
}

/// One partition.
#[derive(Debug)]
pub struct Partition {
    owned: Owned,
    choices: Choices,
    limits: StoreLimits,
    cache: Cache,
}

impl Partition {
    /// A partition that nobody owns yet: the first command must be `Acquire`.
    pub fn new(partition: PartitionId, choices: Choices, limits: StoreLimits) -> Self {
        let owned = Owned { partition, epoch: Epoch(0), owner: NodeNumber(0) };
        Self { owned, choices, limits, cache: Cache::default() }
    }

    /// The epoch of the last `Acquire`.
    pub fn epoch(&self) -> Epoch {
        self.owned.epoch
    }

    /// Adds the rows that a command may need and that are not in memory.
    pub fn keys(&self, command: &Command, keys: &mut Keys) {
        let cached = &self.cache.conversations;
        let conversation = match command {
            Command::Acquire { .. } => return,
            Command::Create { requests, .. } => {
                let asked = requests.iter().map(|request| request.conversation);
                keys.conversations.extend(asked.filter(|id| !cached.contains_key(id)));
                return;
            }
            Command::Sequence { inbound, .. } => {
                sequencing::keys(inbound, keys);
                inbound.conversation
            }
            Command::ChangeMember { request, .. } => request.conversation,
            Command::Receipt(item) => {
                keys.cursors.insert((item.conversation, item.user));
                item.conversation
            }
            Command::Retain { conversation, .. } => *conversation,
        };
        if !cached.contains_key(&conversation) {
            keys.conversations.insert(conversation);
        }
    }

    /// Applies the next command of the log, over the rows of its keys.
    pub fn apply(
        &mut self,
        command: Command,
        overlay: &mut Overlay,
        effects: &mut Vec<Effect>,
    ) -> Outcome {
        let (owned, choices, cache) = (self.owned, self.choices, &mut self.cache);
        let mut step = Step { owned, choices, overlay, effects, at_ms: 0 };
        match command {
            Command::Acquire { epoch, owner } => {
                let before = self.owned.epoch;
                assert!(epoch >= before, "the epoch of a partition falls from {before} to {epoch}");
                self.owned.epoch = epoch;
                self.owned.owner = owner;
                Outcome::Done
            }
            Command::Sequence { inbound, at_ms, replay } => {
                step.at_ms = at_ms;
                let conversation = cache.get(step.overlay, inbound.conversation);
                sequencing::apply(&mut step, conversation, inbound, replay)
            }
            Command::Create { requests, at_ms } => {
                step.at_ms = at_ms;
                let create = |request| membership::create(&mut step, cache, request);
                Outcome::Created(requests.iter().map(create).collect())
            }
            Command::ChangeMember { request, at_ms } => {
                step.at_ms = at_ms;
                let conversation = cache.get(step.overlay, request.conversation);
                membership::change(&mut step, conversation, request)
            }
            Command::Receipt(item) => {
                let conversation = cache.get(step.overlay, item.conversation);
                receipts::apply(&mut step, conversation, item);
                Outcome::Done
            }
            Command::Retain { conversation: id, keep, most } => {
                let conversation = cache.get(step.overlay, id);
                retention::apply(&mut step, conversation, id, (keep, most));
                Outcome::Done
            }
        }
    }

    /// A conversation as it stands after the last command, if it is in memory.
    pub fn cached(&mut self, id: ConversationId) -> Option<&Conversation> {
        self.cache.cached(id).map(|conversation| &*conversation)
    }

    /// Keeps a conversation that was read between two batches.
    pub fn keep(&mut self, id: ConversationId, conversation: Conversation) {
        self.cache.insert(id, conversation);
    }

    /// The batch is durable. How many conversations were put out of memory for want of room.
    pub fn committed(&mut self) -> u64 {
        self.cache.sweep(self.limits.cached_conversations)
    }
}

/// Conversations in memory.
#[derive(Debug, Default)]
pub(super) struct Cache {
    conversations: BTreeMap<ConversationId, Cached>,
    /// Counted over all conversations.
    uses: u64,
}

#[derive(Debug)]
struct Cached {
    conversation: Conversation,
    /// Which use was its last one.
    used: u64,
}

impl Cache {
    /// From memory, or from the rows that were fetched for this batch.
    pub(super) fn get(
        &mut self,
        overlay: &Overlay,
        id: ConversationId,
    ) -> Option<&mut Conversation> {
        if !self.conversations.contains_key(&id) {
            debug_assert!(overlay.has_asked_for(id), "{id} was not asked for");
            self.insert(id, fetched(overlay.rows(), id)?);
        }
        self.cached(id)
    }

    fn cached(&mut self, id: ConversationId) -> Option<&mut Conversation> {
        self.uses += 1;
        let cached = self.conversations.get_mut(&id)?;
        cached.used = self.uses;
        Some(&mut cached.conversation)
    }

    pub(super) fn insert(&mut self, id: ConversationId, conversation: Conversation) {
        self.uses += 1;
        self.conversations.insert(id, Cached { conversation, used: self.uses });
    }

    /// Keeps at most so many. If there are more, those that were used longest ago go, a quarter at a time,
    /// so that a full cache is not gone through after every batch; they are read again.
    /// Between batches only: within one, an uncommitted conversation exists nowhere else.
    fn sweep(&mut self, most: usize) -> u64 {
        let excess = self.conversations.len().saturating_sub(most);
        if excess == 0 {
            return 0;
        }
        let gone = excess + most / 4;
        let mut uses: Vec<u64> = self.conversations.values().map(|cached| cached.used).collect();
        let (_, last, _) = uses.select_nth_unstable(gone - 1);
        self.conversations.retain(|_, cached| cached.used > *last);
        gone as u64
    }
}

fn fetched(rows: &Rows, id: ConversationId) -> Option<Conversation> {
    rows.conversations.get(&id).map(|(row, members)| Conversation::of(*row, members))
}

#[cfg(test)]
mod tests {
    use super::*;
    use ports::message_store::ConversationRow;
    use protocol::Sequence;
    use protocol::store_calls::ConversationKind;

    #[test]
    fn what_was_used_longest_ago_goes_and_a_hot_conversation_stays() {
        let row = ConversationRow {
            kind: ConversationKind::Group,
            head: Sequence(1),
            first: Sequence(1),
            founders: 1,
        };
        let limits = StoreLimits { cached_conversations: 8, ..StoreLimits::default() };
        let mut partition = Partition::new(PartitionId(1), Choices::default(), limits);
        let hot = ConversationId(0);
        partition.keep(hot, Conversation::new(row));
        let mut gone = 0;
        for id in 1..=100 {
            partition.keep(ConversationId(id), Conversation::new(row));
            assert!(partition.cached(hot).is_some(), "{id}");
            gone += partition.committed();
            assert!(partition.cache.conversations.len() <= 8);
        }
        let left: Vec<u64> = partition.cache.conversations.keys().map(|id| id.0).collect();
        assert_eq!(left, [0, 94, 95, 96, 97, 98, 99, 100]);
        assert_eq!(gone, 101 - 8);
    }
}
