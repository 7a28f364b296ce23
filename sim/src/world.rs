//! The hosts of a run: the cluster by node's own composition, and the hosts that carry its users.

use crate::faults::links::LinkBoard;
use crate::journal::Journal;
use crate::machine::HostHardware;
use crate::machine::database::{Connection, Database};
use crate::machine::flow::Flows;
use crate::machine::gate::Gate;
use crate::machine::network::SimNetwork;
use crate::machine::processes::Processes;
use crate::machine::pulse::{Host, Pulse};
use node::config::{EngineConfig, StoreChoice};
use node::role::{Outside, Process};
use node::{ClusterConfig, MemoryStore, Role, Topology};
use ports::message_store::MessageStore;
use ports::with_causes;
use protocol::partition::partition_of;
use protocol::{ConversationId, StoreEngine};
use scenarios::{CLIENT_HOSTS, Scenario, scenario};
use std::collections::{BTreeMap, BTreeSet};
use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::sync::watch;
use verify::history::What;
use verify::history::event::Phase;
use workload::{Plan, Recorder, Targets};

/// The port of every node; hosts have names of their own.
const PORT: u16 = 7000;

/// The node beside which a shared engine stands.
const BESIDE: &str = "broker-1";
/// The host of the shared engine.
const DATABASE: &str = "database-1";

/// All hosts, by name.
pub struct Hosts {
    config: Arc<ClusterConfig>,
    /// What all store nodes share, if they do.
    engine: Option<Arc<dyn MessageStore>>,
    names: Vec<Arc<str>>,
    hardware: Vec<Rc<HostHardware>>,
}

impl Hosts {
    /// The names, in the order of their registration.
    pub fn names(&self) -> impl Iterator<Item = &Arc<str>> {
        self.names.iter()
    }

    /// The names as a slice.
    pub fn list(&self) -> &[Arc<str>] {
        &self.names
    }

    /// The store node that owns a conversation.
    pub fn owner_of(&self, conversation: ConversationId) -> Arc<str> {
        let partition = partition_of(conversation, self.config.partitions);
        let now = self.engine.as_ref().and_then(|engine| {
            let owner = engine.view().ok()?.ownership(partition).ok()?.known();
            owner.map(|owner| owner.node)
        });
        let owner = now.unwrap_or_else(|| self.config.directory().owner(partition).node);
        Topology::name(Role::Store, owner.0).into()
    }

    /// What the nodes have counted, all of them together.
    pub fn counters(&self) -> BTreeMap<&'static str, u64> {
        let mut sums = BTreeMap::new();
        for (name, by) in self.hardware.iter().flat_map(|host| host.counters.read()) {
            *sums.entry(name).or_default() += by;
        }
        sums
    }

    /// A host by its name, which must exist.
    pub fn get(&self, name: &str) -> &HostHardware {
        let index = self.names.iter().position(|known| **known == *name);
        &self.hardware[index.unwrap_or_else(|| panic!("no host {name}"))]
    }
}

/// The names of all hosts of a scenario.
pub fn nodes(scenario: &Scenario) -> Vec<Arc<str>> {
    let others = [scenario::Role::Clients, scenario::Role::Database].into_iter();
    let others = others.flat_map(|role| (1..=scenario.cluster.nodes(role)).map(move |n| (role, n)));
    let all = scenario.cluster.all_nodes().chain(others);
    all.map(|(role, number)| format!("{}-{number}", role.word()).into()).collect()
}

/// The signals between the run and its hosts.
#[derive(Clone)]
pub struct Signals {
    /// The phase that has begun.
    pub phase: watch::Receiver<Phase>,
    /// The conversations exist.
    pub is_set_up: Arc<AtomicBool>,
    /// The final reads are done.
    pub is_read: Arc<AtomicBool>,
}

/// Makes the hosts of a scenario.
pub struct Builder<'a> {
    /// The scenario.
    pub scenario: &'a Scenario,
    /// The seed.
    pub seed: u64,
    /// What the users do.
    pub plan: Arc<Plan>,
    /// Where events go.
    pub journal: Journal,
    /// The links.
    pub board: LinkBoard,
    /// The windows of all streams.
    pub flows: Flows,
    /// Who has a process.
    pub processes: Processes,
    /// The signals.
    pub signals: Signals,
    /// The pulse of the simulation.
    pub pulse: Pulse,
}

impl Builder<'_> {
    /// Registers every host with the simulation.
    pub fn build(&self, sim: &mut turmoil::Sim<'static>) -> Hosts {
        let config = Arc::new(config(self.scenario));
        let is_shared = self.scenario.cluster.engine == StoreEngine::Shared;
        let database = is_shared.then(|| self.database());
        let engine = database.as_ref().map(|(database, _)| database.rows.clone());
        let mut hosts =
            Hosts { config: config.clone(), engine, names: Vec::new(), hardware: Vec::new() };
        for (role, number) in config.topology.nodes() {
            let config = config.clone();
            let journal = self.journal.clone();
            let host = Host { name: Topology::name(role, number).into(), is_node: true };
            let database = database.as_ref().map(|(database, _)| database.clone());
            let board = self.board.clone();
            self.host(sim, &mut hosts, host, move |hardware| {
                let shared = database.clone().map(|database| {
                    let link = [hardware.name.clone(), BESIDE.into()];
                    let means =
                        (Arc::new(hardware.disk.clone()) as _, hardware.round_trips.clone());
                    Arc::new(Connection::new(database, link, board.clone(), means)) as _
                });
                let node = (role, number, config.clone());
                Box::pin(serve(node, shared, hardware, journal.clone()))
            });
        }
        let targets = Targets::development(config.topology.gateways.clone());
        for index in 0..u32::from(CLIENT_HOSTS) {
            let users = VirtualUsers {
                index,
                plan: self.plan.clone(),
                targets: targets.clone(),
                journal: self.journal.clone(),
                signals: self.signals.clone(),
                users: self.scenario.users_of_host(index),
            };
            let name = format!("clients-{}", index + 1).into();
            self.host(sim, &mut hosts, Host { name, is_node: false }, move |hardware| {
                Box::pin(users.clone().work(hardware))
            });
        }
        if let Some((database, hardware)) = database {
            let journal = self.journal.clone();
            self.register(sim, &mut hosts, hardware, move |hardware| {
                Box::pin(serve_rows(database.clone(), hardware, journal.clone()))
            });
        }
        debug_assert!(
            nodes(self.scenario).iter().eq(hosts.names()),
            "{:?} is not what the scenario has",
            hosts.list()
        );
        hosts
    }

    /// One host: its hardware outlives its processes.
    fn host(
        &self,
        sim: &mut turmoil::Sim<'static>,
        hosts: &mut Hosts,
        host: Host,
        software: impl Fn(Rc<HostHardware>) -> Software + 'static,
    ) {
        let hardware = self.hardware(host);
        self.register(sim, hosts, hardware, software);
    }

    /// What the stores share, and its host.
    fn database(&self) -> (Arc<Database>, Rc<HostHardware>) {
        let hardware = self.hardware(Host { name: DATABASE.into(), is_node: true });
        let rows = Arc::new(MemoryStore::default());
        (Arc::new(Database::new(rows, hardware.gate.clone())), hardware)
    }

    fn hardware(&self, host: Host) -> Rc<HostHardware> {
        let name = host.name.clone();
        let (pulse, journal) = (self.pulse.of(host.clone()), self.journal.clone());
        let network = SimNetwork {
            host: name,
            board: self.board.clone(),
            processes: self.processes.clone(),
            flows: self.flows.clone(),
            trace: pulse.trace().clone(),
        };
        let network_shape = &self.scenario.network;
        let gate = Gate::new(pulse, Arc::new(move |panicked| journal.broke(&host, &panicked)));
        Rc::new(HostHardware::new(
            network,
            gate,
            (Arc::new(self.journal.clone()), self.journal.path()),
            self.seed,
            (network_shape.disk_sync, network_shape.latency_min + network_shape.latency_max),
        ))
    }

    fn register(
        &self,
        sim: &mut turmoil::Sim<'static>,
        hosts: &mut Hosts,
        hardware: Rc<HostHardware>,
        software: impl Fn(Rc<HostHardware>) -> Software + 'static,
    ) {
        let name = hardware.name.clone();
        hosts.names.push(name.clone());
        hosts.hardware.push(hardware.clone());
        sim.host(&*name, move || hardware.runs(software(hardware.clone())));
        self.board.register(sim.lookup(&*name), &name);
    }
}

/// The cluster of a scenario, as its nodes are told: what `scenarios::cluster_file` says of a real one.
fn config(scenario: &Scenario) -> ClusterConfig {
    let shape = scenario.cluster;
    let addresses = |role: Role, count: u16| -> Vec<String> {
        (1..=count).map(|n| format!("{}:{PORT}", Topology::name(role, n))).collect()
    };
    let topology = Topology {
        gateways: addresses(Role::Gateway, shape.gateways),
        brokers: addresses(Role::Broker, shape.brokers),
        stores: addresses(Role::Store, shape.stores),
        notifiers: 1,
        auth: format!("auth-1:{PORT}"),
        push_provider: format!("clients-1:{}", workload::provider::PORT),
    };
    ClusterConfig {
        partitions: shape.partitions,
        design: scenario.design,
        engine: EngineConfig { store: StoreChoice::Node(shape.engine), ..EngineConfig::default() },
        limits: shape.limits,
        access_token_seconds: shape.token_lifetime.as_secs(),
        heartbeat_seconds: shape.heartbeat.as_secs(),
        link_timeout_ms: shape.link_timeout.as_millis() as u64,
        ..ClusterConfig::development(topology, u64::from(scenario.everybody()))
    }
}

type Software = Pin<Box<dyn Future<Output = turmoil::Result>>>;

/// One node's process.
async fn serve(
    (role, number, config): (Role, u16, Arc<ClusterConfig>),
    shared_engine: Option<Arc<dyn MessageStore>>,
    hardware: Rc<HostHardware>,
    journal: Journal,
) -> turmoil::Result {
    let machine = hardware.start();
    let shutdown = hardware.ending.start();
    let process = Process {
        metrics: Arc::new(String::new),
        shutdown,
        shared_engine,
        brokers: None,
        outside: Outside::default(),
    };
    let name = machine.name.clone();
    journal.record(What::NodeStarted { node: name.clone() });
    let (ending, disk) = (hardware.ending.clone(), hardware.disk.clone());
    let refused_before = disk.refused();
    let node = Box::pin(async move {
        let why = match node::run(role, number, &config, machine, process).await {
            Ok(()) if ending.end() => return,
            Ok(()) => "without an error".to_owned(),
            // It could not write what it had in hand: as far as the drain goes, it has not ended.
            Err(error) if ending.is_asked() && disk.refused() > refused_before => {
                return tracing::info!(why = with_causes(&error), "{name} failed while it drained");
            }
            Err(error) => with_causes(&error),
        };
        tracing::error!(%why, "{name} exited on its own");
        journal.record(What::NodeEnded { node: name, why: why.into() });
    });
    hardware.gate.wrap("main", node).await;
    // A process that has ended stays ended, but its host stays up: peers are refused.
    std::future::pending().await
}

/// The process of the engine that stores share, which nobody asks anything over the network.
async fn serve_rows(
    database: Arc<Database>,
    hardware: Rc<HostHardware>,
    journal: Journal,
) -> turmoil::Result {
    journal.record(What::NodeStarted { node: hardware.name.clone() });
    let _serving = database.serve();
    std::future::pending().await
}

/// The users of one host, and on the first one what frames the run.
#[derive(Clone)]
struct VirtualUsers {
    index: u32,
    plan: Arc<Plan>,
    targets: Targets,
    journal: Journal,
    signals: Signals,
    users: std::ops::Range<u32>,
}

impl VirtualUsers {
    async fn work(self, hardware: Rc<HostHardware>) -> turmoil::Result {
        let machine = hardware.start();
        let recorder: Arc<dyn workload::Recorder> = Arc::new(self.journal.clone());
        let mut phase = self.signals.phase.clone();
        if self.index == 0 {
            let provider = machine.clone();
            let pushes = recorder.clone();
            let address = format!("clients-1:{}", workload::provider::PORT);
            machine.spawn("push provider", async move {
                workload::provider::serve(provider, address, pushes).await;
            });
            let (plan, targets) = (self.plan.clone(), self.targets.clone());
            match workload::set_up(machine.clone(), plan, targets, recorder.clone()).await {
                Ok(()) => self.signals.is_set_up.store(true, Ordering::Relaxed),
                Err(error) => self.journal.failed(format!("the set-up failed: {error}")),
            }
        }
        phase.wait_for(|phase| *phase >= Phase::WarmUp).await?;
        let users = workload::run_users(
            machine.clone(),
            self.plan.clone(),
            self.users,
            self.targets.clone(),
            recorder.clone(),
            phase.clone(),
        );
        let (journal, gate, name) =
            (self.journal.clone(), hardware.gate.clone(), machine.name.clone());
        machine.spawn("users", async move {
            // Simulated users are never late by themselves: a fault has stopped them, which the scenario
            // wants, or their schedule is impossible, which is a limit of the run.
            let ended = users.await;
            match ended.lateness.doubt() {
                None => {}
                Some(_) if gate.has_been_closed() => journal.note(format!(
                    "users of {name} were late because a fault had stopped them, not the generator"
                )),
                Some(doubt) => journal.failed(format!("no fault stopped {name}, but {doubt}")),
            }
            ended.goodbye.say().await;
        });
        phase.wait_for(|phase| *phase >= Phase::Judge).await?;
        if self.index == 0 {
            for doubt in
                workload::final_reads(machine, self.plan, self.targets, recorder, BTreeSet::new())
                    .await
            {
                self.journal.failed(doubt);
            }
            self.signals.is_read.store(true, Ordering::Relaxed);
        }
        std::future::pending().await
    }
}

/// turmoil's settings for a scenario.
pub fn simulation(scenario: &Scenario, seed: u64, limit: Duration) -> turmoil::Sim<'static> {
    let epoch = std::time::Duration::from_secs(crate::hooks::EPOCH_SECONDS);
    turmoil::Builder::new()
        .epoch(std::time::UNIX_EPOCH + epoch)
        .simulation_duration(limit)
        .tick_duration(scenario.network.tick)
        .min_message_latency(scenario.network.latency_min)
        .max_message_latency(scenario.network.latency_max)
        // Also the SYN backlog: its overflow would panic the simulation.
        .tcp_capacity(100_000)
        .ephemeral_ports(1_024..=65_535)
        .rng_seed(protocol::mix::derive(seed, "turmoil"))
        .build()
}

#[cfg(test)]
mod tests;
