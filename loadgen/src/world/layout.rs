//! Which processes the cluster of a run is made of, with their addresses and command lines: a process
//! for each node, or one for all of them. Both read the same configuration file.

use super::{ClusterError, io_error};
use crate::run::{Engines, Processes};
use crate::world::addresses::free_ports;
use protocol::TlsFiles;
use scenarios::scenario::{ClusterShape, Role, Scenario};
use scenarios::{Addresses, cluster_file};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// The name of the whole cluster, where its nodes are one process.
pub const CLUSTER: &str = "cluster";
/// The name of the configuration's file in the data folder.
const FILE: &str = "cluster.toml";

/// Ports of a node of RabbitMQ: the first is that of AMQP, the second that of the management interface.
const PORTS_OF_RABBITMQ: u16 = 3;
/// Ports of a node of Kafka: the second is that of its controller.
const PORTS_OF_KAFKA: u16 = 2;
/// Ports of Cassandra: the second is for its nodes among themselves.
const PORTS_OF_CASSANDRA: u16 = 2;
/// The name of Erlang's port mapper, by which the nodes of RabbitMQ find each other.
const MAPPER: &str = "port-mapper";

/// One process to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Program {
    /// The node that it is, or [`CLUSTER`].
    pub name: Arc<str>,
    /// What the binary is called with.
    pub arguments: Vec<String>,
    /// Where its complaints go.
    pub log: PathBuf,
    /// Gateways drain while all others still serve them.
    pub is_gateway: bool,
    /// Engines run before the nodes that stand on them are started, and after these have ended.
    pub is_engine: bool,
}

/// What nodes are told of what is outside of them.
#[derive(Clone, Copy, Debug)]
pub struct Outside<'a> {
    /// `host:port` of the push provider.
    pub push: &'a str,
    /// The files of TLS, if they are to use it.
    pub tls: Option<&'a TlsFiles>,
}

/// The processes of a cluster.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Layout {
    /// In the order in which they are started.
    pub programs: Vec<Program>,
    /// `host:port` of the gateways.
    pub gateways: Vec<String>,
    /// The first ports of the nodes of RabbitMQ.
    pub rabbitmq: Vec<u16>,
    /// `host:port` of everybody who serves `/metrics`.
    pub metrics: Vec<String>,
}

impl Layout {
    /// Finds ports, and writes the configuration into `data`, which is made.
    pub fn new(
        scenario: &Scenario,
        processes: Processes,
        data: &Path,
        Outside { push, tls }: Outside<'_>,
    ) -> Result<Self, ClusterError> {
        std::fs::create_dir_all(data).map_err(io_error(format!("make {}", data.display())))?;
        let shape = &scenario.cluster;
        let count = ports(shape, processes);
        let mut next = free_ports(count).ok_or(ClusterError::NoPorts(count))?;
        let addresses =
            Addresses { tls: tls.cloned(), ..addresses(shape, processes, &mut next, push) };
        let config = data.join(FILE);
        std::fs::write(&config, cluster_file(scenario, &addresses))
            .map_err(io_error(format!("write {}", config.display())))?;
        let common = |command: &[&str]| -> Vec<String> {
            let own = [
                format!("--config={}", config.display()),
                format!("--data={}", data.display()),
                "--ends-with-stdin".to_owned(),
            ];
            command.iter().map(|word| (*word).to_owned()).chain(own).collect()
        };
        let gateways = addresses.gateways;
        if processes == Processes::One {
            let (name, arguments) = (CLUSTER.into(), common(&["cluster", "--json"]));
            let log = data.join("cluster.log");
            let programs =
                vec![Program { name, arguments, log, is_gateway: false, is_engine: false }];
            let (metrics, rabbitmq) = (gateways[..1].to_vec(), Vec::new());
            return Ok(Self { programs, gateways, rabbitmq, metrics });
        }
        let mut metrics = gateways.clone();
        let is_node = |(role, _): &(Role, u16)| {
            // RabbitMQ or Kafka stands in its place.
            *role != Role::Broker || (addresses.rabbitmq.is_empty() && addresses.kafka.is_empty())
        };
        let node = |(role, number): (Role, u16)| {
            let word = role.word();
            let mut arguments = common(&["node", word, &format!("--number={number}")]);
            let is_gateway = role == Role::Gateway;
            if !is_gateway {
                metrics.extend(take(&mut next, 1));
                arguments.extend(metrics.last().map(|at| format!("--metrics={at}")));
            }
            let name = format!("{word}-{number}");
            let log = data.join(format!("{name}.log"));
            Program { name: name.into(), arguments, log, is_gateway, is_engine: false }
        };
        let nodes = shape.all_nodes().filter(is_node).map(node);
        let databases = [("postgres", addresses.postgres), ("cassandra", addresses.cassandra)];
        let databases = databases.into_iter().filter_map(|(word, port)| {
            Some(engine(format!("{}-1", Role::Database.word()), word, data, port?, &[]))
        });
        let brokers = rabbitmq(&addresses.rabbitmq, data).into_iter();
        let engines = brokers.chain(kafka(&addresses.kafka, data)).chain(databases);
        let programs = engines.chain(nodes).collect();
        Ok(Self { programs, gateways, rabbitmq: addresses.rabbitmq, metrics })
    }
}

/// How many processes the cluster of a scenario is.
pub fn count(shape: &ClusterShape, processes: Processes) -> u16 {
    match processes {
        Processes::One => 1,
        Processes::EachNode(engines) => {
            let Engines { rabbitmq, kafka, postgres, cassandra, .. } = engines;
            let replaced = if engines.own_broker() { 0 } else { shape.brokers };
            let mapper = u16::from(rabbitmq > 0);
            let databases = u16::from(postgres) + u16::from(cassandra);
            nodes(shape) - replaced + rabbitmq + mapper + kafka + databases
        }
    }
}

fn nodes(shape: &ClusterShape) -> u16 {
    u16::try_from(shape.all_nodes().count()).unwrap_or(u16::MAX)
}

/// How many ports they listen on: all nodes but notifiers for the others, and all but gateways for
/// whoever asks for their numbers. An engine listens on its own ones, and its numbers are not asked for.
fn ports(shape: &ClusterShape, processes: Processes) -> u16 {
    let all = nodes(shape);
    let peers = all - shape.nodes(Role::Notifier);
    match processes {
        Processes::One => peers,
        Processes::EachNode(Engines { rabbitmq, kafka, postgres, cassandra, .. }) => {
            let of_rabbitmq = if rabbitmq > 0 { rabbitmq * PORTS_OF_RABBITMQ + 1 } else { 0 };
            let of_databases = u16::from(postgres) + u16::from(cassandra) * PORTS_OF_CASSANDRA;
            let of_engines = of_rabbitmq + kafka * PORTS_OF_KAFKA + of_databases;
            peers + all - shape.gateways + of_engines
        }
    }
}

/// The port mapper and the nodes of a RabbitMQ with these first ports, if it has any.
fn rabbitmq(ports: &[u16], data: &Path) -> Vec<Program> {
    let Some(last) = ports.last() else { return Vec::new() };
    let mapper = last + PORTS_OF_RABBITMQ;
    let nodes = in_place_of_brokers("rabbitmq", ports, data, &[format!("--mapper={mapper}")]);
    let mapper = engine(MAPPER.to_owned(), "port-mapper", data, mapper, &[]);
    [mapper].into_iter().chain(nodes).collect()
}

/// The nodes of a Kafka with these first ports.
fn kafka(ports: &[u16], data: &Path) -> Vec<Program> {
    in_place_of_brokers("kafka", ports, data, &[])
}

/// Servers that are one engine together, and that the faults of brokers hit.
fn in_place_of_brokers(word: &str, ports: &[u16], data: &Path, more: &[String]) -> Vec<Program> {
    let told: Vec<String> = ports.iter().map(u16::to_string).collect();
    let arguments = [&[format!("--together={}", told.join(","))], more].concat();
    let named =
        ports.iter().zip(1..).map(|(port, n)| (format!("{}-{n}", Role::Broker.word()), port));
    named.map(|(name, port)| engine(name, word, data, *port, &arguments)).collect()
}

/// A server of an engine.
fn engine(name: String, word: &str, data: &Path, port: u16, more: &[String]) -> Program {
    let own = [format!("--data={}", data.join(&name).display()), format!("--port={port}")];
    let words = ["engine", word, "--ends-with-stdin"].map(str::to_owned);
    let arguments = words.into_iter().chain(own).chain(more.iter().cloned()).collect();
    let log = data.join(format!("{name}.log"));
    Program { name: name.into(), arguments, log, is_gateway: false, is_engine: true }
}

fn addresses(
    shape: &ClusterShape,
    processes: Processes,
    next: &mut u16,
    push_provider: &str,
) -> Addresses {
    let engines = match processes {
        Processes::EachNode(engines) => engines,
        Processes::One => Engines::NONE,
    };
    let rabbitmq = first_ports(next, engines.rabbitmq, PORTS_OF_RABBITMQ);
    // The port mapper.
    *next += u16::from(engines.rabbitmq > 0);
    let kafka = first_ports(next, engines.kafka, PORTS_OF_KAFKA);
    let brokers = if engines.own_broker() { shape.brokers } else { 0 };
    let postgres = first_ports(next, engines.postgres.into(), 1).first().copied();
    let cassandra = first_ports(next, engines.cassandra.into(), PORTS_OF_CASSANDRA);
    Addresses {
        gateways: take(next, shape.gateways).collect(),
        brokers: take(next, brokers).collect(),
        rabbitmq,
        quorum_queues: engines.quorum_queues,
        kafka,
        all_acks: engines.all_acks,
        postgres,
        synchronous_commit: engines.synchronous_commit,
        cassandra: cassandra.first().copied(),
        stores: take(next, shape.stores).collect(),
        auth: take(next, 1).collect(),
        push_provider: push_provider.to_owned(),
        tls: None,
    }
}

/// The first port of each of these nodes.
fn first_ports(next: &mut u16, nodes: u16, each: u16) -> Vec<u16> {
    let first = *next;
    *next += nodes * each;
    (0..nodes).map(|node| first + node * each).collect()
}

/// The next addresses on loopback.
fn take(next: &mut u16, count: u16) -> impl Iterator<Item = String> + use<> {
    let first = *next;
    *next += count;
    (first..*next).map(|port| format!("127.0.0.1:{port}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    const OUTSIDE: Outside<'_> = Outside { push: "127.0.0.1:9", tls: None };

    #[test]
    fn every_node_has_a_process_a_log_and_numbers_of_its_own() {
        let mut scenario = crate::fixture::scenario(10, 5, 1);
        (scenario.cluster.gateways, scenario.cluster.stores) = (2, 3);
        let data = std::env::temp_dir().join(format!("fracas-layout-{}", std::process::id()));
        let each =
            Layout::new(&scenario, Processes::EachNode(Engines::NONE), &data, OUTSIDE).unwrap();
        let names: Vec<&str> = each.programs.iter().map(|program| &*program.name).collect();
        let expected = [
            "auth-1",
            "broker-1",
            "store-1",
            "store-2",
            "store-3",
            "notifier-1",
            "gateway-1",
            "gateway-2",
        ];
        assert_eq!(names, expected);
        let logs: BTreeSet<_> = each.programs.iter().map(|program| &program.log).collect();
        let metrics: BTreeSet<_> = each.metrics.iter().collect();
        assert_eq!((logs.len(), metrics.len(), each.gateways.len()), (8, 8, 2));
        let store = &each.programs[3].arguments;
        assert!(store.starts_with(&["node".into(), "store".into(), "--number=2".into()]));
        assert!(store.iter().any(|word| word.starts_with("--metrics=")), "{store:?}");

        let one = Layout::new(&scenario, Processes::One, &data, OUTSIDE).unwrap();
        assert_eq!((one.programs.len(), one.gateways.len(), one.metrics.len()), (1, 2, 1));
        let written = std::fs::read_to_string(data.join(FILE)).unwrap();
        assert!(!written.contains("rabbitmq"), "{written}");
        assert!(one.gateways.iter().all(|gateway| written.contains(gateway)), "{written}");
        std::fs::remove_dir_all(data).unwrap();
    }

    #[test]
    fn an_engine_takes_the_place_of_a_node() {
        let scenario = crate::fixture::scenario(10, 5, 1);
        let data = std::env::temp_dir().join(format!("fracas-engines-{}", std::process::id()));
        let on_rabbitmq =
            Processes::EachNode(Engines { rabbitmq: 3, postgres: true, ..Engines::NONE });
        let layout = Layout::new(&scenario, on_rabbitmq, &data, OUTSIDE).unwrap();
        let names: Vec<&str> = layout.programs.iter().map(|program| &*program.name).collect();
        let first = ["port-mapper", "broker-1", "broker-2", "broker-3", "database-1", "auth-1"];
        assert_eq!(names[..6], first);
        assert_eq!(usize::from(count(&scenario.cluster, on_rabbitmq)), names.len());
        let told = |program: usize, key: &str| {
            let arguments = &layout.programs[program].arguments;
            let value = arguments.iter().find_map(|word| word.strip_prefix(key));
            value.unwrap_or_else(|| panic!("{key} in {arguments:?}")).to_owned()
        };
        assert_eq!(layout.programs[1].arguments[..2], ["engine", "rabbitmq"]);
        assert!(told(1, "--data=").ends_with("/broker-1"));
        let amqp = [1, 2, 3].map(|node| told(node, "--port=").parse::<u16>().unwrap());
        assert_eq!(told(3, "--together="), amqp.map(|port| port.to_string()).join(","));
        assert_eq!(told(2, "--mapper="), told(0, "--port="));
        let written = std::fs::read_to_string(data.join(FILE)).unwrap();
        let addresses = amqp.map(|port| format!("\"127.0.0.1:{port}\"")).join(", ");
        assert!(written.contains(&format!("addresses = [{addresses}]")), "{written}");
        assert!(written.contains("brokers = []"), "{written}");
        let postgres = format!("hosts = [\"127.0.0.1:{}\"]", told(4, "--port="));
        assert!(written.contains(&postgres), "{written}");
        let all = layout.gateways.iter().chain(&layout.metrics).collect::<BTreeSet<_>>();
        let own =
            (amqp[0]..=amqp[2] + PORTS_OF_RABBITMQ + 1).map(|port| format!("127.0.0.1:{port}"));
        assert!(own.into_iter().all(|own| !all.contains(&own)), "{all:?}");
        std::fs::remove_dir_all(data).unwrap();
    }

    #[test]
    fn kafka_takes_the_place_of_the_broker() {
        let scenario = crate::fixture::scenario(10, 5, 1);
        let data = std::env::temp_dir().join(format!("fracas-kafka-{}", std::process::id()));
        for nodes in [1, 3, 5] {
            let on_kafka = Processes::EachNode(Engines { kafka: nodes, ..Engines::NONE });
            let layout = Layout::new(&scenario, on_kafka, &data, OUTSIDE).unwrap();
            assert_eq!(usize::from(count(&scenario.cluster, on_kafka)), layout.programs.len());
            let own = &layout.programs[..usize::from(nodes)];
            assert!(own.iter().all(|program| program.arguments[..2] == ["engine", "kafka"]));
            assert_eq!(own.iter().filter(|program| &*program.name == "broker-1").count(), 1);
            let ports = own.iter().map(|program| {
                let mut arguments = program.arguments.iter();
                arguments.find_map(|word| word.strip_prefix("--port=")).unwrap()
            });
            let ports: Vec<&str> = ports.collect();
            let together = format!("--together={}", ports.join(","));
            assert!(own.iter().all(|program| program.arguments.contains(&together)));
            let written = std::fs::read_to_string(data.join(FILE)).unwrap();
            assert!(written.contains(&format!("servers = [\"127.0.0.1:{}\"", ports[0])));
            assert!(written.contains(&format!("replication = {}\n", nodes.min(3))), "{written}");
            assert!(written.contains("brokers = []"), "{written}");
        }
        std::fs::remove_dir_all(data).unwrap();
    }

    #[test]
    fn cassandra_keeps_the_rows_of_the_stores() {
        let scenario = crate::fixture::scenario(10, 5, 1);
        let data = std::env::temp_dir().join(format!("fracas-cassandra-{}", std::process::id()));
        let on_cassandra = Processes::EachNode(Engines { cassandra: true, ..Engines::NONE });
        let layout = Layout::new(&scenario, on_cassandra, &data, OUTSIDE).unwrap();
        assert_eq!(usize::from(count(&scenario.cluster, on_cassandra)), layout.programs.len());
        let server = &layout.programs[0];
        assert_eq!((&*server.name, server.is_engine), ("database-1", true));
        assert_eq!(server.arguments[..2], ["engine", "cassandra"]);
        let port = server.arguments.iter().find_map(|word| word.strip_prefix("--port="));
        let port: u16 = port.unwrap().parse().unwrap();
        let written = std::fs::read_to_string(data.join(FILE)).unwrap();
        let hosts = format!("hosts = [\"127.0.0.1:{port}\"]\nreplication = 1\n");
        assert!(written.contains("store = \"cassandra\"") && written.contains(&hosts), "{written}");
        // The second port is its own.
        assert!(!written.contains(&format!("127.0.0.1:{}\"", port + 1)), "{written}");
        std::fs::remove_dir_all(data).unwrap();
    }
}
