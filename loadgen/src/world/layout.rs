//! Which processes the cluster of a run is made of, with their addresses and command lines: a process
//! for each node, or one for all of them. Both read the same configuration file.

use super::{ClusterError, io_error};
use crate::run::{Engines, Processes};
use crate::world::addresses::free_ports;
use scenarios::scenario::{ClusterShape, Role, Scenario};
use scenarios::{Addresses, cluster_file};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// The name of the whole cluster, where its nodes are one process.
pub const CLUSTER: &str = "cluster";
/// The name of the configuration's file in the data folder.
const FILE: &str = "cluster.toml";

/// The first is that of AMQP, the second that of the management interface.
pub const PORTS_OF_RABBITMQ: u16 = 4;

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
}

/// The processes of a cluster.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Layout {
    /// In the order in which they are started.
    pub programs: Vec<Program>,
    /// `host:port` of the gateways.
    pub gateways: Vec<String>,
    /// `host:port` of everybody who serves `/metrics`.
    pub metrics: Vec<String>,
}

impl Layout {
    /// Finds ports, and writes the configuration into `data`, which is made.
    pub fn new(
        scenario: &Scenario,
        processes: Processes,
        data: &Path,
        push_provider: &str,
    ) -> Result<Self, ClusterError> {
        std::fs::create_dir_all(data).map_err(io_error(format!("make {}", data.display())))?;
        let shape = &scenario.cluster;
        let count = ports(shape, processes);
        let mut next = free_ports(count).ok_or(ClusterError::NoPorts(count))?;
        let addresses = addresses(shape, processes, &mut next, push_provider);
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
            let programs = vec![Program { name, arguments, log, is_gateway: false }];
            return Ok(Self { programs, metrics: gateways[..1].to_vec(), gateways });
        }
        let mut metrics = gateways.clone();
        let rabbitmq = addresses.rabbitmq;
        let program = |(role, number): (Role, u16)| {
            let word = role.word();
            let name = format!("{word}-{number}");
            let log = data.join(format!("{name}.log"));
            let is_gateway = role == Role::Gateway;
            let on_engine = rabbitmq.filter(|_| role == Role::Broker);
            let arguments = on_engine.map(|port| engine("rabbitmq", &data.join(&name), port));
            let arguments = arguments.unwrap_or_else(|| {
                let mut arguments = common(&["node", word, &format!("--number={number}")]);
                if !is_gateway {
                    metrics.extend(take(&mut next, 1));
                    arguments.extend(metrics.last().map(|at| format!("--metrics={at}")));
                }
                arguments
            });
            Program { name: name.into(), arguments, log, is_gateway }
        };
        let programs = shape.all_nodes().map(program).collect();
        Ok(Self { programs, gateways, metrics })
    }
}

/// How many processes the cluster of a scenario is.
pub fn count(shape: &ClusterShape, processes: Processes) -> u16 {
    match processes {
        Processes::One => 1,
        Processes::EachNode(_) => nodes(shape),
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
        Processes::EachNode(Engines { rabbitmq }) => {
            let of_engines = if rabbitmq { PORTS_OF_RABBITMQ - 2 } else { 0 };
            peers + all - shape.gateways + of_engines
        }
    }
}

/// What starts an engine.
fn engine(word: &str, data: &Path, port: u16) -> Vec<String> {
    let data = format!("--data={}", data.display());
    let port = format!("--port={port}");
    ["engine", word, &data, &port, "--ends-with-stdin"].map(str::to_owned).to_vec()
}

fn addresses(
    shape: &ClusterShape,
    processes: Processes,
    next: &mut u16,
    push_provider: &str,
) -> Addresses {
    let on_rabbitmq = processes == Processes::EachNode(Engines { rabbitmq: true });
    let rabbitmq = on_rabbitmq.then_some(*next);
    *next += if on_rabbitmq { PORTS_OF_RABBITMQ } else { 0 };
    let brokers = if on_rabbitmq { 0 } else { shape.brokers };
    Addresses {
        gateways: take(next, shape.gateways).collect(),
        brokers: take(next, brokers).collect(),
        rabbitmq,
        stores: take(next, shape.stores).collect(),
        auth: take(next, 1).collect(),
        push_provider: push_provider.to_owned(),
    }
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

    #[test]
    fn every_node_has_a_process_a_log_and_numbers_of_its_own() {
        let mut scenario = crate::fixture::scenario(10, 5, 1);
        (scenario.cluster.gateways, scenario.cluster.stores) = (2, 3);
        let data = std::env::temp_dir().join(format!("fracas-layout-{}", std::process::id()));
        let each = Layout::new(&scenario, Processes::EachNode(Engines::NONE), &data, "127.0.0.1:9")
            .unwrap();
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

        let one = Layout::new(&scenario, Processes::One, &data, "127.0.0.1:9").unwrap();
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
        let on_rabbitmq = Processes::EachNode(Engines { rabbitmq: true });
        let layout = Layout::new(&scenario, on_rabbitmq, &data, "127.0.0.1:9").unwrap();
        let broker = layout.programs.iter().find(|program| &*program.name == "broker-1").unwrap();
        let [engine, rabbitmq, folder, port, _] = &broker.arguments[..] else {
            panic!("{broker:?}")
        };
        assert_eq!((&**engine, &**rabbitmq), ("engine", "rabbitmq"));
        assert!(folder.ends_with("/broker-1"), "{folder}");
        let port: u16 = port.strip_prefix("--port=").unwrap().parse().unwrap();
        let written = std::fs::read_to_string(data.join(FILE)).unwrap();
        let told = format!("addresses = [\"127.0.0.1:{port}\"]");
        assert!(written.contains(&told) && written.contains("brokers = []"), "{written}");
        let all = layout.gateways.iter().chain(&layout.metrics).collect::<BTreeSet<_>>();
        let of_engine = (port..port + PORTS_OF_RABBITMQ).map(|port| format!("127.0.0.1:{port}"));
        assert!(of_engine.into_iter().all(|own| !all.contains(&own)), "{all:?}");
        std::fs::remove_dir_all(data).unwrap();
    }
}
