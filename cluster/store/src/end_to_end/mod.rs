//! A whole store node between a client and a broker, on simulated time.

mod bulk;
mod direct;
mod failures;
mod listening;
mod messages;
mod pushes;
mod reads;
mod takeover;
mod traced;

use crate::world::World;
use ports::broker::{GatewayLife, Queue};
use ports::{Conversations, StoreEvent};
use protocol::limits::BrokerLimits;
use protocol::records::{Action, PushJob, ToGateway};
use protocol::store_calls::{
    AttachItem, AttachedAt, ChangeMember, ConversationKind, CreateConversation,
    CreatedConversation, DetachItem, Head, PushAdvice, PushRef, RangeQuery, ReceiptItem,
};
use protocol::{
    Content, ConversationId, Design, Epoch, GatewayId, Incarnation, NodeNumber, RejectReason,
    Sequence, UserId, design, partition,
};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc::UnboundedReceiver;

const CONVERSATION: ConversationId = ConversationId(11);
const GATEWAY: Queue =
    Queue::Gateway(GatewayLife { gateway: GatewayId(1), incarnation: Incarnation(1) });

async fn settle() {
    tokio::time::sleep(Duration::from_millis(300)).await;
}

fn inbound() -> Queue {
    Queue::Inbound(partition::partition_of(CONVERSATION, crate::world::PARTITIONS))
}

/// A gateway with its queue and its link.
struct Gateway {
    conversations: Arc<crate::RemoteConversations>,
    events: UnboundedReceiver<StoreEvent>,
}

impl Gateway {
    async fn new(world: &World) -> Self {
        world.broker.make(GATEWAY);
        let conversations = world.conversations();
        let events = conversations.announce(GatewayId(1), Incarnation(1));
        settle().await;
        Self { conversations, events }
    }

    fn events(&mut self) -> Vec<StoreEvent> {
        std::iter::from_fn(|| self.events.try_recv().ok()).collect()
    }

    async fn create(&self, members: &[u64]) {
        let request = CreateConversation {
            conversation: CONVERSATION,
            kind: ConversationKind::Group,
            creator: UserId(members[0]),
            members: members.iter().copied().map(UserId).collect(),
        };
        let requests = vec![request];
        let mut made = self.conversations.create(requests.clone()).await;
        let made = made.remove(0).expect("made");
        assert!(made.is_new);
        let again = Ok(CreatedConversation { is_new: false, ..made });
        assert_eq!(self.conversations.create(requests).await, [again], "the same again");
    }

    async fn attach(&self, user: u64, after: Option<u64>) -> AttachedAt {
        let (user, after) = (UserId(user), after.map(Sequence));
        let item =
            AttachItem { conversation: CONVERSATION, user, after, presence: true, again: false };
        let mut answers = self.conversations.attach(vec![item]).await;
        answers.remove(0).outcome.expect("attached")
    }

    async fn stored(&self) -> Vec<u64> {
        let query =
            RangeQuery { conversation: CONVERSATION, user: None, after: Sequence(0), limit: 200 };
        let page = self.conversations.range(query).await.expect("a page");
        page.entries.iter().map(|entry| entry.sequence.0).collect()
    }

    async fn change(&self, user: u64, add: bool) -> Sequence {
        let request =
            ChangeMember { conversation: CONVERSATION, by: None, user: UserId(user), add };
        self.conversations.change_member(request).await.expect("changed")
    }
}

fn entries(told: &[ToGateway]) -> Vec<u64> {
    let sequence = |told: &ToGateway| match told {
        ToGateway::Entry(entry) => Some(entry.sequence.0),
        _ => None,
    };
    told.iter().filter_map(sequence).collect()
}

fn accepted(told: &[ToGateway]) -> Vec<(u64, u64, u64)> {
    let row = |told: &ToGateway| match told {
        ToGateway::Accepted(_, a) => Some((a.client_message_id.0, a.sequence.0, a.epoch.0)),
        _ => None,
    };
    told.iter().filter_map(row).collect()
}

fn refused(told: &[ToGateway]) -> Vec<(u64, RejectReason)> {
    let row = |told: &ToGateway| match told {
        ToGateway::Rejected(_, r) => Some((r.client_message_id.0, r.reason)),
        _ => None,
    };
    told.iter().filter_map(row).collect()
}

fn report(user: u64, delivered: u64, read: u64) -> ReceiptItem {
    let [delivered, read] = [delivered, read].map(Sequence);
    ReceiptItem { conversation: CONVERSATION, user: UserId(user), delivered, read }
}

fn pushes(world: &World) -> Vec<(u64, u64)> {
    let jobs = [0, 1].into_iter().flat_map(|queue| world.broker.jobs(queue));
    let jobs = jobs.map(|job: bytes::Bytes| PushJob::decode(&job).unwrap());
    jobs.flat_map(|job| job.users.into_iter().map(move |user| (user.0, job.sequence.0))).collect()
}
