//! Processes, addresses and configurations of a cluster.

use super::*;
use crate::run::Engines;
use std::collections::BTreeSet;

static NONE: Interposed = Interposed::NONE;
const OUTSIDE: Outside<'_> =
    Outside { push: "127.0.0.1:9", tls: None, traces: None, interposed: &NONE };

#[test]
fn every_node_has_a_process_a_log_and_numbers_of_its_own() {
    let mut scenario = crate::fixture::scenario(10, 5, 1);
    (scenario.cluster.gateways, scenario.cluster.stores) = (2, 3);
    let data = std::env::temp_dir().join(format!("fracas-layout-{}", std::process::id()));
    let each = Layout::new(&scenario, Processes::EachNode(Engines::NONE), (&*data).into(), OUTSIDE)
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

    let one = Layout::new(&scenario, Processes::One, (&*data).into(), OUTSIDE).unwrap();
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
    let on_rabbitmq = Processes::EachNode(Engines { rabbitmq: 3, postgres: true, ..Engines::NONE });
    let layout = Layout::new(&scenario, on_rabbitmq, (&*data).into(), OUTSIDE).unwrap();
    let names: Vec<&str> = layout.programs.iter().map(|program| &*program.name).collect();
    let first = ["port-mapper", "broker-1", "broker-2", "broker-3", "database-1", "auth-1"];
    assert_eq!(names[..6], first);
    assert_eq!(usize::from(count(&scenario.cluster, on_rabbitmq)), names.len());
    let told = |program: usize, key: &str| {
        let arguments = &layout.programs[program].arguments;
        let value = arguments.iter().find_map(|word| word.strip_prefix(key));
        value.unwrap_or_else(|| panic!("{key} in {arguments:?}")).to_owned()
    };
    assert_eq!(layout.programs[1].arguments[..2], ["engine", "rabbitmq"]);
    assert!(told(1, "--data=").ends_with("/broker-1"));
    let amqp = [1, 2, 3].map(|node| told(node, "--port=").parse::<u16>().unwrap());
    assert_eq!(told(3, "--together="), amqp.map(|port| port.to_string()).join(","));
    assert_eq!(told(2, "--mapper="), told(0, "--port="));
    let written = std::fs::read_to_string(data.join(FILE)).unwrap();
    let addresses = amqp.map(|port| format!("\"127.0.0.1:{port}\"")).join(", ");
    assert!(written.contains(&format!("addresses = [{addresses}]")), "{written}");
    assert!(written.contains("brokers = []"), "{written}");
    let postgres = format!("hosts = [\"127.0.0.1:{}\"]", told(4, "--port="));
    assert!(written.contains(&postgres), "{written}");
    let all = layout.gateways.iter().chain(&layout.metrics).collect::<BTreeSet<_>>();
    let own = (amqp[0]..=amqp[2] + ports_of_rabbitmq(Engines::NONE) + 1)
        .map(|port| format!("127.0.0.1:{port}"));
    assert!(own.into_iter().all(|own| !all.contains(&own)), "{all:?}");
    std::fs::remove_dir_all(data).unwrap();
}

#[test]
fn kafka_takes_the_place_of_the_broker() {
    let scenario = crate::fixture::scenario(10, 5, 1);
    let data = std::env::temp_dir().join(format!("fracas-kafka-{}", std::process::id()));
    for nodes in [1, 3, 5] {
        let on_kafka = Processes::EachNode(Engines { kafka: nodes, ..Engines::NONE });
        let layout = Layout::new(&scenario, on_kafka, (&*data).into(), OUTSIDE).unwrap();
        assert_eq!(usize::from(count(&scenario.cluster, on_kafka)), layout.programs.len());
        let own = &layout.programs[..usize::from(nodes)];
        assert!(own.iter().all(|program| program.arguments[..2] == ["engine", "kafka"]));
        assert_eq!(own.iter().filter(|program| &*program.name == "broker-1").count(), 1);
        let ports = own.iter().map(|program| {
            let mut arguments = program.arguments.iter();
            arguments.find_map(|word| word.strip_prefix("--port=")).unwrap()
        });
        let ports: Vec<&str> = ports.collect();
        let together = format!("--together={}", ports.join(","));
        assert!(own.iter().all(|program| program.arguments.contains(&together)));
        let written = std::fs::read_to_string(data.join(FILE)).unwrap();
        assert!(written.contains(&format!("servers = [\"127.0.0.1:{}\"", ports[0])));
        assert!(written.contains(&format!("replication = {}\n", nodes.min(3))), "{written}");
        assert!(written.contains("brokers = []"), "{written}");
    }
    std::fs::remove_dir_all(data).unwrap();
}

#[test]
fn cassandra_keeps_the_rows_of_the_stores() {
    let scenario = crate::fixture::scenario(10, 5, 1);
    let data = std::env::temp_dir().join(format!("fracas-cassandra-{}", std::process::id()));
    let on_cassandra = Processes::EachNode(Engines { cassandra: true, ..Engines::NONE });
    let layout = Layout::new(&scenario, on_cassandra, (&*data).into(), OUTSIDE).unwrap();
    assert_eq!(usize::from(count(&scenario.cluster, on_cassandra)), layout.programs.len());
    let server = &layout.programs[0];
    assert_eq!((&*server.name, server.tier), ("database-1", Tier::Engine));
    assert_eq!(server.arguments[..2], ["engine", "cassandra"]);
    let port = server.arguments.iter().find_map(|word| word.strip_prefix("--port="));
    let port: u16 = port.unwrap().parse().unwrap();
    let written = std::fs::read_to_string(data.join(FILE)).unwrap();
    let hosts = format!("hosts = [\"127.0.0.1:{port}\"]\nreplication = 1\n");
    assert!(written.contains("store = \"cassandra\"") && written.contains(&hosts), "{written}");
    // The second port is its own.
    assert!(!written.contains(&format!("127.0.0.1:{}\"", port + 1)), "{written}");
    std::fs::remove_dir_all(data).unwrap();
}

#[test]
fn users_come_to_the_haproxy_that_is_in_front_of_the_gateways() {
    let scenario = crate::fixture::scenario(10, 5, 1);
    let data = std::env::temp_dir().join(format!("fracas-haproxy-{}", std::process::id()));
    let behind = Processes::EachNode(Engines { haproxy: true, ..Engines::NONE });
    let layout = Layout::new(&scenario, behind, (&*data).into(), OUTSIDE).unwrap();
    assert_eq!(usize::from(count(&scenario.cluster, behind)), layout.programs.len());
    let haproxy = layout.programs.last().unwrap();
    assert_eq!((&*haproxy.name, haproxy.tier), ("haproxy", Tier::Balancer));
    let at = layout.balancer.unwrap();
    let port = at.strip_prefix("127.0.0.1:").unwrap();
    assert!(haproxy.arguments.contains(&format!("--port={port}")));
    assert!(haproxy.arguments.contains(&format!("--gateways={}", layout.gateways.join(","))));
    let taken = layout.gateways.iter().chain(&layout.metrics).collect::<BTreeSet<_>>();
    assert!(!taken.contains(&at), "{taken:?}");
    let written = std::fs::read_to_string(data.join(FILE)).unwrap();
    assert!(written.contains("trusted_proxies = [\"127.0.0.1/32\"]"), "{written}");
    std::fs::remove_dir_all(data).unwrap();
}

#[test]
fn a_haproxy_in_front_of_encrypted_gateways_has_their_certificate() {
    let scenario = crate::fixture::scenario(10, 5, 1);
    let data = std::env::temp_dir().join(format!("fracas-haproxy-tls-{}", std::process::id()));
    let behind = Processes::EachNode(Engines { haproxy: true, ..Engines::NONE });
    let [authority, certificate, key] = ["/a", "/c", "/k"].map(str::to_owned);
    let files = TlsFiles { authority, certificate, key, metrics: true };
    let outside = Outside { tls: Some(&files), ..OUTSIDE };
    let layout = Layout::new(&scenario, behind, (&*data).into(), outside).unwrap();
    let haproxy = layout.programs.last().unwrap();
    assert!(haproxy.arguments.ends_with(&["--tls=/a", "--tls=/c", "--tls=/k"].map(str::to_owned)));
    std::fs::remove_dir_all(data).unwrap();
}

#[test]
fn prometheus_asks_everybody_for_numbers() {
    let mut scenario = crate::fixture::scenario(10, 5, 1);
    (scenario.cluster.gateways, scenario.cluster.stores) = (2, 2);
    let data = std::env::temp_dir().join(format!("fracas-monitoring-{}", std::process::id()));
    let engines = Engines { rabbitmq: 3, postgres: true, haproxy: true, ..Engines::NONE };
    let watched = Processes::EachNode(Engines { monitoring: true, ..engines });
    let count_of = |processes| ports(&scenario.cluster, processes);
    let first = free_ports(count_of(watched)).unwrap();
    let place = Place { data: &data, first_port: Some(first) };
    let layout = Layout::new(&scenario, watched, place, OUTSIDE).unwrap();
    assert_eq!(usize::from(count(&scenario.cluster, watched)), layout.programs.len());
    let monitoring = layout.monitoring.unwrap();
    // What users and operators ask for comes first.
    assert_eq!(layout.balancer, Some(format!("127.0.0.1:{first}")));
    let those = (monitoring.prometheus, monitoring.alertmanager, monitoring.load);
    assert_eq!(those, (first + 2, first + 3, first + 4));
    let prometheus = layout.programs.last().unwrap();
    assert_eq!((&*prometheus.name, prometheus.tier), ("prometheus", Tier::Monitor));
    let targets: Vec<&str> =
        prometheus.arguments.iter().filter_map(|word| word.strip_prefix("--target=")).collect();
    let nodes = ["gateway-1", "gateway-2", "auth-1", "store-1", "store-2", "notifier-1"];
    let nodes =
        nodes.into_iter().zip(&layout.metrics).map(|(name, at)| format!("fracas/{name}={at}"));
    let brokers = (1..).zip(&layout.rabbitmq);
    let brokers = brokers.map(|(n, port)| format!("rabbitmq/broker-{n}=127.0.0.1:{}", port + 3));
    let others = [
        ("postgres/database-1", first + 5),
        ("haproxy/haproxy", first + 1),
        ("prometheus/prometheus", first + 2),
        ("alertmanager/alertmanager", first + 3),
        ("load/load", first + 4),
    ];
    let others = others.map(|(name, port)| format!("{name}=127.0.0.1:{port}"));
    assert_eq!(targets, nodes.chain(brokers).chain(others).collect::<Vec<_>>());
    // No port is given away twice, nor one beyond those that were found free.
    let told = layout.programs.iter().flat_map(|program| &program.arguments);
    let own: Vec<u16> =
        told.filter_map(|word| word.strip_prefix("--port=")?.parse().ok()).collect();
    let all: BTreeSet<&u16> = own.iter().collect();
    assert_eq!((all.len(), own.len()), (own.len(), 9));
    assert!(own.iter().all(|port| (first..first + count_of(watched)).contains(port)), "{own:?}");
    std::fs::remove_dir_all(&data).unwrap();

    let taken = std::net::TcpListener::bind(("127.0.0.1", first + 1)).unwrap();
    let refused = Layout::new(&scenario, watched, place, OUTSIDE).unwrap_err();
    assert!(matches!(refused, ClusterError::PortTaken { taken, .. } if taken == first + 1));
    drop(taken);
    std::fs::remove_dir_all(data).unwrap();
}

#[test]
fn a_node_whose_link_leads_through_a_proxy_reads_a_configuration_of_its_own() {
    let scenario = crate::fixture::scenario(10, 5, 1);
    let data = std::env::temp_dir().join(format!("fracas-proxied-{}", std::process::id()));
    let engines = Engines { rabbitmq: 1, postgres: true, ..Engines::NONE };
    let interposed = Interposed::between(&[
        ("gateway-1", "store-1"),
        ("store-1", "database-1"),
        ("notifier-1", "broker-1"),
        ("clients-1", "gateway-1"),
    ]);
    let outside = Outside { interposed: &interposed, ..OUTSIDE };
    let layout =
        Layout::new(&scenario, Processes::EachNode(engines), (&*data).into(), outside).unwrap();
    let read = |file: &str| std::fs::read_to_string(data.join(file)).unwrap();
    let shared = read(FILE);
    let config = |name: &str| {
        let program = layout.programs.iter().find(|program| *program.name == *name).unwrap();
        let file = program.arguments.iter().find_map(|word| word.strip_prefix("--config="));
        std::fs::read_to_string(file.unwrap()).unwrap()
    };
    for Carried { from, at, reaches, .. } in &layout.carried {
        assert!(shared.contains(reaches) && !shared.contains(at), "{from}");
        if **from != *"clients-1" {
            // Where its peer was, and nothing else is another way.
            assert_eq!(config(from), shared.replace(reaches, at), "{from}");
        }
    }
    assert_eq!((layout.carried.len(), config("auth-1")), (4, shared));
    let users = through(&layout.carried, "clients-1");
    assert_eq!(users.keys().collect::<Vec<_>>(), [&layout.gateways[0]]);
    std::fs::remove_dir_all(data).unwrap();
}
