//! What reaches the owner of a node's partitions, and what it makes of it.

use crate::core::attachments::{GatewayLife, LinkId};
use crate::core::command::Outcome;
use crate::wire::{Answer, FromStore};
use bytes::Bytes;
use link::LinkSender;
use ports::CallError;
use ports::broker::InboundDelivery;
use protocol::records::Inbound;
use protocol::store_calls::{
    AttachItem, ChangeMember, CreateConversation, DetachItem, PushRef, ReceiptItem,
};
use protocol::{ConversationId, Epoch, Partition, UserId};

/// One consumer's life on an inbound queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Subscribed {
    /// The queue.
    pub partition: Partition,
    /// Under which epoch.
    pub epoch: Epoch,
    /// Rises with every subscription of this partition: positions of an earlier one mean nothing.
    pub subscription: u64,
}

/// To the owner.
pub enum Input {
    /// From an inbound queue.
    Deliveries(Subscribed, Vec<InboundDelivery>),
    /// A request that changes a conversation.
    Request(Partition, Request, ReplyTo),
    /// Cursors.
    Receipts(Vec<ReceiptItem>),
    /// Something about attachments.
    Tail(Tail),
    /// A batch of publications is confirmed.
    Confirmed,
}

/// A request that changes a conversation and is answered.
#[derive(Clone, Debug)]
pub enum Request {
    /// Makes one.
    Create(CreateConversation),
    /// Adds or removes a member.
    ChangeMember(ChangeMember),
}

/// What changes or reads the attachments, in the order of arrival.
pub enum Tail {
    /// A gateway has announced itself.
    Linked(LinkId, GatewayLife, LinkSender<FromStore>),
    /// A link is lost.
    Unlinked(LinkId),
    /// Subscriptions and backlogs.
    Attach(LinkId, Vec<AttachItem>, ReplyTo),
    /// Ends subscriptions.
    Detach(LinkId, Vec<DetachItem>),
    /// Which pushes are due; each with whether it is of use at all.
    Pushes(Vec<(PushRef, bool)>, ReplyTo),
    /// Somebody is typing.
    Typing(LinkId, ConversationId, UserId),
}

/// Where an answer goes.
#[derive(Clone)]
pub struct ReplyTo {
    /// The link.
    pub sender: LinkSender<FromStore>,
    /// The call's number.
    pub number: u64,
}

impl ReplyTo {
    /// Answers. A caller whose link is lost calls again.
    pub fn send(&self, answer: Answer) {
        let _ = self.sender.send(&FromStore::Answer(self.number, answer));
    }

    /// Answers with the outcome of a command.
    pub fn outcome(&self, outcome: Outcome) {
        self.send(match outcome {
            Outcome::Info(info) => Answer::Info(info),
            Outcome::Changed(sequence) => Answer::Changed(sequence),
            Outcome::Refused(refusal) => Answer::Failed(CallError::Refused(refusal)),
            // No request ends like this; it is better than no answer.
            Outcome::Done => Answer::Failed(CallError::Unavailable),
        });
    }
}

/// A command in line.
pub enum Line {
    /// From an inbound queue.
    Delivery(DeliveryLine),
    /// From a link.
    Request(Partition, Request, ReplyTo),
}

/// A delivery in line.
pub struct DeliveryLine {
    /// Whose it is.
    pub from: Subscribed,
    /// Up to where it is acknowledged with it.
    pub position: u64,
    /// It may have been handed out before.
    pub redelivered: bool,
    /// The record.
    pub message: Bytes,
    /// The record, decoded; taken when it is applied.
    pub inbound: Option<Inbound>,
    /// Why it cannot be processed.
    pub poison: Option<Box<crate::core::intake::Poison>>,
}

impl Line {
    /// Which partition it is for.
    pub fn partition(&self) -> Partition {
        match self {
            Self::Delivery(delivery) => delivery.from.partition,
            Self::Request(partition, ..) => *partition,
        }
    }
}
