//! `fracas node`: one role of a cluster over several machines.

use super::not_run;
use crate::console;
use anyhow::Context;
use campaign::InvalidUsage;
use clap::Args;
use node::role::Process;
use node::{ClusterConfig, Role, Topology};
use ports::Shutdown;
use std::path::PathBuf;
use std::sync::Arc;

/// Run one node of a cluster.
#[derive(Debug, Args)]
pub struct Node {
    /// gateway, broker, store, notifier or auth.
    role: Role,
    /// Its number within its role, from 1.
    #[arg(long, default_value_t = 1)]
    number: u16,
    /// The configuration of the cluster, the same for all nodes (TOML).
    #[arg(long, value_name = "FILE")]
    config: PathBuf,
    /// The data folder: each node has a folder of its own in it.
    #[arg(long, value_name = "DIR", default_value = "fracas-data")]
    data: PathBuf,
}

impl Node {
    /// Runs until it is told to end.
    pub fn execute(self) -> anyhow::Result<u8> {
        let path = self.config.display();
        let text = std::fs::read_to_string(&self.config)
            .map_err(|error| InvalidUsage(format!("cannot read {path}: {error}")))?;
        let config = ClusterConfig::read(&text, &path.to_string())
            .map_err(|mistakes| InvalidUsage(mistakes.to_string()))?;
        node::check(self.role, self.number, &config).map_err(not_run)?;
        let name = Topology::name(self.role, self.number);
        real::panics::abort_on_panic();
        let prometheus = real::telemetry::install().context("metrics")?;
        let runtime = real::tasks::runtime()?;
        runtime.block_on(async {
            let machine =
                real::machine(&name, &self.data.join(&name)).context("the data folder")?;
            let (trigger, shutdown) = Shutdown::new();
            let process = Process {
                metrics: Arc::new(move || prometheus.render()),
                shutdown,
                shared_engine: None,
            };
            let announce = || {
                console::note(&format!("{name} is running"));
                if self.role == Role::Notifier && config.topology.push_provider.is_empty() {
                    console::note("there is no push_provider: all notifications are discarded");
                }
            };
            let node =
                node::run_announced(self.role, self.number, &config, machine, process, announce);
            let mut node = std::pin::pin!(node);
            tokio::select! {
                biased;
                ended = &mut node => ended.map_err(not_run)?,
                asked = real::asked_to_end() => {
                    asked?;
                    console::note(&format!("{name} is draining"));
                    trigger.request();
                    node.await.map_err(not_run)?;
                }
            }
            Ok(0)
        })
    }
}
