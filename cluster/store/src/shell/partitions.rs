//! The partitions of a node over its engine: the blocking half of a round.
//!
//! A round fetches what its commands may need, applies them in memory, commits a batch per partition in
//! one write, and answers from one view of what is stored then. Every step that can fail can be
//! repeated. A partition whose lease is not the newest any more is dropped with all that was applied to
//! it: nothing of it was written, and nobody is told.

use super::questions::{self, questions};
use super::round::{Applied, Origin, Round, Work};
use crate::config::StoreConfig;
use crate::core::command::{Command, Outcome};
use crate::core::overlay::Overlay;
use crate::core::partition::{Choices, Partition};
use ports::message_store::{Keys, Lease, MessageStore, Rows, StoreError};
use protocol::design::{Epochs, Poison};
use protocol::store_calls::PartitionStatus;
use protocol::{Epoch, Partition as PartitionId, Sequence};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Of a conversation that holds more entries than are kept, because fewer are kept than once were, so many go
/// with each commit beside those that make room for new ones. All at once may take an engine longer than it
/// may take for a commit, and then they would be tried for ever.
const CATCHING_UP: u64 = 64;

/// An owned partition.
pub(super) struct Owned {
    pub machine: Partition,
    pub lease: Lease,
    conversations: u64,
}

/// The partitions that this node owns.
pub struct Partitions {
    pub(super) store: Arc<dyn MessageStore>,
    pub(super) config: StoreConfig,
    pub(super) owned: BTreeMap<PartitionId, Owned>,
}

impl Partitions {
    /// No partitions yet.
    pub fn new(store: Arc<dyn MessageStore>, config: StoreConfig) -> Self {
        Self { store, config, owned: BTreeMap::new() }
    }

    /// Fetches what a round needs and applies its commands in memory. On an error nothing has happened.
    pub fn apply(&mut self, round: &mut Round) -> Result<(), StoreError> {
        for partition in round.lost.drain(..) {
            self.owned.remove(&partition);
        }
        while let Some(lease) = round.acquired.pop() {
            let adopted = self.adopt(lease, round.at_ms);
            if adopted.is_err() {
                round.acquired.push(lease);
            }
            adopted?;
            round.done.acquired.push(lease);
        }
        let mut keys: BTreeMap<PartitionId, Keys> = BTreeMap::new();
        for work in &round.work {
            if let (Some(owned), Ok(command)) = (self.owned.get(&work.partition), &work.command) {
                owned.machine.keys(command, keys.entry(work.partition).or_default());
            }
        }
        let mut fetched: BTreeMap<PartitionId, Rows> = BTreeMap::new();
        for question in questions(keys.clone()) {
            for ((partition, _), rows) in question.iter().zip(self.store.prefetch(&question)?) {
                questions::add(fetched.entry(*partition).or_default(), rows);
            }
        }
        for (partition, keys) in keys {
            let rows = fetched.remove(&partition).unwrap_or_default();
            let applied = round.applied.entry(partition).or_default();
            applied.overlay = Overlay::new(keys, rows);
        }
        for work in std::mem::take(&mut round.work) {
            match self.owned.get_mut(&work.partition) {
                Some(owned) => {
                    let applied = round.applied.entry(work.partition).or_default();
                    owned.apply(work, applied, self.config.design.poison);
                }
                None => {
                    if let Origin::Request(reply) = work.origin {
                        let owner = self.config.directory.owner(work.partition);
                        let not_owned = vec![(work.partition, Some(owner))];
                        round.done.misdirected.push((reply, not_owned));
                    }
                }
            }
        }
        for (partition, applied) in &mut round.applied {
            let Some(owned) = self.owned.get_mut(partition) else { continue };
            if let Some(keep) = self.config.retention {
                owned.retain(applied, keep);
            }
            round.batches.push((owned.lease, std::mem::take(&mut applied.overlay.batch)));
        }
        Ok(())
    }

    /// Takes up a partition that was acquired.
    fn adopt(&mut self, lease: Lease, at_ms: u64) -> Result<(), StoreError> {
        let Lease { partition, epoch } = lease;
        let conversations = self.store.view()?.count(partition)?;
        let StoreConfig { design, limits, number: owner, .. } = self.config;
        let mut machine = Partition::new(partition, Choices::from(design), limits);
        let epoch = match design.epochs {
            Epochs::Counted => epoch,
            Epochs::Clock => Epoch(at_ms),
        };
        let acquire = Command::Acquire { epoch, owner };
        machine.apply(acquire, &mut Overlay::default(), &mut Vec::new());
        self.owned.insert(partition, Owned { machine, lease, conversations });
        Ok(())
    }

    /// What this node says of its partitions.
    fn status(&self) -> Vec<PartitionStatus> {
        let owner = self.config.number;
        let status = |(partition, owned): (&PartitionId, &Owned)| PartitionStatus {
            partition: *partition,
            owner,
            epoch: owned.machine.epoch(),
            conversations: owned.conversations,
        };
        self.owned.iter().map(status).collect()
    }

    /// Makes durable what was applied, then answers from one instant. After an error call it again.
    pub fn commit(&mut self, round: &mut Round) -> Result<(), StoreError> {
        if !round.batches.is_empty() {
            let fenced = self.store.commit(&round.batches)?;
            round.batches.clear();
            for fenced in fenced {
                self.owned.remove(&fenced.partition);
                if let Some(applied) = round.applied.remove(&fenced.partition) {
                    let not_owned = (fenced.partition, fenced.current.known());
                    let callers = applied.outcomes.into_iter();
                    let callers = callers.map(|(reply, _)| (reply, vec![not_owned]));
                    round.done.misdirected.extend(callers);
                }
                round.done.fenced.push(fenced);
            }
        }
        for (partition, mut applied) in std::mem::take(&mut round.applied) {
            round.done.settlements.append(&mut applied.settlements);
            round.done.effects.append(&mut applied.effects);
            round.done.outcomes.append(&mut applied.outcomes);
            round.done.sequenced.append(&mut applied.sequenced);
            if let Some(owned) = self.owned.get_mut(&partition) {
                owned.conversations += applied.created;
            }
        }
        if !(round.attaches.is_empty() && round.departures.is_empty()) {
            self.answer(round)?;
        }
        let machines = self.owned.values_mut();
        round.done.evicted += machines.map(|owned| owned.machine.committed()).sum::<u64>();
        round.done.status = self.status();
        Ok(())
    }
}

impl Owned {
    fn apply(&mut self, work: Work, applied: &mut Applied, poison: Poison) {
        let Applied { overlay, effects, outcomes, settlements, created, sequenced } = applied;
        let Work { partition: _, origin, command } = work;
        let entries = overlay.batch.entries.len();
        let outcome = match command {
            Ok(command) => {
                let makes = matches!(command, Command::Create { .. });
                let before = overlay.batch.conversations.len();
                let outcome = self.machine.apply(command, overlay, effects);
                // Rows beyond those that the batch had are of creations that were no repetitions.
                if makes {
                    *created += (overlay.batch.conversations.len() - before) as u64;
                }
                outcome
            }
            Err(reason) if poison == Poison::DeadLetter => Outcome::DeadLettered(reason),
            Err(_) => Outcome::Done,
        };
        match origin {
            Origin::Delivery { consumer, position, key, message, arrived } => {
                let reason = match outcome {
                    Outcome::DeadLettered(reason) => Some(reason),
                    _ => None,
                };
                let is_new = overlay.batch.entries.len() > entries;
                let at = (consumer, position);
                sequenced.extend(arrived.map(|it| it.sequenced(at, is_new, reason.clone())));
                settlements.settle((consumer, position), (key, message), reason);
            }
            Origin::Request(reply) => outcomes.push((reply, outcome)),
            Origin::Receipt => {}
        }
    }

    fn retain(&mut self, applied: &mut Applied, keep: u64) {
        let grown: Vec<_> = applied.overlay.batch.conversations.keys().copied().collect();
        for conversation in grown {
            let entries = &applied.overlay.batch.entries;
            let all = (conversation, Sequence(0))..=(conversation, Sequence(u64::MAX));
            let most = entries.range(all).count() as u64 + CATCHING_UP;
            let command = Command::Retain { conversation, keep, most };
            self.machine.apply(command, &mut applied.overlay, &mut applied.effects);
        }
    }
}
