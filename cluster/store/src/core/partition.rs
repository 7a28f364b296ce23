//! A partition as a deterministic state machine: commands in, rows and effects out.
//!
//! Its durable state is the rows; what it keeps in memory is a cache of them, which also shows the
//! uncommitted writes of the batch under construction. When a batch is not committed, `forget` throws
//! the cache away. It knows nothing of disks, brokers, gateways or time.

use super::command::{Command, Effect, Outcome};
use super::conversation::Conversation;
use super::overlay::Overlay;
use super::remembered::Remembered;
use super::step::{Owned, Step};
use super::{membership, receipts, retention, sequencing};
use ports::message_store::{DecisionRow, StoreError, StoreView, WriteBatch};
use protocol::design::{Deduplication, Deletion, Design, Receipts, Refusal};
use protocol::limits::StoreLimits;
use protocol::records::Inbound;
use protocol::{ConversationId, Epoch, NodeNumber, Partition as PartitionId};
use std::collections::BTreeMap;

/// The design choices that a partition follows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Choices {
    /// How a resend is recognised.
    pub deduplication: Deduplication,
    /// How a receipt changes a cursor.
    pub receipts: Receipts,
    /// What becomes of an edit of a deleted message.
    pub deletion: Deletion,
    /// What is remembered of a refusal.
    pub refusal: Refusal,
}

impl From<Design> for Choices {
    fn from(design: Design) -> Self {
        let Design { deduplication, receipts, deletion, refusal, .. } = design;
        Self { deduplication, receipts, deletion, refusal }
    }
}

/// One partition.
#[derive(Debug)]
pub struct Partition {
    owned: Owned,
    choices: Choices,
    limits: StoreLimits,
    cache: Cache,
    remembered: Remembered,
}

impl Partition {
    /// A partition that nobody owns yet: the first command must be `Acquire`.
    pub fn new(partition: PartitionId, choices: Choices, limits: StoreLimits) -> Self {
        let owned = Owned { partition, epoch: Epoch(0), owner: NodeNumber(0) };
        let (cache, remembered) = (Cache::default(), Remembered::default());
        Self { owned, choices, limits, cache, remembered }
    }

    /// The epoch of the last `Acquire`.
    pub fn epoch(&self) -> Epoch {
        self.owned.epoch
    }

    /// Applies the next command of the log. On an error neither the batch nor the cache is usable:
    /// drop the one and `forget` the other.
    pub fn apply(
        &mut self,
        command: Command,
        overlay: &mut Overlay<'_>,
        effects: &mut Vec<Effect>,
    ) -> Result<Outcome, StoreError> {
        let (owned, choices) = (self.owned, self.choices);
        let mut step = Step { owned, choices, overlay, effects, at_ms: 0 };
        match command {
            Command::Acquire { epoch, owner } => {
                let before = self.owned.epoch;
                assert!(epoch >= before, "the epoch of a partition falls from {before} to {epoch}");
                self.owned.epoch = epoch;
                self.owned.owner = owner;
                Ok(Outcome::Done)
            }
            Command::Sequence { inbound, at_ms, replay } => {
                step.at_ms = at_ms;
                let known = known(&step, &self.remembered, self.choices.deduplication, &inbound)?;
                let conversation = self.cache.get(
                    step.overlay.view,
                    self.owned.partition,
                    inbound.conversation,
                )?;
                sequencing::apply(&mut step, conversation, inbound, known, replay)?;
                Ok(Outcome::Done)
            }
            Command::Bury { inbound, replay } => {
                let known = known(&step, &self.remembered, self.choices.deduplication, &inbound)?;
                let conversation = self.cache.get(
                    step.overlay.view,
                    self.owned.partition,
                    inbound.conversation,
                )?;
                sequencing::bury(&mut step, conversation.as_deref(), &inbound, known, replay)?;
                Ok(Outcome::Done)
            }
            Command::Create { request, at_ms } => {
                step.at_ms = at_ms;
                membership::create(&mut step, &mut self.cache, &request)
            }
            Command::ChangeMember { request, at_ms } => {
                step.at_ms = at_ms;
                let conversation = self.cache.get(
                    step.overlay.view,
                    self.owned.partition,
                    request.conversation,
                )?;
                Ok(membership::change(&mut step, conversation, request))
            }
            Command::Receipt(item) => {
                let conversation =
                    self.cache.get(step.overlay.view, self.owned.partition, item.conversation)?;
                receipts::apply(&mut step, conversation, item, self.choices.receipts)?;
                Ok(Outcome::Done)
            }
            Command::Retain { conversation: id, keep } => {
                let conversation = self.cache.get(step.overlay.view, self.owned.partition, id)?;
                retention::apply(&mut step, conversation, id, keep);
                Ok(Outcome::Done)
            }
        }
    }

    /// A conversation as it stands after the last command.
    pub fn conversation(
        &mut self,
        view: &dyn StoreView,
        id: ConversationId,
    ) -> Result<Option<&Conversation>, StoreError> {
        Ok(self.cache.get(view, self.owned.partition, id)?.map(|conversation| &*conversation))
    }

    /// Takes the de-duplication keys out of a batch if this design does not store them.
    pub fn withhold(&self, batch: &mut WriteBatch) -> Withheld {
        let stored = self.choices.deduplication == Deduplication::Durable;
        Withheld(if stored { BTreeMap::new() } else { std::mem::take(&mut batch.decisions) })
    }

    /// The batch is durable. How many conversations were put out of memory for want of room.
    pub fn committed(&mut self, withheld: &Withheld) -> u64 {
        if self.choices.deduplication == Deduplication::Memory {
            for ((partition, author, message), row) in &withheld.0 {
                if *partition == self.owned.partition {
                    self.remembered.insert(*author, *message, *row);
                }
            }
        }
        self.cache.sweep(self.limits.cached_conversations)
    }

    /// The batch was not committed: what is in memory may be wrong.
    pub fn forget(&mut self) {
        self.cache.conversations.clear();
    }
}

/// What was decided about a message before, as far as the design remembers it.
fn known(
    step: &Step<'_, '_>,
    remembered: &Remembered,
    deduplication: Deduplication,
    inbound: &Inbound,
) -> Result<Option<DecisionRow>, StoreError> {
    Ok(match deduplication {
        Deduplication::Durable => step.decided_before(inbound, false)?,
        Deduplication::Memory => step
            .decided_before(inbound, true)?
            .or_else(|| remembered.get(inbound.author, inbound.client_message_id)),
        Deduplication::Off => None,
    })
}

/// De-duplication keys that were not stored.
#[derive(Debug, Default)]
pub struct Withheld(
    BTreeMap<(PartitionId, protocol::UserId, protocol::ClientMessageId), DecisionRow>,
);

/// Conversations in memory.
#[derive(Debug, Default)]
pub(super) struct Cache {
    conversations: BTreeMap<ConversationId, Cached>,
}

#[derive(Debug)]
struct Cached {
    conversation: Conversation,
    used: bool,
}

impl Cache {
    pub(super) fn get(
        &mut self,
        view: &dyn StoreView,
        partition: PartitionId,
        id: ConversationId,
    ) -> Result<Option<&mut Conversation>, StoreError> {
        if !self.conversations.contains_key(&id) {
            let Some(loaded) = Conversation::load(view, partition, id)? else { return Ok(None) };
            self.insert(id, loaded);
        }
        Ok(self.conversations.get_mut(&id).map(|cached| {
            cached.used = true;
            &mut cached.conversation
        }))
    }

    pub(super) fn insert(&mut self, id: ConversationId, conversation: Conversation) {
        self.conversations.insert(id, Cached { conversation, used: true });
    }

    /// Keeps at most so many; those not used lately go first, and are read again.
    /// Between batches only: within one, an uncommitted conversation exists nowhere else.
    fn sweep(&mut self, most: usize) -> u64 {
        let before = self.conversations.len();
        if before > most {
            self.conversations.retain(|_, cached| std::mem::take(&mut cached.used));
            if self.conversations.len() > most {
                self.conversations.clear();
            }
        }
        (before - self.conversations.len()) as u64
    }
}
