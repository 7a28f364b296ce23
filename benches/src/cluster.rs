//! A cluster in a child process. It is ended by its own process id, and never outlives this process.

use anyhow::{Context, bail};
use http_body_util::Full;
use hyper::Request;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde::Deserialize;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};
use tokio::time::{Instant, sleep, timeout};
use workload::rest::Http;

/// How long a cluster may take until its gateway is ready.
const READY: Duration = Duration::from_secs(30);
/// How long it may take to drain.
const DRAIN: Duration = Duration::from_secs(20);
/// Between two looks.
const LOOK_AGAIN: Duration = Duration::from_millis(50);
/// Where ports are looked for: below the range from which systems take ports of clients.
const PORTS: std::ops::Range<u16> = 30_000..32_000;
/// One gateway, broker, store, auth and push provider.
const NODES: u16 = 5;

/// A running cluster with one gateway.
#[derive(Debug)]
pub struct Cluster {
    child: Child,
    process: u32,
    gateway: String,
}

/// Its first line.
#[derive(Deserialize)]
struct Announced {
    gateways: Vec<String>,
}

impl Cluster {
    /// Starts `fracas cluster` with its data in a folder, and waits until it is ready.
    pub async fn start(
        program: &Path,
        data: &Path,
        users: u64,
        http: &Http,
    ) -> anyhow::Result<Self> {
        let port = free_ports().context("no free ports in a row")?;
        let mut child = Command::new(program)
            .args(["cluster", "--json"])
            .arg(format!("--port={port}"))
            .arg(format!("--users={users}"))
            .arg(format!("--data={}", data.display()))
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .with_context(|| format!("starting {}", program.display()))?;
        let process = child.id().context("the cluster ended at once")?;
        let mut line = String::new();
        let mut lines = BufReader::new(child.stdout.take().context("its output is a pipe")?);
        timeout(READY, lines.read_line(&mut line)).await.context("the cluster said nothing")??;
        // The pipe stays open for as long as the cluster may write; it says nothing more.
        child.stdout = Some(lines.into_inner());
        let announced: Announced =
            serde_json::from_str(&line).with_context(|| format!("the cluster said {line:?}"))?;
        let gateway = announced.gateways.into_iter().next().context("it has no gateway")?;
        let mut cluster = Self { child, process, gateway };
        cluster.ready(http).await?;
        Ok(cluster)
    }

    async fn ready(&mut self, http: &Http) -> anyhow::Result<()> {
        let deadline = Instant::now() + READY;
        loop {
            let request = Request::get("/ready").body(Full::default())?;
            let answer = http.exchange(&self.gateway, request).await;
            if answer.is_ok_and(|answer| answer.status().is_success()) {
                return Ok(());
            }
            if let Some(status) = self.child.try_wait()? {
                bail!("the cluster ended: {status}");
            }
            if Instant::now() >= deadline {
                bail!("the cluster was not ready in {READY:?}");
            }
            sleep(LOOK_AGAIN).await;
        }
    }

    /// Its process.
    pub const fn process(&self) -> u32 {
        self.process
    }

    /// `host:port` of its gateway.
    pub fn gateway(&self) -> &str {
        &self.gateway
    }

    /// Asks it to drain and end; kills it if that takes too long.
    pub async fn end(mut self) -> anyhow::Result<()> {
        let process = Pid::from_raw(self.process.try_into()?);
        kill(process, Signal::SIGTERM).context("asking the cluster to end")?;
        if timeout(DRAIN, self.child.wait()).await.is_err() {
            self.child.kill().await.context("killing the cluster")?;
        }
        Ok(())
    }
}

/// The first of some free ports in a row. Another process may take one in between; then the cluster
/// does not start, and says so.
fn free_ports() -> Option<u16> {
    let is_free = |port| std::net::TcpListener::bind(("127.0.0.1", port)).is_ok();
    // Measurements that begin at the same moment look in different places.
    let own = (std::process::id() % 100) as u16 * 20;
    let starts = (PORTS.start + own..PORTS.end).chain(PORTS).step_by(20);
    starts
        .filter(|start| start + NODES < PORTS.end)
        .find(|start| (*start..start + NODES).all(is_free))
}
