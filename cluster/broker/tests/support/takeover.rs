//! How this broker takes the hint of an epoch, in process and over a link.

use ports::broker::conformance::{PARTITION, Stage, numbers, publish, take};
use ports::broker::{Brokers, ConsumeError, ConsumerLost, InboundConsumer, InboundOptions};
use protocol::Epoch;
use std::time::Duration;
use tokio::time::timeout;

async fn consume(brokers: &Brokers, epoch: u64) -> Result<Box<dyn InboundConsumer>, ConsumeError> {
    let options = InboundOptions { prefetch: 10, epoch: Epoch(epoch) };
    brokers.inbound.consume(PARTITION, options).await
}

/// A consumer of an equal or higher epoch takes the queue; nothing that the old one says now touches
/// what the new one holds.
pub async fn a_newer_consumer_takes_the_queue(stage: Stage) {
    for (round, (before, after)) in [(3, 3), (3, 4)].into_iter().enumerate() {
        let first = round as u32 * 2;
        publish(&stage.here, PARTITION, first..first + 2).await;
        let mut old = consume(&stage.here, before).await.unwrap();
        let held = take(&mut *old, 2).await;
        let mut new = consume(&stage.there, after).await.unwrap();
        let lost = timeout(Duration::from_secs(20), old.next()).await.expect("noticed in time");
        assert_eq!(lost, Err(ConsumerLost));
        old.acknowledge(held[1].position);
        drop(old);
        let again = take(&mut *new, 2).await;
        assert_eq!(numbers(&again), [first, first + 1]);
        drop(new);
        let mut last = consume(&stage.there, after).await.unwrap();
        let again = take(&mut *last, 2).await;
        assert_eq!(numbers(&again), [first, first + 1]);
        last.acknowledge(again[1].position);
        drop(last);
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

/// A hint, and no more: it counts among live consumers only.
pub async fn an_older_consumer_waits_for_the_newer_one_to_go(stage: Stage) {
    let newer = consume(&stage.here, 7).await.unwrap();
    assert_eq!(consume(&stage.there, 6).await.err(), Some(ConsumeError::Taken));
    drop(newer);
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert!(consume(&stage.there, 6).await.is_ok());
}

/// Both claims, against stages that `$start` makes.
#[macro_export]
macro_rules! takeover {
    ($start:path) => {
        #[tokio::test(start_paused = true)]
        async fn a_newer_consumer_takes_the_queue() {
            $crate::support::takeover::a_newer_consumer_takes_the_queue($start().await).await;
        }

        #[tokio::test(start_paused = true)]
        async fn an_older_consumer_waits_for_the_newer_one_to_go() {
            let stage = $start().await;
            $crate::support::takeover::an_older_consumer_waits_for_the_newer_one_to_go(stage).await;
        }
    };
}
