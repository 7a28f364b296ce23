//! `fracas node`: one role of a cluster over several machines.

use crate::console;
use crate::opening::WrongUse;
use anyhow::Context;
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
    /// Which one of its role, from 1.
    #[arg(long, default_value_t = 1)]
    number: u16,
    /// The configuration of the cluster, the same for all nodes (TOML).
    #[arg(long, value_name = "FILE")]
    config: PathBuf,
    /// Where it keeps its data.
    #[arg(long, value_name = "DIR", default_value = "fracas-data")]
    data: PathBuf,
}

impl Node {
    /// Runs until it is told to end.
    pub fn execute(self) -> anyhow::Result<u8> {
        let path = self.config.display();
        let text = std::fs::read_to_string(&self.config)
            .map_err(|error| WrongUse(format!("cannot read {path}: {error}")))?;
        let config: ClusterConfig =
            toml::from_str(&text).map_err(|error| WrongUse(format!("{path}: {error}")))?;
        let mistakes = config.mistakes();
        if !mistakes.is_empty() {
            return Err(WrongUse(format!("{path}:\n  {}", mistakes.join("\n  "))).into());
        }
        let name = Topology::name(self.role, self.number);
        let prometheus = node::real::telemetry::install().context("metrics")?;
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
        runtime.block_on(async {
            let machine =
                node::real::machine(&name, &self.data.join(&name)).context("the data folder")?;
            let (trigger, shutdown) = Shutdown::new();
            let process = Process { metrics: Arc::new(move || prometheus.render()), shutdown };
            console::note(&format!("{name} runs"));
            let node = node::run(self.role, self.number, &config, machine, process);
            let mut node = std::pin::pin!(node);
            tokio::select! {
                biased;
                ended = &mut node => ended?,
                asked = node::real::asked_to_end() => {
                    asked?;
                    console::note(&format!("{name} drains"));
                    trigger.request();
                    node.await?;
                }
            }
            Ok(0)
        })
    }
}
