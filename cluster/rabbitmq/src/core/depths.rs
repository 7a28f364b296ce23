//! What the management interface says about queues.

use super::topology::Topology;
use ports::broker::Queue;
use serde::Deserialize;
use std::collections::BTreeMap;

#[derive(Deserialize)]
struct Listed {
    name: String,
    /// Ready and unacknowledged ones. Absent while the queue is being made.
    #[serde(default)]
    messages: u64,
}

/// The queues of this cluster that have any messages, in their order.
///
/// # Errors
/// It is not the list of queues that RabbitMQ gives.
pub fn depths(topology: &Topology, json: &[u8]) -> serde_json::Result<Vec<(Queue, u64)>> {
    let mut found: BTreeMap<Queue, u64> = BTreeMap::new();
    for Listed { name, messages } in serde_json::from_slice::<Vec<Listed>>(json)? {
        if let Some(queue) = topology.queue_named(&name).filter(|_| messages > 0) {
            *found.entry(queue).or_default() += messages;
        }
    }
    Ok(found.into_iter().collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use protocol::Partition;
    use protocol::limits::BrokerLimits;

    #[test]
    fn only_what_is_ours_and_has_messages_counts() {
        let topology = Topology::new("chat".into(), BrokerLimits::default());
        let json = br#"[{"name":"chat.dead","messages":2,"state":"running"},
            {"name":"chat.inbound.3","messages":7},{"name":"chat.inbound.4","messages":0},
            {"name":"chat.inbound.5"},{"name":"other.inbound.3","messages":1},
            {"name":"chat.unrouted","messages":4}]"#;
        let expected = vec![(Queue::Inbound(Partition(3)), 7), (Queue::DeadLetters, 2)];
        assert_eq!(depths(&topology, json).unwrap(), expected);
        assert!(depths(&topology, br#"{"error":"not_authorised"}"#).is_err());
    }
}
