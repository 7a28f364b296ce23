//! `ports::Conversations` over links to the store nodes: splits batches by home, merges answers.

use super::node::{Announced, Announcement, Asked, Node, lock};
use crate::tasks::TaskSet;
use crate::wire::{Answer, Call, ToStore};
use link::LinkTiming;
use ports::{BoxFuture, CallError, Conversations, Machine, StoreEvent};
use protocol::limits::StoreLimits;
use protocol::store_calls::{
    AttachItem, AttachedItem, ChangeMember, ConversationInfo, CreateConversation, DetachItem,
    PartitionStatus, PushAdvice, PushRef, RangePage, RangeQuery, ReceiptItem, UserConversation,
};
use protocol::{ConversationId, GatewayId, Incarnation, NodeNumber, Sequence, UserId, partition};
use std::collections::BTreeMap;
use std::sync::Arc;
use tokio::sync::mpsc;

/// The owners of all conversations, at the other end of links. The links end with it.
pub struct RemoteConversations {
    nodes: Vec<Arc<Node>>,
    partitions_total: u16,
    announcement: Announcement,
    limits: StoreLimits,
    _links: TaskSet,
}

impl RemoteConversations {
    /// Connects to the store nodes, `host:port` of store-1 first, and keeps connecting.
    #[expect(clippy::needless_pass_by_value, reason = "a machine is handed over everywhere")]
    pub fn start(
        machine: Machine,
        stores: Vec<String>,
        partitions_total: u16,
        timing: LinkTiming,
        limits: StoreLimits,
    ) -> Arc<Self> {
        assert!(!stores.is_empty(), "a cluster has at least one store node");
        let announcement = Announcement::default();
        let mut links = TaskSet::default();
        let mut nodes = Vec::with_capacity(stores.len());
        for (number, address) in (1..).map(NodeNumber).zip(stores) {
            let node = Arc::new(Node::new(number, address));
            let (machine_of_link, announcement) = (machine.clone(), Arc::clone(&announcement));
            let supervise = Arc::clone(&node).supervise(machine_of_link, timing, announcement);
            links.add(machine.spawn("store supervisor", supervise));
            nodes.push(node);
        }
        Arc::new(Self { nodes, partitions_total, announcement, limits, _links: links })
    }

    /// The index of the node that a conversation lives on.
    fn home(&self, conversation: ConversationId) -> usize {
        let partition = partition::partition_of(conversation, self.partitions_total);
        usize::from(partition::home_of(partition, self.nodes.len() as u16).0) - 1
    }

    fn ask<T: 'static>(
        &self,
        conversation: ConversationId,
        call: Call,
        wanted: impl FnOnce(Answer) -> Option<T> + Send + 'static,
    ) -> BoxFuture<'static, Result<T, CallError>> {
        let asked = self.nodes[self.home(conversation)].ask(call);
        // An answer to another question would be a fault of the peer: what was done is not known.
        Box::pin(async move { wanted(asked?.answered().await?).ok_or(CallError::Unknown) })
    }

    /// Splits items by node.
    fn split<T>(
        &self,
        items: Vec<T>,
        conversation: impl Fn(&T) -> ConversationId,
    ) -> impl Iterator<Item = (&Arc<Node>, Vec<(usize, T)>)> {
        let mut by_node: BTreeMap<usize, Vec<(usize, T)>> = BTreeMap::new();
        for (index, item) in items.into_iter().enumerate() {
            by_node.entry(self.home(conversation(&item))).or_default().push((index, item));
        }
        by_node.into_iter().map(|(node, items)| (&self.nodes[node], items))
    }

    fn tell_each<T>(
        &self,
        items: Vec<T>,
        conversation: impl Fn(&T) -> ConversationId,
        message: impl Fn(Vec<T>) -> ToStore,
    ) {
        for (node, items) in self.split(items, conversation) {
            node.tell(&message(items.into_iter().map(|(_, item)| item).collect()));
        }
    }
}

impl Conversations for RemoteConversations {
    fn announce(
        &self,
        gateway: GatewayId,
        incarnation: Incarnation,
    ) -> mpsc::UnboundedReceiver<StoreEvent> {
        let (events, receiver) = mpsc::unbounded_channel();
        let mut announced = lock(&self.announcement);
        *announced = Some(Announced { gateway, incarnation, events });
        for node in &self.nodes {
            node.tell(&ToStore::Announce(gateway, incarnation));
        }
        receiver
    }

    fn of_users(
        &self,
        users: Vec<UserId>,
    ) -> BoxFuture<'static, Result<Vec<UserConversation>, CallError>> {
        let asked: Vec<_> = users
            .chunks(self.limits.lookup_users)
            .flat_map(|users| self.nodes.iter().map(|node| node.ask(Call::OfUsers(users.to_vec()))))
            .collect();
        Box::pin(async move {
            let mut all = Vec::new();
            for asked in asked {
                match asked?.answered().await? {
                    Answer::OfUsers(found) => all.extend(found),
                    _ => return Err(CallError::Unknown),
                }
            }
            Ok(all)
        })
    }

    fn attach(&self, items: Vec<AttachItem>) -> BoxFuture<'static, Vec<AttachedItem>> {
        let mut asked = Vec::new();
        for (node, items) in self.split(items, |item| item.conversation) {
            for part in items.chunks(self.limits.attach_batch) {
                let call = Call::Attach(part.iter().map(|(_, item)| *item).collect());
                asked.extend(node.ask(call).ok().map(|asked| (part.to_vec(), asked)));
            }
        }
        Box::pin(async move {
            let mut all = Vec::new();
            for (part, asked) in asked {
                all.extend(attached(&part, asked).await);
            }
            all.sort_by_key(|(index, _)| *index);
            all.into_iter().map(|(_, item)| item).collect()
        })
    }

    fn detach(&self, items: Vec<DetachItem>) {
        self.tell_each(items, |item| item.conversation, ToStore::Detach);
    }

    fn range(&self, query: RangeQuery) -> BoxFuture<'static, Result<RangePage, CallError>> {
        self.ask(query.conversation, Call::Range(query), |answer| match answer {
            Answer::Page(page) => Some(page),
            _ => None,
        })
    }

    fn info(
        &self,
        conversation: ConversationId,
        user: Option<UserId>,
    ) -> BoxFuture<'static, Result<ConversationInfo, CallError>> {
        self.ask(conversation, Call::Info(conversation, user), info)
    }

    fn create(
        &self,
        request: CreateConversation,
    ) -> BoxFuture<'static, Result<ConversationInfo, CallError>> {
        self.ask(request.conversation, Call::Create(request), info)
    }

    fn change_member(
        &self,
        request: ChangeMember,
    ) -> BoxFuture<'static, Result<Sequence, CallError>> {
        self.ask(request.conversation, Call::ChangeMember(request), |answer| match answer {
            Answer::Changed(sequence) => Some(sequence),
            _ => None,
        })
    }

    fn pushes(&self, pushes: Vec<PushRef>) -> BoxFuture<'static, Vec<(PushRef, PushAdvice)>> {
        let mut asked = Vec::new();
        for (node, items) in self.split(pushes, |push| push.conversation) {
            let items: Vec<PushRef> = items.into_iter().map(|(_, push)| push).collect();
            asked.extend(node.ask(Call::Pushes(items.clone())).ok().map(|asked| (items, asked)));
        }
        Box::pin(async move {
            let mut all = Vec::new();
            for (items, asked) in asked {
                if let Ok(Answer::Pushes(advice)) = asked.answered().await {
                    all.extend(items.into_iter().zip(advice));
                }
            }
            all
        })
    }

    fn receipts(&self, items: Vec<ReceiptItem>) {
        self.tell_each(items, |item| item.conversation, ToStore::Receipts);
    }

    fn cursors(
        &self,
        conversation: ConversationId,
        user: Option<UserId>,
    ) -> BoxFuture<'static, Result<Vec<ReceiptItem>, CallError>> {
        self.ask(conversation, Call::Cursors(conversation, user), |answer| match answer {
            Answer::Cursors(cursors) => Some(cursors),
            _ => None,
        })
    }

    fn typing(&self, conversation: ConversationId, user: UserId) {
        self.nodes[self.home(conversation)].tell(&ToStore::Typing(conversation, user));
    }

    fn status(&self) -> BoxFuture<'static, Vec<PartitionStatus>> {
        let asked: Vec<_> =
            self.nodes.iter().filter_map(|node| node.ask(Call::Status).ok()).collect();
        Box::pin(async move {
            let mut all = Vec::new();
            for asked in asked {
                if let Ok(Answer::Status(status)) = asked.answered().await {
                    all.extend(status);
                }
            }
            all.sort_by_key(|status| status.partition);
            all
        })
    }
}

fn info(answer: Answer) -> Option<ConversationInfo> {
    match answer {
        Answer::Info(info) => Some(info),
        _ => None,
    }
}

/// The answers to one part of the items, with their places in the whole. The node leaves out what
/// does not live on it, and keeps the order of the rest.
async fn attached(part: &[(usize, AttachItem)], asked: Asked) -> Vec<(usize, AttachedItem)> {
    let Ok(Answer::Attached(answers)) = asked.answered().await else { return Vec::new() };
    let mut places = part.iter();
    let place = |answer: AttachedItem| {
        let same = |(_, item): &&(usize, AttachItem)| {
            (item.conversation, item.user) == (answer.conversation, answer.user)
        };
        places.find(same).map(|(index, _)| (*index, answer))
    };
    answers.into_iter().filter_map(place).collect()
}
