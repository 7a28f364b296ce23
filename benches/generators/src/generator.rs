//! The generators, and how each is started.

use crate::run::Load;
use anyhow::Context;
use clap::ValueEnum;
use serde::Deserialize;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// Where the scripts of the others are.
const SCRIPTS: &str = env!("CARGO_MANIFEST_DIR");

/// Where artillery leaves its report.
const REPORT: &str = "artillery.json";
/// Artillery tells its makers of each run, unless this is set.
const QUIET: &str = "ARTILLERY_DISABLE_TELEMETRY";

/// One that generates load.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Generator {
    Fracas,
    Goose,
    Locust,
    Tsung,
    Artillery,
}

/// What was counted in a run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
pub struct Counts {
    /// Messages that were accepted.
    pub accepted: u64,
    /// Messages of others that were received, if that was counted.
    #[serde(default)]
    pub delivered: u64,
}

impl Generator {
    /// All of them, in the order of the table.
    pub const ALL: [Self; 5] =
        [Self::Fracas, Self::Goose, Self::Locust, Self::Tsung, Self::Artillery];

    /// Its name and how its users work.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Fracas => "fracas load (open loop, every message judged)",
            Self::Goose => "goose (closed loop, a task for each user)",
            Self::Locust => "locust (closed loop, a greenlet for each user)",
            Self::Tsung => "tsung (closed loop, a process of Erlang for each user)",
            Self::Artillery => "artillery (closed loop, callbacks of one thread)",
        }
    }

    /// How to install it, if it is not.
    pub fn missing(self) -> Option<&'static str> {
        let (program, version, remedy) = match self {
            Self::Fracas | Self::Goose => return None,
            Self::Locust => {
                ("locust", "--version", "not installed: pip install locust websocket-client")
            }
            Self::Tsung => ("tsung", "-v", "not installed: apt-get install tsung"),
            Self::Artillery => {
                ("artillery", "--version", "not installed: npm install --global artillery")
            }
        };
        let mut ask = Command::new(program);
        ask.arg(version).env(QUIET, "true").stdout(Stdio::null()).stderr(Stdio::null());
        (!ask.status().is_ok_and(|status| status.success())).then_some(remedy)
    }

    /// Whether it signs in by itself. The others are given tokens.
    pub fn signs_in(self) -> bool {
        self == Self::Fracas
    }

    /// The command that drives a load against a gateway. Its scratch files go to a folder.
    pub fn command(
        self,
        fracas: &Path,
        gateway: &str,
        load: &Load,
        folder: &Path,
    ) -> anyhow::Result<Command> {
        let script = |name: &str| PathBuf::from(SCRIPTS).join(name);
        let command = match self {
            Self::Fracas => {
                let scenario = folder.join("pairs.toml");
                std::fs::write(&scenario, load.scenario()).context("writing the scenario")?;
                let mut command = Command::new(fracas);
                command.arg("load").arg(scenario).args(["--quiet", "--json"]);
                command.arg(format!("--target={gateway}"));
                command
            }
            Self::Goose => {
                let mut command = Command::new(std::env::current_exe()?);
                command.arg("goose");
                command
            }
            Self::Locust => {
                let mut command = Command::new("locust");
                command.args(["--headless", "--only-summary", "--locustfile"]);
                command.arg(script("locust.py"));
                command.arg(format!("--users={}", load.users));
                command.arg(format!("--spawn-rate={}", load.arrive_per_second()));
                command.arg(format!("--run-time={}s", load.lasts_with_arrivals().as_secs()));
                command
            }
            Self::Tsung => {
                let mut command = Command::new("sh");
                command.arg(script("tsung.sh"));
                command
            }
            Self::Artillery => {
                let mut command = Command::new("artillery");
                command.env(QUIET, "true").arg("run").arg("--quiet");
                command.arg(format!("--target=ws://{gateway}/v1/ws"));
                command.arg(format!("--overrides={}", load.arrivals()));
                // One worker, which deals the people out. Otherwise there are as many as processors but one.
                command.args(["--platform-opt=mode=multiply", "--platform-opt=count=1"]);
                command.arg(format!("--output={}", folder.join(REPORT).display()));
                command.arg(script("artillery.yml"));
                command
            }
        };
        Ok(command)
    }

    /// What it counted, by its output or by what it left in its folder; `None` if it cannot tell which
    /// messages were accepted, so that the cluster has to be asked.
    pub fn counts(self, output: &str, folder: &Path) -> anyhow::Result<Option<Counts>> {
        let counts = match self {
            Self::Fracas => of_fracas(output)?,
            Self::Goose | Self::Locust => last_line(output)?,
            Self::Artillery => {
                let report = std::fs::read_to_string(folder.join(REPORT));
                of_artillery(&report.context("reading the report of artillery")?)?
            }
            Self::Tsung => return Ok(None),
        };
        Ok(Some(counts))
    }
}

/// In the report of `fracas load`.
fn of_fracas(report: &str) -> anyhow::Result<Counts> {
    #[derive(Deserialize)]
    struct Report {
        measured: Measured,
    }
    #[derive(Deserialize)]
    struct Measured {
        totals: Counts,
    }
    let report: Report = serde_json::from_str(report).context("the report of fracas")?;
    Ok(report.measured.totals)
}

/// In the report of artillery: its own counters, and ours.
fn of_artillery(report: &str) -> anyhow::Result<Counts> {
    #[derive(Deserialize)]
    struct Report {
        aggregate: Aggregate,
    }
    #[derive(Deserialize)]
    struct Aggregate {
        counters: Counts,
    }
    let report: Report = serde_json::from_str(report).context("the report of artillery")?;
    Ok(report.aggregate.counters)
}

/// In the last line that begins with a brace.
fn last_line(output: &str) -> anyhow::Result<Counts> {
    let line = output.lines().rfind(|line| line.starts_with('{')).context("it counted nothing")?;
    serde_json::from_str(line).with_context(|| format!("it said {line:?}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_they_counted_is_read() {
        let counts = Counts { accepted: 7, delivered: 6 };
        let nowhere = Path::new("/nonexistent");
        let report = r#"{"measured": {"totals": {"accepted": 7, "delivered": 6, "events": 99}}}"#;
        assert_eq!(Generator::Fracas.counts(report, nowhere).unwrap(), Some(counts));
        let said = "starting\n{\"accepted\": 7, \"delivered\": 6}\nbye\n";
        assert_eq!(Generator::Locust.counts(said, nowhere).unwrap(), Some(counts));
        assert!(Generator::Goose.counts("nothing", nowhere).is_err());
        assert_eq!(Generator::Tsung.counts("Starting Tsung\n", nowhere).unwrap(), None);
        assert!(Generator::Artillery.counts(said, nowhere).is_err(), "it left no report");
    }

    #[test]
    fn artillery_counts_in_its_report() {
        let counts = Counts { accepted: 7, delivered: 6 };
        let report = r#"{"aggregate": {"counters": {"vusers.created": 4, "accepted": 7, "delivered": 6,
            "websocket.messages_sent": 8}, "rates": {}}, "intermediate": []}"#;
        assert_eq!(of_artillery(report).unwrap(), counts);
        let none = r#"{"aggregate": {"counters": {"vusers.created": 4}}}"#;
        assert!(of_artillery(none).is_err(), "nothing was accepted");
    }
}
