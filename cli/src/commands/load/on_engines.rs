//! A cluster that stands on engines outside of it.

use campaign::InvalidUsage;
use clap::Args;
use loadgen::Engines;
use protocol::StoreEngine;
use scenarios::Scenario;
use std::fmt;
use std::mem;
use std::str::FromStr;

/// Most nodes of RabbitMQ: more of them do not make it safer.
const NODES_MAX: u16 = 5;

/// Which engines are started with the cluster.
#[derive(Debug, Default, Args)]
pub struct EngineArguments {
    /// Start the cluster on these engines instead of its own: private servers on this machine, installed if
    /// they are missing and this user may. `rabbitmq` (`rabbitmq:3` for three nodes), `postgres`.
    #[arg(long, value_delimiter = ',', value_name = "ENGINE", conflicts_with_all = ["target", "one_process"])]
    engines: Vec<Started>,
}

/// An engine, as it is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Started {
    RabbitMq { nodes: u16 },
    Postgres,
}

impl FromStr for Started {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "postgres" => return Ok(Self::Postgres),
            "kafka" => {
                let why = "Kafka is not started by load: run a cluster on it, and --target it";
                return Err(why.to_owned());
            }
            _ => {}
        }
        let (name, nodes) = text.split_once(':').unwrap_or((text, "1"));
        if name != "rabbitmq" {
            return Err("expected rabbitmq, rabbitmq:3 (three nodes) or postgres".to_owned());
        }
        let nodes = nodes.parse().ok().filter(|nodes| (1..=NODES_MAX).contains(nodes));
        let nodes = nodes.ok_or_else(|| format!("expected 1 to {NODES_MAX} nodes"))?;
        Ok(Self::RabbitMq { nodes })
    }
}

impl fmt::Display for Started {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::RabbitMq { nodes: 1 } => f.write_str("rabbitmq"),
            Self::RabbitMq { nodes } => write!(f, "rabbitmq:{nodes}"),
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

    /// Each engine is there once, and a cluster that is started has none that its stores could share, but for
    /// PostgreSQL.
    pub fn check(&self, scenario: &Scenario) -> Result<(), InvalidUsage> {
        let kinds: Vec<_> = self.engines.iter().map(mem::discriminant).collect();
        if (1..kinds.len()).any(|later| kinds[..later].contains(&kinds[later])) {
            return Err(InvalidUsage("--engines: each engine once".to_owned()));
        }
        if scenario.cluster.engine != StoreEngine::Shared || self.chosen().postgres {
            return Ok(());
        }
        let why = "cluster.engine = \"shared\" is for simulated runs: --engines postgres, or --set \
                   cluster.engine=redb";
        Err(InvalidUsage(why.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_engine_is_read_as_it_is_written() {
        for text in ["rabbitmq", "rabbitmq:3", "postgres"] {
            assert_eq!(text.parse::<Started>().map(|it| it.to_string()).as_deref(), Ok(text));
        }
        for text in
            ["kafka", "rabitmq", "rabbitmq:0", "rabbitmq:6", "rabbitmq:three", "postgres:2", ""]
        {
            assert!(text.parse::<Started>().is_err(), "{text}");
        }
    }
}
