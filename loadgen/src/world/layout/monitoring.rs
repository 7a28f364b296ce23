//! Prometheus, Alertmanager and what tells the numbers of PostgreSQL, around a cluster.

use super::port_numbers::first_ports;
use super::servers::engine;
use super::{Program, Tier};
use crate::run::Engines;
use scenarios::on_loopback;
use scenarios::scenario::Role;
use std::path::Path;

/// A node of RabbitMQ tells its numbers at the port so many after its first.
const NUMBERS_OF_RABBITMQ: u16 = 3;

/// What watches a cluster.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Monitoring {
    /// The port of Prometheus.
    pub prometheus: u16,
    /// The port of Alertmanager.
    pub alertmanager: u16,
    /// Where a load may tell its numbers to Prometheus.
    pub load: u16,
    /// The port of what tells those of PostgreSQL, if that is there.
    exporter: Option<u16>,
}

/// Whom it asks for numbers.
pub(super) struct Watched<'a> {
    /// All processes of the cluster.
    pub nodes: &'a [Program],
    /// Where its nodes tell their numbers: the gateways first, and the others in their order.
    pub metrics: &'a [String],
    /// The first ports of the nodes of RabbitMQ.
    pub rabbitmq: &'a [u16],
    /// The port of PostgreSQL.
    pub postgres: Option<u16>,
    /// The port of HAProxy.
    pub haproxy: Option<u16>,
}

impl Monitoring {
    /// At the next ports.
    pub(super) fn at(next: &mut u16, engines: Engines) -> Self {
        let mut port = || first_ports(next, 1, 1)[0];
        let (prometheus, alertmanager, load) = (port(), port(), port());
        Self { prometheus, alertmanager, load, exporter: engines.postgres.then(port) }
    }

    /// How many ports it takes.
    pub(super) fn ports(engines: Engines) -> u16 {
        if engines.monitoring { 3 + u16::from(engines.postgres) } else { 0 }
    }

    /// How many processes it is.
    pub(super) fn processes(engines: Engines) -> u16 {
        if engines.monitoring { 2 + u16::from(engines.postgres) } else { 0 }
    }

    /// Its processes.
    pub(super) fn programs(&self, watched: &Watched<'_>, data: &Path) -> Vec<Program> {
        let targets = self.targets(watched);
        let targets = targets.map(|(job, name, at)| format!("--target={job}/{name}={at}"));
        let mut of_prometheus = vec![format!("--alertmanager={}", self.alertmanager)];
        of_prometheus.extend(targets);
        let exporter = self.exporter.zip(watched.postgres).map(|(port, database)| {
            ("postgres-exporter", port, vec![format!("--database={database}")])
        });
        let all = [
            ("alertmanager", self.alertmanager, Vec::new()),
            ("prometheus", self.prometheus, of_prometheus),
        ];
        let program = |(word, port, more): (&str, u16, Vec<String>)| Program {
            tier: Tier::Monitor,
            ..engine(word.to_owned(), word, data, port, &more)
        };
        exporter.into_iter().chain(all).map(program).collect()
    }

    /// The job, the name and the address of each, by the jobs of the deployed configuration.
    fn targets(
        &self,
        watched: &Watched<'_>,
    ) -> impl Iterator<Item = (&'static str, String, String)> {
        let Watched { nodes, metrics, rabbitmq, haproxy, .. } = *watched;
        let of_tier = |tier| nodes.iter().filter(move |node| node.tier == tier);
        let named = of_tier(Tier::Gateway).chain(of_tier(Tier::Node));
        let mut targets: Vec<_> = named
            .zip(metrics)
            .map(|(node, at)| ("fracas", node.name.to_string(), at.clone()))
            .collect();
        let mut add = |job, name: String, port| targets.push((job, name, on_loopback(port)));
        for (number, port) in (1..).zip(rabbitmq) {
            add(
                "rabbitmq",
                format!("{}-{number}", Role::Broker.word()),
                port + NUMBERS_OF_RABBITMQ,
            );
        }
        if let Some(port) = self.exporter {
            add("postgres", format!("{}-1", Role::Database.word()), port);
        }
        if let Some(port) = haproxy {
            add("haproxy", "haproxy".to_owned(), port + 1);
        }
        add("prometheus", "prometheus".to_owned(), self.prometheus);
        add("alertmanager", "alertmanager".to_owned(), self.alertmanager);
        add("load", "load".to_owned(), self.load);
        targets.into_iter()
    }
}
