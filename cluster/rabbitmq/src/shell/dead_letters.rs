//! Dead letters in a queue: written by anybody, read as a whole by one reader at a time.

use super::consuming::{of_this_connection, to_its_end};
use super::link::{self, Link};
use super::messages;
use super::uplink::{Pending, Uplink};
use crate::core::dead::{self, Dead, Held, Ids};
use crate::core::topology::{Destination, Topology};
use bytes::Bytes;
use futures_util::StreamExt;
use lapin::message::Delivery;
use lapin::options::{
    BasicAckOptions, BasicCancelOptions, BasicConsumeOptions, BasicGetOptions, BasicNackOptions,
    BasicQosOptions,
};
use lapin::types::FieldTable;
use lapin::{Channel, Consumer};
use ports::broker::{BrokerUnavailable, DeadLetter, NewDeadLetter, Origin, PublishError};
use ports::{BoxFuture, entered};
use protocol::limits;
use std::collections::BTreeMap;
use std::io;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::sync::OwnedMutexGuard;
use tokio::time::{sleep, timeout};

/// Between two attempts to keep a dead letter, or to be the one reader.
const PAUSE: Duration = Duration::from_millis(100);
/// Without a dead letter for so long, a consumer has had those that there are.
const AT_ONCE: Duration = Duration::from_secs(1);
const GET: BasicGetOptions = BasicGetOptions { no_ack: false };

/// Writes dead letters, each with an id of its own.
pub struct Writer {
    uplink: Arc<Uplink>,
    ids: Mutex<Ids>,
    /// One reader of this node at a time; the lock of the other nodes is a queue.
    reading: Arc<tokio::sync::Mutex<()>>,
}

impl Writer {
    pub fn new(uplink: Arc<Uplink>) -> Self {
        Self { uplink, ids: Mutex::default(), reading: Arc::default() }
    }

    fn named(&self, new: NewDeadLetter) -> Dead {
        let (now, random) =
            (self.uplink.machine.clock.now_ms(), self.uplink.machine.entropy.next_u64());
        Dead::new(entered(self.ids.lock()).next(now, random), now, new)
    }

    fn send(&self, dead: &Dead) -> Option<Pending> {
        let properties = messages::of_dead(dead);
        self.uplink.put([(Destination::Dead, dead.letter.message.clone(), properties)])
    }

    /// Keeps one; in line when this returns.
    pub fn put(&self, new: NewDeadLetter) -> BoxFuture<'static, Result<(), PublishError>> {
        let pending = self.send(&self.named(new));
        let uplink = Arc::clone(&self.uplink);
        Box::pin(async move { one(uplink.confirms(pending, 1).await) })
    }

    /// Ends when one is kept; in line when this returns.
    pub fn until_kept(self: &Arc<Self>, new: NewDeadLetter) -> BoxFuture<'static, ()> {
        let (writer, dead) = (Arc::clone(self), self.named(new));
        let mut pending = self.send(&dead);
        Box::pin(async move {
            while one(writer.uplink.confirms(pending, 1).await).is_err() {
                sleep(PAUSE).await;
                pending = writer.send(&dead);
            }
        })
    }

    /// Becomes the one reader, as soon as there is no other one.
    async fn reader(&self) -> lapin::Result<Reader> {
        let turn = Arc::clone(&self.reading).lock_owned().await;
        let beginning = Reader::begin(Arc::clone(&self.uplink), turn);
        to_its_end(&self.uplink.machine, beginning).await
    }

    /// Those behind an id, oldest first.
    pub async fn list(&self, after: u64, limit: u32) -> lapin::Result<Vec<DeadLetter>> {
        let mut reader = self.reader().await?;
        let table = reader.read(self).await?;
        let later = after.checked_add(1).map(|from| table.range(from..)).into_iter().flatten();
        let listed = later.take(limit as usize).map(|(_, held)| held.dead.letter.clone()).collect();
        reader.end().await?;
        Ok(listed)
    }

    /// Puts one back into its queue; false: there is none of this id.
    pub async fn requeue(&self, id: u64) -> Result<bool, BrokerUnavailable> {
        let begun = timeout(limits::CALL_TIMEOUT, self.reader()).await;
        let begun = begun.map_err(|_| BrokerUnavailable)?;
        let mut reader = begun.map_err(|error| unavailable(&error))?;
        let read = timeout(limits::CALL_TIMEOUT, reader.read(self)).await;
        let read = read.map_err(|_| BrokerUnavailable)?;
        let mut table = read.map_err(|error| unavailable(&error))?;
        let Some(Held { tag, dead, .. }) = table.remove(&id) else {
            reader.end().await.map_err(|error| unavailable(&error))?;
            return Ok(false);
        };
        let to = match dead.letter.origin {
            Origin::Inbound(partition) => Destination::Inbound(partition),
            Origin::Jobs(queue) => Destination::Jobs(queue),
        };
        let pending = self.uplink.put([(to, dead.letter.message, self.uplink.durable())]);
        let requeued = one(self.uplink.confirms(pending, 1).await).is_ok();
        if requeued {
            reader.remove(tag).await.map_err(|error| unavailable(&error))?;
        }
        reader.end().await.map_err(|error| unavailable(&error))?;
        if requeued { Ok(true) } else { Err(BrokerUnavailable) }
    }
}

fn one(confirms: Vec<Result<(), PublishError>>) -> Result<(), PublishError> {
    confirms.into_iter().next().unwrap_or(Err(PublishError::Unknown))
}

pub fn unavailable(error: &lapin::Error) -> BrokerUnavailable {
    tracing::warn!(error = %ports::with_causes(error), "RabbitMQ did not do what was asked");
    BrokerUnavailable
}

/// The one reader of the dead letters: it holds every one of them until it ends, or is dropped.
struct Reader {
    uplink: Arc<Uplink>,
    channel: Channel,
    held: Option<(Consumer, OwnedMutexGuard<()>)>,
}

/// One that is given up gives back what it holds before it lets the next one in, which would miss it.
impl Drop for Reader {
    fn drop(&mut self) {
        let (channel, held) = (self.channel.clone(), self.held.take());
        self.uplink.machine.spawn("rabbitmq reader", async move {
            // A channel that cannot be closed is gone, or was closed before; of the end of its connection `lapin` may
            // never hear.
            let _ = timeout(limits::CALL_TIMEOUT, channel.close(200, "given up".into())).await;
            drop(held);
        });
    }
}

impl Reader {
    async fn begin(uplink: Arc<Uplink>, turn: OwnedMutexGuard<()>) -> lapin::Result<Self> {
        let link = uplink.connected().await;
        let mut lost = link.lost.subscribe();
        let (channel, lock) = tokio::select! {
            biased;
            // Of what was asked as it broke `lapin` may never hear. The sender lives as long as the link.
            _ = lost.wait_for(|lost| *lost) => {
                return Err(io::Error::from(io::ErrorKind::ConnectionAborted).into());
            }
            locked = lock(&uplink, &link) => locked?,
        };
        Ok(Self { uplink, channel, held: Some((lock, turn)) })
    }

    /// Takes all of them. `basic.get` alone says that a queue is empty, and each costs the queue an entry of its
    /// log and a sync; so most come by a consumer.
    async fn read(&mut self, writer: &Writer) -> lapin::Result<BTreeMap<u64, Held<u64>>> {
        let queue = self.uplink.topology.queue(Destination::Dead).expect("they have a queue");
        let name = queue.name.clone();
        link::declare(&self.channel, queue).await?;
        let (mut taken, mut waiting) = (Vec::new(), usize::MAX);
        // What comes while they are taken is for the next who asks: otherwise this may never end.
        while taken.len() < waiting
            && let Some(next) = self.channel.basic_get(name.as_str().into(), GET).await?
        {
            taken.push(next.delivery);
            waiting = waiting.min(taken.len() + next.message_count as usize);
            taken.extend(self.take(&name, waiting - taken.len()).await?);
        }
        let mut held = Vec::new();
        for delivery in taken {
            let (tag, seen) = (delivery.delivery_tag, messages::redelivered(&delivery) > 0);
            let message = Bytes::from(delivery.data);
            match messages::dead(&delivery.properties, &message) {
                Some(dead) => held.push(Held { tag, seen, dead }),
                None => self.adopt(writer, tag, &delivery.properties, message).await?,
            }
        }
        let (table, doubled) = dead::table(held);
        for tag in doubled {
            self.remove(tag).await?;
        }
        Ok(table)
    }

    /// Takes as many as wait, or those that come at once.
    async fn take(&self, queue: &str, waiting: usize) -> lapin::Result<Vec<Delivery>> {
        if waiting == 0 {
            return Ok(Vec::new());
        }
        self.channel.basic_qos(u16::MAX, BasicQosOptions::default()).await?;
        let (options, none) = (BasicConsumeOptions::default(), FieldTable::default());
        let mut consumer =
            self.channel.basic_consume(queue.into(), "".into(), options, none).await?;
        let mut taken = Vec::new();
        while taken.len() < waiting
            && let Ok(Some(next)) = timeout(AT_ONCE, consumer.next()).await
        {
            taken.push(next?);
        }
        self.channel.basic_cancel(consumer.tag(), BasicCancelOptions::default()).await?;
        // What came meanwhile is held as well.
        while let Some(next) = consumer.next().await {
            taken.push(next?);
        }
        Ok(taken)
    }

    /// What RabbitMQ put here because a policy says so: it becomes a dead letter like all others, and is
    /// listed the next time.
    async fn adopt(
        &self,
        writer: &Writer,
        tag: u64,
        properties: &lapin::BasicProperties,
        message: Bytes,
    ) -> lapin::Result<()> {
        let taken_out = messages::taken_out(properties);
        let Some((queue, reason)) = taken_out else {
            tracing::error!("a message among the dead letters is none: it is left there");
            return Ok(());
        };
        let origin = self.uplink.topology.queue_named(&queue).and_then(Origin::of);
        let (Some(origin), Some(key)) = (origin, messages::id(properties)) else {
            tracing::error!(queue, "a dead letter of an unknown queue is left where it is");
            return Ok(());
        };
        let reason = format!("RabbitMQ took it out of its queue: {reason}");
        let new = NewDeadLetter { origin, key, reason, attempts: 0, message };
        if writer.put(new).await.is_ok() {
            self.remove(tag).await?;
        }
        Ok(())
    }

    async fn remove(&self, tag: u64) -> lapin::Result<()> {
        self.channel.basic_ack(tag, BasicAckOptions::default()).await
    }

    /// Gives back what it holds, and lets the next reader in.
    async fn end(self) -> lapin::Result<()> {
        let all = BasicNackOptions { multiple: true, requeue: true };
        self.channel.basic_nack(0, all).await?;
        self.channel.close(200, "done".into()).await
    }
}

/// Becomes the one reader: a queue that one connection can have at a time is made, and it is gone as soon as
/// its one consumer is.
async fn lock(uplink: &Uplink, link: &Link) -> lapin::Result<(Channel, Consumer)> {
    let name = uplink.topology.dead_lock();
    loop {
        // A refusal closes the channel.
        let channel = link.consuming.create_channel().await?;
        let arguments = Topology::lock_arguments();
        match of_this_connection(&channel, &name, arguments).await {
            Ok(()) => {
                let plain = (BasicConsumeOptions::default(), FieldTable::default());
                let lock = channel.basic_consume(name.into(), "".into(), plain.0, plain.1).await?;
                return Ok((channel, lock));
            }
            Err(error) if is_locked(&error) => sleep(PAUSE).await,
            Err(error) => return Err(error),
        }
    }
}

fn is_locked(error: &lapin::Error) -> bool {
    const RESOURCE_LOCKED: u16 = 405;
    match error.kind() {
        lapin::ErrorKind::ProtocolError(error) => error.get_id() == RESOURCE_LOCKED,
        _ => false,
    }
}
