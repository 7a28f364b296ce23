//! The configuration file of a scenario's cluster: the one place that knows how a scenario becomes what
//! `fracas node` and `fracas cluster` read (docs/running.md).

use crate::scenario::Scenario;
use protocol::development::{PASSWORD, SERVICE_ID, SERVICE_SECRET};
use protocol::trace::Tracing;
use protocol::{StoreEngine, TlsFiles};
use std::collections::BTreeMap;
use std::time::Duration;
use toml::{Table, Value};

/// Most replicas on a Kafka: more of them do not make it safer.
const REPLICAS_MAX: i64 = 3;

/// Where the nodes of a cluster are, `host:port` each; the first of a role is number 1.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Addresses {
    /// Gateways.
    pub gateways: Vec<String>,
    /// Brokers.
    pub brokers: Vec<String>,
    /// The ports of the nodes of a RabbitMQ on loopback that is their broker instead.
    pub rabbitmq: Vec<u16>,
    /// The port of its management interface.
    pub rabbitmq_management: Option<u16>,
    /// Whether its durable queues have copies on other nodes.
    pub quorum_queues: bool,
    /// The ports of the nodes of a Kafka on loopback that is their broker instead.
    pub kafka: Vec<u16>,
    /// Whether it confirms what all nodes have that are in sync.
    pub all_acks: bool,
    /// The port of a PostgreSQL on loopback that keeps the rows of the stores instead of them.
    pub postgres: Option<u16>,
    /// Whether its commits wait until they are durable.
    pub synchronous_commit: bool,
    /// The port of a Cassandra of one node on loopback that keeps them instead.
    pub cassandra: Option<u16>,
    /// Store nodes.
    pub stores: Vec<String>,
    /// The auth service.
    pub auth: String,
    /// The push provider.
    pub push_provider: String,
    /// The files of TLS, which all nodes share, if they are to use it.
    pub tls: Option<TlsFiles>,
    /// Whether users come through a proxy on loopback, which says whose request it passes on.
    pub is_balanced: bool,
    /// Where the steps of messages go, if anywhere.
    pub traces: Option<Tracing>,
}

impl Addresses {
    /// The same for a node that reaches some of them at other addresses on loopback: by their own.
    #[must_use]
    pub fn through(mut self, others: &BTreeMap<String, String>) -> Self {
        let lists = [&mut self.gateways, &mut self.brokers, &mut self.stores].into_iter().flatten();
        for address in lists.chain([&mut self.auth, &mut self.push_provider]) {
            if let Some(other) = others.get(address) {
                address.clone_from(other);
            }
        }
        for port in self.rabbitmq.iter_mut().chain(&mut self.postgres) {
            let other = others.get(&on_loopback(*port));
            *port = other.and_then(|other| other.rsplit_once(':')?.1.parse().ok()).unwrap_or(*port);
        }
        self
    }
}

/// An address of this machine that others do not reach.
pub fn on_loopback(port: u16) -> String {
    format!("127.0.0.1:{port}")
}

/// The file, for a cluster of this scenario at these addresses. An engine that stores share has no word
/// in it: it exists in the simulator only.
pub fn cluster_file(scenario: &Scenario, addresses: &Addresses) -> String {
    let shape = &scenario.cluster;
    let Addresses { gateways, brokers, stores, auth, push_provider, .. } = addresses.clone();
    let topology = table([
        ("gateways", gateways.into()),
        ("brokers", brokers.into()),
        ("stores", stores.into()),
        ("notifiers", 1.into()),
        ("auth", auth.into()),
        ("push_provider", push_provider.into()),
    ]);
    let service = table([
        ("id", SERVICE_ID.into()),
        ("secret", SERVICE_SECRET.into()),
        ("scopes", vec!["admin", "audit"].into()),
    ]);
    let seconds = |time: Duration| i64::try_from(time.as_secs()).unwrap_or(i64::MAX);
    let design = Value::try_from(scenario.design).expect("a design is a table of words");
    let tls = addresses.tls.as_ref().map(|TlsFiles { authority, certificate, key, metrics }| {
        table([
            ("authority", authority.as_str().into()),
            ("certificate", certificate.as_str().into()),
            ("key", key.as_str().into()),
            ("metrics", (*metrics).into()),
        ])
    });
    // The provider shows the certificate of the nodes.
    let push = addresses.tls.as_ref().map(|TlsFiles { authority, .. }| {
        table([("tls", true.into()), ("authority", authority.as_str().into())])
    });
    let mut file = table([
        ("partitions", i64::from(shape.partitions).into()),
        ("limits", shape.limits.word().into()),
        ("access_token_seconds", seconds(shape.token_lifetime).into()),
        ("heartbeat_seconds", seconds(shape.heartbeat).into()),
        (
            "link_timeout_ms",
            i64::try_from(shape.link_timeout.as_millis()).unwrap_or(i64::MAX).into(),
        ),
        ("development_users", i64::from(scenario.everybody()).into()),
        ("development_password", PASSWORD.into()),
        ("topology", topology),
        ("engine", engines(shape.engine, addresses)),
        ("design", design),
        ("services", vec![service].into()),
    ]);
    let traces = addresses.traces.as_ref().map(|Tracing { endpoint, one_in, cluster }| {
        table([
            ("endpoint", endpoint.as_str().into()),
            ("one_in", i64::try_from(*one_in).unwrap_or(i64::MAX).into()),
            ("cluster", cluster.as_str().into()),
        ])
    });
    let proxies = addresses.is_balanced.then(|| vec!["127.0.0.1/32"].into());
    if let Value::Table(file) = &mut file {
        file.extend(tls.map(|tls| ("tls".to_owned(), tls)));
        file.extend(push.map(|push| ("push".to_owned(), push)));
        file.extend(traces.map(|traces| ("traces".to_owned(), traces)));
        file.extend(proxies.map(|proxies| ("trusted_proxies".to_owned(), proxies)));
    }
    toml::to_string(&file).expect("it is made of plain values")
}

/// What keeps rows, and what keeps messages.
fn engines(of_nodes: StoreEngine, addresses: &Addresses) -> Value {
    let Addresses { rabbitmq, kafka, postgres, cassandra, .. } = addresses;
    let all = |ports: &[u16]| ports.iter().copied().map(on_loopback).collect::<Vec<_>>();
    let mut engines = Table::new();
    engines.insert("store".to_owned(), of_nodes.word().into());
    if let Some(management) = addresses.rabbitmq_management {
        let reached = table([
            ("addresses", all(rabbitmq).into()),
            ("user", "guest".into()),
            ("password", "guest".into()),
            ("quorum_queues", addresses.quorum_queues.into()),
            ("management", on_loopback(management).into()),
        ]);
        engines.insert("broker".to_owned(), "rabbitmq".into());
        engines.insert("rabbitmq".to_owned(), reached);
    }
    if !kafka.is_empty() {
        let replication =
            i64::try_from(kafka.len()).map_or(REPLICAS_MAX, |it| it.min(REPLICAS_MAX));
        let acks = if addresses.all_acks { "all" } else { "leader" };
        let reached = table([
            ("servers", all(kafka).into()),
            ("replication", replication.into()),
            ("acks", acks.into()),
        ]);
        engines.insert("broker".to_owned(), "kafka".into());
        engines.insert("kafka".to_owned(), reached);
    }
    if let Some(port) = postgres {
        let reached = table([
            ("hosts", all(&[*port]).into()),
            ("database", "chat".into()),
            ("user", "chat".into()),
            ("password", "fracas".into()),
            ("synchronous_commit", addresses.synchronous_commit.into()),
        ]);
        engines.insert("store".to_owned(), "postgres".into());
        engines.insert("postgres".to_owned(), reached);
    }
    if let Some(port) = cassandra {
        let reached = table([("hosts", all(&[*port]).into()), ("replication", 1.into())]);
        engines.insert("store".to_owned(), "cassandra".into());
        engines.insert("cassandra".to_owned(), reached);
    }
    Value::Table(engines)
}

fn table<const N: usize>(entries: [(&str, Value); N]) -> Value {
    Value::Table(entries.into_iter().map(|(key, value)| (key.to_owned(), value)).collect::<Table>())
}
