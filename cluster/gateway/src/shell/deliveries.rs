//! The gateway's own queue, and the owners' events.

use super::front::Front;
use crate::core::Hub;
use ports::broker::{Settlement, SubscribeOptions};
use ports::{Broker, Delivery, Queue, StoreEvent, Subscription};
use protocol::records::{ToGateway, decode};
use protocol::{Epoch, GatewayId, Incarnation};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::time::{sleep, timeout};

/// Records that are handed to the hub under one lock.
const CHUNK: usize = 64;
/// Before subscribing again.
const RETRY: Duration = Duration::from_millis(200);
/// How long subscribing may take.
const DEADLINE: Duration = Duration::from_secs(5);

/// Consumes the queue of this life of the gateway, for ever.
pub async fn consume(
    front: Arc<Front>,
    broker: Arc<dyn Broker>,
    gateway: GatewayId,
    incarnation: Incarnation,
    prefetch: u32,
) {
    let queue = Queue::Gateway(gateway, incarnation);
    let options = SubscribeOptions { prefetch, epoch: Epoch(incarnation.0) };
    loop {
        if let Ok(Ok(subscription)) = timeout(DEADLINE, broker.subscribe(queue, options)).await {
            front.set_subscribed(true);
            front.with(Hub::subscribed);
            deliver(&front, subscription).await;
            front.set_subscribed(false);
            tracing::warn!(node = %front.machine.name, "subscription lost, subscribing again");
        }
        sleep(RETRY).await;
    }
}

async fn deliver(front: &Front, mut subscription: Box<dyn Subscription>) {
    while let Ok(deliveries) = subscription.next().await {
        let Some(last) = deliveries.last().map(|delivery| delivery.tag) else { continue };
        let mut undecodable = 0;
        for chunk in deliveries.chunks(CHUNK) {
            let records: Vec<(bool, Option<ToGateway>)> = chunk.iter().map(read).collect();
            undecodable += records.iter().filter(|(_, record)| record.is_none()).count();
            front.with(|hub| {
                for (lossy, record) in records {
                    if lossy {
                        hub.lossy();
                    }
                    if let Some(record) = record {
                        hub.delivery(record);
                    }
                }
            });
        }
        if undecodable > 0 {
            // From a newer version, perhaps. If it was an entry, its stream has a gap now.
            tracing::warn!(undecodable, "undecodable records from owners");
        }
        subscription.settle(vec![Settlement::AckThrough(last)]);
    }
}

fn read(delivery: &Delivery) -> (bool, Option<ToGateway>) {
    let record = decode(&delivery.message).ok();
    (delivery.lossy || record.is_none(), record)
}

/// Brings the owners' events to the hub, for ever.
pub async fn listen(front: Arc<Front>, mut events: mpsc::UnboundedReceiver<StoreEvent>) {
    while let Some(event) = events.recv().await {
        front.with(|hub| hub.store_event(event));
    }
}
