//! The links of gateways and services: decodes, checks, hands on, answers.

use super::input::{AttachCall, Input, ReplyTo, Request, SubscriptionEvent};
use super::owner::Leases;
use super::readers::{Readers, Urgency};
use super::reads::Reads;
use crate::config::StoreConfig;
use crate::core::attachments::{GatewayLife, LinkId};
use crate::tasks::TaskSet;
use crate::wire::{Answer, Call, FromStore, ToStore};
use futures_util::stream::{FuturesUnordered, StreamExt};
use link::accept::{Acceptor, CONNECTIONS_MAX, Place};
use link::{Link, LinkSender};
use ports::directory::Owner;
use ports::message_store::{MessageStore, StoreError};
use ports::{CallError, Listener, Machine, Stream};
use protocol::store_calls::{CreateConversation, PartitionStatus};
use protocol::{ConversationId, Partition, limits};
use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::Instant;

/// Calls of a link that wait for a reader, or for its answer, at a time: a bound on memory. What waits for too long is
/// given up, and below the bound nothing else of the link waits for it.
const READS_MAX: usize = 4_096;

/// What all links of a node share.
pub struct Context {
    /// The node's machine.
    pub machine: Machine,
    /// The node's configuration.
    pub config: StoreConfig,
    /// The engine, for reads.
    pub store: Arc<dyn MessageStore>,
    /// The workers for reads.
    pub readers: Readers,
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
    let mut reading = FuturesUnordered::new();
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
            Some(read) = reading.next() => {
                if let Some(input) = read
                    && context.tell(input).is_err()
                {
                    break;
                }
            }
            // Who asks for more than that waits.
            message = receiver.recv(), if reading.len() < READS_MAX => {
                let Some(message) = message else { break };
                match context.handle(id, &sender, message).await {
                    Ok(None) => {}
                    Ok(Some((read, reply))) => {
                        reading.push(Arc::clone(&context).answer(read, reply));
                    }
                    Err(OwnerGone) => break,
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

/// What becomes of a call.
enum Called {
    /// The owner is told.
    Told(Input),
    /// It is answered.
    Answered,
    /// It is answered from a view of the engine, by `Context::answer`.
    Reads(Call, ReplyTo),
}

impl Context {
    async fn handle(
        &self,
        id: LinkId,
        sender: &LinkSender<FromStore>,
        message: ToStore,
    ) -> Result<Option<(Call, ReplyTo)>, OwnerGone> {
        let input = match message {
            ToStore::Announce(gateway, incarnation) => {
                let (life, (told, known)) =
                    (GatewayLife { gateway, incarnation }, oneshot::channel());
                let linked = SubscriptionEvent::Linked(id, life, sender.clone(), told);
                self.owner.send(Input::Subscription(linked)).map_err(|_| OwnerGone)?;
                // Lookups are answered beside the rounds. Who joins in a round that is under way is told
                // to the links that the owner knows at its end: whoever looks for members before that,
                // and is not known, would never hear of this one.
                known.await.map_err(|_| OwnerGone)?;
                return Ok(None);
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
                return Ok(None);
            }
            ToStore::Call(number, call) => {
                let reply = ReplyTo { sender: sender.clone(), number };
                match self.call(id, call, reply) {
                    Called::Told(input) => input,
                    Called::Answered => return Ok(None),
                    Called::Reads(call, reply) => return Ok(Some((call, reply))),
                }
            }
        };
        self.tell(input).map(|()| None)
    }

    fn tell(&self, input: Input) -> Result<(), OwnerGone> {
        self.owner.send(input).map_err(|_| OwnerGone)
    }

    /// What becomes of a call.
    fn call(&self, id: LinkId, call: Call, reply: ReplyTo) -> Called {
        let (conversation, request) = match call {
            Call::Attach(items) => {
                let call = AttachCall { link: id, items, reply };
                return Called::Told(Input::Subscription(SubscriptionEvent::Attach(call)));
            }
            Call::Consume(life, window) => {
                self.config.gateways.consume(id, (life, window), reply.sender.clone());
                reply.send(Answer::Consuming);
                return Called::Answered;
            }
            Call::Create(requests) => {
                let Some(conversation) = self.home_of(&requests) else {
                    reply.send(Answer::Failed(CallError::Unavailable));
                    return Called::Answered;
                };
                (conversation, Request::Create(requests))
            }
            Call::ChangeMember(request) => (request.conversation, Request::ChangeMember(request)),
            read @ (Call::Pushes(_)
            | Call::Status
            | Call::OfUsers(_)
            | Call::Range(_)
            | Call::Info(..)
            | Call::Cursors(..)
            | Call::Export(..)) => return Called::Reads(read, reply),
        };
        let partition = self.config.home(conversation);
        if self.leases.borrow().owned.contains_key(&partition) {
            return Called::Told(Input::Request(partition, request, reply));
        }
        let owner = self.config.directory.owner(partition);
        reply.send(Answer::NotOwner(vec![(partition, Some(owner))]));
        Called::Answered
    }

    /// Answers a call that reads, beside the others of its link: one that takes long holds up nobody.
    /// Returns what the owner has to do with what was read.
    async fn answer(self: Arc<Self>, call: Call, reply: ReplyTo) -> Option<Input> {
        let answered = match call {
            Call::Pushes(pushes) => {
                let opened = self.read(Urgency::Others, move |reads| {
                    Ok(reads.open(&pushes)?.map_err(Answer::NotOwner))
                });
                match opened.await {
                    Ok(pushes) => {
                        let pushes = SubscriptionEvent::Pushes(pushes, reply);
                        return Some(Input::Subscription(pushes));
                    }
                    Err(answer) => answer,
                }
            }
            Call::Status => {
                let status = self.status.borrow().clone();
                let status = move |reads: &Reads<'_>| Ok(Ok(reads.status(status)?));
                let confirmed = self.read(Urgency::Others, status);
                confirmed.await.unwrap_or_else(|answer| answer)
            }
            call => {
                let urgency = match &call {
                    Call::OfUsers(_) => Urgency::Connecting,
                    _ => Urgency::Others,
                };
                let answered = self.read(urgency, move |reads| Ok(Ok(reads.answer(&call)?)));
                answered.await.unwrap_or_else(|answer| answer)
            }
        };
        reply.send(answered);
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
        urgency: Urgency,
        read: impl FnOnce(&Reads<'_>) -> Result<Result<T, Answer>, StoreError> + Send + 'static,
    ) -> Result<T, Answer> {
        let (store, config) = (Arc::clone(&self.store), self.config.clone());
        let leases = Arc::clone(&self.leases.borrow().owned);
        let (asked, counts) = (Instant::now(), Arc::clone(&self.machine.telemetry));
        let read = self.readers.run(urgency, move || {
            // Nobody waits for the answer any more: it would only keep others waiting.
            if asked.elapsed() >= limits::CALL_TIMEOUT {
                counts.count("store_failed_reads", 1);
                return Ok(Err(Answer::Failed(CallError::Unavailable)));
            }
            let view = store.view()?;
            read(&Reads { view: &*view, config: &config, leases: &leases })
        });
        let read = read.await;
        let telemetry = &self.machine.telemetry;
        telemetry.time("store_read", asked.elapsed());
        if matches!(read, Some(Err(_))) {
            telemetry.count("store_failed_reads", 1);
        }
        match read {
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
