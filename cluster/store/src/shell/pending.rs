//! What waits for the next round: commands, cursors, and whatever touches the attachments.
//!
//! Bounded: deliveries by the prefetch, requests and attachments by the limit (beyond it the
//! caller is told to come back), cursors by the same (beyond it they are dropped: the client's next
//! receipt says more).

use super::input::{DeliveryLine, Line, ReplyTo, Request, Subscribed, Tail};
use crate::wire::Answer;
use ports::CallError;
use ports::broker::InboundDelivery;
use protocol::limits::StoreLimits;
use protocol::store_calls::ReceiptItem;
use protocol::{ConversationId, Epoch, Partition, UserId, design};
use std::collections::{BTreeMap, VecDeque};

/// The queues in front of a round.
pub struct Pending {
    lines: VecDeque<Line>,
    /// The newest subscription of each partition.
    subscriptions: BTreeMap<Partition, u64>,
    requests: usize,
    receipts: BTreeMap<(ConversationId, UserId), ReceiptItem>,
    tails: VecDeque<Tail>,
    choice: design::Receipts,
    limits: StoreLimits,
    /// Requests, cursors and attachments for which there was no room.
    refused: u64,
}

impl Pending {
    /// Nothing waits.
    pub fn new(choice: design::Receipts, limits: StoreLimits) -> Self {
        let (lines, tails) = (VecDeque::new(), VecDeque::new());
        let (subscriptions, receipts) = (BTreeMap::new(), BTreeMap::new());
        Self { lines, subscriptions, requests: 0, receipts, tails, choice, limits, refused: 0 }
    }

    /// Deliveries. What still waits of an earlier subscription comes again with this one.
    pub fn deliveries(&mut self, from: Subscribed, deliveries: Vec<InboundDelivery>) {
        let newest = self.subscriptions.insert(from.partition, from.subscription);
        if newest != Some(from.subscription) {
            self.lines.retain(|line| match line {
                Line::Delivery(old) => old.from.partition != from.partition,
                Line::Request(..) => true,
            });
        }
        self.lines.extend(deliveries.into_iter().map(|delivery| {
            let InboundDelivery { position, redelivered, message } = delivery;
            let (inbound, poison) = (None, None);
            Line::Delivery(DeliveryLine { from, position, redelivered, message, inbound, poison })
        }));
    }

    /// The partition has a new epoch: deliveries under the old one come again.
    pub fn reacquired(&mut self, partition: Partition, epoch: Epoch) {
        self.lines.retain(|line| match line {
            Line::Delivery(old) => old.from.partition != partition || old.from.epoch == epoch,
            Line::Request(..) => true,
        });
    }

    /// A request, if there is room.
    pub fn request(&mut self, partition: Partition, request: Request, reply: ReplyTo) {
        if self.requests >= self.limits.backlog {
            self.refused += 1;
            reply.send(Answer::Failed(CallError::Unavailable));
            return;
        }
        self.requests += 1;
        self.lines.push_back(Line::Request(partition, request, reply));
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
    pub fn tail(&mut self, tail: Tail) {
        if self.tails.len() < self.limits.backlog {
            self.tails.push_back(tail);
            return;
        }
        self.refused += 1;
        match tail {
            Tail::Attach(_, _, reply) | Tail::Pushes(_, reply) => {
                reply.send(Answer::Failed(CallError::Unavailable));
            }
            Tail::Typing(..) => {}
            tail @ (Tail::Linked(..) | Tail::Unlinked(_) | Tail::Detach(..)) => {
                self.tails.push_back(tail);
            }
        }
    }

    /// For how many there was no room, since it was last asked.
    pub fn take_refused(&mut self) -> u64 {
        std::mem::take(&mut self.refused)
    }

    /// Whether a round would have commands.
    pub fn has_lines(&self) -> bool {
        !self.lines.is_empty()
    }

    /// How many commands wait.
    pub fn waiting(&self) -> usize {
        self.lines.len()
    }

    /// Whether cursors wait.
    pub fn has_receipts(&self) -> bool {
        !self.receipts.is_empty()
    }

    /// Whether an attach is next.
    pub fn has_attach(&self) -> bool {
        matches!(self.tails.front(), Some(Tail::Attach(..)))
    }

    /// The next commands.
    pub fn take_lines(&mut self, most: usize) -> Vec<Line> {
        let lines: Vec<Line> = self.lines.drain(..most.min(self.lines.len())).collect();
        self.requests -= lines.iter().filter(|line| matches!(line, Line::Request(..))).count();
        lines
    }

    /// All cursors.
    pub fn take_receipts(&mut self) -> Vec<ReceiptItem> {
        std::mem::take(&mut self.receipts).into_values().collect()
    }

    /// The next attaches, up to the first other tail or about `most` items.
    pub fn take_attaches(&mut self, most: usize) -> Vec<Tail> {
        let mut taken = Vec::new();
        let mut items = 0;
        while items < most && self.has_attach() {
            let Some(tail) = self.tails.pop_front() else { break };
            if let Tail::Attach(_, new, _) = &tail {
                items += new.len();
            }
            taken.push(tail);
        }
        taken
    }

    /// The next tail that is not an attach, if it is the first in line.
    pub fn take_other_tail(&mut self) -> Option<Tail> {
        if self.has_attach() { None } else { self.tails.pop_front() }
    }
}
