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
/// Queues that are on one node alone.
const CLASSIC: &str = "classic";
/// Messages that are confirmed when one node has them.
const LEADER: &str = "acks=leader";
/// Commits that are told before they are durable.
const ASYNCHRONOUS: &str = "synchronous_commit=off";

/// Which engines are started with the cluster.
#[derive(Debug, Default, Args)]
pub struct EngineArguments {
    /// Start the cluster on these engines instead of its own: private servers on this machine, installed if
    /// they are missing and this user may. `rabbitmq` or `kafka` (`rabbitmq:3`, `kafka:3` for three nodes),
    /// `postgres`. The jars of Kafka are where `cargo xtask engines kafka` has put them, or in the folder that
    /// FRACAS_KAFKA_JARS names. With a bad choice, to see what it costs: `rabbitmq:3+classic` (queues without
    /// copies), `kafka:3+acks=leader`, `postgres+synchronous_commit=off`.
    #[arg(long, value_delimiter = ',', value_name = "ENGINE", conflicts_with_all = ["target", "one_process"])]
    engines: Vec<Started>,
}

/// An engine, as it is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Started {
    RabbitMq { nodes: u16, quorum_queues: bool },
    Kafka { nodes: u16, all_acks: bool },
    Postgres { synchronous_commit: bool },
}

impl FromStr for Started {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (engine, choice) =
            text.split_once('+').map_or((text, None), |(engine, choice)| (engine, Some(choice)));
        // Whether the choice is the sound one.
        let unless = |bad: &str| match choice {
            None => Ok(true),
            Some(choice) if choice == bad => Ok(false),
            Some(choice) => Err(format!("unknown choice {choice:?}: expected {engine}+{bad}")),
        };
        let (name, nodes) = engine.split_once(':').unwrap_or((engine, "1"));
        let nodes = || {
            let nodes = nodes.parse().ok().filter(|nodes| (1..=NODES_MAX).contains(nodes));
            nodes.ok_or_else(|| format!("expected 1 to {NODES_MAX} nodes"))
        };
        match name {
            "postgres" if engine == name => {
                Ok(Self::Postgres { synchronous_commit: unless(ASYNCHRONOUS)? })
            }
            "rabbitmq" => Ok(Self::RabbitMq { nodes: nodes()?, quorum_queues: unless(CLASSIC)? }),
            "kafka" => Ok(Self::Kafka { nodes: nodes()?, all_acks: unless(LEADER)? }),
            _ => Err("expected rabbitmq or kafka (rabbitmq:3, kafka:3: three nodes), or postgres"
                .to_owned()),
        }
    }
}

impl fmt::Display for Started {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (name, nodes, bad) = match *self {
            Self::RabbitMq { nodes, quorum_queues } => {
                ("rabbitmq", nodes, (!quorum_queues).then_some(CLASSIC))
            }
            Self::Kafka { nodes, all_acks } => ("kafka", nodes, (!all_acks).then_some(LEADER)),
            Self::Postgres { synchronous_commit } => {
                ("postgres", 1, (!synchronous_commit).then_some(ASYNCHRONOUS))
            }
        };
        f.write_str(name)?;
        if nodes != 1 {
            write!(f, ":{nodes}")?;
        }
        bad.map_or(Ok(()), |bad| write!(f, "+{bad}"))
    }
}

impl EngineArguments {
    /// What they come to.
    pub fn chosen(&self) -> Engines {
        let mut engines = Engines::NONE;
        for started in &self.engines {
            match *started {
                Started::RabbitMq { nodes, quorum_queues } => {
                    (engines.rabbitmq, engines.quorum_queues) = (nodes, quorum_queues);
                }
                Started::Kafka { nodes, all_acks } => {
                    (engines.kafka, engines.all_acks) = (nodes, all_acks);
                }
                Started::Postgres { synchronous_commit } => {
                    (engines.postgres, engines.synchronous_commit) = (true, synchronous_commit);
                }
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
        for text in [
            "rabbitmq",
            "rabbitmq:3",
            "kafka",
            "kafka:5",
            "postgres",
            "rabbitmq:3+classic",
            "kafka:3+acks=leader",
            "postgres+synchronous_commit=off",
        ] {
            assert_eq!(text.parse::<Started>().map(|it| it.to_string()).as_deref(), Ok(text));
        }
        for text in
            ["kafka:6", "rabitmq", "rabbitmq:0", "rabbitmq:6", "rabbitmq:three", "postgres:2", ""]
        {
            assert!(text.parse::<Started>().is_err(), "{text}");
        }
        let why = "postgres+fsync=off".parse::<Started>().unwrap_err();
        assert!(why.contains("expected postgres+synchronous_commit=off"), "{why}");
    }
}
