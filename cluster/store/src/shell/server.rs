//! The links of gateways and services: decodes, checks, hands on, answers.

use super::input::{AttachCall, Input, ReplyTo, Request, SubscriptionEvent};
use super::owner::Leases;
use super::reads::Reads;
use crate::config::StoreConfig;
use crate::core::attachments::{GatewayLife, LinkId};
use crate::tasks::TaskSet;
use crate::wire::{Answer, Call, FromStore, ToStore};
use link::accept::{Acceptor, CONNECTIONS_MAX, Place};
use link::{Link, LinkSender};
use ports::directory::Owner;
use ports::message_store::{MessageStore, StoreError};
use ports::{CallError, Listener, Machine, Stream, Worker, tasks};
use protocol::store_calls::{CreateConversation, PartitionStatus};
use protocol::{ConversationId, Partition};
use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;
use tokio::sync::{mpsc, oneshot, watch};

/// What all links of a node share.
pub struct Context {
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
    /// What the owner last said of its partitions.
    pub status: watch::Receiver<Vec<PartitionStatus>>,
    /// Which partitions are this node's.
    pub leases: watch::Receiver<Leases>,
}

/// Accepts links until the listener is broken.
pub async fn accept(context: Arc<Context>, listener: Box<dyn Listener>) -> io::Error {
    let mut links = TaskSet::default();
    let mut acceptor = Acceptor::new(&context.machine, listener, CONNECTIONS_MAX);
    let mut next = 1;
    loop {
        let (stream, place) = match acceptor.next().await {
            Ok(accepted) => accepted,
            Err(error) => return error,
        };
        let link = serve(Arc::clone(&context), stream, LinkId(next), place);
        next += 1;
        links.add(context.machine.spawn("store link", link));
    }
}

async fn serve(context: Arc<Context>, stream: Box<dyn Stream>, id: LinkId, _place: Place) {
    let Link { sender, mut receiver }: Link<FromStore, ToStore> =
        link::over(&context.machine, stream, context.config.timing);
    let mut leases = context.leases.clone();
    let is_ready = leases.wait_for(|leases| leases.is_ready).await.is_ok();
    if !is_ready || sender.send(&FromStore::Welcome(context.config.number)).is_err() {
        return;
    }
    leases.mark_changed();
    let mut told = BTreeMap::new();
    loop {
        tokio::select! {
            biased;
            // Before any answer: whoever asks on this link knows what its answers are worth.
            changed = leases.changed() => {
                let owners = context.owners(&leases.borrow_and_update());
                let news = owners.iter().filter(|(partition, owner)| told.get(*partition) != Some(*owner));
                let news: Vec<_> = news.map(|(partition, owner)| (*partition, *owner)).collect();
                told = owners;
                let is_lost = !news.is_empty() && sender.send(&FromStore::Owners(news)).is_err();
                if is_lost || changed.is_err() {
                    break;
                }
            }
            message = receiver.recv() => {
                let Some(message) = message else { break };
                if context.handle(id, &sender, message).await.is_err() {
                    break;
                }
            }
        }
    }
    context.config.gateways.lose(id);
    // The owner ends before its links: then there is nothing to forget.
    let _ = context.owner.send(Input::Subscription(SubscriptionEvent::Unlinked(id)));
}

/// The owner is gone.
struct OwnerGone;

impl Context {
    async fn handle(
        &self,
        id: LinkId,
        sender: &LinkSender<FromStore>,
        message: ToStore,
    ) -> Result<(), OwnerGone> {
        let input = match message {
            ToStore::Announce(gateway, incarnation) => {
                let (life, (told, known)) =
                    (GatewayLife { gateway, incarnation }, oneshot::channel());
                let linked = SubscriptionEvent::Linked(id, life, sender.clone(), told);
                self.owner.send(Input::Subscription(linked)).map_err(|_| OwnerGone)?;
                // Lookups are answered beside the rounds. Who joins in a round that is under way is told
                // to the links that the owner knows at its end: whoever looks for members before that,
                // and is not known, would never hear of this one.
                return known.await.map_err(|_| OwnerGone);
            }
            ToStore::Detach(items) => Input::Subscription(SubscriptionEvent::Detach(id, items)),
            ToStore::Receipts(mut items) => {
                let owned = Arc::clone(&self.leases.borrow().owned);
                items.retain(|item| owned.contains_key(&self.config.home(item.conversation)));
                Input::Receipts(items)
            }
            ToStore::Typing(conversation, user) => {
                Input::Subscription(SubscriptionEvent::Typing(id, conversation, user))
            }
            ToStore::Taken(receipt) => {
                self.config.gateways.taken(id, receipt);
                return Ok(());
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
            Call::Attach(items) => {
                let call = AttachCall { link: id, items, reply };
                return Some(Input::Subscription(SubscriptionEvent::Attach(call)));
            }
            Call::Consume(life, window) => {
                self.config.gateways.consume(id, (life, window), reply.sender.clone());
                reply.send(Answer::Consuming);
                return None;
            }
            Call::Create(requests) => {
                let Some(conversation) = self.home_of(&requests) else {
                    reply.send(Answer::Failed(CallError::Unavailable));
                    return None;
                };
                (conversation, Request::Create(requests))
            }
            Call::ChangeMember(request) => (request.conversation, Request::ChangeMember(request)),
            Call::Pushes(pushes) => {
                let opened =
                    self.read(move |reads| Ok(reads.open(&pushes)?.map_err(Answer::NotOwner)));
                return match opened.await {
                    Ok(pushes) => {
                        Some(Input::Subscription(SubscriptionEvent::Pushes(pushes, reply)))
                    }
                    Err(answer) => {
                        reply.send(answer);
                        None
                    }
                };
            }
            Call::Status => {
                let status = self.status.borrow().clone();
                let confirmed = self.read(move |reads| Ok(Ok(reads.status(status)?)));
                reply.send(confirmed.await.unwrap_or_else(|answer| answer));
                return None;
            }
            read @ (Call::OfUsers(_)
            | Call::Range(_)
            | Call::Info(..)
            | Call::Cursors(..)
            | Call::Export(..)) => {
                let answered = self.read(move |reads| Ok(Ok(reads.answer(&read)?)));
                reply.send(answered.await.unwrap_or_else(|answer| answer));
                return None;
            }
        };
        let partition = self.config.home(conversation);
        if self.leases.borrow().owned.contains_key(&partition) {
            return Some(Input::Request(partition, request, reply));
        }
        let owner = self.config.directory.owner(partition);
        reply.send(Answer::NotOwner(vec![(partition, Some(owner))]));
        None
    }

    /// A conversation of the partition of all these, if they are of one.
    fn home_of(&self, requests: &[CreateConversation]) -> Option<ConversationId> {
        let first = requests.first()?.conversation;
        let home = self.config.home(first);
        let is_there =
            |request: &CreateConversation| self.config.home(request.conversation) == home;
        requests.iter().all(is_there).then_some(first)
    }

    /// Reads from one view of the engine, under the leases of this moment; or what the caller is told.
    async fn read<T: Send + 'static>(
        &self,
        read: impl FnOnce(&Reads<'_>) -> Result<Result<T, Answer>, StoreError> + Send + 'static,
    ) -> Result<T, Answer> {
        let (store, config) = (Arc::clone(&self.store), self.config.clone());
        let leases = Arc::clone(&self.leases.borrow().owned);
        let read = tasks::run_on(&*self.reads, move || {
            let view = store.view()?;
            read(&Reads { view: &*view, config: &config, leases: &leases })
        });
        match read.await {
            Some(Ok(read)) => read,
            Some(Err(error @ StoreError::Corrupt(_))) => {
                // It is not served, and it does not pass.
                let _ = self.owner.send(Input::Failed(error));
                Err(Answer::Failed(CallError::Unavailable))
            }
            Some(Err(error)) => {
                tracing::warn!(%error, "a read failed");
                Err(Answer::Failed(CallError::Unavailable))
            }
            None => Err(Answer::Failed(CallError::Unavailable)),
        }
    }

    /// What a caller is to know of the owners.
    fn owners(&self, leases: &Leases) -> BTreeMap<Partition, Owner> {
        let node = self.config.number;
        let owned = leases.owned.iter();
        let owned = owned.map(|(partition, epoch)| (*partition, Owner { node, epoch: *epoch }));
        owned.chain(leases.given_up.clone()).collect()
    }
}
