//! The cluster as a child process.
//!
//! It is ended, killed and stopped by its own process id only. Whatever happens to this process, the
//! child is killed with it.

use crate::rest::Http;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use scenarios::scenario::Scenario;
use serde::Deserialize;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::time::Duration;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};
use tokio::time::{Instant, sleep, timeout};

/// How long a cluster may take until all its gateways are ready.
const READY: Duration = Duration::from_mins(1);
/// Between two looks.
const LOOK_AGAIN: Duration = Duration::from_millis(100);
/// How long it may take to drain.
const DRAIN: Duration = Duration::from_secs(20);
/// Where ports are looked for: below the range from which systems take ports of clients.
const PORTS: std::ops::Range<u16> = 20_000..30_000;

/// What went wrong with the child process.
#[derive(Debug, thiserror::Error)]
pub enum ClusterError {
    /// Its folder, its log or itself.
    #[error("cannot {what}")]
    Io {
        /// What was tried.
        what: String,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// No room for its nodes.
    #[error("no {0} free ports in a row")]
    NoPorts(u16),
    /// Its first line is no list of addresses.
    #[error("the cluster announced {line:?} (its log: {log})")]
    Announcement {
        /// What it said.
        line: String,
        /// Where to look.
        log: String,
    },
    /// It does not get ready.
    #[error("the cluster was not ready in {READY:?} (its log: {log})")]
    NotReady {
        /// Where to look.
        log: String,
    },
    /// It does not take signals.
    #[error("no signal to the cluster")]
    Signal(#[source] nix::Error),
}

fn io_error(what: impl Into<String>) -> impl FnOnce(io::Error) -> ClusterError {
    let what = what.into();
    move |source| ClusterError::Io { what, source }
}

/// The first line of a cluster.
#[derive(Deserialize)]
struct Announced {
    gateways: Vec<String>,
}

/// A cluster that runs.
pub struct Cluster {
    binary: PathBuf,
    arguments: Vec<String>,
    log: PathBuf,
    child: Child,
    gateways: Vec<String>,
}

/// The arguments that start the cluster of a scenario: the one place that knows them.
pub fn command_line(scenario: &Scenario, data: &Path, port: u16, push: &str) -> Vec<String> {
    let shape = scenario.cluster;
    let mut arguments: Vec<String> = [
        "cluster".to_owned(),
        "--json".to_owned(),
        format!("--data={}", data.display()),
        format!("--port={port}"),
        format!("--gateways={}", shape.gateways),
        format!("--stores={}", shape.stores),
        format!("--partitions={}", shape.partitions),
        format!("--users={}", scenario.users.count),
        format!("--push={push}"),
    ]
    .into();
    arguments.extend(design_words(scenario).into_iter().map(|word| format!("--design={word}")));
    arguments
}

/// The design choices that are not the sound default, as `choice=option`.
fn design_words(scenario: &Scenario) -> Vec<String> {
    let fields = |design: protocol::Design| match serde_json::to_value(design) {
        Ok(serde_json::Value::Object(fields)) => fields,
        _ => serde_json::Map::new(),
    };
    let sound = fields(protocol::Design::default());
    fields(scenario.design)
        .into_iter()
        .filter(|(choice, option)| sound.get(choice) != Some(option))
        .filter_map(|(choice, option)| Some(format!("{choice}={}", option.as_str()?)))
        .collect()
}

impl Cluster {
    /// Starts a cluster and waits until it is ready.
    pub async fn start(
        binary: &Path,
        scenario: &Scenario,
        data: &Path,
        push: &str,
        http: &Http,
    ) -> Result<Self, ClusterError> {
        std::fs::create_dir_all(data).map_err(io_error(format!("make {}", data.display())))?;
        // Three more than gateways and stores: broker, auth and push provider.
        let ports = scenario.cluster.gateways + scenario.cluster.stores + 3;
        let port = free_ports(ports).ok_or(ClusterError::NoPorts(ports))?;
        let arguments = command_line(scenario, data, port, push);
        let log = data.join("cluster.log");
        let (child, gateways) = spawn(binary, &arguments, &log).await?;
        let mut cluster = Self { binary: binary.to_owned(), arguments, log, child, gateways };
        cluster.ready(http).await?;
        Ok(cluster)
    }

    /// `host:port` of its gateways.
    pub fn gateways(&self) -> &[String] {
        &self.gateways
    }

    /// Waits until all gateways are ready.
    async fn ready(&mut self, http: &Http) -> Result<(), ClusterError> {
        let deadline = Instant::now() + READY;
        for gateway in self.gateways.clone() {
            while !http.is_ready(&gateway).await {
                if Instant::now() >= deadline || self.ended().is_some() {
                    return Err(ClusterError::NotReady { log: self.log.display().to_string() });
                }
                sleep(LOOK_AGAIN).await;
            }
        }
        Ok(())
    }

    /// Whether it has ended by itself.
    pub fn ended(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().ok().flatten()
    }

    /// Kills the process at once, as `kill -9` does, and waits until it is gone.
    pub async fn kill(&mut self) -> Result<(), ClusterError> {
        self.child.kill().await.map_err(io_error("kill the cluster"))
    }

    /// Starts it again on the same data and the same ports, and waits until it is ready.
    pub async fn restart(&mut self, http: &Http) -> Result<(), ClusterError> {
        (self.child, self.gateways) = spawn(&self.binary, &self.arguments, &self.log).await?;
        self.ready(http).await
    }

    /// Stops the process for a while; how often it was seen stopped in that time.
    pub async fn pause(&mut self, lasts: Duration) -> Result<u64, ClusterError> {
        let pid = self.pid()?;
        kill(pid, Signal::SIGSTOP).map_err(ClusterError::Signal)?;
        let end = Instant::now() + lasts;
        let mut stopped = 0;
        while Instant::now() < end {
            sleep(LOOK_AGAIN.min(end - Instant::now())).await;
            stopped += u64::from(is_stopped(pid));
        }
        kill(pid, Signal::SIGCONT).map_err(ClusterError::Signal)?;
        Ok(stopped)
    }

    /// Lets it drain and end; kills it if it takes too long. Whether it ended well.
    pub async fn end(mut self) -> Result<bool, ClusterError> {
        kill(self.pid()?, Signal::SIGTERM).map_err(ClusterError::Signal)?;
        if let Ok(status) = timeout(DRAIN, self.child.wait()).await {
            return Ok(status.map_err(io_error("wait for the cluster"))?.success());
        }
        self.kill().await?;
        Ok(false)
    }

    fn pid(&self) -> Result<Pid, ClusterError> {
        let pid = self.child.id().and_then(|id| i32::try_from(id).ok());
        pid.map(Pid::from_raw).ok_or(ClusterError::Signal(nix::Error::ESRCH))
    }
}

async fn spawn(
    binary: &Path,
    arguments: &[String],
    log: &Path,
) -> Result<(Child, Vec<String>), ClusterError> {
    let file = std::fs::OpenOptions::new()
        .create(true)
        .append(true)
        .open(log)
        .map_err(io_error(format!("open {}", log.display())))?;
    let mut child = Command::new(binary)
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(file)
        .kill_on_drop(true)
        .spawn()
        .map_err(io_error(format!("start {}", binary.display())))?;
    let mut line = String::new();
    if let Some(stdout) = child.stdout.take() {
        let mut lines = BufReader::new(stdout);
        timeout(READY, lines.read_line(&mut line))
            .await
            .map_err(|_| ClusterError::NotReady { log: log.display().to_string() })?
            .map_err(io_error("read what the cluster says"))?;
        // The pipe stays open for as long as the child may write; it says nothing more.
        child.stdout = Some(lines.into_inner());
    }
    let announced: Announced = serde_json::from_str(&line).map_err(|_| {
        ClusterError::Announcement { line: line.clone(), log: log.display().to_string() }
    })?;
    Ok((child, announced.gateways))
}

/// The first of so many free ports in a row. Another process may take one in between; then the
/// cluster does not start, and says so.
fn free_ports(count: u16) -> Option<u16> {
    // Runs that begin at the same moment look in different places.
    let own = (std::process::id() as u16 % 400) * 25;
    let starts = (PORTS.start + own..PORTS.end).chain(PORTS).step_by(25);
    starts
        .filter(|start| start + count < PORTS.end)
        .take(800)
        .find(|start| (*start..start + count).all(is_free))
}

fn is_free(port: u16) -> bool {
    std::net::TcpListener::bind(("127.0.0.1", port)).is_ok()
}

/// Whether the system says that a process is stopped: `T` in `/proc/PID/stat`, see proc(5).
fn is_stopped(pid: Pid) -> bool {
    std::fs::read_to_string(format!("/proc/{pid}/stat"))
        .is_ok_and(|stat| stat.rsplit_once(") ").is_some_and(|(_, rest)| rest.starts_with('T')))
}
