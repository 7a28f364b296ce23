//! What befalls one queue befalls no other, and ends. Against the instance of `cargo xtask engines`.

#![allow(clippy::unwrap_used, reason = "a failed step fails the test")]

mod control;
mod patience;
mod support;

use control::control;
use patience::{PATIENCE, patiently};
use ports::broker::conformance::dead_letters::dead;
use ports::broker::conformance::{PARTITION, listed, numbers, publish, take, text};
use ports::broker::{Brokers, PublishError};
use protocol::Partition;
use std::time::Duration;
use support::{brokers, config, prefix};
use tokio::time::{Instant, sleep, timeout};

/// A partition whose queue stands.
const OTHER: Partition = Partition(PARTITION.0 + 1);

/// The process that leads a queue does nothing until this is dropped: for its publishers it has no leader.
struct Leaderless {
    process: String,
}

impl Leaderless {
    fn new(queue: &str) -> Self {
        let process = format!("whereis('%2F_{queue}')");
        control(&["eval", &format!("ok = sys:suspend({process}).")]);
        Self { process }
    }
}

impl Drop for Leaderless {
    fn drop(&mut self) {
        control(&["eval", &format!("ok = sys:resume({}).", self.process)]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_queue_without_a_leader_holds_no_other_up() {
    let config = config(&prefix());
    let before = brokers("gateway-1", &config).await;
    publish(&before, PARTITION, 0..1).await;
    publish(&before, OTHER, 0..1).await;
    let leaderless = Leaderless::new(&format!("{}.inbound.{PARTITION}", config.prefix));
    // A node that has not published yet: RabbitMQ asks the leader whether it may.
    let client = brokers("gateway-2", &config).await;
    let stuck = client.inbound.publish(vec![(PARTITION, text(1))]);
    // For longer than anybody waits for a confirm, and than a silent link is kept.
    let until = Instant::now() + Duration::from_secs(15);
    for n in 1.. {
        let began = Instant::now();
        assert_eq!(client.inbound.publish(vec![(OTHER, text(n))]).await, [Ok(())]);
        assert!(began.elapsed() < Duration::from_secs(2), "{n}: {:?}", began.elapsed());
        if Instant::now() > until {
            break;
        }
        sleep(Duration::from_millis(100)).await;
    }
    assert_eq!(stuck.await, [Err(PublishError::Unknown)]);
    drop(leaderless);
    let again =
        async { while client.inbound.publish(vec![(PARTITION, text(2))]).await != [Ok(())] {} };
    timeout(PATIENCE, again).await.expect("it has a leader again");
    // What was unknown may be there.
    let mut consumer = patiently(&client, PARTITION).await;
    let mut arrived = Vec::new();
    while arrived.last() != Some(&2) {
        arrived.extend(numbers(&timeout(PATIENCE, consumer.next()).await.unwrap().unwrap()));
    }
    arrived.dedup();
    arrived.retain(|n| *n != 1);
    assert_eq!(arrived, [0, 2]);
}

async fn put(client: &Brokers, letters: std::ops::Range<u32>) {
    for some in letters.clone().step_by(256) {
        let puts = (some..letters.end.min(some + 256)).map(|n| client.dead_letters.put(dead(n)));
        let kept = futures_util::future::join_all(puts).await;
        assert!(kept.iter().all(Result::is_ok), "{kept:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn thousands_of_dead_letters_are_listed_and_go_back() {
    const LETTERS: u32 = 20_000;
    let client = brokers("store-1", &config(&prefix())).await;
    put(&client, 0..LETTERS).await;
    let began = Instant::now();
    let listed = client.dead_letters.list(0, LETTERS).await.unwrap();
    println!("{} dead letters listed in {:?}", listed.len(), began.elapsed());
    assert_eq!(listed.len(), LETTERS as usize);
    assert_eq!(client.dead_letters.requeue(listed[9_999].id).await, Ok(true));
    let left = client.dead_letters.list(0, LETTERS).await.unwrap();
    assert_eq!(left.len(), LETTERS as usize - 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn dead_letters_have_a_queue_again_after_it_was_deleted() {
    let config = config(&prefix());
    let client = brokers("store-1", &config).await;
    put(&client, 0..2).await;
    listed(&client, 2).await;
    control(&["delete_queue", &format!("{}.dead", config.prefix)]);
    // Confirmed: then it must be there.
    put(&client, 2..3).await;
    let there = async {
        while client.dead_letters.list(0, 9).await.map(|listed| listed.len()) != Ok(1) {
            sleep(Duration::from_millis(100)).await;
        }
    };
    timeout(PATIENCE, there).await.expect("it is brought back");
    publish(&client, PARTITION, 0..1).await;
    let mut consumer = patiently(&client, PARTITION).await;
    assert_eq!(numbers(&take(&mut *consumer, 1).await), [0]);
}
