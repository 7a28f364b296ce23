//! `fracas cluster`: a whole cluster on this machine.

use super::{not_run, read_config};
use crate::console;
use crate::engines::OutsideBroker;
use crate::lifeline::Lifeline;
use crate::shared_engine::SharedEngine;
use crate::tls::{Networks, servers_outside};
use crate::traces::Collectors;
use crate::whole::whole;
use anyhow::Context;
use campaign::InvalidUsage;
use clap::Args;
use node::config::{EngineConfig, StoreChoice};
use node::{ClusterConfig, Role, Topology, embedded};
use ports::{Machine, Shutdown};
use protocol::{LimitSet, StoreEngine};
use real::telemetry::PrometheusTelemetry;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::{Instant, sleep};
use workload::rest::Http;

/// How long the addresses wait for the gateways; whoever waits for the addresses waits longer.
const READY: Duration = Duration::from_secs(45);
/// Between two looks.
const LOOK_AGAIN: Duration = Duration::from_millis(50);

/// Run a whole cluster on this machine, on loopback.
#[derive(Debug, Args)]
pub struct Cluster {
    /// The configuration of the cluster (TOML), as of `fracas node`, in place of the options that say what
    /// it is.
    #[arg(long, value_name = "FILE", conflicts_with_all = [
        "port", "gateways", "stores", "partitions", "users", "rate", "engine", "limits",
        "token_seconds", "push", "design",
    ])]
    config: Option<PathBuf>,
    /// The data folder; a cluster that is restarted on the same folder has lost nothing.
    #[arg(long, value_name = "DIR", default_value = "fracas-data")]
    data: PathBuf,
    /// The port of the first gateway; the other nodes take the ports after it.
    #[arg(long, default_value_t = 7800, value_parser = whole(1..=u16::MAX))]
    port: u16,
    /// Gateways.
    #[arg(long, default_value_t = 1, value_parser = whole(1..=u16::MAX))]
    gateways: u16,
    /// Store nodes; must stay the same for a data folder.
    #[arg(long, default_value_t = 1, value_parser = whole(1..=u16::MAX))]
    stores: u16,
    /// Partitions; must stay the same for a data folder.
    #[arg(long, default_value_t = 16, value_parser = whole(1..=u16::MAX))]
    partitions: u16,
    /// Development users `user-1` to `user-N`, password `fracas`.
    #[arg(long, default_value_t = 1_000, value_parser = whole(0..=u64::MAX))]
    users: u64,
    /// Sends per second and user.
    #[arg(long, value_parser = whole(0..=u32::MAX))]
    rate: Option<u32>,
    /// What keeps the rows of the stores: `redb`, or `memory`, which is lost with the process.
    #[arg(long, value_name = "ENGINE", default_value = "redb")]
    engine: StoreEngine,
    /// How much each node holds: `default`, or `tiny` to reach every limit.
    #[arg(long, value_name = "SET", default_value = "default")]
    limits: LimitSet,
    /// How long an access token lives, in seconds.
    #[arg(long, value_name = "SECONDS", default_value_t = 3_600, value_parser = whole(0..=u64::MAX))]
    token_seconds: u64,
    /// The push provider; without one, notifications only go to the log.
    #[arg(long, value_name = "HOST:PORT")]
    push: Option<String>,
    /// A design choice: `accept=before_persist`.
    #[arg(long = "design", value_name = "CHOICE=OPTION")]
    design: Vec<String>,
    /// Print the addresses as one line of JSON, as soon as all gateways are ready.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    lifeline: Lifeline,
}

impl Cluster {
    /// Runs until it is told to end.
    pub fn execute(self) -> anyhow::Result<u8> {
        let config = self.config()?;
        let mistakes = config.mistakes();
        if !mistakes.is_empty() {
            return Err(InvalidUsage(mistakes.join("\n")).into());
        }
        let outside = OutsideBroker::of(&config)?;
        let shared = SharedEngine::of(&config)?;
        let topology = &config.topology;
        let nodes = [&topology.gateways, &topology.brokers, &topology.stores].into_iter().flatten();
        let nodes = nodes.chain([&topology.auth]).map(String::as_str);
        let networks = Networks::of(&config, nodes)?;
        let servers = servers_outside(&config, |_| true)?;
        let collectors = Collectors::of(&config)?;
        self.lifeline.watch()?;
        real::panics::abort_on_panic();
        real::descriptors::raise();
        let prometheus = real::telemetry::install().context("metrics")?;
        let runtime = real::tasks::runtime()?;
        runtime.block_on(async {
            // Held to the end: it keeps others from the data folder.
            let watch = self.machine("watch")?;
            networks.renew(Arc::new(PrometheusTelemetry::new("cluster")));
            self.find_ports_free(&config.topology)?;
            if self.is_own_provider() {
                let machine = self.machine("push-provider")?;
                let address = config.topology.push_provider.clone();
                let log = Arc::new(workload::provider::Log);
                let provider = machine.clone();
                machine.spawn("push provider", workload::provider::serve(provider, address, log));
            }
            let (trigger, shutdown) = Shutdown::new();
            let metrics = Arc::new(move || prometheus.render());
            let config = Arc::new(config);
            let whole = config.clone();
            let machine = |role, name: &str| {
                let network = networks.of_role(role);
                let machine = real::machine_on(network, name, &self.data.join(name))?;
                collectors.traced(&whole, machine).map_err(std::io::Error::other)
            };
            let brokers = |role, machine: &ports::Machine| Ok(outside.reached(role, machine)?);
            let engine = |role, machine: &ports::Machine| shared.reached(role, machine);
            let cluster = embedded::run_all(
                whole.clone(),
                machine,
                brokers,
                engine,
                servers,
                metrics,
                shutdown,
            );
            let announced = async {
                let watch = Machine { network: networks.of_role(Role::Notifier), ..watch.clone() };
                self.announce_when_ready(&config, Http::new(watch)).await;
                std::future::pending::<std::convert::Infallible>().await
            };
            let mut cluster = std::pin::pin!(cluster);
            tokio::select! {
                biased;
                ended = &mut cluster => ended.map_err(not_run)?,
                asked = real::asked_to_end() => {
                    asked?;
                    self.lifeline.asked_to_end();
                    console::note("draining");
                    trigger.request();
                    cluster.await.map_err(not_run)?;
                }
                never = announced => match never {},
            }
            Ok(0)
        })
    }

    /// A machine beside those of the nodes. The data folder must be there for it, and free: another
    /// cluster may run on it.
    fn machine(&self, name: &str) -> Result<Machine, InvalidUsage> {
        let data = self.data.display();
        real::machine(name, &self.data.join(name))
            .map_err(|error| InvalidUsage(format!("--data {data} cannot be used: {error}")))
    }

    /// Looks for whoever listens on a port of the cluster. Somebody may come later: then a node says
    /// that it cannot listen.
    fn find_ports_free(&self, topology: &Topology) -> Result<(), InvalidUsage> {
        let provider = self.is_own_provider().then_some(&topology.push_provider);
        let own = [&topology.gateways, &topology.brokers, &topology.stores].into_iter().flatten();
        for address in own.chain([&topology.auth]).chain(provider) {
            std::net::TcpListener::bind(address).map_err(|error| {
                let option = match &self.config {
                    Some(file) => format!("--config {}", file.display()),
                    None => format!("--port {}", self.port),
                };
                InvalidUsage(format!("{option}: cannot listen on {address}: {error}"))
            })?;
        }
        Ok(())
    }

    /// Whether notifications go to the log of this process.
    const fn is_own_provider(&self) -> bool {
        self.config.is_none() && self.push.is_none()
    }

    fn config(&self) -> anyhow::Result<ClusterConfig> {
        if let Some(file) = &self.config {
            return read_config(file);
        }
        let nodes = self.gateways.saturating_add(self.stores).saturating_add(3);
        if self.port.checked_add(nodes).is_none() {
            return Err(
                InvalidUsage(format!("--port {}: no room for {nodes} ports", self.port)).into()
            );
        }
        let provider = format!("127.0.0.1:{}", self.port + nodes - 1);
        let provider = self.push.clone().unwrap_or(provider);
        let topology = embedded::topology(self.port, self.gateways, self.stores, provider);
        Ok(ClusterConfig {
            partitions: self.partitions,
            rate_per_second: self.rate,
            engine: EngineConfig {
                store: StoreChoice::Node(self.engine),
                ..EngineConfig::default()
            },
            limits: self.limits,
            access_token_seconds: self.token_seconds,
            design: design(&self.design)?,
            ..ClusterConfig::development(topology, self.users)
        })
    }

    /// Gives the addresses out when somebody who uses them finds what they promise.
    async fn announce_when_ready(&self, config: &ClusterConfig, http: Http) {
        let gateways = &config.topology.gateways;
        if !all_ready(gateways, async |gateway| http.is_ready(gateway).await, READY).await {
            console::note(&format!("the gateways are not ready after {READY:?}; see /ready"));
        }
        self.announce(config);
    }

    fn announce(&self, config: &ClusterConfig) {
        let topology = &config.topology;
        if self.json {
            if let Ok(line) = serde_json::to_string(topology) {
                console::result(&line);
            }
            return;
        }
        let mut lines = vec![format!("fracas cluster, data in {}", self.data.display())];
        let s = if config.tls.is_some() { "s" } else { "" };
        lines.extend(topology.gateways.iter().map(|gateway| {
            format!("  gateway  ws{s}://{gateway}/v1/ws   http{s}://{gateway}/openapi.json")
        }));
        if self.config.is_none() {
            let (first, users) = (&topology.gateways[0], self.users);
            let password = protocol::development::PASSWORD;
            lines.push(format!(
                "  tokens   http://{first}/oauth2/token   user-1 to user-{users}, password {password}"
            ));
        }
        lines.push("Ctrl-C drains and stops it.".to_owned());
        console::result(&lines.join("\n"));
    }
}

/// Waits until each gateway was seen ready; whether that was in time.
async fn all_ready(
    gateways: &[String],
    is_ready: impl AsyncFn(&str) -> bool,
    patience: Duration,
) -> bool {
    let deadline = Instant::now() + patience;
    for gateway in gateways {
        while !is_ready(gateway).await {
            if Instant::now() >= deadline {
                return false;
            }
            sleep(LOOK_AGAIN).await;
        }
    }
    true
}

/// Reads `choice=option` words into design choices.
fn design(words: &[String]) -> anyhow::Result<protocol::Design> {
    let lines: Vec<String> = words
        .iter()
        .map(|word| {
            let (choice, option) = word
                .split_once('=')
                .ok_or_else(|| InvalidUsage(format!("--design {word}: expected CHOICE=OPTION")))?;
            Ok(format!("{} = {:?}\n", choice.trim(), option.trim()))
        })
        .collect::<Result<_, InvalidUsage>>()?;
    toml::from_str(&lines.concat())
        .map_err(|error| InvalidUsage(format!("--design: {error}")).into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::RefCell;

    #[derive(clap::Parser)]
    struct Line {
        #[command(flatten)]
        cluster: Cluster,
    }

    fn line(words: &str) -> Result<Cluster, clap::Error> {
        clap::Parser::try_parse_from(words.split(' ')).map(|line: Line| line.cluster)
    }

    #[test]
    fn a_port_must_be_one_and_free() {
        assert!(line("cluster --port 0").is_err());
        let taken = std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let port = taken.local_addr().unwrap().port();
        let cluster = line(&format!("cluster --port {port}")).ok().unwrap();
        let topology = embedded::topology(port, 1, 0, "127.0.0.1:1".to_owned());
        let told = cluster.find_ports_free(&topology).unwrap_err().0;
        assert!(told.starts_with(&format!("--port {port}: cannot listen on")), "{told}");
    }

    #[tokio::test]
    async fn every_gateway_is_waited_for_but_not_for_ever() {
        let gateways = ["one".to_owned(), "two".to_owned()];
        let looks = RefCell::new(Vec::new());
        let look = async |gateway: &str| {
            looks.borrow_mut().push(gateway.to_owned());
            gateway == "one" || looks.borrow().len() > 3
        };
        assert!(all_ready(&gateways, look, READY).await);
        assert_eq!(looks.take(), ["one", "two", "two", "two"]);
        assert!(!all_ready(&gateways, async |gateway| gateway == "one", LOOK_AGAIN).await);
    }
}
