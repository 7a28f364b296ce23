//! One role on one machine: the wiring that production and the simulator share.

use crate::config::{BrokerChoice, ClusterConfig, StoreChoice};
use crate::topology::{Role, Topology};
use link::LinkTiming;
use ports::broker::{Brokers, Fanout};
use ports::disk::until_open;
use ports::message_store::MessageStore;
use ports::{Listener, Machine, Network, Shutdown, TokenVerifier};
use protocol::design::FanOut;
use protocol::{GatewayId, NodeNumber, StoreEngine, limits};
use std::sync::Arc;
use std::time::Duration;

/// How many queues push jobs are spread over.
pub const NOTIFY_QUEUES: u16 = 1;

/// How often a verifier asks for keys and revocations: a revoked token is honoured at most this long,
/// and a little.
pub const REVOCATION_POLL: Duration = Duration::from_secs(1);

/// Why a node could not run.
#[derive(Debug, thiserror::Error)]
pub enum NodeError {
    /// The configuration is wrong.
    #[error("the configuration is invalid:\n  {}", .0.join("\n  "))]
    Configuration(Vec<String>),
    /// There is no such node in the topology.
    #[error("there is no {role}-{number} in the topology, which has {count} of this role")]
    NoSuchNode {
        /// The role.
        role: Role,
        /// The number that was asked for.
        number: u16,
        /// How many there are.
        count: u16,
    },
    /// The address cannot be listened on.
    #[error("cannot listen on {address}")]
    Bind {
        /// `host:port`.
        address: String,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// The data folder was made for another shape of the cluster.
    #[error("{node} cannot use its data folder")]
    OtherData {
        /// The node.
        node: String,
        /// Both shapes.
        #[source]
        source: store::OpenError,
    },
    /// The role ended with an error.
    #[error("{node} failed")]
    Failed {
        /// The node.
        node: String,
        /// Why.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
}

impl NodeError {
    /// Whether it was started in a wrong way: nothing has happened, and nothing will go better before
    /// the configuration or the command line is another one.
    pub fn is_invalid_usage(&self) -> bool {
        match self {
            Self::Configuration(_) | Self::NoSuchNode { .. } | Self::OtherData { .. } => true,
            Self::Bind { .. } | Self::Failed { .. } => false,
        }
    }
}

/// What a process adds to the wiring.
pub struct Process {
    /// Prometheus text of this process, for `GET /metrics`.
    pub metrics: Arc<dyn Fn() -> String + Send + Sync>,
    /// Asks the node to shut down cleanly.
    pub shutdown: Shutdown,
    /// The engine that all store nodes share, as this one reaches it, if they share one.
    pub shared_engine: Option<Arc<dyn MessageStore>>,
    /// What keeps messages, as this node reaches it, if that is no node of the cluster.
    pub brokers: Option<Brokers>,
    /// How servers outside are reached.
    pub outside: Outside,
}

/// How servers are reached that are no nodes, where that is another way than the node's own.
#[derive(Clone, Default)]
pub struct Outside {
    /// The issuer outside.
    pub issuer: Option<Arc<dyn Network>>,
    /// The push provider.
    pub push_provider: Option<Arc<dyn Network>>,
}

/// Says whether a node can be run at all. Ask before anything is made for it.
///
/// # Errors
/// `Configuration` or `NoSuchNode`.
pub fn check(role: Role, number: u16, config: &ClusterConfig) -> Result<(), NodeError> {
    let mistakes = config.mistakes();
    if !mistakes.is_empty() {
        return Err(NodeError::Configuration(mistakes));
    }
    let count = config.topology.count(role);
    if number == 0 || number > count {
        return Err(NodeError::NoSuchNode { role, number, count });
    }
    Ok(())
}

/// Runs one node until the shutdown is asked for.
pub async fn run(
    role: Role,
    number: u16,
    config: &ClusterConfig,
    machine: Machine,
    process: Process,
) -> Result<(), NodeError> {
    run_announced(role, number, config, machine, process, || {}).await
}

/// The same; `announce` is called once the node listens (a notifier: once it begins).
pub async fn run_announced(
    role: Role,
    number: u16,
    config: &ClusterConfig,
    machine: Machine,
    process: Process,
    announce: impl FnOnce() + Send,
) -> Result<(), NodeError> {
    check(role, number, config)?;
    let listener = match config.topology.address(role, number) {
        Some(address) => Some(
            machine
                .network
                .bind(address)
                .await
                .map_err(|source| NodeError::Bind { address: address.to_owned(), source })?,
        ),
        None => None,
    };
    announce();
    let wiring = Wiring { config, machine, process, number };
    let ended = match (role, listener) {
        (Role::Auth, Some(listener)) => wiring.auth(listener).await,
        (Role::Broker, Some(listener)) => wiring.broker(listener).await,
        (Role::Store, Some(listener)) => wiring.store(listener).await,
        (Role::Gateway, Some(listener)) => wiring.gateway(listener).await,
        // Only notifiers have no address.
        (Role::Notifier, _) | (_, None) => wiring.notifier().await,
    };
    ended.map_err(|source| {
        let node = Topology::name(role, number);
        match source.downcast::<store::ServeError>().map(|error| *error) {
            Ok(store::ServeError::Engine(source @ store::OpenError::OtherPlace { .. })) => {
                NodeError::OtherData { node, source }
            }
            Ok(source) => NodeError::Failed { node, source: Box::new(source) },
            Err(source) => NodeError::Failed { node, source },
        }
    })
}

/// Why a role ended.
pub type Failure = Box<dyn std::error::Error + Send + Sync>;

struct Wiring<'a> {
    config: &'a ClusterConfig,
    machine: Machine,
    process: Process,
    number: u16,
}

impl Wiring<'_> {
    async fn auth(self, listener: Box<dyn Listener>) -> Result<(), Failure> {
        let config = auth::AuthConfig {
            issuer: self.config.own_issuer().ok_or("there is no gateway to name in tokens")?,
            development_users: (self.config.development_users > 0).then(|| {
                auth::DevelopmentUsers {
                    count: self.config.development_users,
                    password: self.config.development_password.clone(),
                }
            }),
            services: self
                .config
                .services
                .iter()
                .map(|service| auth::ServiceClient {
                    id: service.id.clone(),
                    secret: service.secret.clone(),
                    scopes: service.scopes.clone(),
                })
                .collect(),
            access_token_lifetime: Duration::from_secs(self.config.access_token_seconds),
            refresh_token_lifetime: Duration::from_secs(self.config.access_token_seconds * 24),
            limits: self.config.limits().auth,
        };
        Ok(auth::serve(self.machine, listener, config, self.process.shutdown).await?)
    }

    async fn broker(self, listener: Box<dyn Listener>) -> Result<(), Failure> {
        let BrokerChoice::Node(engine) = self.config.engine.broker else {
            return Err("the cluster has no broker of its own".into());
        };
        let config = broker::BrokerConfig {
            engine,
            design: self.config.design,
            limits: self.config.limits().broker,
            timing: self.timing(),
        };
        let shutdown = self.process.shutdown;
        let open = || broker::EmbeddedBroker::open(self.machine.clone(), config);
        let passes = |error: &broker::OpenError| matches!(error, broker::OpenError::Log(error) if error.is_full());
        let opened = until_open("the broker's log", &shutdown, open, passes).await?;
        let Some(embedded) = opened else { return Ok(()) };
        Ok(broker::serve(self.machine, listener, embedded, shutdown).await?)
    }

    async fn store(self, listener: Box<dyn Listener>) -> Result<(), Failure> {
        let gateways = store::GatewayLinks::new(&self.machine, self.config.limits().store);
        let brokers = self.brokers(gateways.clone())?;
        let config = store::StoreConfig {
            number: NodeNumber(self.number),
            partitions_total: self.config.partitions,
            directory: self.config.directory(),
            gateways,
            notify_queues: NOTIFY_QUEUES,
            design: self.config.design,
            timing: self.timing(),
            retention: self.config.retention,
            limits: self.config.limits().store,
        };
        let engine = match (self.config.engine.store, self.process.shared_engine.clone()) {
            (StoreChoice::Node(StoreEngine::Redb), _) => store::Engine::Redb(store::Place {
                number: config.number,
                stores: self.config.topology.count(Role::Store),
                partitions: config.partitions_total,
            }),
            (StoreChoice::Node(StoreEngine::Memory), _) => {
                store::Engine::Opened(Arc::new(store::MemoryStore::default()))
            }
            // What is left is shared.
            (_, Some(engine)) => store::Engine::Opened(engine),
            (_, None) => return Err("there is no engine to share".into()),
        };
        let shutdown = self.process.shutdown;
        Ok(store::serve(self.machine, listener, config, engine, brokers, shutdown).await?)
    }

    async fn notifier(self) -> Result<(), Failure> {
        let push = self.config.push.clone().unwrap_or_default();
        let config = notifier::NotifierConfig {
            queues: (0..NOTIFY_QUEUES)
                .filter(|queue| queue % self.config.topology.notifiers == self.number - 1)
                .collect(),
            provider: self.config.topology.push_provider.clone(),
            path: push.path,
            secret: push.secret,
            timeout: Duration::from_secs(5),
            attempts_max: limits::PUSH_ATTEMPTS,
            backoff_base: Duration::from_millis(500),
            backoff_max: Duration::from_secs(30),
            breaker: notifier::BreakerConfig::default(),
            limits: self.config.limits().notifier,
            design: self.config.design,
        };
        let brokers = self.durable_brokers()?;
        let owners = self.remote_conversations();
        // It connects to the provider alone: everything else has its own machine by now.
        let network = self.process.outside.push_provider.clone();
        let network = network.unwrap_or_else(|| self.machine.network.clone());
        let machine = Machine { network, ..self.machine };
        Ok(notifier::serve(machine, config, brokers, owners, self.process.shutdown).await?)
    }

    async fn gateway(self, listener: Box<dyn Listener>) -> Result<(), Failure> {
        let heartbeat = Duration::from_secs(self.config.heartbeat_seconds);
        let config = gateway::GatewayConfig {
            id: GatewayId(self.number),
            partitions_total: self.config.partitions,
            design: self.config.design,
            auth_address: self.config.topology.auth.clone(),
            heartbeat,
            idle_timeout: limits::client_idle_timeout(heartbeat),
            limits: self.config.limits().gateway,
            proxies: gateway::Proxies::new(self.config.trusted_proxies.clone()),
            ..gateway::GatewayConfig::default()
        };
        let conversations = self.remote_conversations();
        let tokens = self.verifier();
        let brokers = self.brokers(conversations.clone())?;
        let Process { metrics, shutdown, .. } = self.process;
        Ok(gateway::serve(
            self.machine,
            listener,
            config,
            brokers,
            conversations,
            tokens,
            metrics,
            shutdown,
        )
        .await?)
    }

    /// Who says whose token is good: our own auth service, and an issuer outside if there is one.
    fn verifier(&self) -> Arc<dyn TokenVerifier> {
        let auth = self.config.topology.auth.clone();
        let own = auth::RemoteVerifier::start(
            self.machine.clone(),
            auth,
            REVOCATION_POLL,
            self.config.design.signatures,
        );
        let Some(outside) = &self.config.oidc else { return own };
        let config = auth::OidcConfig {
            issuer: outside.issuer.clone(),
            audience: outside.audience.clone(),
            user_claim: outside.user_claim.clone(),
            refresh: Duration::from_secs(outside.refresh_seconds),
        };
        let network = self.process.outside.issuer.as_ref().unwrap_or(&self.machine.network);
        let outside = auth::OidcVerifier::start(self.machine.clone(), network.clone(), config);
        Arc::new(auth::BothVerifiers::new(own, outside))
    }

    fn timing(&self) -> LinkTiming {
        LinkTiming::of(Duration::from_millis(self.config.link_timeout_ms))
    }

    fn remote_conversations(&self) -> Arc<store::RemoteConversations> {
        store::RemoteConversations::start(
            self.machine.clone(),
            self.config.topology.stores.clone(),
            (self.config.partitions, self.config.directory()),
            self.timing(),
            self.config.limits().store,
        )
    }

    /// What keeps messages.
    fn durable_brokers(&self) -> Result<Brokers, Failure> {
        match (self.config.engine.broker.outside(), &self.process.brokers) {
            (None, _) => {
                let (machine, timing) = (self.machine.clone(), self.timing());
                let address = self.config.topology.brokers[0].clone();
                Ok(Brokers::one(broker::RemoteBroker::start(machine, address, timing)))
            }
            (Some(_), Some(brokers)) => Ok(brokers.clone()),
            (Some(outside), None) => Err(format!("there is no way to {outside}").into()),
        }
    }

    /// The same for everything, but for fan-out the links between gateways and store nodes, if they are
    /// chosen. `links`: this node's end of them.
    fn brokers(&self, links: Arc<dyn Fanout>) -> Result<Brokers, Failure> {
        let brokers = self.durable_brokers()?;
        Ok(match self.config.design.fan_out {
            FanOut::Broker => brokers,
            FanOut::Direct => Brokers { fanout: links, ..brokers },
        })
    }
}
