//! Starts a real run: its threads, its runtime, and what comes back.

use crate::agents::{Met, Part};
use crate::encryption::Encryption;
use crate::exposition::Exposition;
use crate::journal::Sink;
use crate::journeys::Drive;
use crate::links::{Reach, Through};
use crate::machine::Way;
use crate::phases;
use crate::slices::Share;
use protocol::trace::Tracing;
use scenarios::scenario::Scenario;
use serde::{Deserialize, Serialize};
use std::net::Ipv4Addr;
use std::num::NonZero;
use std::path::PathBuf;
use std::sync::{Arc, mpsc};
use std::thread::JoinHandle;
use std::time::Duration;
use tokio::sync::watch;
use verify::history::event::Phase;
use workload::targets::Credentials;

/// What to run.
#[derive(Clone, Debug)]
pub struct RealRun {
    /// The scenario.
    pub scenario: Arc<Scenario>,
    /// Decides what the users do and when.
    pub seed: u64,
    /// The cluster.
    pub against: Against,
    /// How the users identify themselves to it.
    pub credentials: Credentials,
    /// Who serves the numbers of a cluster that is given: `host:port`. Without any, its first gateway does.
    pub numbers: Vec<String>,
    /// How the cluster is reached, if not in plaintext.
    pub encryption: Option<Encryption>,
    /// Where the steps of messages go, through a cluster that is started.
    pub traces: Option<Tracing>,
    /// Which part of the run this is, if several generators make it.
    pub part: Option<Part>,
    /// What drives the users of the REST interface, if the scenario has any.
    pub journeys: Option<Drive>,
    /// Where its numbers are served while it is under way.
    pub metrics: Option<Exposition>,
    /// As soon as this names somebody who asks, the run ends and says so.
    pub stop: watch::Receiver<Option<&'static str>>,
    /// As soon as this names a threshold that cannot be met any more, too.
    pub unmeetable: watch::Receiver<Option<String>>,
}

/// Which cluster is run against.
#[derive(Clone, Debug)]
pub enum Against {
    /// One that is there already: `host:port` of its gateways.
    Given(Vec<String>),
    /// One that the lead of several generators starts on this machine.
    Joined,
    /// One that is started for the run and ended after it.
    Started {
        /// The program whose `node` and `cluster` commands start its processes.
        binary: PathBuf,
        /// Of how many processes it is made.
        processes: Processes,
        /// Where it keeps its data and its logs; made if missing, and better empty.
        data: PathBuf,
    },
}

/// What a cluster that is started is made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Processes {
    /// A process for each node: a fault hits the nodes that it names. Engines take the place of nodes.
    EachNode(Engines),
    /// One process for all nodes, which costs less: a fault hits all of them.
    One,
}

/// The engines that a cluster which is started stands on: private servers on this machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Engines {
    /// Nodes of the RabbitMQ that is its broker; 0: its own.
    pub rabbitmq: u16,
    /// Whether the queues of RabbitMQ have copies on its other nodes; otherwise a bad choice.
    pub quorum_queues: bool,
    /// Nodes of the Kafka that is, likewise; never beside RabbitMQ.
    pub kafka: u16,
    /// Whether all nodes of Kafka that are in sync must have a message; otherwise a bad choice.
    pub all_acks: bool,
    /// Whether its stores keep their rows in PostgreSQL.
    pub postgres: bool,
    /// Whether the commits of PostgreSQL wait until they are durable; otherwise a bad choice.
    pub synchronous_commit: bool,
    /// Whether they keep them in Cassandra; never beside PostgreSQL.
    pub cassandra: bool,
    /// Whether users reach its gateways through an HAProxy.
    pub haproxy: bool,
    /// Whether Prometheus and Alertmanager watch all of it.
    pub monitoring: bool,
}

impl Engines {
    /// The cluster's own.
    pub const NONE: Self = Self {
        rabbitmq: 0,
        quorum_queues: true,
        kafka: 0,
        all_acks: true,
        postgres: false,
        synchronous_commit: true,
        cassandra: false,
        haproxy: false,
        monitoring: false,
    };

    /// Whether the cluster has a broker of its own.
    pub const fn own_broker(self) -> bool {
        self.rabbitmq == 0 && self.kafka == 0
    }
}

impl Processes {
    /// What stands in the place of its nodes, or in front of them.
    pub const fn engines(self) -> Engines {
        match self {
            Self::EachNode(engines) => engines,
            Self::One => Engines::NONE,
        }
    }

    /// Whether users reach the gateways through an HAProxy.
    pub const fn haproxy(self) -> bool {
        self.engines().haproxy
    }
}

impl Against {
    /// What our own cluster is made of.
    pub const fn processes(&self) -> Option<Processes> {
        match self {
            Self::Given(_) | Self::Joined => None,
            Self::Started { processes, .. } => Some(*processes),
        }
    }
}

/// How far a run has got.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Progress {
    /// The phase.
    pub phase: Phase,
    /// Sessions that are connected, by all generators together.
    pub connected: u64,
    /// Events so far, judged or not.
    pub events: u64,
    /// Members that all conversations will have together.
    pub memberships: u64,
    /// Conversations.
    pub conversations: u64,
    /// Sessions that will be connected.
    pub sessions: u64,
}

/// How a run ended.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RealEnded {
    /// How long it took.
    pub wall: Duration,
    /// Why the run says less than it should, the cause first: the verdict cannot be better than
    /// unknown.
    pub doubts: Vec<String>,
    /// What a real run does not do, such as link faults. For the report; the verdict stands.
    pub notes: Vec<String>,
    /// Why it ended before its time, if it did.
    pub stopped: Option<String>,
    /// The run that it was a part of, if they have met.
    pub met: Option<Met>,
}

impl RealRun {
    /// How its users reach gateways.
    pub(crate) fn way(&self, source: Option<Ipv4Addr>, through: Through) -> Way {
        let trust = self.encryption.as_ref().map(|encryption| encryption.trust.clone());
        Way { source, trust, through }
    }

    /// The share of the users that is driven here.
    pub fn share(&self) -> Share {
        self.part.as_ref().map_or(Share::WHOLE, |part| Share {
            number: part.agent.number,
            of: part.agent.of,
            here: part.here,
        })
    }
}

/// Starts a run. Events go to `sink`, one after another; progress comes out of the channel, which
/// closes with the run.
pub fn run(run: RealRun, sink: Sink) -> (mpsc::Receiver<Progress>, JoinHandle<RealEnded>) {
    let (progress, receiver) = mpsc::channel();
    let handle = thread("real run", move || {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(run.against.workers(run.share()) as usize)
            .enable_all()
            .build();
        match runtime {
            Ok(runtime) => runtime.block_on(phases::tell(run, sink, progress)),
            Err(error) => {
                RealEnded { doubts: vec![format!("no runtime: {error}")], ..RealEnded::default() }
            }
        }
    });
    (receiver, handle)
}

impl Against {
    /// Threads for the users, at least. A cluster of our own needs processors beside them: every thread of
    /// ours that runs is one of its threads that waits.
    pub fn workers(&self, share: Share) -> u64 {
        let processors = std::thread::available_parallelism().map_or(1, NonZero::get) as u64;
        let ours = match self {
            Self::Given(_) => processors,
            Self::Started { .. } | Self::Joined => processors.div_ceil(2),
        };
        (ours / u64::from(share.here.max(1))).max(1)
    }

    /// What faults of links can reach, if this share of the users is driven by one generator.
    pub fn reach(&self, share: Share) -> Reach {
        Reach { processes: self.processes(), alone: share.of == 1 }
    }

    /// How many addresses users come to.
    pub fn gateways(&self, scenario: &Scenario) -> u64 {
        match self {
            Self::Given(gateways) => gateways.len() as u64,
            Self::Started { processes, .. } if processes.haproxy() => 1,
            Self::Started { .. } | Self::Joined => u64::from(scenario.cluster.gateways),
        }
    }

    /// Whether they are all on loopback addresses, towards which there are more source addresses than
    /// one.
    pub fn is_local(&self) -> bool {
        let is_local = |gateway: &String| {
            let host = gateway.rsplit_once(':').map_or(&**gateway, |(host, _)| host);
            host == "localhost" || host.parse::<Ipv4Addr>().is_ok_and(|host| host.is_loopback())
        };
        match self {
            Self::Given(gateways) => gateways.iter().all(is_local),
            Self::Started { .. } | Self::Joined => true,
        }
    }
}

/// A thread with a name.
pub fn thread<T: Send + 'static>(
    name: &str,
    work: impl FnOnce() -> T + Send + 'static,
) -> JoinHandle<T> {
    std::thread::Builder::new()
        .name(name.to_owned())
        .spawn(work)
        .expect("the operating system has a thread for us")
}
