//! Servers that nodes stand on, and what is in front of the gateways: each behind `fracas engine`.

use super::port_numbers::ports_of_rabbitmq;
use super::{Program, Tier};
use crate::run::Engines;
use protocol::TlsFiles;
use scenarios::Addresses;
use scenarios::scenario::Role;
use std::path::Path;

/// The name of Erlang's port mapper, by which the nodes of RabbitMQ find each other.
const MAPPER: &str = "port-mapper";
/// The name of the HAProxy.
const HAPROXY: &str = "haproxy";

/// Everything that nodes stand on.
pub(super) fn below(addresses: &Addresses, engines: Engines, data: &Path) -> Vec<Program> {
    let databases = [("postgres", addresses.postgres), ("cassandra", addresses.cassandra)];
    let databases = databases.into_iter().filter_map(|(word, port)| {
        Some(engine(format!("{}-1", Role::Database.word()), word, data, port?, &[]))
    });
    let brokers = rabbitmq(&addresses.rabbitmq, engines, data).into_iter();
    brokers.chain(kafka(&addresses.kafka, data)).chain(databases).collect()
}

/// The port mapper and the nodes of a RabbitMQ with these first ports, if it has any.
fn rabbitmq(ports: &[u16], engines: Engines, data: &Path) -> Vec<Program> {
    let Some(last) = ports.last() else { return Vec::new() };
    let mapper = last + ports_of_rabbitmq(engines);
    let mut more = vec![format!("--mapper={mapper}")];
    more.extend(engines.monitoring.then(|| "--numbers".to_owned()));
    let nodes = in_place_of_brokers("rabbitmq", ports, data, &more);
    let mapper = engine(MAPPER.to_owned(), "port-mapper", data, mapper, &[]);
    [mapper].into_iter().chain(nodes).collect()
}

/// The nodes of a Kafka with these first ports.
fn kafka(ports: &[u16], data: &Path) -> Vec<Program> {
    in_place_of_brokers("kafka", ports, data, &[])
}

/// Servers that are one engine together, and that the faults of brokers hit.
fn in_place_of_brokers(word: &str, ports: &[u16], data: &Path, more: &[String]) -> Vec<Program> {
    let told: Vec<String> = ports.iter().map(u16::to_string).collect();
    let arguments = [&[format!("--together={}", told.join(","))], more].concat();
    let named =
        ports.iter().zip(1..).map(|(port, n)| (format!("{}-{n}", Role::Broker.word()), port));
    named.map(|(name, port)| engine(name, word, data, *port, &arguments)).collect()
}

/// A server of an engine.
pub(super) fn engine(name: String, word: &str, data: &Path, port: u16, more: &[String]) -> Program {
    let own = [format!("--data={}", data.join(&name).display()), format!("--port={port}")];
    let words = ["engine", word, "--ends-with-stdin"].map(str::to_owned);
    let arguments = words.into_iter().chain(own).chain(more.iter().cloned()).collect();
    let log = data.join(format!("{name}.log"));
    Program { name: name.into(), arguments, log, tier: Tier::Engine }
}

/// The HAProxy in front of these gateways, which use TLS like this.
pub(super) fn haproxy(
    port: u16,
    gateways: &[String],
    tls: Option<&TlsFiles>,
    data: &Path,
) -> Program {
    let mut told = vec![format!("--gateways={}", gateways.join(","))];
    if let Some(TlsFiles { authority, certificate, key, .. }) = tls {
        told.extend([authority, certificate, key].map(|file| format!("--tls={file}")));
    }
    Program { tier: Tier::Balancer, ..engine(HAPROXY.to_owned(), "haproxy", data, port, &told) }
}
