//! The cluster of a run as child processes: one for each node, or one for all of them.

pub mod addresses;
pub mod data_folder;
pub mod family;
pub mod guard;
pub mod layout;
mod leader;
pub mod metrics;
pub mod node;
pub mod process;
pub mod readiness;
mod start;
pub mod usage;
mod whole;

use crate::links::Carried;
use crate::run::Processes;
pub use crate::world::layout::Monitoring;

use crate::world::layout::{Layout, Outside, Place, Tier};
use crate::world::node::{Begun, Node, Obituary};
use crate::world::process::Departure;
use protocol::Partition;
use scenarios::scenario::{Role, Scenario};
use std::future::Future;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::Instant;
use verify::history::What;
use workload::recorder::Recorder;
use workload::rest::Http;

/// How long nodes may take to drain.
const DRAIN: Duration = Duration::from_secs(20);

/// What went wrong with the child processes.
#[derive(Debug, thiserror::Error)]
pub enum ClusterError {
    /// A folder, a log or a process.
    #[error("cannot {what}")]
    Io {
        /// What was tried.
        what: String,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// No room for its nodes.
    #[error("no {0} consecutive free ports")]
    NoPorts(u16),
    /// Somebody else listens on one of its ports.
    #[error("port {taken} is taken, and the cluster listens on {first} to {last}")]
    PortTaken {
        /// Which one.
        taken: u16,
        /// The first one.
        first: u16,
        /// The last one.
        last: u16,
    },
    /// It ended instead of running.
    #[error("{node} did not start: {ended}")]
    NotStarted {
        /// Who.
        node: String,
        /// How it ended.
        ended: String,
    },
    /// It does not get ready.
    #[error("{node} was not ready in time (its log: {log})")]
    NotReady {
        /// Who.
        node: String,
        /// Where to look.
        log: String,
    },
    /// It does not take signals.
    #[error("no signal to {node}")]
    Signal {
        /// Who.
        node: String,
        /// Why.
        #[source]
        source: nix::Error,
    },
}

fn io_error(what: impl Into<String>) -> impl FnOnce(io::Error) -> ClusterError {
    let what = what.into();
    move |source| ClusterError::Io { what, source }
}

/// Who has left without having been asked to by us, and how.
pub type Left = (Arc<str>, Departure);
/// The processes that run, by name and number.
pub type Ids = Vec<(Arc<str>, u32)>;
/// Starts under way: who, and what became of it.
pub type Starts = JoinSet<(Arc<str>, Begun)>;

/// A cluster, whose nodes may run.
pub struct Cluster {
    binary: PathBuf,
    nodes: Vec<Node>,
    gateways: Vec<String>,
    balancer: Option<String>,
    monitoring: Option<Monitoring>,
    /// The first ports of the nodes of RabbitMQ, if it has any.
    rabbitmq: Vec<u16>,
    carried: Vec<Carried>,
    metrics: Vec<String>,
    recorder: Arc<dyn Recorder>,
    /// The first one.
    left: watch::Sender<Option<Left>>,
    ids: watch::Sender<Ids>,
}

impl Cluster {
    /// A cluster that is not started yet; its folder is made.
    pub fn new(
        (binary, processes): (&Path, Processes),
        scenario: &Scenario,
        place: Place<'_>,
        outside: Outside<'_>,
        recorder: Arc<dyn Recorder>,
    ) -> Result<Self, ClusterError> {
        let Layout { programs, gateways, balancer, monitoring, rabbitmq, carried, metrics } =
            Layout::new(scenario, processes, place, outside)?;
        Ok(Self {
            binary: binary.to_owned(),
            nodes: programs.into_iter().map(Node::new).collect(),
            gateways,
            balancer,
            monitoring,
            rabbitmq,
            carried,
            metrics,
            recorder,
            left: watch::Sender::default(),
            ids: watch::Sender::default(),
        })
    }

    /// `host:port` of its gateways.
    pub fn gateways(&self) -> &[String] {
        &self.gateways
    }

    /// `host:port` to which users come: its gateways, or what is in front of them.
    pub fn entrances(&self) -> &[String] {
        self.balancer.as_ref().map_or(&self.gateways, std::slice::from_ref)
    }

    /// What watches it.
    pub const fn monitoring(&self) -> Option<&Monitoring> {
        self.monitoring.as_ref()
    }

    /// Its links that lead through proxies, which somebody else runs.
    pub fn carried(&self) -> &[Carried] {
        &self.carried
    }

    /// `host:port` of everybody who serves numbers.
    pub fn metrics(&self) -> &[String] {
        &self.metrics
    }

    /// All names.
    pub fn names(&self) -> impl Iterator<Item = &Arc<str>> {
        self.nodes.iter().map(Node::name)
    }

    /// All processes: the name, the number if there is one, and where its complaints go.
    pub fn processes(&self) -> impl Iterator<Item = (&Arc<str>, Option<u32>, String)> {
        self.nodes.iter().map(|node| (node.name(), node.id(), node.log()))
    }

    /// Those of some that have ended without having been killed, and how.
    pub async fn ended(&mut self, names: &[Arc<str>]) -> Vec<(Arc<str>, String)> {
        let mut ended = Vec::new();
        for node in self.nodes.iter_mut().filter(|node| names.contains(node.name())) {
            let Some(obituary) = node.left(false).await else { continue };
            tell_panic(&*self.recorder, node.name(), &obituary);
            ended.push((node.name().clone(), obituary.words));
        }
        ended
    }

    /// The names of those that run; a stopped one does.
    pub fn running(&mut self) -> Vec<Arc<str>> {
        let named = |node: &mut Node| node.is_running().then(|| node.name().clone());
        self.nodes.iter_mut().filter_map(named).collect()
    }

    /// The broker that leads the inbound queue of a partition, if one that runs says so.
    pub async fn leader(&mut self, http: &Http, partition: Partition) -> Option<Arc<str>> {
        let broker =
            |number: usize| -> Arc<str> { format!("{}-{number}", Role::Broker.word()).into() };
        if self.rabbitmq.is_empty() {
            // Several nodes of Kafka are not asked.
            let is_alone = !self.names().any(|name| *name == broker(2));
            return is_alone.then(|| broker(1));
        }
        let running = self.running();
        let up = (1..).zip(&self.rabbitmq).filter(|(number, _)| running.contains(&broker(*number)));
        for (_, port) in up {
            if let Some(leader) = leader::leader(http, *port, partition).await {
                let number = self.rabbitmq.iter().position(|port| *port == leader)?;
                return Some(broker(number + 1));
            }
        }
        None
    }

    /// The processes, whenever they change.
    pub fn ids(&self) -> watch::Receiver<Ids> {
        self.ids.subscribe()
    }

    /// Waits until a process ends by itself, or until somebody else asks it to.
    pub fn leaves(&self) -> impl Future<Output = Left> + use<> {
        let mut left = self.left.subscribe();
        async move {
            let who = left.wait_for(Option::is_some).await.ok().and_then(|left| left.clone());
            match who {
                Some(left) => left,
                // The cluster was given up; then nobody cares any more.
                None => std::future::pending().await,
            }
        }
    }

    /// Kills the processes of some nodes, at once: how many ran. [`Self::gone`] waits for their end.
    pub fn kill(&mut self, names: &[Arc<str>]) -> u64 {
        let named = self.nodes.iter_mut().filter(|node| names.contains(node.name()));
        let killed = named.map(|node| u64::from(node.kill())).sum();
        self.tell_ids();
        killed
    }

    /// Waits until all killed processes are gone.
    pub async fn gone(&mut self) {
        for node in &mut self.nodes {
            if let Some(obituary) = node.gone().await {
                // It may have panicked just before.
                tell_panic(&*self.recorder, node.name(), &obituary);
            }
        }
    }

    /// Asks some nodes to drain and end.
    pub fn ask_to_end(&mut self, names: &[Arc<str>]) {
        let named = self.nodes.iter_mut().filter(|node| names.contains(node.name()));
        named.for_each(Node::ask_to_end);
    }

    /// Of some nodes that were asked to end: kills those that have not, and tells how many have, and well.
    pub async fn ended_as_asked(&mut self, names: &[Arc<str>]) -> u64 {
        let mut ended = 0;
        for node in self.nodes.iter_mut().filter(|node| names.contains(node.name())) {
            let Some((well, obituary)) = node.ended_as_asked().await else { continue };
            tell_panic(&*self.recorder, node.name(), &obituary);
            ended += u64::from(well);
        }
        self.tell_ids();
        ended
    }

    /// Stops the processes of some nodes; how many were seen to stand still.
    pub async fn pause(&mut self, names: &[Arc<str>], fault: u32) -> Result<u64, ClusterError> {
        let mut stopped = 0;
        for node in self.nodes.iter_mut().filter(|node| names.contains(node.name())) {
            stopped += u64::from(node.pause(fault).await?);
        }
        Ok(stopped)
    }

    /// How many of some nodes stand still, with all of their processes.
    pub fn standing_still(&self, names: &[Arc<str>]) -> u64 {
        let named = self.nodes.iter().filter(|node| names.contains(node.name()));
        named.filter(|node| node.is_still()).count() as u64
    }

    /// A fault lets go of all nodes that it has stopped.
    pub async fn resume(&mut self, fault: u32) -> Result<(), ClusterError> {
        for node in &mut self.nodes {
            node.resume(fault).await?;
        }
        Ok(())
    }

    /// Tells how the processes ended that have left by themselves; `who` is one of them.
    pub async fn tell_ends(&mut self, who: &str) {
        for node in &mut self.nodes {
            let name = node.name().clone();
            let Some(obituary) = node.left(*name == *who).await else { continue };
            if !tell_panic(&*self.recorder, &name, &obituary) {
                let why = obituary.words.into();
                self.recorder.record(What::NodeEnded { node: name, why });
            }
        }
    }

    /// Kills all of it and waits until it is gone.
    pub async fn kill_all(&mut self) {
        let all: Vec<Arc<str>> = self.names().cloned().collect();
        self.kill(&all);
        self.gone().await;
    }

    /// Lets all nodes drain and end, from the top down, and kills what takes too long; who did not end well, or did not run.
    pub async fn end(&mut self) -> Result<Vec<Arc<str>>, ClusterError> {
        let mut unwell = Vec::new();
        for tier in [Tier::Monitor, Tier::Balancer, Tier::Gateway, Tier::Node, Tier::Engine] {
            let deadline = Instant::now() + DRAIN;
            let nodes = || |node: &&mut Node| node.tier() == tier;
            self.nodes.iter_mut().filter(nodes()).for_each(Node::ask_to_end);
            for node in self.nodes.iter_mut().filter(nodes()) {
                let (well, obituary) = node.ended_by(deadline).await?;
                unwell.extend((!well).then(|| node.name().clone()));
                tell_panic(&*self.recorder, node.name(), &obituary);
            }
        }
        Ok(unwell)
    }

    fn tell_ids(&self) {
        let ids = self.nodes.iter().filter_map(|node| Some((node.name().clone(), node.id()?)));
        self.ids.send_replace(ids.collect());
    }

    /// Where the complaints of all nodes are.
    fn logs(&self) -> String {
        self.nodes.iter().map(Node::log).collect::<Vec<_>>().join(", ")
    }
}

/// Writes a panic down, if it was one.
fn tell_panic(recorder: &dyn Recorder, node: &Arc<str>, obituary: &Obituary) -> bool {
    if let Some(panicked) = &obituary.panicked {
        let (message, place) = (panicked.message.as_str().into(), panicked.place.as_str().into());
        recorder.record(What::NodePanicked { node: node.clone(), message, place });
    }
    obituary.panicked.is_some()
}

#[cfg(test)]
pub mod tests;
