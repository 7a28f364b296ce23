//! A cluster in one process, for whatever has to be asked of a running one.

use crate::asserting;
use anyhow::{Context, ensure};
use engines::free_ports;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Stdio};

/// Where its nodes are, as it stands in a configuration; and the port of its gateway.
pub fn topology() -> anyhow::Result<(String, u16)> {
    let [gateway, broker, store, auth] = free_ports()?;
    let text = format!(
        "[topology]\ngateways = [\"127.0.0.1:{gateway}\"]\nbrokers = [\"127.0.0.1:{broker}\"]\n\
         stores = [\"127.0.0.1:{store}\"]\nauth = \"127.0.0.1:{auth}\"\n"
    );
    Ok((text, gateway))
}

/// It ends with this.
pub struct Cluster(Child);

impl Cluster {
    /// Starts it with this configuration, in this folder.
    pub fn start(config: &str, folder: &Path) -> anyhow::Result<Self> {
        let file = folder.join("cluster.toml");
        std::fs::write(&file, config).with_context(|| file.display().to_string())?;
        let mut child = asserting::fracas()?
            .args(["cluster", "--json", "--ends-with-stdin", "--config"])
            .arg(&file)
            .arg("--data")
            .arg(folder.join("data"))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .context("starting a cluster")?;
        let told = child.stdout.take().context("its output")?;
        let cluster = Self(child);
        // It tells its addresses when all gateways are ready.
        let mut line = String::new();
        BufReader::new(told).read_line(&mut line)?;
        ensure!(!line.is_empty(), "the cluster has not started");
        Ok(cluster)
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        drop(self.0.stdin.take());
        // It drains, and is gone then.
        let _ = self.0.wait();
    }
}
