//! `fracas node`: one role of a cluster over several machines.

use super::{not_run, read_config};
use crate::console;
use crate::engines::OutsideBroker;
use crate::lifeline::Lifeline;
use crate::shared_engine::SharedEngine;
use crate::tls::{Networks, servers_outside};
use crate::traces::Collectors;
use crate::whole::whole;
use anyhow::Context;
use clap::Args;
use node::role::Process;
use node::{Role, Topology};
use ports::{Machine, Network, Shutdown};
use std::path::PathBuf;
use std::sync::Arc;

/// Run one node of a cluster.
#[derive(Debug, Args)]
pub struct Node {
    /// gateway, broker, store, notifier or auth.
    role: Role,
    /// Its number within its role, from 1.
    #[arg(long, default_value_t = 1, value_parser = whole(1..=u16::MAX))]
    number: u16,
    /// The configuration of the cluster, the same for all nodes (TOML).
    #[arg(long, value_name = "FILE")]
    config: PathBuf,
    /// The data folder: each node has a folder of its own in it.
    #[arg(long, value_name = "DIR", default_value = "fracas-data")]
    data: PathBuf,
    /// Serve this node's numbers at `http://HOST:PORT/metrics`, or at `https` with `tls.metrics` in the
    /// configuration (a gateway has them at its own address).
    #[arg(long, value_name = "HOST:PORT")]
    metrics: Option<String>,
    #[command(flatten)]
    lifeline: Lifeline,
}

impl Node {
    /// Runs until it is told to end.
    pub fn execute(self) -> anyhow::Result<u8> {
        let config = read_config(&self.config)?;
        node::check(self.role, self.number, &config).map_err(not_run)?;
        let outside = OutsideBroker::of(&config)?;
        let shared = SharedEngine::of(&config)?;
        let own = config.topology.address(self.role, self.number);
        let networks = Networks::of(&config, own.into_iter())?;
        let servers = servers_outside(&config, |role| role == self.role)?;
        let collectors = Collectors::of(&config)?;
        let name = Topology::name(self.role, self.number);
        self.lifeline.watch()?;
        real::panics::abort_on_panic();
        real::descriptors::raise();
        let prometheus = real::telemetry::install().context("metrics")?;
        let metrics: Arc<dyn Fn() -> String + Send + Sync> = Arc::new(move || prometheus.render());
        let runtime = real::tasks::runtime()?;
        runtime.block_on(async {
            let network = networks.of_role(self.role);
            let machine = real::machine_on(network, &name, &self.data.join(&name))
                .context("the data folder")?;
            let machine = collectors.traced(&config, machine)?;
            networks.renew(machine.telemetry.clone());
            let (trigger, shutdown) = Shutdown::new();
            self.serve_metrics(&machine, networks.of_numbers(&config), &metrics, &shutdown).await?;
            let brokers = outside.reached(self.role, &machine)?;
            let shared_engine =
                shared.reached(self.role, &machine).context("the engine of the stores")?;
            let process = Process { metrics, shutdown, shared_engine, brokers, outside: servers };
            let announce = || {
                self.lifeline.running(&name);
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
                    self.lifeline.asked_to_end();
                    console::note(&format!("{name} is draining"));
                    trigger.request();
                    node.await.map_err(not_run)?;
                }
            }
            Ok(0)
        })
    }

    /// Begins to serve this node's numbers, if somebody wants them.
    async fn serve_metrics(
        &self,
        machine: &Machine,
        network: Arc<dyn Network>,
        metrics: &Arc<dyn Fn() -> String + Send + Sync>,
        shutdown: &Shutdown,
    ) -> anyhow::Result<()> {
        let Some(address) = &self.metrics else { return Ok(()) };
        // Prometheus has no certificate of ours.
        let listener = network.bind(address).await;
        let listener =
            listener.with_context(|| format!("--metrics: cannot listen on {address}"))?;
        let (own, metrics, shutdown) = (machine.clone(), metrics.clone(), shutdown.clone());
        machine.spawn("metrics", async move {
            if let Err(error) = node::metrics::serve(&own, listener, metrics, shutdown).await {
                tracing::error!(%error, "the metrics are not served any more");
            }
        });
        Ok(())
    }
}
