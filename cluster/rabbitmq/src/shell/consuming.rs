//! Becoming the consumer of a queue.

use super::deliveries::Deliveries;
use super::link::{self, Link, table};
use super::uplink::Uplink;
use crate::core::topology::Destination;
use lapin::options::{QueueBindOptions, QueueDeclareOptions};
use lapin::types::FieldTable;
use ports::Machine;
use ports::broker::{BrokerUnavailable, GatewayLife};
use protocol::limits;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::oneshot;
use tokio::time::{sleep, timeout};

/// Between two attempts.
const PAUSE: Duration = Duration::from_millis(100);

/// What is consumed.
#[derive(Clone, Copy, Debug)]
pub enum Source {
    /// The queue of a partition, or one of jobs.
    Durable(Destination),
    /// A new queue of a gateway's life.
    Gateway {
        /// Whose.
        life: GatewayLife,
        /// Tells it from an earlier one.
        nonce: u64,
    },
}

/// Tries until it succeeds, or the time for a call is over.
pub async fn consume(
    uplink: &Arc<Uplink>,
    source: Source,
    prefetch: u32,
) -> Result<Deliveries, BrokerUnavailable> {
    let attempts = async {
        loop {
            let (with, link) = (Arc::clone(uplink), uplink.connected().await);
            let beginning = async move { begin(&with, &link, source, prefetch).await };
            match to_its_end(&uplink.machine, beginning).await {
                Ok(begun) => return begun,
                Err(error) => {
                    tracing::warn!(?source, error = %ports::with_causes(&error), "cannot consume");
                }
            }
            sleep(PAUSE).await;
        }
    };
    timeout(limits::CALL_TIMEOUT, attempts).await.map_err(|_| BrokerUnavailable)
}

/// Goes on when its caller gives up, and drops what comes of it then. A consumer that RabbitMQ answers too late,
/// because its queue has no leader, would otherwise stay in `lapin` with nobody who reads it or closes its
/// channel: as the single active consumer it takes everything, and no other one gets anything.
pub async fn to_its_end<T: Send + 'static>(
    machine: &Machine,
    work: impl Future<Output = T> + Send + 'static,
) -> T {
    let (told, done) = oneshot::channel();
    machine.spawn("rabbitmq consuming", async move {
        // Without a caller it is dropped here.
        let _ = told.send(work.await);
    });
    match done.await {
        Ok(done) => done,
        // The node is ending.
        Err(_) => std::future::pending().await,
    }
}

async fn begin(
    uplink: &Uplink,
    link: &Arc<Link>,
    source: Source,
    prefetch: u32,
) -> lapin::Result<Deliveries> {
    let topology = &uplink.topology;
    let channel = link.consuming.create_channel().await?;
    let name = match source {
        Source::Durable(from) => {
            let queue = topology.queue(from).expect("partitions and jobs have queues");
            let name = queue.name.clone();
            link::declare(&channel, queue).await?;
            name
        }
        Source::Gateway { life, nonce } => {
            let name = topology.gateway_queue(life, nonce);
            let for_gateway = [Destination::Gateway(life), Destination::Takeover(life.gateway)];
            of_this_connection(&channel, &name, topology.gateway_arguments()).await?;
            for from in for_gateway {
                let (exchange, key) = topology.route(from);
                let plain = (QueueBindOptions::default(), FieldTable::default());
                let queue = name.as_str().into();
                channel.queue_bind(queue, exchange.into(), key.into(), plain.0, plain.1).await?;
            }
            name
        }
    };
    Deliveries::begin(&uplink.machine, link, channel, &name, prefetch).await
}

/// Makes a queue that only this connection can use, and that is gone as soon as its consumer is.
///
/// # Errors
/// Another connection has it, among others.
pub async fn of_this_connection(
    channel: &lapin::Channel,
    name: &str,
    arguments: crate::core::topology::Arguments,
) -> lapin::Result<()> {
    let options = QueueDeclareOptions { exclusive: true, auto_delete: true, ..Default::default() };
    channel.queue_declare(name.into(), options, table(arguments)).await.map(|_| ())
}
