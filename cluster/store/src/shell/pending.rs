//! What waits for the next round: commands, cursors, and whatever touches the attachments.
//!
//! Bounded: deliveries by the prefetch, requests and attachments by the limit (beyond it the
//! caller is told to come back), cursors by the same (beyond it they are dropped: the client's next
//! receipt says more).

use super::input::{
    AttachCall, Consumer, QueuedCommand, QueuedDelivery, ReplyTo, Request, SubscriptionEvent,
};
use super::steps::Arrived;
use crate::wire::Answer;
use ports::CallError;
use ports::broker::InboundDelivery;
use protocol::limits::StoreLimits;
use protocol::store_calls::ReceiptItem;
use protocol::trace::{Sampler, TraceId};
use protocol::{ConversationId, Partition, UserId, design};
use std::collections::{BTreeMap, VecDeque};

/// The queues in front of a round.
pub struct Pending {
    commands: VecDeque<QueuedCommand>,
    /// The newest consumer of each partition.
    consumers: BTreeMap<Partition, u64>,
    /// What the waiting requests weigh.
    requests: usize,
    receipts: BTreeMap<(ConversationId, UserId), ReceiptItem>,
    events: VecDeque<SubscriptionEvent>,
    choice: design::Receipts,
    limits: StoreLimits,
    /// Which messages are traced.
    sampler: Sampler,
    /// Requests, cursors and attachments for which there was no room.
    refused: u64,
}

impl Pending {
    /// Nothing waits.
    pub fn new(choice: design::Receipts, limits: StoreLimits, sampler: Sampler) -> Self {
        let (commands, events) = (VecDeque::new(), VecDeque::new());
        let (consumers, receipts) = (BTreeMap::new(), BTreeMap::new());
        let (requests, refused) = (0, 0);
        Self { commands, consumers, requests, receipts, events, choice, limits, sampler, refused }
    }

    /// Deliveries. What still waits of an earlier consumer comes again to this one. The traces of those that
    /// are traced.
    pub fn deliveries(&mut self, from: Consumer, deliveries: Vec<InboundDelivery>) -> Vec<TraceId> {
        let newest = self.consumers.insert(from.partition, from.number);
        if newest != Some(from.number) {
            self.drop_deliveries(from.partition);
        }
        let of = |delivery| QueuedDelivery::of(from, delivery, self.sampler);
        let mut traces = Vec::new();
        let queued = deliveries.into_iter().map(of).inspect(|it: &QueuedDelivery| {
            traces.extend(it.arrived.as_ref().map(Arrived::trace));
        });
        self.commands.extend(queued.map(QueuedCommand::Delivery));
        traces
    }

    /// This node consumes a partition's queue no more, or under another epoch: its deliveries come again,
    /// here or elsewhere.
    pub fn drop_deliveries(&mut self, partition: Partition) {
        self.commands.retain(|command| match command {
            QueuedCommand::Delivery(old) => old.consumer.partition != partition,
            QueuedCommand::Request(..) => true,
        });
    }

    /// A request, if there is room.
    pub fn request(&mut self, partition: Partition, request: Request, reply: ReplyTo) {
        if self.requests >= self.limits.backlog {
            self.refused += 1;
            reply.send(Answer::Failed(CallError::Unavailable));
            return;
        }
        self.requests += request.weight();
        self.commands.push_back(QueuedCommand::Request(partition, request, reply));
    }

    /// Cursors: of one member, only what they come to.
    pub fn receipts(&mut self, items: Vec<ReceiptItem>) {
        for item in items {
            let key = (item.conversation, item.user);
            let room = self.receipts.len() < self.limits.backlog;
            match self.receipts.get_mut(&key) {
                Some(waiting) if self.choice == design::Receipts::Maximum => {
                    waiting.delivered = waiting.delivered.max(item.delivered);
                    waiting.read = waiting.read.max(item.read);
                }
                Some(waiting) => *waiting = item,
                None if room => {
                    self.receipts.insert(key, item);
                }
                None => self.refused += 1,
            }
        }
    }

    /// Something about attachments. Losing a link is never refused.
    pub fn event(&mut self, event: SubscriptionEvent) {
        if self.events.len() < self.limits.backlog {
            self.events.push_back(event);
            return;
        }
        self.refused += 1;
        match event {
            SubscriptionEvent::Attach(AttachCall { reply, .. })
            | SubscriptionEvent::Pushes(_, reply) => {
                reply.send(Answer::Failed(CallError::Unavailable));
            }
            SubscriptionEvent::Typing(..) => {}
            event @ (SubscriptionEvent::Linked(..)
            | SubscriptionEvent::Unlinked(_)
            | SubscriptionEvent::Detach(..)) => self.events.push_back(event),
        }
    }

    /// For how many there was no room, since it was last asked.
    pub fn take_refused(&mut self) -> u64 {
        std::mem::take(&mut self.refused)
    }

    /// How many commands wait.
    pub fn waiting(&self) -> usize {
        self.commands.len()
    }

    /// Whether cursors wait.
    pub fn has_receipts(&self) -> bool {
        !self.receipts.is_empty()
    }

    /// The next commands: of this weight, and the one that reaches it.
    pub fn take_commands(&mut self, most: usize) -> Vec<QueuedCommand> {
        let (mut taken, mut weight) = (Vec::new(), 0);
        while weight < most
            && let Some(command) = self.commands.pop_front()
        {
            weight += command.weight();
            if let QueuedCommand::Request(_, request, _) = &command {
                self.requests -= request.weight();
            }
            taken.push(command);
        }
        taken
    }

    /// All cursors.
    pub fn take_receipts(&mut self) -> Vec<ReceiptItem> {
        std::mem::take(&mut self.receipts).into_values().collect()
    }

    /// The next attaches, up to the first other event or about `most` items.
    pub fn take_attaches(&mut self, most: usize) -> Vec<AttachCall> {
        let mut taken = Vec::new();
        let mut items = 0;
        while items < most
            && let Some(event) = self.events.pop_front()
        {
            match event {
                SubscriptionEvent::Attach(call) => {
                    items += call.items.len();
                    taken.push(call);
                }
                other => {
                    self.events.push_front(other);
                    break;
                }
            }
        }
        taken
    }

    /// The next event, if it is no attach.
    pub fn take_event(&mut self) -> Option<SubscriptionEvent> {
        let is_attach = matches!(self.events.front(), Some(SubscriptionEvent::Attach(_)));
        if is_attach { None } else { self.events.pop_front() }
    }
}
