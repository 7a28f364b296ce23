//! A cluster that stands on engines outside of it.

use campaign::InvalidUsage;
use clap::Args;
use engines::kafka::Jars;
use loadgen::Engines;
use protocol::StoreEngine;
use scenarios::Scenario;
use std::fmt;
use std::mem;
use std::str::FromStr;

/// Most nodes of a broker: more of them do not make it safer.
const NODES_MAX: u16 = 5;

/// Which engines are started with the cluster.
#[derive(Debug, Default, Args)]
pub struct EngineArguments {
    /// Start the cluster on these engines instead of its own: private servers on this machine, installed if
    /// they are missing and this user may. `rabbitmq` or `kafka` (`rabbitmq:3`, `kafka:3` for three nodes),
    /// `postgres`. The jars of Kafka are where `cargo xtask engines kafka` has put them, or in the folder that
    /// FRACAS_KAFKA_JARS names.
    #[arg(long, value_delimiter = ',', value_name = "ENGINE", conflicts_with_all = ["target", "one_process"])]
    engines: Vec<Started>,
}

/// An engine, as it is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Started {
    RabbitMq { nodes: u16 },
    Kafka { nodes: u16 },
    Postgres,
}

impl FromStr for Started {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text == "postgres" {
            return Ok(Self::Postgres);
        }
        let (name, nodes) = text.split_once(':').unwrap_or((text, "1"));
        let of_nodes: fn(u16) -> Self = match name {
            "rabbitmq" => |nodes| Self::RabbitMq { nodes },
            "kafka" => |nodes| Self::Kafka { nodes },
            _ => {
                let expected =
                    "expected rabbitmq or kafka (rabbitmq:3, kafka:3: three nodes), or postgres";
                return Err(expected.to_owned());
            }
        };
        let nodes = nodes.parse().ok().filter(|nodes| (1..=NODES_MAX).contains(nodes));
        nodes.map(of_nodes).ok_or_else(|| format!("expected 1 to {NODES_MAX} nodes"))
    }
}

impl fmt::Display for Started {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::RabbitMq { nodes: 1 } => f.write_str("rabbitmq"),
            Self::RabbitMq { nodes } => write!(f, "rabbitmq:{nodes}"),
            Self::Kafka { nodes: 1 } => f.write_str("kafka"),
            Self::Kafka { nodes } => write!(f, "kafka:{nodes}"),
            Self::Postgres => f.write_str("postgres"),
        }
    }
}

impl EngineArguments {
    /// What they come to.
    pub fn chosen(&self) -> Engines {
        let mut engines = Engines::NONE;
        for started in &self.engines {
            match started {
                Started::RabbitMq { nodes } => engines.rabbitmq = *nodes,
                Started::Kafka { nodes } => engines.kafka = *nodes,
                Started::Postgres => engines.postgres = true,
            }
        }
        engines
    }

    /// As they are written.
    pub fn words(&self) -> Option<String> {
        let words: Vec<String> = self.engines.iter().map(Started::to_string).collect();
        (!words.is_empty()).then(|| words.join(","))
    }

    /// Each engine is there once, and one broker; Kafka can be had; and a cluster that is started has none that its stores could share, but for
    /// PostgreSQL.
    pub fn check(&self, scenario: &Scenario) -> Result<(), InvalidUsage> {
        let kinds: Vec<_> = self.engines.iter().map(mem::discriminant).collect();
        if (1..kinds.len()).any(|later| kinds[..later].contains(&kinds[later])) {
            return Err(InvalidUsage("--engines: each engine once".to_owned()));
        }
        let chosen = self.chosen();
        if chosen.rabbitmq > 0 && chosen.kafka > 0 {
            let why = "--engines: rabbitmq and kafka are both the broker: name one of them";
            return Err(InvalidUsage(why.to_owned()));
        }
        if chosen.kafka > 0 {
            can_have_kafka()?;
        }
        if scenario.cluster.engine != StoreEngine::Shared || chosen.postgres {
            return Ok(());
        }
        let why = "cluster.engine = \"shared\" is for simulated runs: --engines postgres, or --set \
                   cluster.engine=redb";
        Err(InvalidUsage(why.to_owned()))
    }
}

/// Before anything is started: the nodes can talk to it, and it can be started.
fn can_have_kafka() -> Result<(), InvalidUsage> {
    if !cfg!(feature = "kafka") {
        let why = "--engines kafka: this program was built without Kafka: \
                   cargo build --release --features kafka";
        return Err(InvalidUsage(why.to_owned()));
    }
    Jars::find().map(drop).map_err(|error| InvalidUsage(format!("--engines kafka: {error:#}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_engine_is_read_as_it_is_written() {
        for text in ["rabbitmq", "rabbitmq:3", "kafka", "kafka:5", "postgres"] {
            assert_eq!(text.parse::<Started>().map(|it| it.to_string()).as_deref(), Ok(text));
        }
        for text in
            ["kafka:6", "rabitmq", "rabbitmq:0", "rabbitmq:6", "rabbitmq:three", "postgres:2", ""]
        {
            assert!(text.parse::<Started>().is_err(), "{text}");
        }
    }
}
