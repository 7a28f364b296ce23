//! The links of gateways and services: decodes, checks, hands on, answers.

use super::input::{Input, ReplyTo, Request, Tail};
use super::reads;
use crate::config::StoreConfig;
use crate::core::attachments::{GatewayLife, LinkId};
use crate::tasks::TaskSet;
use crate::wire::{Answer, Call, FromStore, ToStore};
use link::accept::{Acceptor, CONNECTIONS_MAX, Place};
use link::{Link, LinkSender};
use ports::message_store::MessageStore;
use ports::{CallError, Listener, Machine, Stream, Worker, entered, tasks};
use protocol::store_calls::{PartitionStatus, PushRef};
use protocol::{ConversationId, Partition, partition};
use std::io;
use std::sync::{Arc, Mutex};
use tokio::sync::mpsc;

/// What all links of a node share.
pub struct Desk {
    /// The node's machine.
    pub machine: Machine,
    /// The node's configuration.
    pub config: StoreConfig,
    /// The engine, for reads.
    pub store: Arc<dyn MessageStore>,
    /// The worker for reads.
    pub reads: Arc<dyn Worker>,
    /// The owner.
    pub owner: mpsc::UnboundedSender<Input>,
    /// Epochs and counts, as the owner last wrote them.
    pub board: Arc<Mutex<Vec<PartitionStatus>>>,
}

/// Accepts links until the listener is broken.
pub async fn accept(desk: Arc<Desk>, listener: Box<dyn Listener>) -> io::Error {
    let mut links = TaskSet::default();
    let mut acceptor = Acceptor::new(&desk.machine, listener, CONNECTIONS_MAX);
    let mut next = 1;
    loop {
        let (stream, place) = match acceptor.next().await {
            Ok(accepted) => accepted,
            Err(error) => return error,
        };
        let link = serve(Arc::clone(&desk), stream, LinkId(next), place);
        next += 1;
        links.add(desk.machine.spawn("store link", link));
    }
}

async fn serve(desk: Arc<Desk>, stream: Box<dyn Stream>, id: LinkId, _place: Place) {
    let Link { sender, mut receiver }: Link<FromStore, ToStore> =
        link::over(&desk.machine, stream, desk.config.timing);
    if sender.send(&FromStore::Welcome(desk.config.number)).is_err() {
        return;
    }
    while let Some(message) = receiver.recv().await {
        if desk.handle(id, &sender, message).await.is_err() {
            break;
        }
    }
    // The owner ends before its links: then there is nothing to forget.
    let _ = desk.owner.send(Input::Tail(Tail::Unlinked(id)));
}

/// The owner is gone.
struct OwnerGone;

impl Desk {
    async fn handle(
        &self,
        id: LinkId,
        sender: &LinkSender<FromStore>,
        message: ToStore,
    ) -> Result<(), OwnerGone> {
        let input = match message {
            ToStore::Announce(gateway, incarnation) => {
                let life = GatewayLife { gateway, incarnation };
                Input::Tail(Tail::Linked(id, life, sender.clone()))
            }
            ToStore::Detach(items) => Input::Tail(Tail::Detach(id, items)),
            ToStore::Receipts(mut items) => {
                items.retain(|item| self.home(item.conversation).is_some());
                Input::Receipts(items)
            }
            ToStore::Typing(conversation, user) => {
                Input::Tail(Tail::Typing(id, conversation, user))
            }
            ToStore::Call(number, call) => {
                let reply = ReplyTo { sender: sender.clone(), number };
                match self.call(id, call, reply).await {
                    Some(input) => input,
                    None => return Ok(()),
                }
            }
        };
        self.owner.send(input).map_err(|_| OwnerGone)
    }

    /// Answers a call, or says what the owner is to do.
    async fn call(&self, id: LinkId, call: Call, reply: ReplyTo) -> Option<Input> {
        let (conversation, request) = match call {
            Call::Attach(items) => return Some(Input::Tail(Tail::Attach(id, items, reply))),
            Call::Create(request) => (request.conversation, Request::Create(request)),
            Call::ChangeMember(request) => (request.conversation, Request::ChangeMember(request)),
            Call::Status => {
                let board = entered(self.board.lock()).clone();
                reply.send(Answer::Status(board));
                return None;
            }
            Call::Pushes(pushes) => {
                if let Some(pushes) = self.open(pushes).await {
                    return Some(Input::Tail(Tail::Pushes(pushes, reply)));
                }
                reply.send(Answer::Failed(CallError::Unavailable));
                return None;
            }
            read @ (Call::OfUsers(_) | Call::Range(_) | Call::Info(..) | Call::Cursors(..)) => {
                reply.send(self.read(read).await);
                return None;
            }
        };
        let Some(partition) = self.home(conversation) else {
            // Asked the wrong node: the two disagree about the topology.
            reply.send(Answer::Failed(CallError::Unavailable));
            return None;
        };
        Some(Input::Request(partition, request, reply))
    }

    async fn read(&self, call: Call) -> Answer {
        let (store, config) = (Arc::clone(&self.store), self.config.clone());
        tasks::run_on(&*self.reads, move || reads::answer(&*store, &config, &call))
            .await
            .unwrap_or(Answer::Failed(CallError::Unavailable))
    }

    /// Which of these pushes are of use at all. Whether they are due, the owner knows.
    async fn open(&self, pushes: Vec<PushRef>) -> Option<Vec<(PushRef, bool)>> {
        let store = Arc::clone(&self.store);
        tasks::run_on(&*self.reads, move || reads::open(&*store, pushes)).await?
    }

    /// The partition of a conversation, if it lives on this node.
    fn home(&self, conversation: ConversationId) -> Option<Partition> {
        let StoreConfig { partitions_total, stores_total, number, .. } = self.config;
        let partition = partition::partition_of(conversation, partitions_total);
        (partition::home_of(partition, stores_total) == number).then_some(partition)
    }
}
