//! The suite of [`Depths`](crate::broker::Depths).

#![allow(missing_docs, reason = "the names of the claims say it")]

use super::{LOOK, PARTITION, QUEUE, Stage, consume, dead_letters, publish, publish_jobs, take};
use crate::broker::{Brokers, Queue};
use tokio::time::sleep;

/// The depths are these before long.
async fn become_(brokers: &Brokers, expected: &[(Queue, u64)]) {
    let mut found = Vec::new();
    for _ in 0..100 {
        found = brokers.depths.depths().await.expect("the broker answers");
        if found == expected {
            return;
        }
        sleep(LOOK).await;
    }
    assert_eq!(found, expected);
}

pub async fn depths_count_what_is_held(stage: Stage) {
    let (inbound, jobs) = (Queue::Inbound(PARTITION), Queue::Jobs(QUEUE));
    become_(&stage.here, &[]).await;
    publish(&stage.here, PARTITION, 0..3).await;
    publish_jobs(&stage.here, QUEUE, [0]).await;
    assert_eq!(stage.here.dead_letters.put(dead_letters::dead(1)).await, Ok(()));
    let mut consumer = consume(&stage.here, PARTITION, 2).await;
    let deliveries = take(&mut *consumer, 2).await;
    become_(&stage.there, &[(inbound, 3), (jobs, 1), (Queue::DeadLetters, 1)]).await;
    consumer.acknowledge(deliveries[1].position);
    become_(&stage.there, &[(inbound, 1), (jobs, 1), (Queue::DeadLetters, 1)]).await;
}
