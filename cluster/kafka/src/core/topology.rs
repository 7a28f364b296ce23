//! The topics of a cluster, as data.

use ports::broker::{GatewayLife, Origin};
use protocol::limits::BrokerLimits;

/// What a record may hold at most, with room for what Kafka adds: a link's frame is the bound of records.
pub const RECORD_MAX: usize = protocol::limits::MAX_LINK_FRAME_BYTES + 64 * 1024;
/// Kafka removes whole segments, and only those that are not written to any more.
const SEGMENT_BYTES: u64 = 64 * 1024 * 1024;
/// What gateways are told is of no use for longer.
const GATEWAY_RETENTION_MS: u64 = 60_000;

/// How many partitions and replicas there are, and what queues hold.
#[derive(Clone, Copy, Debug)]
pub struct Shape {
    /// Of conversations.
    pub partitions: u16,
    /// Of jobs.
    pub job_queues: u16,
    /// The highest number of a gateway.
    pub gateways: u16,
    /// Of each partition.
    pub replication: u16,
    /// What queues hold.
    pub limits: BrokerLimits,
}

/// The names of one cluster's topics, and how they are made.
#[derive(Clone, Debug)]
pub struct Topology {
    prefix: String,
    shape: Shape,
    /// A partition for each partition of conversations.
    pub inbound: String,
    /// A partition for each queue of jobs.
    pub jobs: String,
    /// A partition for each gateway, by its number.
    pub gateways: String,
    /// One partition.
    pub dead: String,
}

/// A topic.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Topic<'a> {
    /// Its name.
    pub name: &'a str,
    /// How many partitions it has, at least.
    pub partitions: i32,
    /// How many replicas each of them has.
    pub replication: i32,
    /// Beyond that.
    pub settings: Vec<(&'static str, String)>,
}

/// A partition of a topic.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// The topic.
    pub topic: String,
    /// The partition.
    pub partition: i32,
}

impl Topology {
    /// The topology of the cluster whose names begin so.
    pub fn new(prefix: &str, shape: Shape) -> Self {
        let name = |what: &str| format!("{prefix}.{what}");
        Self {
            inbound: name("inbound"),
            jobs: name("notify"),
            gateways: name("gateways"),
            dead: name("dead"),
            prefix: prefix.to_owned(),
            shape,
        }
    }

    /// The group that offsets are committed for; nobody joins it.
    pub fn group(&self) -> String {
        format!("{}.owners", self.prefix)
    }

    /// Where a durable queue is.
    pub fn place(&self, origin: Origin) -> Place {
        let (topic, number) = match origin {
            Origin::Inbound(partition) => (&self.inbound, partition.0),
            Origin::Jobs(queue) => (&self.jobs, queue),
        };
        Place { topic: topic.clone(), partition: i32::from(number) }
    }

    /// Where a gateway reads.
    pub fn gateway(&self, life: GatewayLife) -> Place {
        Place { topic: self.gateways.clone(), partition: i32::from(life.gateway.0) }
    }

    /// Where dead letters are.
    pub fn dead_letters(&self) -> Place {
        Place { topic: self.dead.clone(), partition: 0 }
    }

    /// All durable queues.
    pub fn queues(&self) -> Vec<(Origin, Place)> {
        let inbound = (0..self.shape.partitions).map(|n| Origin::Inbound(protocol::Partition(n)));
        let jobs = (0..self.shape.job_queues).map(Origin::Jobs);
        inbound.chain(jobs).map(|origin| (origin, self.place(origin))).collect()
    }

    /// All topics.
    pub fn topics(&self) -> [Topic<'_>; 4] {
        let Shape { partitions, job_queues, gateways, limits, .. } = self.shape;
        // What is confirmed stays until it is acknowledged, however long that takes: then the adapter
        // removes it.
        let kept = [("retention.ms", "-1".to_owned()), ("retention.bytes", "-1".to_owned())];
        let quick = [
            ("retention.ms", GATEWAY_RETENTION_MS.to_string()),
            ("retention.bytes", limits.gateway_queue_bytes.to_string()),
            ("segment.ms", GATEWAY_RETENTION_MS.to_string()),
        ];
        [
            self.topic(&self.inbound, i32::from(partitions), &kept),
            self.topic(&self.jobs, i32::from(job_queues), &kept),
            self.topic(&self.gateways, i32::from(gateways) + 1, &quick),
            self.topic(&self.dead, 1, &kept),
        ]
    }

    fn topic<'a>(
        &self,
        name: &'a str,
        partitions: i32,
        retention: &[(&'static str, String)],
    ) -> Topic<'a> {
        let replication = self.shape.replication;
        let mut settings = vec![
            ("cleanup.policy", "delete".to_owned()),
            // A majority: one replica may be away, and no confirmed message is on one disk alone.
            ("min.insync.replicas", (replication / 2 + 1).to_string()),
            ("unclean.leader.election.enable", "false".to_owned()),
            ("max.message.bytes", RECORD_MAX.to_string()),
            ("message.timestamp.type", "LogAppendTime".to_owned()),
            ("segment.bytes", SEGMENT_BYTES.to_string()),
        ];
        settings.extend_from_slice(retention);
        Topic { name, partitions, replication: i32::from(replication), settings }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use protocol::{GatewayId, Incarnation, Partition};

    fn topology(replication: u16) -> Topology {
        let limits = BrokerLimits::default();
        let shape = Shape { partitions: 8, job_queues: 1, gateways: 2, replication, limits };
        Topology::new("chat", shape)
    }

    #[test]
    fn every_queue_is_a_partition() {
        let topology = topology(3);
        let place = |topic: &str, partition| Place { topic: topic.into(), partition };
        let life = GatewayLife { gateway: GatewayId(2), incarnation: Incarnation(9) };
        assert_eq!(topology.place(Origin::Inbound(Partition(7))), place("chat.inbound", 7));
        assert_eq!(topology.gateway(life), place("chat.gateways", 2));
        assert_eq!(topology.queues().len(), 9);
        let partitions = topology.topics().map(|topic| (topic.name.to_owned(), topic.partitions));
        let names = ["inbound", "notify", "gateways", "dead"].map(|name| format!("chat.{name}"));
        assert_eq!(partitions, [0, 1, 2, 3].map(|n| (names[n].clone(), [8, 1, 3, 1][n])));
    }

    #[test]
    fn one_replica_may_be_away_and_nothing_confirmed_is_on_one_disk() {
        for (replication, in_sync) in [(1, "1"), (2, "2"), (3, "2"), (5, "3")] {
            for topic in topology(replication).topics() {
                let said = |key: &str| {
                    topic
                        .settings
                        .iter()
                        .find(|(name, _)| *name == key)
                        .map(|(_, value)| value.as_str())
                };
                assert_eq!(said("min.insync.replicas"), Some(in_sync));
                assert_eq!(said("unclean.leader.election.enable"), Some("false"));
                assert_eq!(topic.replication, i32::from(replication));
                let forever = said("retention.ms") == Some("-1");
                assert_eq!(forever, topic.name != "chat.gateways", "{}", topic.name);
            }
        }
    }
}
