//! `fracas engine`: a private server of an engine, for a cluster that `fracas load --engines` starts.

use crate::lifeline::Lifeline;
use crate::whole::whole;
use anyhow::{Context, bail};
use clap::{Args, ValueEnum};
use engines::cassandra::{self, Cassandra};
use engines::haproxy::{Certificates, HaProxy};
use engines::jars::{CASSANDRA, Jars, KAFKA};
use engines::kafka::{self, Kafka};
use engines::monitoring::{Alertmanager, PostgresExporter, Prometheus, Target};
use engines::postgres::Postgres;
use engines::rabbitmq::{Mapper, Ports, RabbitMq, Together};
use engines::{Instance, Running};
use std::path::PathBuf;
use std::time::Duration;
use tokio::time::sleep;

/// How old depths may be that the server tells.
const STATISTICS: Duration = Duration::from_secs(1);
/// Between two looks at whether it has ended.
const LOOK: Duration = Duration::from_millis(50);

/// What a cluster may stand on instead of nodes of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum EngineName {
    /// A node of the broker.
    Rabbitmq,
    /// A broker of Kafka that is a controller too.
    Kafka,
    /// What keeps the rows of the stores.
    Postgres,
    /// Likewise.
    Cassandra,
    /// What the nodes of RabbitMQ find each other by.
    PortMapper,
    /// What is in front of the gateways.
    Haproxy,
    /// What asks everybody for numbers.
    Prometheus,
    /// What it tells alerts to.
    Alertmanager,
    /// What tells it the numbers of PostgreSQL.
    PostgresExporter,
}

/// Run a private server of an engine on loopback; installed if it is missing and this user may.
#[derive(Debug, Args)]
pub struct Engine {
    /// Which one.
    #[arg(value_enum)]
    name: EngineName,
    /// Its folder, with the data of an earlier start at the same ports or none.
    #[arg(long, value_name = "DIR")]
    data: PathBuf,
    /// The first of the ports that it takes: a node of RabbitMQ takes three, or four with its numbers, one of Kafka
    /// or Cassandra, and HAProxy, two.
    #[arg(long, value_parser = whole(1..=65_000_u16))]
    port: u16,
    /// The first ports of all nodes of the RabbitMQ or Kafka, whose folders are beside each other.
    #[arg(long, value_delimiter = ',', value_name = "PORT", value_parser = whole(1..=u16::MAX))]
    together: Vec<u16>,
    /// The port of their port mapper.
    #[arg(long, value_name = "PORT", required_if_eq("name", "rabbitmq"), value_parser = whole(1..=u16::MAX))]
    mapper: Option<u16>,
    /// Whether RabbitMQ tells its numbers to Prometheus.
    #[arg(long)]
    numbers: bool,
    /// The gateways behind HAProxy.
    #[arg(
        long,
        value_delimiter = ',',
        value_name = "HOST:PORT",
        required_if_eq("name", "haproxy")
    )]
    gateways: Vec<String>,
    /// The files of the gateways' TLS, with which HAProxy encrypts too: the authority, the certificate, its key;
    /// this option three times.
    #[arg(long, value_name = "FILE")]
    tls: Vec<String>,
    /// Whom Prometheus asks.
    #[arg(long = "target", value_name = "JOB/NAME=HOST:PORT")]
    targets: Vec<Target>,
    /// The port of Alertmanager.
    #[arg(long, value_name = "PORT", required_if_eq("name", "prometheus"), value_parser = whole(1..=u16::MAX))]
    alertmanager: Option<u16>,
    /// The port of PostgreSQL.
    #[arg(long, value_name = "PORT", required_if_eq("name", "postgres-exporter"), value_parser = whole(1..=u16::MAX))]
    database: Option<u16>,
    #[command(flatten)]
    lifeline: Lifeline,
}

impl Engine {
    /// Runs until it is told to end. The server dies with this thread.
    pub fn execute(self) -> anyhow::Result<u8> {
        self.lifeline.watch()?;
        let instance = self.instance()?;
        let mut running = Running::start(&*instance)?;
        running.wait_until_ready()?;
        self.lifeline.running(instance.name());
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        runtime.context("a runtime")?.block_on(async {
            let mut asked = std::pin::pin!(real::asked_to_end());
            loop {
                tokio::select! {
                    biased;
                    asked = &mut asked => break asked.context("signals"),
                    () = sleep(LOOK) => {
                        if let Some(status) = running.ended()? {
                            bail!("{} ended with {status}", instance.name());
                        }
                    }
                }
            }
        })?;
        self.lifeline.asked_to_end();
        running.stop()?;
        Ok(0)
    }

    fn certificates(&self) -> anyhow::Result<Option<Certificates>> {
        match &self.tls[..] {
            [] => Ok(None),
            _ if self.name != EngineName::Haproxy => bail!("--tls is for haproxy alone"),
            [authority, certificate, key] => {
                let [authority, certificate, key] = [authority, certificate, key].map(Clone::clone);
                Ok(Some(Certificates { authority, certificate, key }))
            }
            files => bail!("--tls: expected three files, found {}", files.len()),
        }
    }

    fn instance(&self) -> anyhow::Result<Box<dyn Instance>> {
        let (port, certificates) = (self.port, self.certificates()?);
        match self.name {
            EngineName::Postgres => Ok(Box::new(Postgres::prepare(&self.data, port, &[])?)),
            EngineName::Cassandra => {
                let ports = cassandra::Ports { clients: port, storage: port + 1 };
                let jars = Jars::find(CASSANDRA)?;
                Ok(Box::new(Cassandra::prepare(&self.data, &jars, ports)?))
            }
            EngineName::Kafka => {
                let ports = kafka::Ports { plain: port, encrypted: None, controller: port + 1 };
                let controllers: Vec<u16> = self.together.iter().map(|port| port + 1).collect();
                let jars = Jars::find(KAFKA)?;
                Ok(Box::new(Kafka::prepare(&self.data, &jars, ports, &controllers)?))
            }
            EngineName::Haproxy => {
                let prepared =
                    HaProxy::prepare(&self.data, port, &self.gateways, certificates.as_ref());
                Ok(Box::new(prepared?))
            }
            EngineName::Prometheus => {
                let alertmanager = self.alertmanager.context("--alertmanager is missing")?;
                let prepared = Prometheus::prepare(&self.data, port, &self.targets, alertmanager);
                Ok(Box::new(prepared?))
            }
            EngineName::Alertmanager => Ok(Box::new(Alertmanager::prepare(&self.data, port)?)),
            EngineName::PostgresExporter => {
                let database = self.database.context("--database is missing")?;
                Ok(Box::new(PostgresExporter::prepare(&self.data, port, database)?))
            }
            EngineName::PortMapper => Ok(Box::new(Mapper::prepare(&self.data, port)?)),
            EngineName::Rabbitmq => {
                let (management, distribution) = (port + 1, port + 2);
                let numbers = self.numbers.then_some(port + 3);
                let ports =
                    Ports { amqp: port, encrypted: None, management, distribution, numbers };
                let together = Together {
                    mapper: self.mapper.context("--mapper is missing")?,
                    secret: self.data.with_file_name("erlang-secret"),
                    amqp: self.together.clone(),
                    statistics: STATISTICS,
                };
                Ok(Box::new(RabbitMq::prepare(&self.data, ports, &together)?))
            }
        }
    }
}
