//! The containers while they are up, their ports on loopback, and their end.

use super::docker::{Docker, said};
use super::stand_ins::LEFT_OUT;
use crate::deployment::Deployment;
use crate::deployment::breaking::{Break, LOOK};
use crate::deployment::monitoring::Monitoring;
use crate::repository::root;
use anyhow::{Context, bail};
use engines::free_ports;
use std::process::Command;
use std::time::Duration;

/// How long everything may take until it is healthy.
const HEALTHY: Duration = Duration::from_mins(4);
/// A project of Compose with ports and volumes of its own.
pub struct Containers<'a> {
    docker: &'a Docker,
    project: String,
    /// The ports on loopback, by the variables that set them.
    ports: [(&'static str, u16); 6],
    /// What this machine allows a process at most.
    open_files: String,
}

impl<'a> Containers<'a> {
    /// One that is not up yet.
    ///
    /// # Errors
    /// There are no free ports.
    pub fn new(docker: &'a Docker) -> anyhow::Result<Self> {
        let [chat, haproxy, prometheus, alertmanager, rabbitmq, grafana] = free_ports()?;
        let ports = [
            ("CHAT_PORT", chat),
            ("HAPROXY_PORT", haproxy),
            ("PROMETHEUS_PORT", prometheus),
            ("ALERTMANAGER_PORT", alertmanager),
            ("RABBITMQ_PORT", rabbitmq),
            ("GRAFANA_PORT", grafana),
        ];
        let open_files = said(Command::new("sh").args(["-c", "ulimit -Hn"]))?;
        // Compose takes numbers alone.
        let open_files = if open_files == "unlimited" { "65536".to_owned() } else { open_files };
        let project = format!("fracas-check-{}", std::process::id());
        Ok(Self { docker, project, ports, open_files })
    }

    /// The port of loopback behind a variable.
    pub fn port(&self, variable: &str) -> u16 {
        let found = self.ports.iter().find(|(name, _)| *name == variable);
        found.expect("every variable has its port").1
    }

    /// Starts everything but what is left out, and waits until it is healthy.
    ///
    /// # Errors
    /// It does not get there: with the state of what is not healthy, and its last words.
    pub fn up(&self) -> anyhow::Result<()> {
        let services = said(self.compose().args(["config", "--services"]))?;
        let services: Vec<&str> = services
            .lines()
            // What only a profile starts is not listed by every version.
            .filter(|name| !["load", "gateway-3", "gateway-4"].contains(name))
            .filter(|name| !LEFT_OUT.contains(name))
            .collect();
        said(self.compose().args(["up", "--detach", "--no-build"]).args(&services))?;
        for service in services {
            self.wait_until_healthy(service)?;
        }
        Ok(())
    }

    /// Waits until a service says that it is well.
    ///
    /// # Errors
    /// It is not in time: with its last words.
    pub fn wait_until_healthy(&self, service: &str) -> anyhow::Result<()> {
        let mut state = String::new();
        for _ in 0..HEALTHY.as_secs() {
            state = self.state(service, "{{.State.Health.Status}}")?;
            if state == "healthy" {
                return Ok(());
            }
            std::thread::sleep(LOOK);
        }
        bail!("{service} is {state} after {HEALTHY:?}; it said:\n{}", self.last_words(service, 20))
    }

    /// What the engine knows of a container.
    ///
    /// # Errors
    /// There is none.
    pub fn state(&self, service: &str, format: &str) -> anyhow::Result<String> {
        self.docker.said(&["inspect", "--format", format, &self.container(service)])
    }

    /// Copies a file or a folder out of a container.
    ///
    /// # Errors
    /// It is not there.
    pub fn copy(&self, service: &str, from: &str, to: &str) -> anyhow::Result<()> {
        let from = format!("{}:{from}", self.container(service));
        self.docker.said(&["cp", &from, to]).map(drop)
    }

    /// The end of what a container has said.
    pub fn last_words(&self, service: &str, lines: usize) -> String {
        let tail = lines.to_string();
        let output =
            self.docker.command(&["logs", "--tail", &tail, &self.container(service)]).output();
        output.map_or_else(
            |error| error.to_string(),
            |output| String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned(),
        )
    }

    /// Takes everything down, with its data; what was left of it is an error.
    ///
    /// # Errors
    /// Something cannot be removed, or is still there.
    pub fn down(&self) -> anyhow::Result<()> {
        let down =
            ["--profile", "load", "--profile", "wide", "down", "--volumes", "--remove-orphans"];
        said(self.compose().args(down).args(["--timeout", "30"]))?;
        let label = format!("label=com.docker.compose.project={}", self.project);
        let left = [
            &["ps", "--all", "--quiet"][..],
            &["volume", "ls", "--quiet"],
            &["network", "ls", "--quiet"],
        ]
        .map(|list| self.docker.said(&[list, &["--filter", &label]].concat()));
        for left in left {
            let left = left.context("what was left")?;
            anyhow::ensure!(left.is_empty(), "this is left of the stack: {left}");
        }
        Ok(())
    }

    /// Both versions of Compose name a container after its project, its service and its number.
    fn container(&self, service: &str) -> String {
        let filter = |name: &str, value: &str| format!("label=com.docker.compose.{name}={value}");
        let (project, of) = (filter("project", &self.project), filter("service", service));
        let found =
            self.docker.said(&["ps", "--all", "--quiet", "--filter", &project, "--filter", &of]);
        // A container that is missing has no name: whoever asks is told that there is none.
        found.ok().and_then(|ids| ids.lines().next().map(str::to_owned)).unwrap_or_default()
    }

    fn compose(&self) -> Command {
        let mut compose = self.docker.compose();
        compose.args(["--project-name", &self.project]).current_dir(root());
        compose.env("OPEN_FILES", &self.open_files);
        compose.envs(self.ports.iter().map(|(name, port)| (name, port.to_string())));
        compose
    }
}

impl Deployment for Containers<'_> {
    fn breaks(&self) -> [Break; 3] {
        [
            // It drains: its clients go to the other one.
            ("stop", "gateway-1", "NodeDown"),
            // What follows is like a power failure of its machine.
            ("kill", "rabbitmq-2", "RabbitMqNodeDown"),
            ("kill", "postgres", "PostgresDown"),
        ]
    }

    fn act(&self, what: &str, part: &str) -> anyhow::Result<()> {
        self.docker.said(&[what, &self.container(part)]).map(drop)
    }

    fn wait_until_well(&self, part: &str) -> anyhow::Result<()> {
        self.wait_until_healthy(part)
    }

    fn start_load(&mut self) -> anyhow::Result<()> {
        let up = ["--profile", "load", "up", "--detach", "--no-build", "--no-deps", "load"];
        said(self.compose().args(up)).map(drop)
    }

    fn load_status(&mut self) -> anyhow::Result<Option<i32>> {
        let status =
            || self.state("load", "{{.State.ExitCode}}")?.parse().context("an exit status");
        match &*self.state("load", "{{.State.Status}}")? {
            "exited" => status().map(Some),
            "running" => Ok(None),
            state => bail!("the load is {state}"),
        }
    }

    fn words_of_load(&self, lines: usize) -> String {
        self.last_words("load", lines)
    }

    fn prometheus(&self) -> Monitoring {
        Monitoring { port: self.port("PROMETHEUS_PORT") }
    }
}
