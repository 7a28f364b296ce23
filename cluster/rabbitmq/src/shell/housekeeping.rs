//! What every node does beside, while it has a link: counts what gave way in full queues, and brings back
//! what could not be routed.

use super::consuming::to_its_end;
use super::deliveries::{Deliveries, Settle};
use super::link::{self, Link};
use super::messages;
use super::uplink::Uplink;
use crate::core::topology::SHED_KEY;
use lapin::BasicProperties;
use lapin::message::Delivery;
use ports::broker::Queue;
use std::sync::Arc;
use std::time::Duration;
use tokio::task::AbortHandle;
use tokio::time::sleep;

/// Most of either in hand.
const PREFETCH: u32 = 256;

/// Before either begins again.
const PAUSE: Duration = Duration::from_secs(5);

/// Begins; ends with the link, or when it is aborted.
pub fn start(uplink: &Arc<Uplink>, link: &Arc<Link>) -> AbortHandle {
    let (uplink, link) = (Arc::clone(uplink), Arc::clone(link));
    uplink.machine.clone().spawn("rabbitmq housekeeping", async move {
        let counting = always(&uplink, &link, || count_shed(&uplink, &link));
        let returning = always(&uplink, &link, || bring_back(&uplink, &link));
        futures_util::future::join(counting, returning).await;
    })
}

/// Begins again for as long as the link stands: RabbitMQ can close a channel and keep its connection, and a
/// queue of ours can be deleted by hand.
async fn always<F: Future<Output = lapin::Result<()>>>(
    uplink: &Uplink,
    link: &Link,
    work: impl Fn() -> F,
) {
    while !*link.lost.borrow() {
        let worked = async {
            link::make(&link.consuming.create_channel().await?, &uplink.topology).await?;
            work().await
        };
        if let Err(error) = worked.await {
            tracing::warn!(error = %ports::with_causes(&error), "housekeeping ended");
        }
        sleep(PAUSE).await;
    }
}

/// To its end, though this is aborted with the link: see [`to_its_end`].
async fn begin(uplink: &Uplink, link: &Arc<Link>, queue: String) -> lapin::Result<Deliveries> {
    let (machine, link) = (uplink.machine.clone(), Arc::clone(link));
    let beginning = async move {
        let channel = link.consuming.create_channel().await?;
        Deliveries::begin(&machine, &link, channel, &queue, PREFETCH).await
    };
    to_its_end(&uplink.machine, beginning).await
}

/// Each notice is counted by one node.
async fn count_shed(uplink: &Uplink, link: &Arc<Link>) -> lapin::Result<()> {
    let mut shed = begin(uplink, link, uplink.topology.shed()).await?;
    while let Ok(batch) = shed.next().await {
        for delivery in &batch {
            count(uplink, &delivery.properties);
            shed.settle(Settle::One(delivery.delivery_tag));
        }
    }
    Ok(())
}

fn count(uplink: &Uplink, notice: &BasicProperties) {
    let from = messages::taken_out(notice).map(|(queue, _)| queue);
    let queue = from.as_deref().and_then(|name| uplink.topology.queue_named(name));
    let counter = match queue {
        Some(Queue::DeadLetters) => "broker_shed_dead_letters",
        _ => "broker_shed_notifications",
    };
    uplink.machine.telemetry.count(counter, 1);
    tracing::warn!(queue = ?queue, "a full queue gave its oldest message up");
}

/// A queue was deleted by hand, and messages came for it: it is made again, and they go into it. Each node
/// brings back what RabbitMQ gives it.
async fn bring_back(uplink: &Arc<Uplink>, link: &Arc<Link>) -> lapin::Result<()> {
    let mut unrouted = begin(uplink, link, uplink.topology.unrouted()).await?;
    let channel = link.consuming.create_channel().await?;
    while let Ok(batch) = unrouted.next().await {
        for Delivery { delivery_tag, routing_key, properties, data, .. } in batch {
            let key = routing_key.as_str();
            if key == SHED_KEY {
                count(uplink, &properties);
                unrouted.settle(Settle::One(delivery_tag));
                continue;
            }
            let Some(to) = uplink.topology.durable_destination(key) else {
                tracing::error!(key, "a message for no queue of ours stays among the unrouted");
                continue;
            };
            tracing::error!(key, "a queue was not there: it is made again");
            if let Some(queue) = uplink.topology.queue(to) {
                link::declare(&channel, queue).await?;
            }
            let pending = uplink.put([(to, data.into(), properties)]);
            // One after another, in their order.
            if uplink.confirms(pending, 1).await == [Ok(())] {
                unrouted.settle(Settle::One(delivery_tag));
            } else {
                // It comes again.
                return Ok(());
            }
        }
    }
    Ok(())
}
