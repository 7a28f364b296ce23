//! The cluster as a child process.
//!
//! It is ended, killed and stopped by its own process id only. That it does not outlive this process
//! is the work of `process`, and of the `cluster` command, which watches its standard input.

use super::process::Process;
use crate::rest::Http;
use nix::sys::signal::Signal;
use scenarios::scenario::Scenario;
use serde::Deserialize;
use std::io;
use std::path::{Path, PathBuf};
use std::process::ExitStatus;
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::{Instant, sleep, timeout};

/// How long a cluster may take until all its gateways are ready.
const READY: Duration = Duration::from_mins(1);
/// Between two looks.
const LOOK_AGAIN: Duration = Duration::from_millis(100);
/// How long it may take to drain.
const DRAIN: Duration = Duration::from_secs(20);
/// Characters of its log's last line that are shown.
const LAST_WORDS: usize = 300;
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
    #[error("the cluster did not start, it said {line:?} ({ended})")]
    Announcement {
        /// What it said.
        line: String,
        /// How it ended.
        ended: String,
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

/// A cluster, which may run.
pub struct Cluster {
    binary: PathBuf,
    arguments: Vec<String>,
    log: PathBuf,
    process: Option<Process>,
    gateways: Vec<String>,
    /// It ended without having been asked to.
    died: watch::Sender<bool>,
}

/// The arguments that start the cluster of a scenario: the one place that knows them.
pub fn command_line(scenario: &Scenario, data: &Path, port: u16, push: &str) -> Vec<String> {
    let shape = scenario.cluster;
    let mut arguments: Vec<String> = [
        "cluster".to_owned(),
        "--json".to_owned(),
        "--ends-with-stdin".to_owned(),
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
    /// A cluster that is not started yet; its folder is made.
    pub fn new(
        binary: &Path,
        scenario: &Scenario,
        data: &Path,
        push: &str,
    ) -> Result<Self, ClusterError> {
        std::fs::create_dir_all(data).map_err(io_error(format!("make {}", data.display())))?;
        // Three more than gateways and stores: broker, auth and push provider.
        let ports = scenario.cluster.gateways + scenario.cluster.stores + 3;
        let port = free_ports(ports).ok_or(ClusterError::NoPorts(ports))?;
        Ok(Self {
            binary: binary.to_owned(),
            arguments: command_line(scenario, data, port, push),
            log: data.join("cluster.log"),
            process: None,
            gateways: Vec::new(),
            died: watch::Sender::new(false),
        })
    }

    /// `host:port` of its gateways, once it was started.
    pub fn gateways(&self) -> &[String] {
        &self.gateways
    }

    /// Waits until it ends without having been asked to.
    pub fn died(&self) -> impl Future<Output = ()> + use<> {
        let mut died = self.died.subscribe();
        async move {
            if died.wait_for(|died| *died).await.is_err() {
                // The cluster was given up; then nobody cares any more.
                std::future::pending::<()>().await;
            }
        }
    }

    /// Starts it, again on the same data and the same ports, and waits until it is ready.
    ///
    /// A caller that loses its patience finds the process in here, and can kill it.
    pub async fn start(&mut self, http: &Http) -> Result<(), ClusterError> {
        let Self { binary, arguments, log, .. } = self;
        let process = Process::start(binary, arguments, log)
            .map_err(io_error(format!("start {}", binary.display())))?;
        let process = self.process.insert(process);
        let line = timeout(READY, process.first_line())
            .await
            .map_err(|_| ClusterError::NotReady { log: self.log.display().to_string() })?
            .map_err(io_error("read what the cluster says"))?;
        let Ok(announced) = serde_json::from_str::<Announced>(&line) else {
            let status = process.status().await;
            return Err(ClusterError::Announcement { line, ended: self.obituary(status) });
        };
        process.watch(self.died.clone());
        self.gateways = announced.gateways;
        self.ready(http).await
    }

    /// Waits until all gateways are ready.
    async fn ready(&self, http: &Http) -> Result<(), ClusterError> {
        let deadline = Instant::now() + READY;
        for gateway in &self.gateways {
            while !http.is_ready(gateway).await {
                if Instant::now() >= deadline || *self.died.borrow() {
                    return Err(ClusterError::NotReady { log: self.log.display().to_string() });
                }
                sleep(LOOK_AGAIN).await;
            }
        }
        Ok(())
    }

    /// How it ended, with the last line of its log.
    pub async fn cause_of_death(&mut self) -> String {
        let status = match &mut self.process {
            Some(process) => process.status().await,
            None => None,
        };
        self.obituary(status)
    }

    fn obituary(&self, status: Option<ExitStatus>) -> String {
        let status = status.map_or_else(|| "no status".to_owned(), |status| status.to_string());
        let log = std::fs::read_to_string(&self.log).unwrap_or_default();
        let last = log.lines().rev().map(str::trim).find(|line| !line.is_empty());
        let last: String = last.unwrap_or("(none)").chars().take(LAST_WORDS).collect();
        format!("{status}; last line of its log: {last}")
    }

    /// Kills the process at once, as `kill -9` does, even if it is stopped, and waits until it is
    /// gone.
    pub async fn kill(&mut self) -> Result<(), ClusterError> {
        let Some(mut process) = self.process.take() else { return Ok(()) };
        process.kill().await.map_err(io_error("kill the cluster"))
    }

    /// Stops the process for a while; how often it was seen stopped in that time.
    pub async fn pause(&mut self, lasts: Duration) -> Result<u64, ClusterError> {
        let process = self.process.as_ref().ok_or(ClusterError::Signal(nix::Error::ESRCH))?;
        let guard = process.stop().map_err(io_error("stop the cluster"))?;
        let end = Instant::now() + lasts;
        let mut stopped = 0;
        while Instant::now() < end {
            sleep(LOOK_AGAIN.min(end - Instant::now())).await;
            stopped += u64::from(process.is_stopped());
        }
        guard.dismiss().await.map_err(io_error("dismiss the guard of the stopped cluster"))?;
        process.signal(Signal::SIGCONT).map_err(ClusterError::Signal)?;
        Ok(stopped)
    }

    /// Lets it drain and end; kills it if it takes too long. Whether it ended well.
    pub async fn end(&mut self) -> Result<bool, ClusterError> {
        let Some(process) = &mut self.process else { return Ok(false) };
        let status = process.end(DRAIN).await.map_err(io_error("end the cluster"))?;
        if status.is_none() {
            self.kill().await?;
        }
        Ok(status.is_some_and(|status| status.success()))
    }
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
