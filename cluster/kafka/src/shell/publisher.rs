//! Publishing: in the order of the calls, and never twice on our own.

use super::clients::{Clients, PUBLISH_TIMEOUT, Publishing, number};
use crate::core::room::Room;
use crate::core::topology::{Place, Topology};
use bytes::Bytes;
use ports::broker::{Origin, PublishError};
use ports::{Machine, Telemetry, entered};
use protocol::Partition;
use protocol::limits::BrokerLimits;
use protocol::trace::TraceParent;
use rdkafka::error::{KafkaError, KafkaResult};
use rdkafka::message::{Header, OwnedHeaders};
use rdkafka::producer::{DeliveryFuture, FutureRecord, Producer};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::time::{Instant, timeout_at};

/// Beyond the client's own deadline.
const SLACK: Duration = Duration::from_secs(2);

/// A record on its way.
pub struct Outgoing {
    /// Where to.
    pub place: Place,
    /// Its key, if it has one.
    pub key: Option<[u8; 9]>,
    /// Its body.
    pub message: Bytes,
    /// The partition whose bound it counts for.
    pub bounded: Option<Partition>,
    /// What its reader continues, if it is traced.
    pub parent: Option<TraceParent>,
}

/// A record that was put in line, or was refused.
pub struct InLine {
    sent: Result<DeliveryFuture, PublishError>,
    bounded: Option<Partition>,
}

/// Both clients, and how much room there is.
pub struct Publisher {
    durable: Mutex<Publishing>,
    transient: Publishing,
    room: Mutex<Room>,
    telemetry: Arc<dyn Telemetry>,
}

impl Outgoing {
    /// For a durable queue, whatever waits there.
    pub fn unbounded(topology: &Topology, to: Origin, message: Bytes) -> Self {
        Self { place: topology.place(to), key: None, message, bounded: None, parent: None }
    }
}

impl Publisher {
    pub fn new(machine: &Machine, clients: &Clients, limits: BrokerLimits) -> KafkaResult<Self> {
        Ok(Self {
            durable: Mutex::new(clients.durable()?),
            transient: clients.transient()?,
            room: Mutex::new(Room::new(limits.durable_queue_messages)),
            telemetry: Arc::clone(&machine.telemetry),
        })
    }

    /// Puts what must be kept in line, with nothing of another call between.
    pub fn put(&self, batch: impl IntoIterator<Item = Outgoing>) -> Vec<InLine> {
        let client = entered(self.durable.lock());
        let room = entered(self.room.lock());
        let mut refused = 0;
        let in_line = batch.into_iter().map(|outgoing| {
            let bounded = outgoing.bounded;
            let sent = if bounded.is_some_and(|partition| room.is_full(partition)) {
                refused += 1;
                Err(PublishError::Full)
            } else {
                send(&client, &outgoing)
            };
            InLine { sent, bounded }
        });
        let in_line = in_line.collect();
        if refused > 0 {
            self.telemetry.count("broker_refused_messages", refused);
        }
        in_line
    }

    /// The same for what may be lost. A client keeps the order of its calls per partition, and calls of one
    /// thread are in order; those of several have none.
    pub fn put_transient(&self, batch: impl IntoIterator<Item = Outgoing>) -> Vec<InLine> {
        let send = |outgoing| InLine { sent: send(&self.transient, &outgoing), bounded: None };
        batch.into_iter().map(send).collect()
    }

    /// The offsets of what was put in line, in time.
    pub async fn confirms(&self, in_line: Vec<InLine>) -> Vec<Result<u64, PublishError>> {
        let deadline = Instant::now() + PUBLISH_TIMEOUT + SLACK;
        let mut confirms = Vec::with_capacity(in_line.len());
        for InLine { sent, bounded } in in_line {
            confirms.push(match sent {
                Err(error) => Err(error),
                Ok(sent) => match timeout_at(deadline, sent).await {
                    Ok(Ok(Ok(delivery))) => {
                        let offset = number(delivery.offset);
                        if let Some(partition) = bounded {
                            entered(self.room.lock()).confirmed(partition, offset);
                        }
                        Ok(offset)
                    }
                    Ok(Ok(Err((error, _)))) => {
                        tracing::warn!(%error, "Kafka did not confirm");
                        Err(PublishError::Unknown)
                    }
                    Ok(Err(_)) | Err(_) => Err(PublishError::Unknown),
                },
            });
        }
        confirms
    }

    /// An idempotent producer can come to a state that it cannot leave: then another one takes its place.
    /// What was in line in the old one, which is returned, ends as unknown. Dropping it waits for its thread.
    pub fn renew_if_broken(&self, clients: &Clients) -> KafkaResult<Option<Publishing>> {
        let mut client = entered(self.durable.lock());
        let Some((code, reason)) = client.client().fatal_error() else { return Ok(None) };
        tracing::error!(%code, reason, "a publisher of Kafka is broken, and replaced");
        Ok(Some(std::mem::replace(&mut *client, clients.durable()?)))
    }

    /// The partitions whose committed offsets are to be asked for.
    pub fn bounded(&self) -> Vec<Partition> {
        entered(self.room.lock()).partitions()
    }

    /// This is committed.
    pub fn committed(&self, partition: Partition, offset: u64) {
        entered(self.room.lock()).committed(partition, offset);
    }
}

/// Into the client's own queue: it does not wait. What does not fit there was certainly not sent, but that is
/// not said: its publisher would take the partition for full.
fn send(client: &Publishing, outgoing: &Outgoing) -> Result<DeliveryFuture, PublishError> {
    let Outgoing { place, key, message, parent, .. } = outgoing;
    let mut record =
        FutureRecord::<[u8], [u8]>::to(&place.topic).partition(place.partition).payload(message);
    if let Some(key) = key {
        record = record.key(key);
    }
    let parent = parent.map(|parent| parent.to_string());
    if let Some(parent) = &parent {
        let header = Header { key: "traceparent", value: Some(parent) };
        record = record.headers(OwnedHeaders::new().insert(header));
    }
    client.send_result(record).map_err(|(error, _): (KafkaError, _)| {
        tracing::warn!(%error, "a message was not sent");
        PublishError::Unknown
    })
}
