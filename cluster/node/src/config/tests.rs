//! What a configuration file may say, and what is said of a wrong one.

mod cassandra;
mod deployed;
mod kafka;
mod masking;
mod oidc;
mod postgres;
mod push;
mod rabbitmq;
mod secrets;

mod keys;

use super::file::File;
use super::*;
use broker::BrokerEngine;
use expect_test::{Expect, expect};
use protocol::StoreEngine;
use protocol::design::Fsync;
use settings::Section;

/// The page that explains the configuration; its example is a whole file.
const PAGE: &str = include_str!("../../../../docs/running.md");

fn example() -> &'static str {
    let (_, rest) = PAGE.split_once("```toml cluster\n").expect("the page has an example");
    rest.split_once("```").expect("and it ends").0
}

fn read(text: &str) -> Result<ClusterConfig, String> {
    ClusterConfig::read(text, "cluster.toml").map_err(|mistakes| mistakes.to_string())
}

/// All mistakes of a text, as they are shown.
fn check(text: &str, expected: &Expect) {
    expected.assert_eq(&read(text).expect_err("a mistake"));
}

fn topology() -> Topology {
    crate::embedded::topology(7800, 2, 2, "127.0.0.1:7900".into())
}

/// Nodes that nothing is wrong with.
const NODES: &str = "\
[topology]
gateways = [\"127.0.0.1:1\"]
brokers = [\"127.0.0.1:2\"]
stores = [\"127.0.0.1:3\"]
auth = \"127.0.0.1:4\"
";

/// A cluster whose messages something else keeps.
fn on_outside(broker: &str, engine: &str) -> String {
    let nodes: String = NODES.lines().filter(|line| !line.starts_with("brokers")).fold(
        String::new(),
        |mut text, line| {
            text.push_str(line);
            text.push('\n');
            text
        },
    );
    format!("{nodes}[engine]\nbroker = {broker:?}\n{engine}")
}

#[test]
fn the_example_of_the_page_is_a_cluster_of_seven() {
    let config = read(example()).unwrap_or_else(|mistakes| panic!("{mistakes}"));
    let names: Vec<String> =
        config.topology.nodes().map(|(role, number)| Topology::name(role, number)).collect();
    let expected =
        ["auth-1", "broker-1", "store-1", "store-2", "notifier-1", "gateway-1", "gateway-2"];
    assert_eq!(names, expected);
    for name in expected {
        let (role, number) = name.split_once('-').expect("a role and a number");
        let line = format!("fracas node {role} --number {number} --config cluster.toml");
        assert!(PAGE.contains(&line), "the page starts {name} by: {line}");
    }
}

#[test]
fn what_is_left_out_is_plain() {
    let nodes = |list: &[&str]| list.iter().map(ToString::to_string).collect();
    let topology = Topology {
        gateways: nodes(&["127.0.0.1:1"]),
        brokers: nodes(&["127.0.0.1:2"]),
        stores: nodes(&["127.0.0.1:3"]),
        notifiers: 1,
        auth: "127.0.0.1:4".into(),
        push_provider: String::new(),
    };
    assert_eq!(read(NODES), Ok(ClusterConfig::plain(topology)));
}

/// What can be wrong with values by themselves, and with two of them together.
const WRONG: &str = "\
partition = 8
development_users = \"many\"
access_token_seconds = 9
[topology]
gateways = 1
brokers = [\"127.0.0.1:2\", \"127.0.0.1:3\"]
store = [\"127.0.0.1:3\"]
auth = \"127.0.0.1:4\"
push_provider = \"127.0.0.1:2\"
[design]
fsync = \"sometimes\"
acept = \"after_persist\"
[engine]
broker = \"embeded\"
brokr = \"memory\"
[[services]]
id = \"me\"
secret = 5
scopes = [\"admn\"]
[[services]]
id = \"me\"
scopes = [\"audit\"]
";

#[test]
fn all_mistakes_of_a_file_are_told_at_once_with_places_and_remedies() {
    check(
        WRONG,
        &expect![[r#"
            cluster.toml:1:1: unknown key "partition" in the configuration; did you mean "partitions"?
              1 | partition = *
                | ^^^^^^^^^
            cluster.toml:2:21: development_users: expected a whole number, at least 0, found "many"
              2 | development_users = "many"
                |                     ^^^^^^
            cluster.toml:3:24: access_token_seconds: expected a whole number from 10 to 31622400, found 9
              3 | access_token_seconds = 9
                |                        ^
            cluster.toml:4:1: [topology] needs "stores": a list; each element: an address like "127.0.0.1:7801"
              4 | [topology]
                | ^^^^^^^^^^
            cluster.toml:5:12: topology.gateways: expected a list; each element: an address like "127.0.0.1:7801", found 1
              5 | gateways = 1
                |            ^
            cluster.toml:6:11: topology.brokers: exactly one in this version, found 2
              6 | brokers = ["127.0.0.1:2", "127.0.0.1:3"]
                |           ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
            cluster.toml:7:1: unknown key "store" in [topology]; did you mean "stores"?
              7 | store = ["127.0.0.1:3"]
                | ^^^^^
            cluster.toml:9:17: topology.push_provider: the push provider and broker-1 are both at 127.0.0.1:2
              9 | push_provider = "127.0.0.1:2"
                |                 ^^^^^^^^^^^^^
            cluster.toml:11:9: design.fsync: expected one of always, never, found "sometimes"
              11 | fsync = "sometimes"
                 |         ^^^^^^^^^^^
            cluster.toml:12:1: unknown key "acept" in [design]; did you mean "accept"?
              12 | acept = ***************
                 | ^^^^^
            cluster.toml:14:10: engine.broker: expected "embedded", "memory", "rabbitmq" or "kafka", found "embeded"; did you mean "embedded"?
              14 | broker = "embeded"
                 |          ^^^^^^^^^
            cluster.toml:15:1: unknown key "brokr" in [engine]; did you mean "broker"?
              15 | brokr = ********
                 | ^^^^^
            cluster.toml:18:10: services.1.secret: expected text in quotes, found another value
              18 | secret = *
                 |          ^
            cluster.toml:19:11: services.1.scopes.1: expected "admin" or "audit", found "admn"; did you mean "admin"?
              19 | scopes = ["admn"]
                 |           ^^^^^^
            cluster.toml:20:1: [[services]] needs "secret": text in quotes
              20 | [[services]]
                 | ^^^^^^^^^^^^
            cluster.toml:21:6: services.2.id: "me" is the id of two services
              21 | id = "me"
                 |      ^^^^"#]],
    );
}

#[test]
fn only_engines_of_real_clusters_are_configured() {
    let read = |engine: &str| read(&format!("{NODES}[engine]\n{engine}"));
    let store = |engine| read(engine).map(|config| config.engine.store);
    assert_eq!(store(""), Ok(StoreChoice::Node(StoreEngine::Redb)));
    assert_eq!(store("store = \"memory\"\n"), Ok(StoreChoice::Node(StoreEngine::Memory)));
    for (engine, expected) in [
        (
            "store = \"shared\"\n",
            "7:9: engine.store: expected \"redb\", \"memory\", \"postgres\" or \"cassandra\", found",
        ),
        (
            "store = \"rocks\"\n",
            "7:9: engine.store: expected \"redb\", \"memory\", \"postgres\" or \"cassandra\", found",
        ),
        ("stor = \"redb\"\n", "7:1: unknown key \"stor\" in [engine]; did you mean \"store\"?"),
    ] {
        let mistakes = read(engine).unwrap_err();
        assert!(mistakes.starts_with(&format!("cluster.toml:{expected}")), "{mistakes}");
        assert_eq!(mistakes.lines().count(), 3, "{mistakes}");
    }
}

#[test]
fn values_that_do_not_go_together_have_places_too() {
    check(
        "\
partitions = 1
[topology]
gateways = [\"127.0.0.1:1\"]
brokers = [\"127.0.0.1:2\"]
stores = [\"127.0.0.1:3\", \"127.0.0.1:2\"]
auth = \"nowhere\"
[[services]]
id = \"me\"
secret = \"mine\"
scopes = [\"admin\"]
[[services]]
id = \"me\"
secret = \"mine too\"
scopes = [\"audit\"]
",
        &expect![[r#"
            cluster.toml:1:14: partitions: at least one per store is needed, found 1 for 2 stores
              1 | partitions = 1
                |              ^
            cluster.toml:5:26: topology.stores.2: store-2 and broker-1 are both at 127.0.0.1:2
              5 | stores = ["127.0.0.1:3", "127.0.0.1:2"]
                |                          ^^^^^^^^^^^^^
            cluster.toml:6:8: topology.auth: expected an address like "127.0.0.1:7801", found "nowhere"
              6 | auth = "nowhere"
                |        ^^^^^^^^^
            cluster.toml:12:6: services.2.id: "me" is the id of two services
              12 | id = "me"
                 |      ^^^^"#]],
    );
}

#[test]
fn broken_toml_is_told_with_its_place() {
    let mistakes = read("partitions = 8\n[topology\n").unwrap_err();
    assert!(mistakes.starts_with("cluster.toml:2:10: not TOML"), "{mistakes}");
}

#[test]
fn all_mistakes_are_found_at_once() {
    let topology = Topology {
        gateways: vec![],
        brokers: vec!["127.0.0.1:7100".into(), "127.0.0.1:7101".into()],
        stores: vec!["nowhere".into()],
        notifiers: 1,
        auth: "127.0.0.1:7400".into(),
        push_provider: "127.0.0.1:7500".into(),
    };
    let mistakes =
        ClusterConfig { partitions: 0, ..ClusterConfig::development(topology, 1) }.mistakes();
    assert_eq!(mistakes.len(), 4, "{mistakes:#?}");
}

#[test]
fn rabbitmq_has_as_many_partitions_as_a_node_has_channels() {
    let mistakes = |broker, partitions| {
        let engine = EngineConfig { broker, ..EngineConfig::default() };
        let plain = ClusterConfig::development(topology(), 1);
        let of_partitions = ClusterConfig { partitions, engine, ..plain }.mistakes();
        of_partitions.into_iter().filter(|it| it.starts_with("partitions: ")).collect::<Vec<_>>()
    };
    assert_eq!(mistakes(BrokerChoice::RabbitMq, 2_000), [""; 0]);
    assert_eq!(mistakes(BrokerChoice::Kafka, 2_001), [""; 0]);
    let [told] = &*mistakes(BrokerChoice::RabbitMq, 2_001) else { panic!("one") };
    assert!(told.starts_with("partitions: at most 2000 with RabbitMQ, found 2001: "), "{told}");
}

#[test]
fn a_burst_grows_with_the_rate_and_never_overflows() {
    let burst = |rate| {
        let rate_per_second = rate;
        ClusterConfig { rate_per_second, ..ClusterConfig::development(topology(), 1) }
            .limits()
            .gateway
            .rate_burst
    };
    assert_eq!(burst(None), 200);
    assert_eq!(burst(Some(1)), 4);
    assert_eq!(burst(Some(21_474_837)), 85_899_348);
    assert_eq!(burst(Some(u32::MAX)), u32::MAX);
}

#[test]
fn every_limit_stands_on_the_page_and_nothing_else_does() {
    let (_, section) = PAGE.split_once("## Limits\n").expect("a section");
    let (section, _) = section.split_once("\n## ").expect("and the next one");
    let found: Vec<&str> = section.lines().filter(|line| line.starts_with("| `")).collect();
    let row = |row: protocol::limits::Row| {
        format!("| `{}` | {} | {} | {} |", row.name, row.default, row.tiny, row.meaning)
    };
    let expected: Vec<String> = protocol::Limits::table().into_iter().map(row).collect();
    assert_eq!(found, expected, "should be:\n{}\n", expected.join("\n"));
}

#[test]
fn no_secret_is_shown_or_told_in_a_mistake() {
    let mut config = ClusterConfig::development(topology(), 3);
    config.development_password = "hunter2".into();
    config.services[0].secret = "swordfish".into();
    let mut shown = vec![format!("{config:?}"), format!("{config:#?}")];
    for wrong in [
        "development_password = 90210\n",
        "development_password = \"hunter2\n",
        "services = [{ id = \"me\", secret = [\"swordfish\"] }]\n",
        "[[services]]\nid = \"me\"\nsecret = \"swordfish\" \"hunter2\"\n",
    ] {
        let mistakes = ClusterConfig::read(wrong, "cluster.toml").expect_err("it is wrong");
        shown.push(mistakes.to_string());
    }
    for shown in shown {
        for secret in ["hunter2", "swordfish", "90210"] {
            assert!(!shown.contains(secret), "{shown}");
        }
    }
}
