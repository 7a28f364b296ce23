//! What a configuration file may say, and what is said of a wrong one.

use super::*;

/// The page that explains the configuration; its example is a whole file.
const PAGE: &str = include_str!("../../../../docs/running.md");

fn example() -> &'static str {
    let (_, rest) = PAGE.split_once("```toml cluster\n").expect("the page has an example");
    rest.split_once("```").expect("and it ends").0
}

fn topology() -> Topology {
    crate::embedded::topology(7800, 2, 2, "127.0.0.1:7900".into())
}

#[test]
fn the_example_of_the_page_is_a_cluster_of_seven() {
    let config = ClusterConfig::read(example()).unwrap_or_else(|mistakes| panic!("{mistakes:#?}"));
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
fn every_key_stands_on_the_page() {
    let mut config = ClusterConfig::development(topology(), 1);
    (config.retention, config.rate_per_second) = (Some(1), Some(1));
    let table = toml::Table::try_from(&config).expect("plain values");
    let mut keys: Vec<&String> = table.keys().collect();
    let inner = [&table["topology"], &table["services"][0], &table["engine"]];
    for inner in inner.map(toml::Value::as_table) {
        keys.extend(inner.expect("a table").keys());
    }
    for key in keys {
        assert!(PAGE.contains(&format!("`{key}`")), "{key}");
    }
}

#[test]
fn what_is_written_is_read() {
    let mut config = ClusterConfig::development(topology(), 12);
    (config.retention, config.rate_per_second) = (Some(5), Some(7));
    config.design.fsync = protocol::design::Fsync::Never;
    config.limits = LimitSet::Tiny;
    config.engine.broker = BrokerEngine::Memory;
    config.engine.store = StoreEngine::Memory;
    let text = toml::to_string(&config).expect("plain values");
    assert_eq!(ClusterConfig::read(&text), Ok(config));
}

#[test]
fn all_mistakes_of_a_file_are_told_at_once_with_lines_and_remedies() {
    let text = "\
partition = 8
development_users = \"many\"
[topology]
gateways = \"127.0.0.1:1\"
brokers = [\"127.0.0.1:2\"]
store = [\"127.0.0.1:3\"]
auth = \"127.0.0.1:4\"
[design]
fsync = \"sometimes\"
acept = \"after_persist\"
[engine]
broker = \"embeded\"
brokr = \"memory\"
[[services]]
id = \"me\"
secret = 5
scopes = [\"admin\"]
";
    let mistakes = ClusterConfig::read(text).unwrap_err();
    let expected = [
        ("line 1: unknown key partition", "did you mean \"partitions\"?"),
        ("line 2: development_users: expected a whole number", "found \"many\""),
        ("line 3: topology.stores is missing", "a list of addresses"),
        ("line 4: topology.gateways: expected a list of addresses", "found \"127.0.0.1:1\""),
        ("line 6: unknown key topology.store", "did you mean \"stores\"?"),
        ("line 9: design.fsync: unknown variant `sometimes`", "`always` or `never`"),
        ("line 10: unknown key design.acept", "did you mean \"accept\"?"),
        ("line 12: engine.broker: expected \"embedded\" or \"memory\"", "found \"embeded\""),
        ("line 13: unknown key engine.brokr", "did you mean \"broker\"?"),
        ("line 16: services.1.secret: expected a text, found 5", ""),
    ];
    assert_eq!(mistakes.len(), expected.len(), "{mistakes:#?}");
    for (mistake, (start, part)) in mistakes.iter().zip(expected) {
        assert!(mistake.starts_with(start) && mistake.contains(part), "{mistake} / {start}");
    }
}

#[test]
fn only_engines_of_real_clusters_are_configured() {
    let nodes = "\
[topology]
gateways = [\"127.0.0.1:1\"]
brokers = [\"127.0.0.1:2\"]
stores = [\"127.0.0.1:3\"]
auth = \"127.0.0.1:4\"
[engine]
";
    let read = |engine: &str| ClusterConfig::read(&format!("{nodes}{engine}"));
    let store = |engine| read(engine).map(|config| config.engine.store);
    assert_eq!(store(""), Ok(StoreEngine::Redb));
    assert_eq!(store("store = \"memory\"\n"), Ok(StoreEngine::Memory));
    for (engine, expected) in [
        ("store = \"shared\"\n", "line 7: engine.store: \"shared\" is for the simulator"),
        ("store = \"rocks\"\n", "line 7: engine.store: expected \"redb\" or \"memory\", found"),
        ("stor = \"redb\"\n", "line 7: unknown key engine.stor; did you mean \"store\"?"),
    ] {
        let mistakes = read(engine).unwrap_err();
        assert!(mistakes.len() == 1 && mistakes[0].starts_with(expected), "{mistakes:?}");
    }
}

#[test]
fn values_that_do_not_go_together_have_lines_too() {
    let text = "\
[topology]
gateways = [\"127.0.0.1:1\"]
brokers = [\"127.0.0.1:2\"]
stores = [\"127.0.0.1:3\", \"127.0.0.1:2\"]
auth = \"nowhere\"
[[services]]
id = \"me\"
secret = \"mine\"
scopes = [\"admn\"]
";
    let mistakes = ClusterConfig::read(text).unwrap_err();
    let expected = [
        "line 4: topology.stores: store-2 and broker-1 are both at 127.0.0.1:2",
        "line 5: topology.auth: \"nowhere\" is not an address: expected host:port",
        "line 9: services.1.scopes: unknown scope \"admn\": expected admin or audit; did you mean \
         \"admin\"?",
    ];
    assert_eq!(mistakes, expected);
}

#[test]
fn broken_toml_is_told_with_its_line() {
    let mistakes = ClusterConfig::read("partitions = 8\n[topology\n").unwrap_err();
    assert!(mistakes[0].starts_with("line 2: not TOML"), "{mistakes:?}");
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
