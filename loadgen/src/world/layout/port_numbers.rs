//! How many processes a cluster is, how many ports they take, and which comes next.

use super::Monitoring;
use crate::run::{Engines, Processes};
use scenarios::on_loopback;
use scenarios::scenario::{ClusterShape, Role};

/// Ports of a node of Kafka: the second is that of its controller.
pub(super) const PORTS_OF_KAFKA: u16 = 2;
/// Ports of Cassandra: the second is for its nodes among themselves.
pub(super) const PORTS_OF_CASSANDRA: u16 = 2;
/// Ports of HAProxy: the second is for its own numbers.
pub(super) const PORTS_OF_HAPROXY: u16 = 2;

/// Ports of a node of RabbitMQ: that of AMQP, of the management interface, of Erlang's own protocol, and of its numbers
/// if somebody asks for them.
pub(super) const fn ports_of_rabbitmq(engines: Engines) -> u16 {
    if engines.monitoring { 4 } else { 3 }
}

fn nodes(shape: &ClusterShape) -> u16 {
    u16::try_from(shape.all_nodes().count()).unwrap_or(u16::MAX)
}

/// How many ports they listen on: all nodes but notifiers for the others, and all but gateways for
/// whoever asks for their numbers. An engine listens on its own ones.
pub fn ports(shape: &ClusterShape, processes: Processes) -> u16 {
    let all = nodes(shape);
    let peers = all - shape.nodes(Role::Notifier);
    match processes {
        Processes::One => peers,
        Processes::EachNode(engines) => {
            let Engines { rabbitmq, kafka, postgres, cassandra, haproxy, .. } = engines;
            let of_rabbitmq =
                if rabbitmq > 0 { rabbitmq * ports_of_rabbitmq(engines) + 1 } else { 0 };
            let of_databases = u16::from(postgres) + u16::from(cassandra) * PORTS_OF_CASSANDRA;
            let of_engines = of_rabbitmq + kafka * PORTS_OF_KAFKA + of_databases;
            let of_haproxy = u16::from(haproxy) * PORTS_OF_HAPROXY;
            let of_monitoring = Monitoring::ports(engines);
            peers + all - shape.gateways + of_engines + of_haproxy + of_monitoring
        }
    }
}

/// How many processes the cluster of a scenario is.
pub fn count(shape: &ClusterShape, processes: Processes) -> u16 {
    match processes {
        Processes::One => 1,
        Processes::EachNode(engines) => {
            let Engines { rabbitmq, kafka, postgres, cassandra, haproxy, .. } = engines;
            let replaced = if engines.own_broker() { 0 } else { shape.brokers };
            let mapper = u16::from(rabbitmq > 0);
            let databases = u16::from(postgres) + u16::from(cassandra);
            let around = u16::from(haproxy) + Monitoring::processes(engines);
            nodes(shape) - replaced + rabbitmq + mapper + kafka + databases + around
        }
    }
}

/// The first port of each of these nodes.
pub(super) fn first_ports(next: &mut u16, nodes: u16, each: u16) -> Vec<u16> {
    let first = *next;
    *next += nodes * each;
    (0..nodes).map(|node| first + node * each).collect()
}

/// The next addresses on loopback.
pub(super) fn take(next: &mut u16, count: u16) -> impl Iterator<Item = String> + use<> {
    let first = *next;
    *next += count;
    (first..*next).map(on_loopback)
}
