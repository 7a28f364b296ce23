//! A round: what the owner asks for, what is under way, and what came of it.

use super::input::{AttachCall, Consumer, QueuedCommand, QueuedDelivery, ReplyTo, Request};
use super::steps::{Arrived, Sequenced};
use crate::config::StoreConfig;
use crate::core::absences::Departure;
use crate::core::command::{Command, Effect, Outcome};
use crate::core::overlay::Overlay;
use bytes::Bytes;
use ports::broker::{NewDeadLetter, Origin as QueueOrigin};
use ports::directory::Owner;
use ports::message_store::{Batch, Fenced, Lease};
use protocol::records::Inbound;
use protocol::records::PushJob;
use protocol::store_calls::{AttachedItem, PartitionStatus, ReceiptItem};
use protocol::{Partition, partition};
use std::collections::BTreeMap;
use std::time::Duration;

/// What the owner wants of a round.
#[derive(Default)]
pub struct Job {
    /// Partitions that are owned from now on.
    pub acquired: Vec<Lease>,
    /// Partitions that are owned no more.
    pub lost: Vec<Partition>,
    /// Commands, in order.
    pub commands: Vec<QueuedCommand>,
    /// Cursors.
    pub receipts: Vec<ReceiptItem>,
    /// Of those who have been gone for too long.
    pub departures: Vec<Departure>,
    /// Attaches.
    pub attaches: Vec<AttachCall>,
}

impl Job {
    /// Whether there is nothing to do.
    pub fn is_empty(&self) -> bool {
        self.acquired.is_empty()
            && self.lost.is_empty()
            && self.commands.is_empty()
            && self.receipts.is_empty()
            && self.departures.is_empty()
            && self.attaches.is_empty()
    }
}

/// What is to be done with a round's deliveries once the publications are confirmed.
#[derive(Debug, Default)]
pub struct Settlements {
    /// First, those that cannot be processed become dead letters.
    pub dead: Vec<NewDeadLetter>,
    /// Then all are acknowledged, up to these positions.
    pub through: BTreeMap<Consumer, u64>,
}

/// What came of a round, durable.
#[derive(Default)]
pub struct Done {
    /// For the world.
    pub effects: Vec<Effect>,
    /// For the broker.
    pub settlements: Settlements,
    /// For the callers.
    pub outcomes: Vec<(ReplyTo, Outcome)>,
    /// Calls that touch partitions of others.
    pub misdirected: Vec<(ReplyTo, NotOwned)>,
    /// Answers to the attaches.
    pub attached: Vec<AttachAnswer>,
    /// What the departed have missed.
    pub missed: Vec<PushJob>,
    /// How many entries before that nobody is pushed.
    pub left_out: u64,
    /// Partitions that are owned from now on.
    pub acquired: Vec<Lease>,
    /// Partitions that turned out to be somebody else's.
    pub fenced: Vec<Fenced>,
    /// What this node says of its partitions.
    pub status: Vec<PartitionStatus>,
    /// How many commands there were.
    pub commands: usize,
    /// How many conversations were put out of memory.
    pub evicted: u64,
    /// Traced messages.
    pub sequenced: Vec<Sequenced>,
    /// How long the write took.
    pub write: Duration,
}

/// An answered `attach` call.
pub struct AttachAnswer {
    /// The call.
    pub call: AttachCall,
    /// The answers, in the order of the items.
    pub answers: Vec<AttachedItem>,
}

/// Partitions of others, and whose they are, as far as known.
pub type NotOwned = Vec<(Partition, Option<Owner>)>;

/// A round under way.
pub struct Round {
    /// The node's wall clock at its beginning.
    pub at_ms: u64,
    /// As in the job.
    pub departures: Vec<Departure>,
    /// As in the job.
    pub attaches: Vec<AttachCall>,
    /// As in the job.
    pub acquired: Vec<Lease>,
    /// As in the job.
    pub lost: Vec<Partition>,
    /// What is to be applied.
    pub work: Vec<Work>,
    /// What was applied, by partition.
    pub applied: BTreeMap<Partition, Applied>,
    /// What is to be committed.
    pub batches: Vec<(Lease, Batch)>,
    /// What came of it; complete after `commit`.
    pub done: Done,
}

/// A command and what is done with its outcome.
pub struct Work {
    /// Whose it is.
    pub partition: Partition,
    /// Where it came from.
    pub origin: Origin,
    /// Or why the record of a delivery says nothing.
    pub command: Result<Command, String>,
}

/// Where a command came from.
pub enum Origin {
    /// The broker.
    Delivery {
        /// Whose it is.
        consumer: Consumer,
        /// Up to where it is acknowledged with it.
        position: u64,
        /// Names it among the dead letters: a resend is the same one.
        key: u128,
        /// The record.
        message: Bytes,
        /// If it is traced.
        arrived: Option<Arrived>,
    },
    /// A caller, who is answered.
    Request(ReplyTo),
    /// A report of cursors.
    Receipt,
}

/// What was applied to one partition and is not durable yet.
#[derive(Default)]
pub struct Applied {
    /// The batch.
    pub overlay: Overlay,
    /// For the world.
    pub effects: Vec<Effect>,
    /// For the callers.
    pub outcomes: Vec<(ReplyTo, Outcome)>,
    /// What becomes of the deliveries.
    pub settlements: Settlements,
    /// How many conversations are new.
    pub created: u64,
    /// Traced messages.
    pub sequenced: Vec<Sequenced>,
}

impl Round {
    /// A round for a job. `at_ms`: the node's wall clock.
    pub fn new(job: Job, at_ms: u64, config: &StoreConfig) -> Self {
        let Job { acquired, lost, commands, receipts, departures, attaches } = job;
        let done = Done { commands: commands.len(), ..Done::default() };
        let mut work = Vec::with_capacity(commands.len() + receipts.len());
        work.extend(commands.into_iter().map(|command| Work::of(command, at_ms)));
        work.extend(receipts.into_iter().map(|item| Work {
            partition: partition::partition_of(item.conversation, config.partitions_total),
            origin: Origin::Receipt,
            command: Ok(Command::Receipt(item)),
        }));
        let (applied, batches) = (BTreeMap::new(), Vec::new());
        Self { at_ms, departures, attaches, acquired, lost, work, applied, batches, done }
    }

    /// What the world would learn and what would be settled, before anything of it is durable.
    pub fn take_early(&mut self) -> Option<(Vec<Effect>, Settlements)> {
        if self.applied.values().all(|applied| applied.effects.is_empty()) {
            return None;
        }
        let mut early = (Vec::new(), Settlements::default());
        for applied in self.applied.values_mut() {
            early.0.append(&mut applied.effects);
            early.1.append(&mut applied.settlements);
        }
        Some(early)
    }
}

impl Work {
    fn of(command: QueuedCommand, at_ms: u64) -> Self {
        let partition = command.partition();
        match command {
            QueuedCommand::Delivery(delivery) => {
                let QueuedDelivery { consumer, position, replay, message, content, arrived } =
                    delivery;
                let key = key(&content, &message);
                let command = content.map(|inbound| Command::Sequence { inbound, at_ms, replay });
                let origin = Origin::Delivery { consumer, position, key, message, arrived };
                Self { partition, origin, command }
            }
            QueuedCommand::Request(_, request, reply) => {
                let command = Ok(match request {
                    Request::Create(requests) => Command::Create { requests, at_ms },
                    Request::ChangeMember(request) => Command::ChangeMember { request, at_ms },
                });
                Self { partition, origin: Origin::Request(reply), command }
            }
        }
    }
}

/// Names the message among the dead letters of its partition: by its author and id, or by its bytes.
fn key(content: &Result<Inbound, String>, message: &[u8]) -> u128 {
    match content {
        Ok(Inbound { author, client_message_id, .. }) => {
            (u128::from(author.0) << 64) | u128::from(client_message_id.0)
        }
        // FNV-1a (Fowler, Noll, Vo), 128 bits.
        Err(_) => message.iter().fold(0x6c62_272e_07bb_0142_62b8_2175_6295_c58d, |hash, byte| {
            (hash ^ u128::from(*byte)).wrapping_mul(0x0100_0000_0000_0000_0000_013b)
        }),
    }
}

impl Settlements {
    /// Whether there is nothing to do.
    pub fn is_empty(&self) -> bool {
        self.dead.is_empty() && self.through.is_empty()
    }

    /// Takes another partition's.
    pub fn append(&mut self, other: &mut Self) {
        self.dead.append(&mut other.dead);
        self.through.append(&mut other.through);
    }

    /// A delivery is done, as a dead letter if there is a reason.
    pub fn settle(
        &mut self,
        (consumer, position): (Consumer, u64),
        (key, message): (u128, Bytes),
        reason: Option<String>,
    ) {
        self.through.insert(consumer, position);
        let origin = QueueOrigin::Inbound(consumer.partition);
        let attempts = 1;
        let letter = |reason| NewDeadLetter { origin, key, reason, attempts, message };
        self.dead.extend(reason.map(letter));
    }
}
