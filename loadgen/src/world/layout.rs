//! Which processes the cluster of a run is made of, with their addresses and command lines: a process
//! for each node, or one for all of them. Both read the same configuration file.

use super::{ClusterError, io_error};
use crate::links::{Carried, Interposed, through};
use crate::run::{Engines, Processes};
use crate::world::addresses::free_ports;
use protocol::TlsFiles;
use scenarios::scenario::{ClusterShape, Role, Scenario};
use scenarios::{Addresses, cluster_file, on_loopback};
use std::collections::BTreeSet;
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
/// The name of the HAProxy.
const HAPROXY: &str = "haproxy";
/// Its ports: the second is for its own numbers.
const PORTS_OF_HAPROXY: u16 = 2;

/// One process to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Program {
    /// The node that it is, or [`CLUSTER`].
    pub name: Arc<str>,
    /// What the binary is called with.
    pub arguments: Vec<String>,
    /// Where its complaints go.
    pub log: PathBuf,
    /// When it is started and ended.
    pub tier: Tier,
}

/// What a process stands on, and what stands on it, from the bottom up: it ends before what is below it. Nodes and
/// gateways start together, the others when what is below them is ready.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tier {
    /// Nodes stand on it.
    Engine,
    /// A node, or all of them.
    Node,
    /// It drains while the nodes still serve it.
    Gateway,
    /// In front of the gateways.
    Balancer,
}

/// What nodes are told of what is outside of them.
#[derive(Clone, Copy, Debug)]
pub struct Outside<'a> {
    /// `host:port` of the push provider.
    pub push: &'a str,
    /// The files of TLS, if they are to use it.
    pub tls: Option<&'a TlsFiles>,
    /// The links that lead through proxies.
    pub interposed: &'a Interposed,
}

/// The processes of a cluster.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Layout {
    /// In the order in which they are started.
    pub programs: Vec<Program>,
    /// `host:port` of the gateways.
    pub gateways: Vec<String>,
    /// `host:port` of what is in front of them, if anything is.
    pub balancer: Option<String>,
    /// The first ports of the nodes of RabbitMQ.
    pub rabbitmq: Vec<u16>,
    /// The links that lead through proxies.
    pub carried: Vec<Carried>,
    /// `host:port` of everybody who serves `/metrics`.
    pub metrics: Vec<String>,
}

impl Layout {
    /// Finds ports, and writes the configuration into `data`, which is made.
    pub fn new(
        scenario: &Scenario,
        processes: Processes,
        data: &Path,
        Outside { push, tls, interposed }: Outside<'_>,
    ) -> Result<Self, ClusterError> {
        std::fs::create_dir_all(data).map_err(io_error(format!("make {}", data.display())))?;
        let shape = &scenario.cluster;
        let count = ports(shape, processes).saturating_add(interposed.links().len() as u16);
        let mut next = free_ports(count).ok_or(ClusterError::NoPorts(count))?;
        let addresses =
            Addresses { tls: tls.cloned(), ..addresses(shape, processes, &mut next, push) };
        let carried = carried(interposed, &addresses, &mut next);
        let write = |name: &str, addresses: &Addresses| {
            let path = data.join(name);
            std::fs::write(&path, cluster_file(scenario, addresses))
                .map_err(io_error(format!("write {}", path.display())))?;
            Ok(path)
        };
        let config = write(FILE, &addresses)?;
        let dialers: BTreeSet<&Arc<str>> = carried.iter().map(|link| &link.from).collect();
        for dialer in dialers {
            write(&own_file(dialer), &addresses.clone().through(&through(&carried, dialer)))?;
        }
        let common = |command: &[&str], name: &str| -> Vec<String> {
            let has_own = carried.iter().any(|link| *link.from == *name);
            let config = if has_own { data.join(own_file(name)) } else { config.clone() };
            let own = [
                format!("--config={}", config.display()),
                format!("--data={}", data.display()),
                "--ends-with-stdin".to_owned(),
            ];
            command.iter().map(|word| (*word).to_owned()).chain(own).collect()
        };
        let gateways = addresses.gateways;
        if processes == Processes::One {
            let (name, arguments) = (CLUSTER.into(), common(&["cluster", "--json"], CLUSTER));
            let log = data.join("cluster.log");
            let programs = vec![Program { name, arguments, log, tier: Tier::Node }];
            let (metrics, rabbitmq, balancer) = (gateways[..1].to_vec(), Vec::new(), None);
            return Ok(Self { programs, gateways, balancer, rabbitmq, carried, metrics });
        }
        let mut metrics = gateways.clone();
        let is_node = |(role, _): &(Role, u16)| {
            // RabbitMQ or Kafka stands in its place.
            *role != Role::Broker || (addresses.rabbitmq.is_empty() && addresses.kafka.is_empty())
        };
        let node = |(role, number): (Role, u16)| {
            let word = role.word();
            let name = format!("{word}-{number}");
            let mut arguments = common(&["node", word, &format!("--number={number}")], &name);
            let tier = if role == Role::Gateway { Tier::Gateway } else { Tier::Node };
            if tier == Tier::Node {
                metrics.extend(take(&mut next, 1));
                arguments.extend(metrics.last().map(|at| format!("--metrics={at}")));
            }
            let log = data.join(format!("{name}.log"));
            Program { name: name.into(), arguments, log, tier }
        };
        let nodes = shape.all_nodes().filter(is_node).map(node);
        let databases = [("postgres", addresses.postgres), ("cassandra", addresses.cassandra)];
        let databases = databases.into_iter().filter_map(|(word, port)| {
            Some(engine(format!("{}-1", Role::Database.word()), word, data, port?, &[]))
        });
        let brokers = rabbitmq(&addresses.rabbitmq, data).into_iter();
        let engines = brokers.chain(kafka(&addresses.kafka, data)).chain(databases);
        let mut programs: Vec<Program> = engines.chain(nodes).collect();
        let balancer = processes.haproxy().then_some(next);
        programs.extend(balancer.map(|port| haproxy(port, &gateways, data)));
        let (balancer, rabbitmq) = (balancer.map(on_loopback), addresses.rabbitmq);
        Ok(Self { programs, gateways, balancer, rabbitmq, carried, metrics })
    }
}

/// The name of a configuration's file for one node only.
fn own_file(node: &str) -> String {
    format!("cluster.{node}.toml")
}

/// Links that lead through proxies, with the addresses of both.
fn carried(interposed: &Interposed, addresses: &Addresses, next: &mut u16) -> Vec<Carried> {
    let Addresses { gateways, brokers, rabbitmq, stores, auth, postgres, push_provider, .. } =
        addresses;
    let address_of = |host: &str| -> Option<String> {
        let (role, number) = Role::of_host(host)?;
        let index = usize::from(number - 1);
        match role {
            Role::Gateway => gateways.get(index).cloned(),
            Role::Broker => {
                let engine = || rabbitmq.get(index).copied().map(on_loopback);
                brokers.get(index).cloned().or_else(engine)
            }
            Role::Store => stores.get(index).cloned(),
            Role::Auth => Some(auth.clone()),
            Role::Database => postgres.map(on_loopback),
            Role::Clients => Some(push_provider.clone()),
            Role::Notifier => None,
        }
    };
    let links = interposed.links().iter().filter_map(|(from, to)| {
        let (reaches, at) = (address_of(to)?, take(next, 1).next()?);
        Some(Carried { from: from.clone(), to: to.clone(), at, reaches })
    });
    links.collect()
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
            nodes(shape) - replaced + rabbitmq + mapper + kafka + databases + u16::from(haproxy)
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
        Processes::EachNode(Engines { rabbitmq, kafka, postgres, cassandra, haproxy, .. }) => {
            let of_rabbitmq = if rabbitmq > 0 { rabbitmq * PORTS_OF_RABBITMQ + 1 } else { 0 };
            let of_databases = u16::from(postgres) + u16::from(cassandra) * PORTS_OF_CASSANDRA;
            let of_engines = of_rabbitmq + kafka * PORTS_OF_KAFKA + of_databases;
            let of_haproxy = u16::from(haproxy) * PORTS_OF_HAPROXY;
            peers + all - shape.gateways + of_engines + of_haproxy
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
    Program { name: name.into(), arguments, log, tier: Tier::Engine }
}

/// The HAProxy in front of these gateways.
fn haproxy(port: u16, gateways: &[String], data: &Path) -> Program {
    let gateways = format!("--gateways={}", gateways.join(","));
    Program {
        tier: Tier::Balancer,
        ..engine(HAPROXY.to_owned(), "haproxy", data, port, &[gateways])
    }
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
    let rabbitmq_management = rabbitmq.first().map(|first| first + 1);
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
        rabbitmq_management,
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
        is_balanced: processes.haproxy(),
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
    (first..*next).map(on_loopback)
}

#[cfg(test)]
mod tests;
