//! `ports::Conversations` over links to the store nodes: splits batches by home, merges answers. Also a
//! gateway's end of direct fan-out, which uses the same links.

use super::node::{Announced, Announcement, Asked, Node, lock};
use super::routes::Routes;
use crate::direct::Inbox;
use crate::tasks::TaskSet;
use crate::wire::{Answer, Call, ToStore};
use futures_util::stream::{FuturesUnordered, StreamExt};
use link::LinkTiming;
use ports::broker::{BrokerUnavailable, Fanout, FanoutConsumer, FanoutMessage, GatewayLife};
use ports::conversations::Refusal;
use ports::{BoxFuture, CallError, Conversations, Directory, Machine, StoreEvent};
use protocol::limits::StoreLimits;
use protocol::store_calls::{
    AttachItem, AttachedItem, ChangeMember, ConversationInfo, CreateConversation,
    CreatedConversation, DetachItem, ExportPage, ExportPlace, PartitionStatus, PushAdvice, PushRef,
    RangePage, RangeQuery, ReceiptItem, UserConversation,
};
use protocol::{ConversationId, GatewayId, Incarnation, NodeNumber, Partition, Sequence, UserId};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use tokio::sync::mpsc;

/// The owners of all conversations, at the other end of links. The links end with it.
pub struct RemoteConversations {
    routes: Arc<Routes>,
    announcement: Announcement,
    inbox: Arc<Inbox>,
    limits: StoreLimits,
    _links: TaskSet,
}

impl RemoteConversations {
    /// Connects to the store nodes, `host:port` of store-1 first, and keeps connecting.
    #[expect(clippy::needless_pass_by_value, reason = "a machine is handed over everywhere")]
    pub fn start(
        machine: Machine,
        stores: Vec<String>,
        (partitions_total, directory): (u16, Arc<dyn Directory>),
        timing: LinkTiming,
        limits: StoreLimits,
    ) -> Arc<Self> {
        assert!(!stores.is_empty(), "a cluster has at least one store node");
        let (announcement, inbox) = (Announcement::default(), Arc::<Inbox>::default());
        let mut links = TaskSet::default();
        let mut nodes = Vec::with_capacity(stores.len());
        for (number, address) in (1..).map(NodeNumber).zip(stores) {
            let (directory, inbox) = (Arc::clone(&directory), Arc::clone(&inbox));
            let node = Arc::new(Node::new(number, address, directory, inbox));
            let (machine_of_link, announcement) = (machine.clone(), Arc::clone(&announcement));
            let supervise = Arc::clone(&node).supervise(machine_of_link, timing, announcement);
            links.add(machine.spawn("store supervisor", supervise));
            nodes.push(node);
        }
        let heard = Arc::clone(&announcement);
        let routes = Routes { nodes, partitions_total, directory, announcement: heard };
        let routes = Arc::new(routes);
        Arc::new(Self { routes, announcement, inbox, limits, _links: links })
    }

    fn ask<T: 'static>(
        &self,
        conversation: ConversationId,
        call: Call,
        is_wanted: impl FnOnce(Answer) -> Option<T> + Send + 'static,
    ) -> BoxFuture<'static, Result<T, CallError>> {
        wanted(self.routes.ask(conversation, call), is_wanted)
    }
}

/// The answer to a question, if it is one. Another one would be a fault of the peer: what was done is not
/// known.
fn wanted<T: 'static>(
    answered: impl Future<Output = Result<Answer, CallError>> + Send + 'static,
    is_wanted: impl FnOnce(Answer) -> Option<T> + Send + 'static,
) -> BoxFuture<'static, Result<T, CallError>> {
    Box::pin(async move { is_wanted(answered.await?).ok_or(CallError::Unknown) })
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
        for node in &self.routes.nodes {
            node.tell(&ToStore::Announce(gateway, incarnation));
        }
        receiver
    }

    fn of_users(
        &self,
        users: Vec<UserId>,
    ) -> BoxFuture<'static, Result<Vec<UserConversation>, CallError>> {
        let lookups: Vec<Vec<_>> = users
            .chunks(self.limits.lookup_users)
            .map(|users| {
                let nodes = self.routes.nodes.iter();
                nodes.filter_map(|node| node.ask(Call::OfUsers(users.to_vec())).ok()).collect()
            })
            .collect();
        let partitions_total = usize::from(self.routes.partitions_total);
        Box::pin(async move {
            let mut all = BTreeMap::new();
            for asked in lookups {
                let asked = asked.into_iter().map(Asked::answered);
                let mut answers: FuturesUnordered<_> = asked.collect();
                let mut partitions = BTreeSet::new();
                // A node that fails or is silent is waited for as long as it may own what nobody else does.
                while partitions.len() < partitions_total {
                    match answers.next().await {
                        Some(Ok(Answer::OfUsers(own, found))) => {
                            partitions.extend(own);
                            all.extend(
                                found.into_iter().map(|is| ((is.user, is.conversation), is)),
                            );
                        }
                        Some(_) => {}
                        None => return Err(CallError::Unavailable),
                    }
                }
            }
            Ok(all.into_values().collect())
        })
    }

    fn attach(&self, items: Vec<AttachItem>) -> BoxFuture<'static, Vec<AttachedItem>> {
        let (routes, most) = (Arc::clone(&self.routes), self.limits.attach_batch);
        let ask = move |routes: &Routes, items| {
            routes.ask_each(items, (most, |item: &AttachItem| item.conversation), Call::Attach)
        };
        let asked = ask(&routes, items.into_iter().enumerate().collect());
        Box::pin(async move {
            let answers = routes.answers(asked, |items| ask(&routes, items)).await;
            let mut all: Vec<_> =
                answers.into_iter().flat_map(|(part, answer)| attached(&part, answer)).collect();
            all.sort_by_key(|(index, _)| *index);
            all.into_iter().map(|(_, item)| item).collect()
        })
    }

    fn detach(&self, items: Vec<DetachItem>) {
        self.routes.tell_each(items, |item| item.conversation, ToStore::Detach);
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
        self.ask(conversation, Call::Info(conversation, user), |answer| match answer {
            Answer::Info(info) => Some(info),
            _ => None,
        })
    }

    fn create(
        &self,
        requests: Vec<CreateConversation>,
    ) -> BoxFuture<'static, Vec<Result<CreatedConversation, CallError>>> {
        let count = requests.len();
        let asked: Vec<_> = self
            .routes
            .by_partition(requests, |request| request.conversation)
            .map(|(first, part)| {
                let (places, requests): (Vec<_>, Vec<_>) = part.into_iter().unzip();
                (places, self.ask(first, Call::Create(requests), created))
            })
            .collect();
        Box::pin(async move {
            let mut all = vec![Err(CallError::Unknown); count];
            for (places, answered) in asked {
                match answered.await {
                    Ok(outcomes) => {
                        for (place, outcome) in places.into_iter().zip(outcomes) {
                            all[place] = outcome.map_err(CallError::Refused);
                        }
                    }
                    Err(error) => places.into_iter().for_each(|at| all[at] = Err(error.clone())),
                }
            }
            all
        })
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
        let routes = Arc::clone(&self.routes);
        let ask = |routes: &Routes, items| {
            routes.ask_each(items, (usize::MAX, |push: &PushRef| push.conversation), Call::Pushes)
        };
        let asked = ask(&routes, pushes.into_iter().enumerate().collect());
        Box::pin(async move {
            let mut all = Vec::new();
            for (part, answer) in routes.answers(asked, |items| ask(&routes, items)).await {
                if let Answer::Pushes(advice) = answer {
                    all.extend(part.into_iter().map(|(_, push)| push).zip(advice));
                }
            }
            all
        })
    }

    fn receipts(&self, items: Vec<ReceiptItem>) {
        self.routes.tell_each(items, |item| item.conversation, ToStore::Receipts);
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

    fn export(
        &self,
        partition: Partition,
        from: ExportPlace,
    ) -> BoxFuture<'static, Result<ExportPage, CallError>> {
        let answered = self.routes.ask_owner(partition, Call::Export(partition, from));
        wanted(answered, |answer| match answer {
            Answer::Exported(page) => Some(page),
            _ => None,
        })
    }

    fn typing(&self, conversation: ConversationId, user: UserId) {
        self.routes.tell(conversation, &ToStore::Typing(conversation, user));
    }

    fn status(&self) -> BoxFuture<'static, Vec<PartitionStatus>> {
        let asked: Vec<_> =
            self.routes.nodes.iter().filter_map(|node| node.ask(Call::Status).ok()).collect();
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

impl Fanout for RemoteConversations {
    /// Nobody publishes here.
    fn publish(&self, _: Vec<FanoutMessage>) -> BoxFuture<'static, Result<(), BrokerUnavailable>> {
        Box::pin(std::future::ready(Err(BrokerUnavailable)))
    }

    /// Consumes what every store node publishes, from the nodes that can be reached at once, and from
    /// the others as soon as they are linked. Without any it is unavailable, and later lost.
    fn consume(
        &self,
        life: GatewayLife,
        prefetch: u32,
    ) -> BoxFuture<'static, Result<Box<dyn FanoutConsumer>, BrokerUnavailable>> {
        let nodes = &self.routes.nodes;
        let window = (prefetch / nodes.len() as u32).max(1);
        let consumer = self.inbox.consume(life, window);
        let ask = |node: &Arc<Node>| node.ask(Call::Consume(life, window)).ok();
        let asked: Vec<_> = nodes.iter().filter_map(ask).collect();
        Box::pin(async move {
            let mut is_consuming = false;
            for asked in asked {
                is_consuming |= matches!(asked.answered().await, Ok(Answer::Consuming));
            }
            if is_consuming { Ok(Box::new(consumer) as Box<_>) } else { Err(BrokerUnavailable) }
        })
    }
}

fn created(answer: Answer) -> Option<Vec<Result<CreatedConversation, Refusal>>> {
    match answer {
        Answer::Created(created) => Some(created),
        _ => None,
    }
}

/// The answers to one part of the items, with their places in the whole. What the node leaves out is
/// missing, and the rest is in order.
fn attached(part: &[(usize, AttachItem)], answer: Answer) -> Vec<(usize, AttachedItem)> {
    let Answer::Attached(answers) = answer else { return Vec::new() };
    let mut items = part.iter();
    let indexed = |answer: AttachedItem| {
        let same = |(_, item): &&(usize, AttachItem)| {
            (item.conversation, item.user) == (answer.conversation, answer.user)
        };
        items.find(same).map(|(index, _)| (*index, answer))
    };
    answers.into_iter().filter_map(indexed).collect()
}
