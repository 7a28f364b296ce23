//! The client's end of the link to the broker: kept up for as long as the node lives.

use super::buffer::PrefetchBuffer;
use crate::wire::{Answer, FromBroker, ToBroker};
use link::{Calls, Link, LinkSender, LinkTiming};
use ports::{Machine, entered};
use protocol::backoff::Backoff;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;
use tokio::sync::{oneshot, watch};
use tokio::time::{Instant, sleep};

/// The bound of the first backoff.
const FIRST_BACKOFF: Duration = Duration::from_millis(50);
/// The longest backoff: a returned broker is found within this and a connect.
const LONGEST_BACKOFF: Duration = Duration::from_secs(1);
/// A link that held for this long was a good one: the backoff begins anew.
const GOOD_LINK: Duration = Duration::from_secs(5);

/// What the supervisor, the adapter and its consumers share.
pub struct Uplink {
    pub machine: Machine,
    address: String,
    timing: LinkTiming,
    state: Mutex<State>,
    calls: Calls<Answer>,
    up: watch::Sender<bool>,
}

#[derive(Default)]
struct State {
    sender: Option<LinkSender<ToBroker>>,
    buffers: BTreeMap<u64, Arc<PrefetchBuffer>>,
    next_consumer: u64,
}

impl Uplink {
    pub fn new(machine: Machine, address: String, timing: LinkTiming) -> Self {
        Self {
            machine,
            address,
            timing,
            state: Mutex::default(),
            calls: Calls::default(),
            up: watch::Sender::new(false),
        }
    }

    /// Keeps a link up, for ever.
    pub async fn supervise(self: Arc<Self>) {
        let mut backoff = Backoff::new(FIRST_BACKOFF, LONGEST_BACKOFF);
        loop {
            let began = Instant::now();
            match link::connect(&self.machine, &self.address, self.timing).await {
                Ok(link) => {
                    self.serve(link).await;
                    self.machine.telemetry.count("broker_links_lost", 1);
                }
                Err(error) => tracing::debug!(%error, "cannot reach the broker"),
            }
            self.disconnect();
            if began.elapsed() >= GOOD_LINK {
                backoff.reset();
            }
            sleep(backoff.next(self.machine.entropy.next_u64())).await;
        }
    }

    async fn serve(&self, link: Link<ToBroker, FromBroker>) {
        let Link { sender, mut receiver } = link;
        self.lock().sender = Some(sender);
        self.up.send_replace(true);
        while let Some(message) = receiver.recv().await {
            match message {
                FromBroker::Answer { call, answer } => self.calls.answer(call, answer),
                FromBroker::Deliveries { consumer, deliveries } => {
                    let state = self.lock();
                    if let Some(buffer) = state.buffers.get(&consumer) {
                        buffer.put(deliveries);
                    }
                    if let Some(sender) = &state.sender {
                        // A closed link ends this loop.
                        let _ = sender.send(&ToBroker::Received);
                    }
                }
                FromBroker::Lost { consumer } => {
                    let buffer = self.lock().buffers.remove(&consumer);
                    buffer.inspect(|buffer| buffer.lose());
                }
            }
        }
    }

    /// The link is lost, and with it every open call and every consumer.
    pub fn disconnect(&self) {
        let mut state = self.lock();
        state.sender = None;
        self.up.send_replace(false);
        // Under the lock: no call can begin between the two.
        self.calls.lose_all();
        let buffers = std::mem::take(&mut state.buffers);
        drop(state);
        for buffer in buffers.into_values() {
            buffer.lose();
        }
    }

    /// Begins a call; `None`: there is no link. An answer that ends in an error is lost.
    pub fn call(&self, message: impl FnOnce(u64) -> ToBroker) -> Option<Call> {
        let state = self.lock();
        self.call_under(&state, message)
    }

    /// Begins several calls, with nothing between them on the link.
    pub fn calls(
        &self,
        messages: impl Iterator<Item = impl FnOnce(u64) -> ToBroker>,
    ) -> Vec<Option<Call>> {
        let state = self.lock();
        messages.map(|message| self.call_under(&state, message)).collect()
    }

    fn call_under(
        &self,
        state: &MutexGuard<'_, State>,
        message: impl FnOnce(u64) -> ToBroker,
    ) -> Option<Call> {
        let sender = state.sender.as_ref()?;
        let (number, answer) = self.calls.begin();
        if sender.send(&message(number)).is_err() {
            self.calls.give_up(number);
            return None;
        }
        Some(Call { number, answer })
    }

    /// Begins to consume: the buffer is there before the first delivery can be.
    pub fn consume(
        &self,
        message: impl FnOnce(u64, u64) -> ToBroker,
    ) -> Option<(Call, u64, Arc<PrefetchBuffer>)> {
        let mut state = self.lock();
        let consumer = state.next_consumer;
        state.next_consumer += 1;
        let call = self.call_under(&state, |call| message(call, consumer))?;
        let buffer = Arc::new(PrefetchBuffer::default());
        state.buffers.insert(consumer, Arc::clone(&buffer));
        Some((call, consumer, buffer))
    }

    /// Sends for a consumer that is not lost.
    pub fn send_for(&self, buffer: &PrefetchBuffer, message: &ToBroker) {
        let state = self.lock();
        if let Some(sender) = state.sender.as_ref().filter(|_| !buffer.is_lost()) {
            // A closed link loses the consumer in a moment.
            let _ = sender.send(message);
        }
    }

    /// A consumer gives its queue up.
    pub fn leave(&self, consumer: u64) {
        let mut state = self.lock();
        if state.buffers.remove(&consumer).is_some()
            && let Some(sender) = &state.sender
        {
            // A closed link has given it up already.
            let _ = sender.send(&ToBroker::Leave { consumer });
        }
    }

    /// Nobody waits for this call any more.
    pub fn give_up(&self, call: u64) {
        self.calls.give_up(call);
    }

    /// Ends when there is a link.
    pub async fn connected(&self) {
        let mut up = self.up.subscribe();
        // The sender lives as long as `self`.
        let _ = up.wait_for(|up| *up).await;
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        entered(self.state.lock())
    }
}

/// A call under way.
pub struct Call {
    pub number: u64,
    pub answer: oneshot::Receiver<Answer>,
}
