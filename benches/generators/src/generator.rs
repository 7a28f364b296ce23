//! The generators, and how each is started.

use crate::run::Load;
use anyhow::Context;
use clap::ValueEnum;
use serde::Deserialize;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// Where the scripts of the others are.
const SCRIPTS: &str = env!("CARGO_MANIFEST_DIR");

/// One that generates load.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Generator {
    Fracas,
    Goose,
    Locust,
}

/// What a generator says at its end, in its last line that begins with a brace.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
pub struct Counts {
    /// Messages that were accepted.
    pub accepted: u64,
    /// Messages of others that were received.
    pub delivered: u64,
}

impl Generator {
    /// Its name and how its users work.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Fracas => "fracas load (open loop, every message judged)",
            Self::Goose => "goose (closed loop, a task for each user)",
            Self::Locust => "locust (closed loop, a greenlet for each user)",
        }
    }

    /// How to install it, if it is not.
    pub fn missing(self) -> Option<&'static str> {
        let (program, remedy) = match self {
            Self::Fracas | Self::Goose => return None,
            Self::Locust => ("locust", "not installed: pip install locust websocket-client"),
        };
        let mut ask = Command::new(program);
        ask.arg("--version").stdout(Stdio::null()).stderr(Stdio::null());
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
        };
        Ok(command)
    }

    /// What it said.
    pub fn counts(self, output: &str) -> anyhow::Result<Counts> {
        if self == Self::Fracas {
            #[derive(Deserialize)]
            struct Report {
                measured: Measured,
            }
            #[derive(Deserialize)]
            struct Measured {
                totals: Counts,
            }
            let report: Report = serde_json::from_str(output).context("the report of fracas")?;
            return Ok(report.measured.totals);
        }
        let line =
            output.lines().rfind(|line| line.starts_with('{')).context("it counted nothing")?;
        serde_json::from_str(line).with_context(|| format!("it said {line:?}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_they_counted_is_read() {
        let counts = Counts { accepted: 7, delivered: 6 };
        let report = r#"{"measured": {"totals": {"accepted": 7, "delivered": 6, "events": 99}}}"#;
        assert_eq!(Generator::Fracas.counts(report).unwrap(), counts);
        let said = "starting\n{\"accepted\": 7, \"delivered\": 6}\nbye\n";
        assert_eq!(Generator::Locust.counts(said).unwrap(), counts);
        assert!(Generator::Goose.counts("nothing").is_err());
    }
}
