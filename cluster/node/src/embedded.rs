//! A whole cluster in one process on loopback.

use crate::config::ClusterConfig;
use crate::role::{Failure, NodeError, Outside, Process, run};
use crate::topology::{Role, Topology};
use ports::broker::Brokers;
use ports::message_store::MessageStore;
use ports::{Machine, Shutdown};
use std::io;
use std::sync::Arc;
use tokio::task::JoinSet;

/// A topology on loopback: gateways from `port` on, then the other roles behind them.
pub fn topology(port: u16, gateways: u16, stores: u16, push_provider: String) -> Topology {
    let mut next = port;
    let mut take = |count: u16| -> Vec<String> {
        let addresses = (next..next + count).map(|port| format!("127.0.0.1:{port}")).collect();
        next += count;
        addresses
    };
    Topology {
        gateways: take(gateways),
        brokers: take(1),
        stores: take(stores),
        notifiers: 1,
        auth: take(1).remove(0),
        push_provider,
    }
}

/// Runs all nodes, each on the `machine` of its name, until the shutdown is asked for: gateways drain first,
/// then the others end. The first node that fails ends the cluster. `brokers`: what keeps messages, as the
/// node on a machine reaches it, if that is no node of the cluster; `engine`: what keeps the rows of all store
/// nodes, likewise; `outside`: how servers outside are reached.
pub async fn run_all(
    config: Arc<ClusterConfig>,
    machine: impl Fn(Role, &str) -> io::Result<Machine>,
    brokers: impl Fn(Role, &Machine) -> Result<Option<Brokers>, Failure>,
    engine: impl Fn(Role, &Machine) -> io::Result<Option<Arc<dyn MessageStore>>>,
    outside: Outside,
    metrics: Arc<dyn Fn() -> String + Send + Sync>,
    shutdown: Shutdown,
) -> Result<(), NodeError> {
    let (stop_servers, servers_stop) = Shutdown::new();
    let mut servers = JoinSet::new();
    let mut gateways = JoinSet::new();
    for (role, number) in config.topology.nodes() {
        let name = Topology::name(role, number);
        let failed = |source| NodeError::Failed { node: name.clone(), source: Box::new(source) };
        let machine = machine(role, &name).map_err(failed)?;
        let shared_engine = engine(role, &machine).map_err(failed)?;
        let config = config.clone();
        let is_gateway = role == Role::Gateway;
        let shutdown = if is_gateway { shutdown.clone() } else { servers_stop.clone() };
        let brokers = brokers(role, &machine)
            .map_err(|source| NodeError::Failed { node: name.clone(), source })?;
        let (metrics, outside) = (metrics.clone(), outside.clone());
        let process = Process { metrics, shutdown, shared_engine, brokers, outside };
        let nodes = if is_gateway { &mut gateways } else { &mut servers };
        nodes.spawn(async move { run(role, number, &config, machine, process).await });
    }
    loop {
        tokio::select! {
            biased;
            Some(ended) = servers.join_next() => flatten(ended)?,
            ended = gateways.join_next() => match ended {
                Some(ended) => flatten(ended)?,
                None => break,
            },
        }
    }
    stop_servers.request();
    while let Some(ended) = servers.join_next().await {
        flatten(ended)?;
    }
    Ok(())
}

fn flatten(ended: Result<Result<(), NodeError>, tokio::task::JoinError>) -> Result<(), NodeError> {
    ended.unwrap_or_else(|panic| {
        Err(NodeError::Failed { node: "a node".to_owned(), source: Box::new(panic) })
    })
}
