//! Dead letters: steps that are appended to a log, and a table that is read from it.

use super::clients::{ASK_TIMEOUT, Reading, assign, bounds, ends, number};
use super::publisher::Outgoing;
use super::uplink::Uplink;
use crate::core::dead::{Step, Table};
use bytes::Bytes;
use ports::broker::{BrokerUnavailable, DeadLetter, NewDeadLetter, PublishError};
use ports::tasks::run_on;
use ports::{BoxFuture, Worker, entered};
use protocol::limits;
use rdkafka::Message;
use rdkafka::error::{KafkaError, KafkaResult, RDKafkaErrorCode};
use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::time::{Instant, sleep};

/// Between two attempts to keep a dead letter, or two looks at one that somebody else requeues.
const PAUSE: Duration = Duration::from_millis(100);
/// One wait for records.
const TICK: Duration = Duration::from_millis(50);
/// After this long whoever began to requeue gives up before it publishes: others wait longer.
const BEGIN_WITHIN: Duration = Duration::from_secs(10);
/// So many steps that nobody needs are worth a removal.
const WORTH_REMOVING: u64 = 1_000;

/// The dead letters, as this node sees them.
pub struct Letters {
    uplink: Arc<Uplink>,
    log: Arc<Mutex<Log>>,
    reading: Arc<dyn Worker>,
}

/// How far the log was read, and what it amounts to.
struct Log {
    client: Option<Reading>,
    next: u64,
    table: Table,
    /// Steps in front of which an older dead letter gave way, until they are counted by who took them.
    displacing: BTreeSet<u64>,
    removed: u64,
}

impl Letters {
    pub fn new(uplink: Arc<Uplink>) -> Self {
        let log = Log {
            client: None,
            next: 0,
            table: Table::new(uplink.limits.dead_letters),
            displacing: BTreeSet::new(),
            removed: 0,
        };
        let reading = uplink.machine.tasks.worker("kafka dead letters");
        Self { uplink, log: Arc::new(Mutex::new(log)), reading }
    }

    fn append(&self, step: &Step) -> BoxFuture<'static, Result<u64, PublishError>> {
        let place = self.uplink.topology.dead_letters();
        let message = Bytes::from(step.encode());
        let appended = self.uplink.publish(vec![Outgoing {
            place,
            key: None,
            message,
            bounded: None,
            parent: None,
        }]);
        Box::pin(async move { appended.await.pop().unwrap_or(Err(PublishError::Unknown)) })
    }

    /// Keeps one; in line when this returns.
    pub fn put(
        self: &Arc<Self>,
        new: NewDeadLetter,
    ) -> BoxFuture<'static, Result<(), PublishError>> {
        let (letters, appended) = (Arc::clone(self), self.append(&Step::Put(new)));
        Box::pin(async move {
            let offset = appended.await?;
            let counting = Arc::clone(&letters);
            let count = async move { counting.count_displaced(offset).await };
            letters.uplink.machine.spawn("kafka dead letter", count);
            Ok(())
        })
    }

    /// Ends when one is kept; in line when this returns.
    pub fn until_kept(self: &Arc<Self>, new: NewDeadLetter) -> BoxFuture<'static, ()> {
        let (letters, mut put) = (Arc::clone(self), self.put(new.clone()));
        Box::pin(async move {
            while put.await.is_err() {
                sleep(PAUSE).await;
                put = letters.put(new.clone());
            }
        })
    }

    /// Whoever put one counts what gave way to it: all read the same log, and each is counted once.
    async fn count_displaced(&self, offset: u64) {
        let looked = self.caught_up(move |log| {
            let displaced = log.displacing.remove(&offset);
            let needed_from = log.table.needed_from(log.next);
            let is_worth_it = needed_from >= log.removed + WORTH_REMOVING;
            if is_worth_it {
                log.removed = needed_from;
            }
            (displaced, is_worth_it.then_some(needed_from))
        });
        let Ok((displaced, needed_from)) = looked.await else { return };
        if displaced {
            self.uplink.machine.telemetry.count("broker_shed_dead_letters", 1);
            tracing::warn!("the oldest dead letter gave way");
        }
        if let Some(needed_from) = needed_from {
            self.uplink.remove_before(&self.uplink.topology.dead_letters(), needed_from);
        }
    }

    /// Reads the log to its end, and then the table.
    async fn read<T: Send + 'static>(
        &self,
        what: impl Fn(&Table) -> T + Clone + Send + 'static,
    ) -> Result<T, BrokerUnavailable> {
        self.caught_up(move |log| what(&log.table)).await
    }

    /// The same, again and again for as long as a call may take; off the async threads, because reading waits.
    async fn caught_up<T: Send + 'static>(
        &self,
        what: impl Fn(&mut Log) -> T + Clone + Send + 'static,
    ) -> Result<T, BrokerUnavailable> {
        let began = Instant::now();
        if !self.uplink.ready_within(limits::CALL_TIMEOUT).await {
            return Err(BrokerUnavailable);
        }
        loop {
            let (uplink, log, what) =
                (Arc::clone(&self.uplink), Arc::clone(&self.log), what.clone());
            let read = run_on(&*self.reading, move || {
                let mut log = entered(log.lock());
                log.catch_up(&uplink).map(|()| what(&mut log))
            });
            match read.await.unwrap_or(Err(KafkaError::Canceled)) {
                Ok(read) => return Ok(read),
                Err(error) if began.elapsed() >= limits::CALL_TIMEOUT => {
                    tracing::warn!(%error, "the dead letters cannot be read");
                    return Err(BrokerUnavailable);
                }
                // A topic that was just made has no leader yet, among others.
                Err(_) => sleep(PAUSE).await,
            }
        }
    }

    /// Those behind an id, oldest first.
    pub async fn list(&self, after: u64, limit: u32) -> Result<Vec<DeadLetter>, BrokerUnavailable> {
        self.read(move |table| table.list(after, limit)).await
    }

    /// How many there are.
    pub async fn count(&self) -> Result<u64, BrokerUnavailable> {
        self.read(|table| table.len() as u64).await
    }

    /// Puts one back into its queue; false: there is none of this id.
    pub async fn requeue(&self, id: u64) -> Result<bool, BrokerUnavailable> {
        if !self.read(move |table| table.contains(id)).await? {
            return Ok(false);
        }
        let (began, by) = (Instant::now(), self.uplink.machine.entropy.next_u64());
        let wanted = self.append(&Step::Requeueing { id, by }).await;
        wanted.map_err(|_| BrokerUnavailable)?;
        let Some((to, message)) = self.read(move |table| table.requeued_by(id, by)).await? else {
            return self.requeued_by_another(id).await;
        };
        if began.elapsed() > BEGIN_WITHIN {
            return Err(BrokerUnavailable);
        }
        let back = Outgoing::unbounded(&self.uplink.topology, to, message);
        let published = self.uplink.publish(vec![back]).await;
        if !published.iter().all(Result::is_ok) {
            return Err(BrokerUnavailable);
        }
        self.append(&Step::Requeued { id }).await.map_err(|_| BrokerUnavailable)?;
        Ok(true)
    }

    /// Somebody else was first: there is none of this id as soon as that one is done.
    async fn requeued_by_another(&self, id: u64) -> Result<bool, BrokerUnavailable> {
        let began = Instant::now();
        while began.elapsed() < limits::CALL_TIMEOUT {
            if !self.read(move |table| table.contains(id)).await? {
                return Ok(false);
            }
            sleep(PAUSE).await;
        }
        Err(BrokerUnavailable)
    }
}

/// How many dead letters may have displaced one before the node that put them looks.
const DISPLACING_MAX: usize = 10_000;

impl Log {
    /// Reads everything that is there by now.
    fn catch_up(&mut self, uplink: &Uplink) -> KafkaResult<()> {
        let place = uplink.topology.dead_letters();
        let (first, end) = bounds(&uplink.offsets, &place)?;
        if self.next > end {
            tracing::error!(end, next = self.next, "Kafka has lost the end of the dead letters");
            self.begin_anew();
        }
        if self.next < first {
            self.table.begins_at(first);
            self.next = first;
            self.client = None;
        }
        if self.next >= end {
            return Ok(());
        }
        if self.client.is_none() {
            let client = uplink.clients.reading()?;
            assign(&client, &place, self.next)?;
            self.client = Some(client);
        }
        let mut progress = Instant::now();
        while self.next < end {
            let polled = self.client.as_ref().and_then(|client| client.poll(TICK));
            let read = match polled.map(|polled| polled.map(|message| step_of(&message))) {
                Some(Ok(read)) => Some(read),
                Some(Err(error)) if ends(&error) => {
                    self.begin_anew();
                    return Err(error);
                }
                Some(Err(error)) => {
                    tracing::debug!(%error, "reading dead letters");
                    None
                }
                None => None,
            };
            if let Some((offset, at_ms, step)) = read {
                progress = Instant::now();
                self.apply(offset, at_ms, step);
            } else if progress.elapsed() > ASK_TIMEOUT {
                return Err(KafkaError::MessageConsumption(RDKafkaErrorCode::OperationTimedOut));
            }
        }
        Ok(())
    }

    /// Nothing of what was read can be relied on.
    fn begin_anew(&mut self) {
        self.client = None;
        self.next = 0;
        self.table = self.table.emptied();
        self.displacing.clear();
    }

    fn apply(&mut self, offset: u64, at_ms: u64, step: Option<Step>) {
        if offset < self.next {
            return;
        }
        self.next = offset + 1;
        let Some(step) = step else {
            return tracing::error!(offset, "a record among the dead letters is none of ours");
        };
        if self.table.apply(offset, at_ms, step).is_some() {
            self.displacing.insert(offset);
            // Most are other nodes', and count there.
            if self.displacing.len() > DISPLACING_MAX {
                self.displacing.pop_first();
            }
        }
    }
}

/// Where a record is in the log, when it came there, and what it says.
fn step_of(message: &impl Message) -> (u64, u64, Option<Step>) {
    let at_ms = number(message.timestamp().to_millis().unwrap_or(0));
    (number(message.offset()), at_ms, Step::decode(message.payload().unwrap_or_default()))
}
