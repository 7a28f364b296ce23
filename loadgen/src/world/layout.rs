//! Which processes the cluster of a run is made of, with their addresses and command lines: a process
//! for each node, or one for all of them. Both read the same configuration file, but for nodes whose links lead
//! through proxies, which have one of their own.

mod monitoring;
mod port_numbers;
mod servers;

pub use monitoring::Monitoring;
pub use port_numbers::{count, ports};

use super::{ClusterError, io_error};
use crate::links::{Carried, Interposed, through};
use crate::run::Processes;
use crate::world::addresses::{free_ports, is_free};
use port_numbers::{
    PORTS_OF_CASSANDRA, PORTS_OF_HAPROXY, PORTS_OF_KAFKA, first_ports, ports_of_rabbitmq, take,
};
use protocol::TlsFiles;
use protocol::trace::Tracing;
use scenarios::scenario::{ClusterShape, Role, Scenario};
use scenarios::{Addresses, cluster_file, on_loopback};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// The name of the whole cluster, where its nodes are one process.
pub const CLUSTER: &str = "cluster";
/// The name of the configuration's file in the data folder.
const FILE: &str = "cluster.toml";

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
    /// It watches all of them.
    Monitor,
}

/// Where a cluster is put.
#[derive(Clone, Copy, Debug)]
pub struct Place<'a> {
    /// The folder of its data, which is made.
    pub data: &'a Path,
    /// The first of its ports, in a row; otherwise some that are free.
    pub first_port: Option<u16>,
}

impl<'a> From<&'a Path> for Place<'a> {
    fn from(data: &'a Path) -> Self {
        Self { data, first_port: None }
    }
}

/// What nodes are told of what is outside of them.
#[derive(Clone, Copy, Debug)]
pub struct Outside<'a> {
    /// `host:port` of the push provider.
    pub push: &'a str,
    /// The files of TLS, if they are to use it.
    pub tls: Option<&'a TlsFiles>,
    /// Where the steps of messages go, if anywhere.
    pub traces: Option<&'a Tracing>,
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
    /// What watches all of them, if anything does.
    pub monitoring: Option<Monitoring>,
    /// The first ports of the nodes of RabbitMQ.
    pub rabbitmq: Vec<u16>,
    /// The links that lead through proxies.
    pub carried: Vec<Carried>,
    /// `host:port` of everybody who serves `/metrics`.
    pub metrics: Vec<String>,
}

impl Layout {
    /// Finds ports, and writes the configuration into the folder, which is made.
    pub fn new(
        scenario: &Scenario,
        processes: Processes,
        Place { data, first_port }: Place<'_>,
        Outside { push, tls, traces, interposed }: Outside<'_>,
    ) -> Result<Self, ClusterError> {
        std::fs::create_dir_all(data).map_err(io_error(format!("make {}", data.display())))?;
        let shape = &scenario.cluster;
        let count = ports(shape, processes).saturating_add(interposed.links().len() as u16);
        let mut next = match first_port {
            Some(first) => all_free(first, count)?,
            None => free_ports(count).ok_or(ClusterError::NoPorts(count))?,
        };
        let engines = processes.engines();
        // What somebody from outside asks for comes first.
        let haproxy = engines.haproxy.then(|| first_ports(&mut next, 1, PORTS_OF_HAPROXY)[0]);
        let watch = engines.monitoring.then(|| Monitoring::at(&mut next, engines));
        let addresses = addresses(shape, processes, &mut next, push);
        let addresses = Addresses { tls: tls.cloned(), traces: traces.cloned(), ..addresses };
        let carried = carried(interposed, &addresses, &mut next);
        let files = Files::write(scenario, &addresses, &carried, data)?;
        let gateways = addresses.gateways.clone();
        if processes == Processes::One {
            let (name, arguments) =
                (CLUSTER.into(), files.arguments(&["cluster", "--json"], CLUSTER));
            let log = data.join("cluster.log");
            let programs = vec![Program { name, arguments, log, tier: Tier::Node }];
            return Ok(Self {
                programs,
                metrics: gateways[..1].to_vec(),
                gateways,
                balancer: None,
                monitoring: None,
                rabbitmq: Vec::new(),
                carried,
            });
        }
        let mut metrics = gateways.clone();
        let is_node = |(role, _): &(Role, u16)| {
            // RabbitMQ or Kafka stands in its place.
            *role != Role::Broker || (addresses.rabbitmq.is_empty() && addresses.kafka.is_empty())
        };
        let node = |(role, number): (Role, u16)| {
            let word = role.word();
            let name = format!("{word}-{number}");
            let mut arguments =
                files.arguments(&["node", word, &format!("--number={number}")], &name);
            let tier = if role == Role::Gateway { Tier::Gateway } else { Tier::Node };
            if tier == Tier::Node {
                metrics.extend(take(&mut next, 1));
                arguments.extend(metrics.last().map(|at| format!("--metrics={at}")));
            }
            let log = data.join(format!("{name}.log"));
            Program { name: name.into(), arguments, log, tier }
        };
        let nodes = shape.all_nodes().filter(is_node).map(node);
        let mut programs = servers::below(&addresses, engines, data);
        programs.extend(nodes);
        programs.extend(haproxy.map(|port| servers::haproxy(port, &gateways, tls, data)));
        if let Some(watch) = &watch {
            let watched = monitoring::Watched {
                nodes: &programs,
                metrics: &metrics,
                rabbitmq: &addresses.rabbitmq,
                postgres: addresses.postgres,
                haproxy,
            };
            programs.extend(watch.programs(&watched, data));
        }
        Ok(Self {
            programs,
            gateways,
            balancer: haproxy.map(on_loopback),
            monitoring: watch,
            rabbitmq: addresses.rabbitmq,
            carried,
            metrics,
        })
    }
}

/// The configurations of a cluster, as they were written.
struct Files<'a> {
    data: &'a Path,
    /// That of all nodes but those whose links lead through proxies.
    shared: PathBuf,
    carried: &'a [Carried],
}

impl<'a> Files<'a> {
    fn write(
        scenario: &Scenario,
        addresses: &Addresses,
        carried: &'a [Carried],
        data: &'a Path,
    ) -> Result<Self, ClusterError> {
        let write = |name: &str, addresses: &Addresses| {
            let path = data.join(name);
            std::fs::write(&path, cluster_file(scenario, addresses))
                .map_err(io_error(format!("write {}", path.display())))?;
            Ok(path)
        };
        let shared = write(FILE, addresses)?;
        let dialers: BTreeSet<&Arc<str>> = carried.iter().map(|link| &link.from).collect();
        for dialer in dialers {
            write(&own_file(dialer), &addresses.clone().through(&through(carried, dialer)))?;
        }
        Ok(Self { data, shared, carried })
    }

    /// What the binary is called with for a node, after the words of its command.
    fn arguments(&self, command: &[&str], name: &str) -> Vec<String> {
        let has_own = self.carried.iter().any(|link| *link.from == *name);
        let config = if has_own { self.data.join(own_file(name)) } else { self.shared.clone() };
        let own = [
            format!("--config={}", config.display()),
            format!("--data={}", self.data.display()),
            "--ends-with-stdin".to_owned(),
        ];
        command.iter().map(|word| (*word).to_owned()).chain(own).collect()
    }
}

/// The first of so many ports in a row, if nobody listens on any of them.
fn all_free(first: u16, count: u16) -> Result<u16, ClusterError> {
    let Some(end) = first.checked_add(count) else { return Err(ClusterError::NoPorts(count)) };
    (first..end)
        .find(|port| !is_free(*port))
        .map_or(Ok(first), |taken| Err(ClusterError::PortTaken { taken, first, last: end - 1 }))
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

fn addresses(
    shape: &ClusterShape,
    processes: Processes,
    next: &mut u16,
    push_provider: &str,
) -> Addresses {
    let engines = processes.engines();
    let rabbitmq = first_ports(next, engines.rabbitmq, ports_of_rabbitmq(engines));
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
        traces: None,
    }
}

#[cfg(test)]
mod tests;
