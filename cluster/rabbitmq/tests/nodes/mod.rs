//! The three nodes of `cargo xtask engines`, which starts each again when it ends.

use crate::patience::PATIENCE;
use crate::support::told;
use ports::broker::conformance::text;
use ports::broker::{Brokers, PublishError};
use protocol::Partition;
use std::collections::BTreeSet;
use std::process::Command;
use std::time::Duration;
use tokio::time::{Instant, sleep, timeout};

/// The place of the node that leads a partition's queue among those of `FRACAS_RABBITMQ`, as soon as all of
/// them have the queue: two of three that are away at once are more than a quorum bears.
pub async fn leader_of_all(prefix: &str, partition: Partition) -> usize {
    let began = Instant::now();
    loop {
        if let Some(leader) = leader(prefix, partition) {
            return leader;
        }
        assert!(began.elapsed() < PATIENCE, "the queue is not whole again");
        sleep(Duration::from_millis(500)).await;
    }
}

fn leader(prefix: &str, partition: Partition) -> Option<usize> {
    let arguments = ["list_queues", "--quiet", "--formatter=json", "name", "leader", "online"];
    let output = Command::new(told("FRACAS_RABBITMQ_CONTROL")).args(arguments).output().unwrap();
    // The node that is asked may be the one that is away.
    let queues: Vec<serde_json::Value> = serde_json::from_slice(&output.stdout).ok()?;
    let name = format!("{prefix}.inbound.{partition}");
    let queue = queues.iter().find(|queue| queue["name"] == name.as_str())?;
    if queue["online"].as_array()?.len() < 3 {
        return None;
    }
    // `fracas-PORT@localhost`
    let (node, _) = queue["leader"].as_str()?.split_once('@')?;
    let ends_so = |address: &str| address.ends_with(&format!(":{}", &node["fracas-".len()..]));
    told("FRACAS_RABBITMQ").split(',').position(ends_so)
}

/// As a power failure of its process: nothing is said to anybody.
pub fn kill(node: usize) {
    let pids = told("FRACAS_RABBITMQ_PID");
    let id = std::fs::read_to_string(pids.split(',').nth(node).unwrap()).unwrap();
    let killed = Command::new("kill").args(["-KILL", id.trim()]).status().unwrap();
    assert!(killed.success());
}

/// Publishes each number until it is confirmed, one after the other; those that took more than one attempt.
pub async fn persistently(
    brokers: &Brokers,
    partition: Partition,
    numbers: std::ops::Range<u32>,
) -> BTreeSet<u32> {
    let mut again = BTreeSet::new();
    let publish_all = async {
        for n in numbers {
            loop {
                match brokers.inbound.publish(vec![(partition, text(n))]).await[..] {
                    [Ok(())] => break,
                    // A queue without a leader refuses too, and is not full.
                    [Err(PublishError::Unknown)] => again.insert(n),
                    ref other => panic!("{other:?}"),
                };
            }
        }
    };
    timeout(PATIENCE, publish_all).await.expect("confirmed at last");
    again
}
