//! Waiting for a RabbitMQ that was killed.

use ports::broker::{Brokers, InboundConsumer, InboundOptions};
use protocol::{Epoch, Partition};
use std::time::Duration;
use tokio::time::timeout;

/// How long anything may take.
pub const PATIENCE: Duration = Duration::from_mins(1);

/// Consumes, however long it takes.
pub async fn patiently(brokers: &Brokers, partition: Partition) -> Box<dyn InboundConsumer> {
    let options = InboundOptions { prefetch: 100, epoch: Epoch(1) };
    let attempts = async {
        loop {
            if let Ok(consumer) = brokers.inbound.consume(partition, options).await {
                return consumer;
            }
        }
    };
    timeout(PATIENCE, attempts).await.expect("RabbitMQ is back")
}
