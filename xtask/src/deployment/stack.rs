//! `cargo xtask stack`: `fracas stack` up, loaded through HAProxy, broken in three places, judged, looked at through its
//! own monitoring, down.

use super::breaking::{Break, wait};
use super::monitoring::Monitoring;
use super::{Deployment, check};
use crate::repository::root;
use crate::{asserting, say};
use anyhow::{Context, bail, ensure};
use engines::free_ports;
use serde_json::Value;
use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::time::Duration;

/// How long a part may take until it is well.
const WELL: Duration = Duration::from_mins(2);
/// A machine that is too busy to tell is asked so often.
const TRIES: u32 = 3;
/// Ports that a stack takes at most.
const PORTS: u16 = 40;
/// The status of a run that is unknown.
const UNKNOWN: i32 = 2;

/// Runs it. An outer error says that it cannot be run here, or that nothing could be judged; an inner one what was wrong
/// with it.
///
/// # Errors
/// As said.
pub fn run() -> anyhow::Result<anyhow::Result<()>> {
    engines::rabbitmq::installed()?;
    engines::postgres::installed()?;
    engines::haproxy::installed()?;
    engines::monitoring::install()?;
    let folder = root().join("target/stack");
    for _ in 0..TRIES {
        if folder.exists() {
            std::fs::remove_dir_all(&folder).context("an earlier stack")?;
        }
        std::fs::create_dir_all(&folder).context("its folder")?;
        let checked = Stack::start(&folder).and_then(|mut stack| {
            let status = check(&mut stack);
            // Whatever became of it.
            let down = stack.down();
            status.and_then(|status| down.map(|()| status))
        });
        match checked {
            Ok(0) => return Ok(Ok(())),
            Ok(UNKNOWN) => say("unknown: once more"),
            Ok(status) => return Ok(Err(anyhow::anyhow!("fracas load ended with {status}"))),
            Err(error) => return Ok(Err(error)),
        }
    }
    bail!("the verdict was unknown {TRIES} times: this machine is too busy to tell")
}

/// The first of as many free ports in a row as a stack takes, and some.
fn first_port() -> anyhow::Result<u16> {
    let ports: [u16; 80] = free_ports()?;
    let mut rows = ports.windows(usize::from(PORTS));
    let in_a_row = |row: &&[u16]| row[row.len() - 1] - row[0] == PORTS - 1;
    rows.find(in_a_row).map(|row| row[0]).context("there are no free ports in a row")
}

/// A stack that runs.
struct Stack {
    process: Child,
    folder: PathBuf,
    told: Value,
    load: Option<Child>,
}

impl Stack {
    fn start(folder: &Path) -> anyhow::Result<Self> {
        let port = first_port()?;
        let words = File::create(folder.join("stack.log")).context("its log")?;
        let mut process = asserting::fracas()?
            .args(["stack", "--json", "--ends-with-stdin", "--port", &port.to_string(), "--data"])
            .arg(folder.join("data"))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(words)
            .spawn()
            .context("starting fracas stack")?;
        let output = process.stdout.take().context("its output")?;
        let mut line = String::new();
        BufReader::new(output).read_line(&mut line)?;
        let words = || std::fs::read_to_string(folder.join("stack.log")).unwrap_or_default();
        ensure!(!line.is_empty(), "fracas stack has not started:\n{}", words());
        let told: Value = serde_json::from_str(&line).with_context(|| line.clone())?;
        say(&format!("up; users at {}", told["users"][0]));
        Ok(Self { process, folder: folder.to_owned(), told, load: None })
    }

    /// Lets it drain and end; what was left of it is an error.
    fn down(mut self) -> anyhow::Result<()> {
        if let Some(mut load) = self.load.take() {
            // It has ended, unless something was wrong.
            let _ = load.kill();
            load.wait().context("the end of the load")?;
        }
        let id = self.process.id().to_string();
        let asked = std::process::Command::new("kill").args(["-TERM", &id]).status();
        ensure!(asked.context("running kill")?.success(), "fracas stack does not take signals");
        // To wait is to close its standard input, which would end it at once.
        let _lifeline = self.process.stdin.take();
        let status = self.process.wait().context("the end of fracas stack")?;
        ensure!(
            status.success(),
            "fracas stack ended with {status}: see {}",
            self.folder.display()
        );
        let found = std::process::Command::new("pgrep")
            .args(["-f", "-a", &self.folder.join("data").display().to_string()])
            .output()
            .context("running pgrep")?;
        let left = String::from_utf8_lossy(&found.stdout);
        ensure!(left.trim().is_empty(), "this is left of the stack:\n{left}");
        Ok(())
    }

    fn at(&self, key: &str) -> anyhow::Result<&str> {
        self.told[key].as_str().with_context(|| format!("no {key} in {}", self.told))
    }

    /// What `fracas stack ps` says of a part.
    fn state(&self, part: &str) -> anyhow::Result<String> {
        let mut ps = asserting::fracas()?;
        let output = ps.args(["stack", "ps", "--data"]).arg(self.folder.join("data")).output();
        let output = output.context("running fracas stack ps")?;
        let lines = String::from_utf8_lossy(&output.stdout).into_owned();
        let line = lines.lines().find(|line| line.split_whitespace().next() == Some(part));
        Ok(line.unwrap_or("it is not there").to_owned())
    }
}

impl Deployment for Stack {
    fn breaks(&self) -> [Break; 3] {
        [
            // It drains: its clients go to the other one.
            ("stop", "gateway-1", "NodeDown"),
            // What follows is like a power failure of its machine.
            ("kill", "broker-2", "RabbitMqNodeDown"),
            ("kill", "database-1", "PostgresDown"),
        ]
    }

    fn act(&self, what: &str, part: &str) -> anyhow::Result<()> {
        let mut order = asserting::fracas()?;
        order.args(["stack", what, part, "--data"]).arg(self.folder.join("data"));
        let output = order.output().context("running fracas stack")?;
        let words = String::from_utf8_lossy(&output.stderr);
        ensure!(output.status.success(), "fracas stack {what} {part}: {words}");
        Ok(())
    }

    fn wait_until_well(&self, part: &str) -> anyhow::Result<()> {
        let mut state = String::new();
        wait(WELL, &format!("{part} runs"), || {
            state = self.state(part)?;
            Ok(state.contains(" running "))
        })
        .with_context(|| state.clone())
    }

    fn start_load(&mut self) -> anyhow::Result<()> {
        let words = File::create(self.folder.join("load.log")).context("its log")?;
        let mut load = asserting::fracas()?;
        load.args([
            "load",
            "deployed",
            "--without-faults",
            "--target",
            self.told["users"][0].as_str().unwrap_or_default(),
        ]);
        load.args(["--config", self.at("config")?, "--metrics", self.at("load")?, "--out"]);
        load.arg(self.folder.join("run"));
        for at in self.told["numbers"].as_array().context("numbers")? {
            load.args(["--target-metrics", at.as_str().unwrap_or_default()]);
        }
        let output = words.try_clone().context("its log")?;
        self.load = Some(load.stdout(output).stderr(words).spawn().context("starting a load")?);
        Ok(())
    }

    fn load_status(&mut self) -> anyhow::Result<Option<i32>> {
        let load = self.load.as_mut().context("there is a load")?;
        let ended = load.try_wait().context("the status of the load")?;
        Ok(ended.map(|status| status.code().unwrap_or(-1)))
    }

    fn words_of_load(&self, lines: usize) -> String {
        let words = std::fs::read_to_string(self.folder.join("load.log")).unwrap_or_default();
        let words: Vec<&str> = words.lines().collect();
        words[words.len().saturating_sub(lines)..].join("\n")
    }

    fn prometheus(&self) -> Monitoring {
        let port =
            self.told["prometheus"].as_str().and_then(|at| at.rsplit_once(':')?.1.parse().ok());
        Monitoring { port: port.unwrap_or_default() }
    }
}
