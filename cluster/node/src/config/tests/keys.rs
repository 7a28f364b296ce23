//! Every key of a configuration: it stands on the page, and it is read.

use super::*;
use crate::config::{Push, engine_tables, file, oidc, push, traces};

#[test]
fn every_key_stands_on_the_page_and_whether_it_is_required() {
    let (_, keys) = PAGE.split_once("## The configuration file\n").expect("a section");
    let inner =
        [file::Addresses::keys(), engine_tables::Engines::keys(), file::Account::keys()].concat();
    let inner = [inner, file::Tls::keys()].concat();
    let tables = [
        ("rabbitmq", engine_tables::RabbitTable::keys()),
        ("kafka", engine_tables::KafkaTable::keys()),
        ("postgres", engine_tables::PostgresTable::keys()),
    ];
    for (engine, keys) in tables {
        let (_, table) = include_str!("../../../../../docs/engines.md")
            .split_once(&format!("`[engine.{engine}]`:"))
            .expect("a table");
        let (table, _) = table.split_once("\n### ").expect("a section behind it");
        for key in keys {
            let named = format!("`{}`", key.name);
            let row = table.lines().find(|line| line.starts_with("| `") && line.contains(&named));
            let row = row.unwrap_or_else(|| panic!("{engine}: {} has no row", key.name));
            assert_eq!(row.contains("| required |"), key.required, "{row}");
        }
    }
    // A file of an authority is required in one table and not in the other.
    let (_, of_issuer) = keys.split_once("`[oidc]`:").expect("a table");
    let (_, of_collector) = PAGE.split_once("`[traces]`:").expect("a table");
    let (_, of_provider) = PAGE.split_once("`[push]`:").expect("a table");
    let provider = push::PushTable::keys().into_iter().map(|key| (of_provider, key));
    let collector = traces::TracesTable::keys().into_iter().map(|key| (of_collector, key));
    let all = File::keys().into_iter().chain(inner).map(|key| (keys, key));
    let all = all.chain(provider).chain(collector);
    for (table, key) in all.chain(oidc::OidcTable::keys().into_iter().map(|key| (of_issuer, key))) {
        let row = table.lines().find(|line| line.starts_with(&format!("| `{}` |", key.name)));
        let row = row.unwrap_or_else(|| panic!("{} has no row", key.name));
        assert_eq!(row.contains("| required |"), key.required, "{row}");
    }
}

fn tls_files() -> TlsFiles {
    let [authority, certificate, key] = ["ca.pem", "node.pem", "node.key"].map(str::to_owned);
    TlsFiles { authority, certificate, key, metrics: true }
}

fn issuer() -> Oidc {
    Oidc {
        issuer: "https://id.example/realm".into(),
        audience: "chat".into(),
        user_claim: "chat_user".into(),
        authority: Some("id.pem".into()),
        refresh_seconds: 60,
    }
}

fn provider() -> Push {
    let (path, authority) = ("/v2/notify".into(), Some("push.pem".into()));
    Push { path, tls: true, authority, secret: Some("known".into()) }
}

fn collector() -> Tracing {
    let endpoint = "http://127.0.0.1:4318/v1/traces".into();
    Tracing { endpoint, one_in: 7, cluster: "chat".into() }
}

fn services() -> Vec<Service> {
    let scopes = vec!["audit".into()];
    vec![Service { id: "me".into(), secret: "mine".into(), scopes }]
}

fn proxies() -> Vec<ipnet::IpNet> {
    ["10.0.0.0/8", "192.0.2.7/32"].map(|it| it.parse().expect("a network")).to_vec()
}

/// All of them.
pub(super) const EVERY_KEY: &str = "\
partitions = 8
development_users = 12
development_password = \"secret\"
access_token_seconds = 60
heartbeat_seconds = 30
link_timeout_ms = 9000
retention = 5
limits = \"tiny\"
rate_per_second = 7
trusted_proxies = [\"10.0.0.0/8\", \"192.0.2.7\"]
[topology]
gateways = [\"127.0.0.1:1\", \"127.0.0.1:2\"]
brokers = \"127.0.0.1:3\"
stores = [\"127.0.0.1:4\"]
auth = \"127.0.0.1:5\"
notifiers = 2
push_provider = \"push.example:6\"
[design]
fsync = \"never\"
[engine]
broker = \"memory\"
store = \"memory\"
[tls]
authority = \"ca.pem\"
certificate = \"node.pem\"
key = \"node.key\"
metrics = true
[oidc]
issuer = \"https://id.example/realm\"
audience = \"chat\"
user_claim = \"chat_user\"
authority = \"id.pem\"
refresh_seconds = 60
[push]
path = \"/v2/notify\"
tls = true
authority = \"push.pem\"
secret = \"known\"
[traces]
endpoint = \"http://127.0.0.1:4318/v1/traces\"
one_in = 7
cluster = \"chat\"
[[services]]
id = \"me\"
secret = \"mine\"
scopes = [\"audit\"]
";

#[test]
fn every_key_is_read() {
    let expected = ClusterConfig {
        partitions: 8,
        design: Design { fsync: Fsync::Never, ..Design::default() },
        development_users: 12,
        development_password: "secret".into(),
        services: services(),
        access_token_seconds: 60,
        heartbeat_seconds: 30,
        link_timeout_ms: 9_000,
        retention: Some(5),
        engine: EngineConfig {
            broker: BrokerChoice::Node(BrokerEngine::Memory),
            store: StoreChoice::Node(StoreEngine::Memory),
            ..EngineConfig::default()
        },
        limits: LimitSet::Tiny,
        rate_per_second: Some(7),
        tls: Some(tls_files()),
        oidc: Some(issuer()),
        push: Some(provider()),
        traces: Some(collector()),
        trusted_proxies: proxies(),
        topology: Topology {
            gateways: vec!["127.0.0.1:1".into(), "127.0.0.1:2".into()],
            brokers: vec!["127.0.0.1:3".into()],
            stores: vec!["127.0.0.1:4".into()],
            notifiers: 2,
            auth: "127.0.0.1:5".into(),
            push_provider: "push.example:6".into(),
        },
    };
    assert_eq!(read(EVERY_KEY), Ok(expected));
}
