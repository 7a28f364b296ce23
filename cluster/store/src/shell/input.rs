//! What reaches the owner of a node's partitions, and what it makes of it.

use super::steps::Arrived;
use crate::core::attachments::{GatewayLife, LinkId};
use crate::core::command::Outcome;
use crate::wire::{Answer, FromStore};
use bytes::Bytes;
use link::LinkSender;
use ports::CallError;
use ports::broker::InboundDelivery;
use ports::message_store::{Fenced, Lease, StoreError};
use protocol::records::{self, Inbound};
use protocol::store_calls::{
    AttachItem, ChangeMember, CreateConversation, DetachItem, PushRef, ReceiptItem,
};
use protocol::trace::Sampler;
use protocol::{ConversationId, Epoch, Partition, UserId};
use tokio::sync::oneshot;

/// First members of a conversation that are as many rows as one command of another kind brings, and more.
const MEMBERS: usize = 32;

/// One consumer's life on an inbound queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Consumer {
    /// The queue.
    pub partition: Partition,
    /// Under which epoch.
    pub epoch: Epoch,
    /// Rises with every subscription of this partition: positions of an earlier one mean nothing.
    pub number: u64,
}

/// To the owner.
pub enum Input {
    /// From an inbound queue.
    Deliveries(Consumer, Vec<InboundDelivery>),
    /// This node owns a partition from now on.
    Acquired(Lease),
    /// This node owns a partition no more.
    Lost(Fenced),
    /// The engine's data is damaged.
    Failed(StoreError),
    /// A request that changes a conversation.
    Request(Partition, Request, ReplyTo),
    /// Cursors.
    Receipts(Vec<ReceiptItem>),
    /// Something about attachments.
    Subscription(SubscriptionEvent),
    /// A batch of publications is confirmed.
    Confirmed,
}

/// A request that changes a conversation and is answered.
#[derive(Clone, Debug)]
pub enum Request {
    /// Makes some, all of one partition.
    Create(Vec<CreateConversation>),
    /// Adds or removes a member.
    ChangeMember(ChangeMember),
}

impl Request {
    /// How much of a group commit it takes: what one command of another kind does. A group of thousands is as
    /// many rows as hundreds of messages.
    pub fn weight(&self) -> usize {
        let of_one = |request: &CreateConversation| 1 + request.members.len() / MEMBERS;
        match self {
            Self::Create(requests) => requests.iter().map(of_one).sum::<usize>().max(1),
            Self::ChangeMember(_) => 1,
        }
    }
}

/// What changes or reads the attachments, in the order of arrival.
pub enum SubscriptionEvent {
    /// A gateway has announced itself; told when the owner knows it.
    Linked(LinkId, GatewayLife, LinkSender<FromStore>, oneshot::Sender<()>),
    /// A link is lost.
    Unlinked(LinkId),
    /// Subscriptions and backlogs.
    Attach(AttachCall),
    /// Ends subscriptions.
    Detach(LinkId, Vec<DetachItem>),
    /// Which pushes are due; each with whether it is of use at all.
    Pushes(Vec<(PushRef, bool)>, ReplyTo),
    /// Somebody is typing.
    Typing(LinkId, ConversationId, UserId),
}

/// An `attach` call.
pub struct AttachCall {
    /// From which link.
    pub link: LinkId,
    /// The question.
    pub items: Vec<AttachItem>,
    /// Where the answer goes.
    pub reply: ReplyTo,
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
        let failed = || FromStore::Answer(self.number, Answer::Failed(CallError::Unavailable));
        let _ = self.sender.send_or(&FromStore::Answer(self.number, answer), failed);
    }

    /// Answers with the outcome of a command.
    pub fn outcome(&self, outcome: Outcome) {
        self.send(match outcome {
            Outcome::Created(created) => Answer::Created(created),
            Outcome::Changed(sequence) => Answer::Changed(sequence),
            Outcome::Refused(refusal) => Answer::Failed(CallError::Refused(refusal)),
            // No request ends like this; it is better than no answer.
            Outcome::Done | Outcome::DeadLettered(_) => Answer::Failed(CallError::Unavailable),
        });
    }
}

/// A queued command.
pub enum QueuedCommand {
    /// From an inbound queue.
    Delivery(QueuedDelivery),
    /// From a link.
    Request(Partition, Request, ReplyTo),
}

/// A queued delivery.
pub struct QueuedDelivery {
    /// Whose it is.
    pub consumer: Consumer,
    /// Up to where it is acknowledged with it.
    pub position: u64,
    /// It may have been handed out before.
    pub replay: bool,
    /// The record: a dead letter keeps it.
    pub message: Bytes,
    /// What a gateway asked for; or why the record says nothing.
    pub content: Result<Inbound, String>,
    /// If it is traced.
    pub arrived: Option<Arrived>,
}

impl QueuedDelivery {
    /// Decodes a delivery, once and for all.
    pub fn of(consumer: Consumer, delivery: InboundDelivery, sampler: Sampler) -> Self {
        let InboundDelivery { position, redelivered: replay, message } = delivery;
        let content = records::decode(&message)
            .map_err(|error| format!("the record does not decode: {error}"));
        let arrived = content.as_ref().ok().and_then(|inbound| Arrived::now(sampler, inbound));
        Self { consumer, position, replay, message, content, arrived }
    }
}

impl QueuedCommand {
    /// How much of a group commit it takes.
    pub fn weight(&self) -> usize {
        match self {
            Self::Delivery(_) => 1,
            Self::Request(_, request, _) => request.weight(),
        }
    }

    /// Which partition it is for.
    pub fn partition(&self) -> Partition {
        match self {
            Self::Delivery(delivery) => delivery.consumer.partition,
            Self::Request(partition, ..) => *partition,
        }
    }
}
