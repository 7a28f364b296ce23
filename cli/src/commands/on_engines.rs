//! A cluster that stands on engines outside of it.

use campaign::InvalidUsage;
use clap::Args;
use engines::jars::{CASSANDRA, Jars, KAFKA, Product};
use loadgen::Engines;
use protocol::{StoreEngine, nearest};
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
#[derive(Clone, Debug, Default, Args)]
pub struct EngineArguments {
    /// Start the cluster on these engines instead of its own: private servers on this machine, installed if
    /// they are missing and this user may. `rabbitmq` or `kafka` (`rabbitmq:3`, `kafka:3` for three nodes) as the
    /// broker; `postgres` or `cassandra` under the stores; `haproxy` in front of the gateways. The jars of Kafka and Cassandra are where
    /// `cargo xtask engines kafka` (`cassandra`) has put them, or in the folder that FRACAS_KAFKA_JARS
    /// (FRACAS_CASSANDRA_JARS) names. With a bad choice, to see what it costs: `rabbitmq:3+classic` (queues without
    /// copies), `kafka:3+acks=leader`, `postgres+synchronous_commit=off`.
    #[arg(long, value_delimiter = ',', value_name = "ENGINE")]
    engines: Vec<Started>,
}

/// An engine, as it is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Started {
    RabbitMq { nodes: u16, quorum_queues: bool },
    Kafka { nodes: u16, all_acks: bool },
    Postgres { synchronous_commit: bool },
    Cassandra,
    HaProxy,
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
            "postgres" | "cassandra" | "haproxy" if engine != name => {
                Err(format!("{name} has one node here: expected {name}"))
            }
            "postgres" => Ok(Self::Postgres { synchronous_commit: unless(ASYNCHRONOUS)? }),
            "cassandra" | "haproxy" => match choice {
                None if name == "haproxy" => Ok(Self::HaProxy),
                None => Ok(Self::Cassandra),
                Some(choice) => Err(format!("unknown choice {choice:?}: expected {name} alone")),
            },
            "rabbitmq" => Ok(Self::RabbitMq { nodes: nodes()?, quorum_queues: unless(CLASSIC)? }),
            "kafka" => Ok(Self::Kafka { nodes: nodes()?, all_acks: unless(LEADER)? }),
            _ => {
                let meant =
                    nearest(name, ["rabbitmq", "kafka", "postgres", "cassandra", "haproxy"]);
                let meant = meant.map_or_else(String::new, |it| format!("; did you mean {it}?"));
                Err(format!(
                    "expected rabbitmq or kafka (rabbitmq:3, kafka:3: three nodes), postgres or cassandra, \
                     haproxy{meant}"
                ))
            }
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
            Self::Cassandra => ("cassandra", 1, None),
            Self::HaProxy => ("haproxy", 1, None),
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
                Started::Cassandra => engines.cassandra = true,
                Started::HaProxy => engines.haproxy = true,
            }
        }
        engines
    }

    /// Those, unless some are asked for.
    pub fn or(&self, words: &str) -> Self {
        let read = |word| Started::from_str(word).expect("what we ask for is known");
        let ours = || Self { engines: words.split(',').map(read).collect() };
        if self.engines.is_empty() { ours() } else { self.clone() }
    }

    /// As they are written.
    pub fn words(&self) -> Option<String> {
        let words: Vec<String> = self.engines.iter().map(Started::to_string).collect();
        (!words.is_empty()).then(|| words.join(","))
    }

    /// Each engine is there once, one broker and one database; what is made of jars can be had; and what the stores
    /// of a cluster that is started share is one of these databases.
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
        if chosen.postgres && chosen.cassandra {
            let why = "--engines: postgres and cassandra both keep the rows of the stores: name one of them";
            return Err(InvalidUsage(why.to_owned()));
        }
        if chosen.kafka > 0 {
            can_have(KAFKA, cfg!(feature = "kafka"))?;
        }
        if chosen.cassandra {
            can_have(CASSANDRA, cfg!(feature = "cassandra"))?;
        }
        if scenario.cluster.engine != StoreEngine::Shared || chosen.postgres || chosen.cassandra {
            return Ok(());
        }
        let why = "cluster.engine = \"shared\" is for simulated runs: --engines postgres, --engines cassandra, \
                   or --set cluster.engine=redb";
        Err(InvalidUsage(why.to_owned()))
    }
}

/// Before anything is started: the nodes can talk to it, and it can be started.
fn can_have(product: Product, is_built_in: bool) -> Result<(), InvalidUsage> {
    let Product { name, word, .. } = product;
    if !is_built_in {
        let why = format!(
            "--engines {word}: this program was built without {name}: cargo build --release --features {word}"
        );
        return Err(InvalidUsage(why));
    }
    let found = Jars::find(product);
    found.map(drop).map_err(|error| InvalidUsage(format!("--engines {word}: {error:#}")))
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
            "cassandra",
            "haproxy",
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
        for (text, expected) in [
            ("postgres+fsync=off", "expected postgres+synchronous_commit=off"),
            ("cassandra+commitlog_sync=periodic", "expected cassandra alone"),
            ("cassandra:3", "expected cassandra"),
            ("casandra", "did you mean cassandra?"),
            ("haproxy:2", "expected haproxy"),
            ("haproxi", "did you mean haproxy?"),
        ] {
            let why = text.parse::<Started>().unwrap_err();
            assert!(why.contains(expected), "{text}: {why}");
        }
    }
}
