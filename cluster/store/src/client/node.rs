//! One store node, as a caller sees it: the current link, and the calls under way on it.

use crate::direct::{Inbox, Parcel};
use crate::wire::{Answer, Call, FromStore, ToStore};
use link::{Calls, LinkSender, LinkTiming};
use ports::directory::Owner;
use ports::{CallError, Directory, Machine, StoreEvent, entered};
use protocol::backoff::Backoff;
use protocol::{GatewayId, Incarnation, NodeNumber, Partition, limits};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, timeout_at};

/// The first pause before connecting again; doubles up to the longest.
const PAUSE: Duration = Duration::from_millis(50);
/// The longest pause. Short: gateways wait for the node, and there are few of them.
const PAUSE_MAX: Duration = Duration::from_secs(1);

/// What all nodes share: this gateway life, once it was announced.
pub type Announcement = Arc<Mutex<Option<Announced>>>;

/// A gateway life and where its events go.
pub struct Announced {
    /// The gateway.
    pub gateway: GatewayId,
    /// Its life.
    pub incarnation: Incarnation,
    /// `StoreEvent`s.
    pub events: mpsc::UnboundedSender<StoreEvent>,
}

/// Somebody has named the owners of partitions: if that is news, what a gateway has attached there is
/// attached nowhere now.
pub fn learn(
    directory: &dyn Directory,
    announcement: &Announcement,
    owners: impl IntoIterator<Item = (Partition, Owner)>,
) {
    // All of them are learned, not the first that is news.
    let news = owners.into_iter().filter(|(partition, owner)| directory.learn(*partition, *owner));
    if news.count() > 0 {
        notify(announcement, StoreEvent::Moved);
    }
}

/// A store node.
pub struct Node {
    /// Its number.
    pub number: NodeNumber,
    address: String,
    directory: Arc<dyn Directory>,
    inbox: Arc<Inbox>,
    link: Mutex<Option<LinkSender<ToStore>>>,
    calls: Calls<Answer>,
}

/// A call whose question is on its way.
pub struct Asked {
    node: Arc<Node>,
    number: u64,
    answer: oneshot::Receiver<Answer>,
    deadline: Instant,
}

impl Node {
    /// A node that is not connected yet.
    pub fn new(
        number: NodeNumber,
        address: String,
        directory: Arc<dyn Directory>,
        inbox: Arc<Inbox>,
    ) -> Self {
        let (link, calls) = (Mutex::new(None), Calls::default());
        Self { number, address, directory, inbox, link, calls }
    }

    /// Whether it can be asked.
    pub fn is_linked(&self) -> bool {
        lock(&self.link).is_some()
    }

    /// Sends without an answer; lost if the node is not linked.
    pub fn tell(&self, message: &ToStore) {
        if let Some(link) = &*lock(&self.link) {
            let _ = link.send(message);
        }
    }

    /// Sends a question; the answer is waited for by `Asked::answered`.
    pub fn ask(self: &Arc<Self>, call: Call) -> Result<Asked, CallError> {
        let link = lock(&self.link).clone().ok_or(CallError::Unavailable)?;
        let (number, answer) = self.calls.begin();
        if link.send(&ToStore::Call(number, call)).is_err() {
            self.calls.give_up(number);
            return Err(CallError::Unavailable);
        }
        let deadline = Instant::now() + limits::CALL_TIMEOUT;
        Ok(Asked { node: Arc::clone(self), number, answer, deadline })
    }

    /// Keeps the node linked, for ever.
    pub async fn supervise(
        self: Arc<Self>,
        machine: Machine,
        timing: LinkTiming,
        announcement: Announcement,
    ) {
        let mut backoff = Backoff::new(PAUSE, PAUSE_MAX);
        loop {
            if self.linked(&machine, timing, &announcement).await {
                backoff.reset();
            }
            tokio::time::sleep(backoff.next(machine.entropy.next_u64())).await;
        }
    }

    /// One life of a link; whether there was one.
    async fn linked(
        &self,
        machine: &Machine,
        timing: LinkTiming,
        announcement: &Announcement,
    ) -> bool {
        let connected = link::connect::<ToStore, FromStore>(machine, &self.address, timing).await;
        let Ok(link::Link { sender, mut receiver }) = connected else { return false };
        // A connection alone says little: only a node that speaks is there.
        let welcome = tokio::time::timeout(timing.connect_timeout, receiver.recv()).await;
        match welcome {
            Ok(Some(FromStore::Welcome(number))) if number == self.number => {}
            Ok(Some(FromStore::Welcome(number))) => {
                tracing::warn!(wanted = %self.number, found = %number, at = %self.address,
                    "another store node answers at this address");
                return false;
            }
            Ok(_) | Err(_) => return false,
        }
        self.up(sender, announcement);
        while let Some(message) = receiver.recv().await {
            match message {
                FromStore::Answer(number, answer) => self.calls.answer(number, answer),
                FromStore::Joined(all) => {
                    let joined = all.into_iter().map(StoreEvent::Joined);
                    joined.for_each(|event| notify(announcement, event));
                }
                FromStore::Heads(heads) => notify(announcement, StoreEvent::Heads(heads)),
                FromStore::Owners(owners) => learn(&*self.directory, announcement, owners),
                FromStore::Records(records, receipt) => {
                    let receipt = receipt.and_then(|it| Some((lock(&self.link).clone()?, it)));
                    self.inbox.put(Parcel { records, receipt });
                }
                FromStore::ConsumerLost => self.inbox.lose(),
                FromStore::Welcome(_) => {}
            }
        }
        *lock(&self.link) = None;
        self.inbox.link_down();
        self.calls.lose_all();
        notify(announcement, StoreEvent::Lost(self.number));
        true
    }

    fn up(&self, sender: LinkSender<ToStore>, announcement: &Announcement) {
        // Held over all steps, so that an announcement made meanwhile is not missed.
        let announced = lock(announcement);
        // A link that is lost already is noticed by its reader.
        if let Some(Announced { gateway, incarnation, .. }) = &*announced {
            let _ = sender.send(&ToStore::Announce(*gateway, *incarnation));
        }
        self.inbox.link_up(|consumed| {
            if let Some((life, window)) = consumed {
                let (number, _unasked) = self.calls.begin();
                let _ = sender.send(&ToStore::Call(number, Call::Consume(life, window)));
            }
            *lock(&self.link) = Some(sender);
        });
        if let Some(Announced { events, .. }) = &*announced {
            let _ = events.send(StoreEvent::Back(self.number));
        }
    }
}

impl Asked {
    /// The answer. A lost link or a passed deadline leaves it unknown.
    pub async fn answered(mut self) -> Result<Answer, CallError> {
        match timeout_at(self.deadline, &mut self.answer).await {
            Ok(Ok(Answer::Failed(error))) => Err(error),
            Ok(Ok(answer)) => Ok(answer),
            Ok(Err(_lost)) => Err(CallError::Unknown),
            Err(_late) => Err(CallError::Unknown),
        }
    }
}

impl Drop for Asked {
    /// Nobody waits any more, whether an answer has come or not.
    fn drop(&mut self) {
        self.node.calls.give_up(self.number);
    }
}

fn notify(announcement: &Announcement, event: StoreEvent) {
    if let Some(announced) = &*lock(announcement) {
        // A gateway that does not listen any more is on its way out.
        let _ = announced.events.send(event);
    }
}

/// Locks, whatever happened to an earlier holder: every change under these locks is one step.
pub fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    entered(mutex.lock())
}
