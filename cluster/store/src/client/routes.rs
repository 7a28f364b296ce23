//! Which node a conversation's call goes to, and what is made of the answer that it was the wrong one.
//!
//! A call that touches partitions of others is not done at all, and answered with their owners: it is
//! asked again there, a bounded number of times. While nobody owns a partition, every node says so, and
//! the caller is told that the owner cannot be reached.

use super::node::{self, Announcement, Asked, Node};
use crate::wire::{Answer, Call, ToStore};
use ports::directory::Owner;
use ports::{CallError, Directory};
use protocol::{ConversationId, NodeNumber, Partition, partition};
use std::collections::BTreeMap;
use std::sync::Arc;

/// How often a batch is asked again for parts of it whose owner was another one.
const BATCH_HOPS: usize = 3;

/// The nodes, and what is known of their partitions.
pub struct Routes {
    /// By number, from 1.
    pub nodes: Vec<Arc<Node>>,
    /// Partitions of the cluster.
    pub partitions_total: u16,
    /// What is known of the owners.
    pub directory: Arc<dyn Directory>,
    /// Who hears that an owner is another one.
    pub announcement: Announcement,
}

/// Items with their places in the whole, and the question about them.
pub type Part<T> = (Vec<(usize, T)>, Asked);

impl Routes {
    fn partition(&self, conversation: ConversationId) -> Partition {
        partition::partition_of(conversation, self.partitions_total)
    }

    fn node(&self, number: NodeNumber) -> Option<&Arc<Node>> {
        self.nodes.get(usize::from(number.0).checked_sub(1)?)
    }

    /// The owner as far as is known, then everybody else who could be; those that were not tried and can
    /// be reached.
    fn next(&self, partition: Partition, tried: &[NodeNumber]) -> Option<&Arc<Node>> {
        let owner = self.directory.owner(partition).node;
        let candidates = std::iter::once(owner).chain(self.directory.candidates(partition));
        let untried = candidates.filter(|number| !tried.contains(number));
        untried.filter_map(|number| self.node(number)).find(|node| node.is_linked())
    }

    /// Whom to ask first.
    fn route(&self, conversation: ConversationId) -> &Arc<Node> {
        let partition = self.partition(conversation);
        let known = || self.node(self.directory.owner(partition).node);
        self.next(partition, &[]).or_else(known).unwrap_or(&self.nodes[0])
    }

    fn learn(&self, owners: &[(Partition, Option<Owner>)]) {
        let known = owners.iter().filter_map(|(partition, owner)| Some((*partition, (*owner)?)));
        node::learn(&*self.directory, &self.announcement, known);
    }

    /// Asks the owner of a conversation. The question is on its way when this returns.
    pub fn ask(
        self: &Arc<Self>,
        conversation: ConversationId,
        call: Call,
    ) -> impl Future<Output = Result<Answer, CallError>> + Send + 'static {
        self.ask_owner(self.partition(conversation), call)
    }

    /// The same of the owner of a partition.
    pub fn ask_owner(
        self: &Arc<Self>,
        partition: Partition,
        call: Call,
    ) -> impl Future<Output = Result<Answer, CallError>> + Send + 'static {
        let routes = Arc::clone(self);
        let mut tried = Vec::new();
        let mut asked = self.ask_next(partition, &mut tried, &call);
        async move {
            loop {
                match asked.ok_or(CallError::Unavailable)?.answered().await? {
                    Answer::NotOwner(owners) => {
                        routes.learn(&owners);
                        asked = routes.ask_next(partition, &mut tried, &call);
                    }
                    answer => return Ok(answer),
                }
            }
        }
    }

    fn ask_next(
        &self,
        partition: Partition,
        tried: &mut Vec<NodeNumber>,
        call: &Call,
    ) -> Option<Asked> {
        loop {
            let node = self.next(partition, tried)?;
            tried.push(node.number);
            // A node whose link has just been lost was certainly not asked.
            if let Ok(asked) = node.ask(call.clone()) {
                return Some(asked);
            }
        }
    }

    /// Asks the owners about a batch, so many items at a time. The questions are on their way when this
    /// returns; items whose owner cannot be reached are missing.
    pub fn ask_each<T: Clone>(
        &self,
        items: Vec<(usize, T)>,
        (most, conversation): (usize, impl Fn(&T) -> ConversationId),
        call: impl Fn(Vec<T>) -> Call,
    ) -> Vec<Part<T>> {
        let mut asked = Vec::new();
        for (node, items) in self.split(items, |(_, item)| conversation(item)) {
            for part in items.chunks(most) {
                let call = call(part.iter().map(|(_, item)| item.clone()).collect());
                asked.extend(node.ask(call).ok().map(|asked| (part.to_vec(), asked)));
            }
        }
        asked
    }

    /// The answers to the parts of a batch. What was asked in the wrong place is asked again; what is not
    /// answered then is missing.
    pub async fn answers<T>(
        &self,
        mut asked: Vec<Part<T>>,
        again: impl Fn(Vec<(usize, T)>) -> Vec<Part<T>>,
    ) -> Vec<(Vec<(usize, T)>, Answer)> {
        let mut answers = Vec::new();
        for _ in 0..BATCH_HOPS {
            let mut misdirected = Vec::new();
            for (part, asked) in asked {
                match asked.answered().await {
                    Ok(Answer::NotOwner(owners)) => {
                        self.learn(&owners);
                        misdirected.extend(part);
                    }
                    Ok(answer) => answers.push((part, answer)),
                    Err(_missing) => {}
                }
            }
            if misdirected.is_empty() {
                break;
            }
            asked = again(misdirected);
        }
        answers
    }

    /// Sends items to the owners of their conversations, without an answer.
    pub fn tell_each<T>(
        &self,
        items: Vec<T>,
        conversation: impl Fn(&T) -> ConversationId,
        message: impl Fn(Vec<T>) -> ToStore,
    ) {
        for (node, items) in self.split(items, conversation) {
            node.tell(&message(items));
        }
    }

    /// Splits items by partition, each with its place in the whole; and one conversation of each part.
    pub fn by_partition<T>(
        &self,
        items: Vec<T>,
        conversation: impl Fn(&T) -> ConversationId,
    ) -> impl Iterator<Item = (ConversationId, Vec<(usize, T)>)> {
        let mut parts: BTreeMap<Partition, (ConversationId, Vec<(usize, T)>)> = BTreeMap::new();
        for (place, item) in items.into_iter().enumerate() {
            let id = conversation(&item);
            let part = parts.entry(self.partition(id)).or_insert_with(|| (id, Vec::new()));
            part.1.push((place, item));
        }
        parts.into_values()
    }

    /// Splits items by node.
    fn split<T>(
        &self,
        items: Vec<T>,
        conversation: impl Fn(&T) -> ConversationId,
    ) -> impl Iterator<Item = (&Arc<Node>, Vec<T>)> {
        let mut by_node: BTreeMap<NodeNumber, (&Arc<Node>, Vec<T>)> = BTreeMap::new();
        for item in items {
            let node = self.route(conversation(&item));
            by_node.entry(node.number).or_insert_with(|| (node, Vec::new())).1.push(item);
        }
        by_node.into_values()
    }

    /// Sends to whoever owns a conversation, without an answer.
    pub fn tell(&self, conversation: ConversationId, message: &ToStore) {
        self.route(conversation).tell(message);
    }
}
