//! The gateway's own queue, and the owners' events.

use super::front::Front;
use crate::core::Hub;
use ports::StoreEvent;
use ports::broker::{Fanout, FanoutConsumer, GatewayLife};
use protocol::records::{ToGateway, decode};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::time::{sleep, timeout};

/// Records that are handed to the hub under one lock.
const CHUNK: usize = 64;
/// Before consuming again.
const RETRY: Duration = Duration::from_millis(200);
/// How long becoming the consumer may take.
const DEADLINE: Duration = Duration::from_secs(5);

/// Consumes the queue of this life of the gateway, for ever.
pub async fn consume(front: Arc<Front>, fanout: Arc<dyn Fanout>, life: GatewayLife, prefetch: u32) {
    loop {
        if let Ok(Ok(consumer)) = timeout(DEADLINE, fanout.consume(life, prefetch)).await {
            front.set_subscribed(true);
            front.with(Hub::subscribed);
            deliver(&front, consumer).await;
            front.set_subscribed(false);
            tracing::warn!(node = %front.machine.name, "the gateway's queue was lost");
        }
        sleep(RETRY).await;
    }
}

async fn deliver(front: &Front, mut consumer: Box<dyn FanoutConsumer>) {
    while let Ok(deliveries) = consumer.next().await {
        let mut undecodable = 0;
        for chunk in deliveries.chunks(CHUNK) {
            let records: Vec<ToGateway> =
                chunk.iter().filter_map(|record| decode(record).ok()).collect();
            undecodable += chunk.len() - records.len();
            front.with(|hub| records.into_iter().for_each(|record| hub.delivery(record)));
        }
        if undecodable > 0 {
            // From a newer version, perhaps. If it was an entry, its stream has a gap now.
            tracing::warn!(undecodable, "undecodable records from owners");
        }
    }
}

/// Brings the owners' events to the hub, for ever.
pub async fn listen(front: Arc<Front>, mut events: mpsc::UnboundedReceiver<StoreEvent>) {
    while let Some(event) = events.recv().await {
        front.with(|hub| hub.store_event(event));
    }
}
