//! The blocking half of a round: reads, applies, commits. Lives on the worker.

use super::input::{DeliveryLine, Line, ReplyTo, Request, Tail};
use crate::config::StoreConfig;
use crate::core::absences::Departure;
use crate::core::attachments::LinkId;
use crate::core::command::{Command, Effect, Outcome};
use crate::core::overlay::Overlay;
use crate::core::pages::{self, Budget};
use crate::core::partition::{Choices, Partition, Withheld};
use crate::core::{intake, missed};
use ports::message_store::{Lease, MessageStore, StoreError, StoreView, WriteBatch};
use protocol::design::Epochs;
use protocol::records::PushJob;
use protocol::store_calls::{AttachItem, AttachedItem, PartitionStatus, ReceiptItem};
use protocol::{Epoch, Partition as PartitionId, RejectReason, partition};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// The partitions of a node over its engine.
pub struct Writer {
    store: Arc<dyn MessageStore>,
    config: StoreConfig,
    partitions: BTreeMap<PartitionId, Seat>,
    evicted: u64,
}

struct Seat {
    machine: Partition,
    lease: Lease,
    conversations: u64,
}

/// What a round applies.
#[derive(Default)]
pub struct Work {
    /// Commands, in order.
    pub lines: Vec<Line>,
    /// Cursors.
    pub receipts: Vec<ReceiptItem>,
    /// The owner's wall clock.
    pub at_ms: u64,
}

/// What came of it, not yet durable.
#[derive(Default)]
pub struct Applied {
    leases: Vec<Lease>,
    batch: WriteBatch,
    withheld: Withheld,
    created: BTreeMap<PartitionId, u64>,
    committed: bool,
    /// For the world, once durable.
    pub effects: Vec<Effect>,
    /// For the callers, once durable.
    pub outcomes: Vec<(ReplyTo, Outcome)>,
}

impl Applied {
    /// Whether it is durable.
    pub fn is_committed(&self) -> bool {
        self.committed
    }
}

/// An answered `attach` call.
pub struct AttachAnswer {
    /// From which link.
    pub link: LinkId,
    /// Where to.
    pub reply: ReplyTo,
    /// The question.
    pub items: Vec<AttachItem>,
    /// The answer.
    pub answers: Vec<AttachedItem>,
}

impl Writer {
    /// Acquires every partition of the node. `at_ms`: its wall clock.
    pub fn open(
        store: Arc<dyn MessageStore>,
        config: StoreConfig,
        at_ms: u64,
    ) -> Result<Self, StoreError> {
        let mut writer = Self { store, config, partitions: BTreeMap::new(), evicted: 0 };
        for id in writer.config.partitions().collect::<Vec<_>>() {
            writer.acquire(id, Epoch(0), at_ms)?;
        }
        Ok(writer)
    }

    /// Takes a partition (again) under a new epoch, above `above`.
    pub fn acquire(
        &mut self,
        id: PartitionId,
        above: Epoch,
        at_ms: u64,
    ) -> Result<Lease, StoreError> {
        let lease = self.store.acquire(id, above)?;
        let view = self.store.view()?;
        // Everything that can fail comes before the partition is taken out of its seat.
        let conversations = view.count(id)?;
        let mut machine = match self.partitions.remove(&id) {
            Some(mut seat) => {
                seat.machine.forget();
                seat.machine
            }
            None => Partition::new(id, Choices::from(self.config.design), self.config.limits),
        };
        let epoch = match self.config.design.epochs {
            Epochs::Counted => lease.epoch,
            Epochs::Clock => Epoch(at_ms),
        };
        let command = Command::Acquire { epoch, owner: self.config.number };
        machine.apply(command, &mut Overlay::new(&*view), &mut Vec::new())?;
        drop(view);
        self.partitions.insert(id, Seat { machine, lease, conversations });
        Ok(lease)
    }

    /// How many conversations were put out of memory, since it was last asked.
    pub fn take_evicted(&mut self) -> u64 {
        std::mem::take(&mut self.evicted)
    }

    /// What this node says of its partitions.
    pub fn status(&self) -> Vec<PartitionStatus> {
        let owner = self.config.number;
        let status = |(partition, seat): (&PartitionId, &Seat)| PartitionStatus {
            partition: *partition,
            owner,
            epoch: seat.machine.epoch(),
            conversations: seat.conversations,
        };
        self.partitions.iter().map(status).collect()
    }

    /// Applies commands in memory. On an error nothing has happened: apply the same work again.
    pub fn apply(&mut self, work: &mut Work) -> Result<Applied, StoreError> {
        let store = Arc::clone(&self.store);
        let view = store.view()?;
        let applied = self.apply_over(&*view, work);
        if applied.is_err() {
            self.forget();
        }
        applied
    }

    fn apply_over(&mut self, view: &dyn StoreView, work: &mut Work) -> Result<Applied, StoreError> {
        let mut overlay = Overlay::new(view);
        let mut applied = Applied::default();
        let mut written = BTreeSet::new();
        for line in &mut work.lines {
            let seat = self.partitions.get_mut(&line.partition()).expect("lines of this node only");
            if written.insert(line.partition()) {
                applied.leases.push(seat.lease);
            }
            match line {
                Line::Delivery(delivery) => {
                    let effects = &mut applied.effects;
                    apply_delivery(seat, delivery, work.at_ms, &mut overlay, effects)?;
                }
                Line::Request(id, request, reply) => {
                    let before = overlay.batch.conversations.len();
                    let made = matches!(request, Request::Create(_));
                    let command = command(request.clone(), work.at_ms);
                    let effects = &mut applied.effects;
                    let outcome = seat.machine.apply(command, &mut overlay, effects)?;
                    // A creation that was no repetition is the only way to a new row here.
                    if made && overlay.batch.conversations.len() > before {
                        *applied.created.entry(*id).or_default() += 1;
                    }
                    applied.outcomes.push((reply.clone(), outcome));
                }
            }
        }
        for item in &work.receipts {
            let id = partition::partition_of(item.conversation, self.config.partitions_total);
            let Some(seat) = self.partitions.get_mut(&id) else { continue };
            if written.insert(id) {
                applied.leases.push(seat.lease);
            }
            seat.machine.apply(Command::Receipt(*item), &mut overlay, &mut applied.effects)?;
        }
        self.retain(&mut overlay, &mut applied.effects)?;
        applied.batch = overlay.batch;
        if let Some(seat) = self.partitions.values().next() {
            applied.withheld = seat.machine.withhold(&mut applied.batch);
        }
        Ok(applied)
    }

    fn retain(
        &mut self,
        overlay: &mut Overlay<'_>,
        effects: &mut Vec<Effect>,
    ) -> Result<(), StoreError> {
        let Some(keep) = self.config.retention else { return Ok(()) };
        let grown: Vec<_> = overlay.batch.conversations.keys().copied().collect();
        for (partition, conversation) in grown {
            let Some(seat) = self.partitions.get_mut(&partition) else { continue };
            seat.machine.apply(Command::Retain { conversation, keep }, overlay, effects)?;
        }
        Ok(())
    }

    /// Makes it durable. After `Unavailable` or `Unknown` call again with the same; after `Fenced`
    /// acquire the partition and apply the work again.
    pub fn commit(&mut self, applied: &mut Applied) -> Result<(), StoreError> {
        if !applied.batch.is_empty() {
            self.store.commit(&applied.leases, &applied.batch)?;
        }
        for (id, seat) in &mut self.partitions {
            seat.conversations += applied.created.get(id).copied().unwrap_or_default();
            self.evicted += seat.machine.committed(&applied.withheld);
        }
        applied.committed = true;
        Ok(())
    }

    /// What was applied will not be committed.
    pub fn forget(&mut self) {
        for seat in self.partitions.values_mut() {
            seat.machine.forget();
        }
    }

    /// Answers attaches from one instant, right after a commit. On an error nothing has happened.
    pub fn attach(&mut self, tails: &[Tail]) -> Result<Vec<AttachAnswer>, StoreError> {
        let store = Arc::clone(&self.store);
        let view = store.view()?;
        let mut answers = Vec::with_capacity(tails.len());
        for tail in tails {
            let Tail::Attach(link, items, reply) = tail else { continue };
            let mut budget = Budget::new(self.config.limits.answer_bytes);
            let answered: Result<_, _> = items
                .iter()
                .filter_map(|item| self.attach_one(&*view, item, &mut budget).transpose())
                .collect();
            let (items, reply) = (items.clone(), reply.clone());
            answers.push(AttachAnswer { link: *link, reply, items, answers: answered? });
        }
        Ok(answers)
    }

    /// What those who went have missed. On an error nothing has happened.
    pub fn missed(&mut self, departures: &[Departure]) -> Result<Vec<PushJob>, StoreError> {
        let store = Arc::clone(&self.store);
        let view = store.view()?;
        let mut jobs = Vec::new();
        for departure in departures {
            let id = partition::partition_of(departure.conversation, self.config.partitions_total);
            let Some(seat) = self.partitions.get_mut(&id) else { continue };
            let found = seat.machine.conversation(&*view, departure.conversation)?;
            jobs.extend(missed::missed(
                &*view,
                found,
                departure,
                self.config.limits.missed_messages,
            )?);
        }
        Ok(jobs)
    }

    /// `None`: the conversation does not live here, so that it is missing in the answer.
    fn attach_one(
        &mut self,
        view: &dyn StoreView,
        item: &AttachItem,
        budget: &mut Budget,
    ) -> Result<Option<AttachedItem>, StoreError> {
        let AttachItem { conversation, user, .. } = *item;
        let id = partition::partition_of(conversation, self.config.partitions_total);
        let Some(seat) = self.partitions.get_mut(&id) else { return Ok(None) };
        let epoch = seat.lease.epoch;
        let found = seat.machine.conversation(view, conversation)?;
        let outcome = pages::attach(view, found, item, epoch, budget)?;
        Ok(Some(AttachedItem { conversation, user, outcome }))
    }
}

fn command(request: Request, at_ms: u64) -> Command {
    match request {
        Request::Create(request) => Command::Create { request, at_ms },
        Request::ChangeMember(request) => Command::ChangeMember { request, at_ms },
    }
}

fn apply_delivery(
    seat: &mut Seat,
    delivery: &mut DeliveryLine,
    at_ms: u64,
    overlay: &mut Overlay<'_>,
    effects: &mut Vec<Effect>,
) -> Result<(), StoreError> {
    let replay = delivery.redelivered;
    if let Some(poison) = &mut delivery.poison {
        let Some(inbound) = poison.inbound.clone() else { return Ok(()) };
        seat.machine.apply(Command::Bury { inbound, replay }, overlay, effects)?;
        let is_dead = matches!(
            effects.last(),
            Some(Effect::Rejected(_, rejected)) if rejected.reason == RejectReason::DeadLettered
        );
        poison.is_settled = !is_dead;
        return Ok(());
    }
    // Decoded when it was taken in; once more if the work is applied again.
    let inbound = match delivery.inbound.take() {
        Some(inbound) => inbound,
        None => match intake::read(&delivery.message) {
            Ok(inbound) => inbound,
            Err(_poison) => return Ok(()),
        },
    };
    seat.machine.apply(Command::Sequence { inbound, at_ms, replay }, overlay, effects)?;
    Ok(())
}
