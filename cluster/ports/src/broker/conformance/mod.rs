//! What every adapter of the broker's ports must do, whatever stands behind it: one suite per port.
//!
//! An adapter's tests run a suite with one line, `ports::conformance!(inbound, start, tokio::test)`,
//! where `start` is an async function that returns a [`Stage`] with queues that nobody has used, and
//! the last argument is the attribute of the tests. An adapter of one port fills the others with any
//! sound one. Claims about one adapter alone (crashes, lost links, limits) have tests of their own.

pub mod dead_letters;
pub mod depths;
pub mod fanout;
pub mod inbound;
pub mod jobs;

use super::{Brokers, DeadLetter, InboundConsumer, InboundDelivery, InboundOptions};
use super::{JobConsumer, JobDelivery};
use bytes::Bytes;
use protocol::{Epoch, Partition};
use std::any::Any;
use std::time::Duration;
use tokio::time::{sleep, timeout};

/// Two connections to one broker.
pub struct Stage {
    /// The one.
    pub here: Brokers,
    /// The other.
    pub there: Brokers,
    /// Kept until the test is over.
    pub keep: Box<dyn Any + Send>,
}

/// The partition of most claims.
pub const PARTITION: Partition = Partition(1);
/// The queue of most claims about jobs.
pub const QUEUE: u16 = 2;
/// Longer than anything may take here.
const PATIENCE: Duration = Duration::from_secs(20);
/// Long enough for whatever is on its way.
const SILENCE: Duration = Duration::from_millis(300);
/// Between two looks at something that takes its time.
const LOOK: Duration = Duration::from_millis(20);

/// A numbered message.
pub fn text(n: u32) -> Bytes {
    Bytes::from(n.to_string())
}

/// Its number.
pub fn number(message: &[u8]) -> u32 {
    let text = std::str::from_utf8(message).expect("a number");
    text.parse().expect("a number")
}

/// Publishes numbered messages to a partition; all are confirmed.
pub async fn publish(
    brokers: &Brokers,
    partition: Partition,
    numbers: impl IntoIterator<Item = u32>,
) {
    let batch = numbers.into_iter().map(|n| (partition, text(n))).collect();
    for confirm in brokers.inbound.publish(batch).await {
        assert_eq!(confirm, Ok(()));
    }
}

/// Becomes the consumer of a partition, as soon as it can be had.
pub async fn consume(
    brokers: &Brokers,
    partition: Partition,
    prefetch: u32,
) -> Box<dyn InboundConsumer> {
    let options = InboundOptions { prefetch, epoch: Epoch(1) };
    let attempts = async {
        loop {
            if let Ok(consumer) = brokers.inbound.consume(partition, options).await {
                return consumer;
            }
            sleep(LOOK).await;
        }
    };
    timeout(PATIENCE, attempts).await.expect("the partition can be consumed")
}

/// Exactly this many deliveries, in however many batches they come.
pub async fn take(consumer: &mut dyn InboundConsumer, count: usize) -> Vec<InboundDelivery> {
    let mut taken = Vec::new();
    while taken.len() < count {
        let next = timeout(PATIENCE, consumer.next()).await.expect("deliveries in time");
        taken.extend(next.expect("the consumer is not lost"));
    }
    assert_eq!(taken.len(), count, "more deliveries than expected");
    taken
}

/// Nothing comes for a while.
pub async fn silence(consumer: &mut dyn InboundConsumer) {
    let next = timeout(SILENCE, consumer.next()).await;
    assert!(next.is_err(), "unexpected: {next:?}");
}

/// The numbers of deliveries.
pub fn numbers(deliveries: &[InboundDelivery]) -> Vec<u32> {
    deliveries.iter().map(|delivery| number(&delivery.message)).collect()
}

/// Publishes numbered jobs; all are confirmed.
pub async fn publish_jobs(brokers: &Brokers, queue: u16, numbers: impl IntoIterator<Item = u32>) {
    let batch = numbers.into_iter().map(|n| super::Job { queue, message: text(n) }).collect();
    for confirm in brokers.jobs.publish(batch).await {
        assert_eq!(confirm, Ok(()));
    }
}

/// Becomes a consumer of jobs.
pub async fn consume_jobs(brokers: &Brokers, queue: u16, prefetch: u32) -> Box<dyn JobConsumer> {
    brokers.jobs.consume(queue, prefetch).await.expect("the queue can be consumed")
}

/// Exactly this many jobs, by their numbers.
pub async fn take_jobs(consumer: &mut dyn JobConsumer, count: usize) -> Vec<(u32, JobDelivery)> {
    let mut taken = Vec::new();
    while taken.len() < count {
        let next = timeout(PATIENCE, consumer.next()).await.expect("jobs in time");
        let next = next.expect("the consumer is not lost");
        taken.extend(next.into_iter().map(|job| (number(&job.message), job)));
    }
    assert_eq!(taken.len(), count, "more jobs than expected");
    taken.sort_by_key(|(number, _)| *number);
    taken
}

/// The dead letters, once there are as many.
pub async fn listed(brokers: &Brokers, count: usize) -> Vec<DeadLetter> {
    let mut found = Vec::new();
    for _ in 0..100 {
        found = brokers.dead_letters.list(0, 1_000).await.expect("the broker answers");
        if found.len() == count {
            break;
        }
        sleep(LOOK).await;
    }
    assert_eq!(found.len(), count, "{found:?}");
    found
}

/// One test per claim of a suite, against stages that `$start` makes.
#[macro_export]
macro_rules! conformance {
    (inbound, $start:path, $test:meta) => {
        $crate::conformance!(@ inbound, $start, $test:
            messages_arrive_in_the_order_of_the_calls,
            a_batch_may_span_partitions,
            prefetch_bounds_what_is_unacknowledged,
            what_was_not_acknowledged_comes_again_first,
            a_consumer_that_is_gone_acknowledges_nothing,
            acknowledging_twice_is_acknowledging_once,
            a_busy_partition_does_not_starve_another,
        );
    };
    (jobs, $start:path, $test:meta) => {
        $crate::conformance!(@ jobs, $start, $test:
            jobs_are_settled_one_by_one,
            what_lost_consumers_held_comes_again_however_often,
            settling_what_is_not_held_changes_nothing,
        );
    };
    (fanout, $start:path, $test:meta) => {
        $crate::conformance!(@ fanout, $start, $test:
            records_arrive_in_the_order_of_the_calls,
            a_queue_lives_as_long_as_its_consumer,
            a_new_life_ends_the_queue_of_the_old_one,
        );
    };
    (dead_letters, $start:path, $test:meta) => {
        $crate::conformance!(@ dead_letters, $start, $test:
            what_is_put_is_listed_with_its_reason,
            putting_the_same_again_changes_nothing,
            a_dead_letter_goes_back_once,
            a_job_that_died_goes_back_to_its_queue,
        );
    };
    (depths, $start:path, $test:meta) => {
        $crate::conformance!(@ depths, $start, $test: depths_count_what_is_held,);
    };
    (@ $suite:ident, $start:path, $test:meta: $($claim:ident,)*) => {
        $(
            #[$test]
            async fn $claim() {
                $crate::broker::conformance::$suite::$claim($start().await).await;
            }
        )*
    };
}
