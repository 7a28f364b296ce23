//! `fracas stack`: a cluster with all that belongs around it, on this machine, until somebody asks it to end; and orders
//! to one that runs.

use super::on_engines::EngineArguments;
use crate::console;
use crate::lifeline::Lifeline;
use crate::whole::whole;
use anyhow::{Context, bail};
use campaign::{InvalidUsage, Opening};
use clap::{Args, Subcommand};
use loadgen::stack::{Action, Made, NotOurs, Order, Part, State, Wanted, ask};
use loadgen::{ClusterError, Engines};
use scenarios::{Scenario, on_loopback};
use std::fmt::Write;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::{Instant, sleep};

/// Whose cluster it is, unless another scenario is named.
const SCENARIO: &str = "deployed";
/// Where its data goes, unless another folder is named.
const DATA: &str = "fracas-stack";
/// How long an order may take until it is done: an engine gives up after two minutes.
const DONE: Duration = Duration::from_secs(150);
/// Between two looks.
const LOOK: Duration = Duration::from_millis(200);

/// What a reader of the help may want to know.
const SHAPE: &str = "\
Everything listens on loopback, on ports in a row from --port on: HAProxy, its numbers, Prometheus, Alertmanager, \
and the others. Programs that are missing are installed from Debian's packages, if this user may.

A part that ends by itself is started again; one that was killed or stopped by an order is not. A stack that starts \
again on the same folder has lost nothing.";

/// Run a cluster with all that belongs around it, and break its parts.
#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true, after_help = SHAPE)]
pub struct Stack {
    #[command(subcommand)]
    what: Option<What>,
    #[command(flatten)]
    up: Up,
}

/// What to do to a stack that runs.
#[derive(Debug, Subcommand)]
enum What {
    /// Tell the state of every part.
    Ps(Whom),
    /// Kill parts, with SIGKILL.
    Kill(Parts),
    /// Let parts drain and end.
    Stop(Parts),
    /// Start parts that do not run.
    Start(Parts),
    /// Stop parts where they stand, with SIGSTOP.
    Pause(Parts),
    /// Let paused parts go on.
    Resume(Parts),
}

/// Which stack.
#[derive(Debug, Args)]
struct Whom {
    /// The folder of the stack.
    #[arg(long, value_name = "DIR", default_value = DATA)]
    data: PathBuf,
}

/// Which parts of it.
#[derive(Debug, Args)]
struct Parts {
    /// Parts, as `fracas stack ps` names them.
    #[arg(required = true, value_name = "PART")]
    parts: Vec<String>,
    #[command(flatten)]
    whom: Whom,
}

/// What to start.
#[derive(Debug, Args)]
struct Up {
    /// The scenario whose cluster it is: a file, or the name of one of the library. Its faults are left out.
    #[arg(default_value = SCENARIO)]
    scenario: PathBuf,
    /// Override a key of the scenario: `cluster.gateways=3`.
    #[arg(long = "set", value_name = "KEY=VALUE")]
    overrides: Vec<String>,
    /// The folder of its data and its logs.
    #[arg(long, value_name = "DIR", default_value = DATA)]
    data: PathBuf,
    /// The first of its ports, where users come to.
    #[arg(long, default_value_t = 7800, value_parser = whole(1..=u16::MAX))]
    port: u16,
    /// Development users at least, `user-1` to `user-N`, password `fracas`.
    #[arg(long, default_value_t = 10_000, value_parser = whole(0..=u32::MAX))]
    users: u32,
    #[command(flatten)]
    engines: EngineArguments,
    /// Print the addresses as one line of JSON, as soon as users are let in.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    lifeline: Lifeline,
}

impl Stack {
    /// Runs until it is told to end, or passes an order on.
    pub fn execute(self) -> anyhow::Result<u8> {
        let Some(what) = self.what else { return self.up.execute() };
        let (action, Parts { parts, whom }) = match what {
            What::Ps(whom) => return whom.ps(),
            What::Kill(parts) => (Action::Kill, parts),
            What::Stop(parts) => (Action::Stop, parts),
            What::Start(parts) => (Action::Start, parts),
            What::Pause(parts) => (Action::Pause, parts),
            What::Resume(parts) => (Action::Resume, parts),
        };
        whom.order(action, &parts)
    }
}

impl Whom {
    fn ps(&self) -> anyhow::Result<u8> {
        let parts = runtime()?.block_on(self.ask(&Order::default()))?;
        console::result(&table(&parts));
        Ok(0)
    }

    /// Gives an order, and waits until it is done: 1 if a part failed.
    fn order(&self, action: Action, parts: &[String]) -> anyhow::Result<u8> {
        runtime()?.block_on(async {
            let order = Order { action: Some(action), parts: parts.to_vec() };
            let mut all = self.ask(&order).await?;
            let deadline = Instant::now() + DONE;
            let is_under_way = |part: &Part| {
                parts.contains(&part.name)
                    && matches!(part.state, State::Starting | State::Stopping | State::Restarting)
            };
            while all.iter().any(is_under_way) {
                if Instant::now() >= deadline {
                    bail!("not done after {DONE:?}: see fracas stack ps");
                }
                sleep(LOOK).await;
                all = self.ask(&Order::default()).await?;
            }
            all.retain(|part| parts.contains(&part.name));
            console::result(&table(&all));
            Ok(u8::from(all.iter().any(|part| matches!(part.state, State::Failed(_)))))
        })
    }

    async fn ask(&self, order: &Order) -> anyhow::Result<Vec<Part>> {
        let answer = ask(&self.data, order).await.map_err(|error| {
            let data = self.data.display();
            InvalidUsage(format!("no stack takes orders in {data}, or it starts still: {error}"))
        })?;
        answer.map_err(|why| InvalidUsage(why).into())
    }
}

impl Up {
    fn execute(self) -> anyhow::Result<u8> {
        let wanted = self.wanted()?;
        let shape = &wanted.scenario.cluster;
        let of = format!(
            "{}, --port {}, {} gateways, {} stores, {} partitions, {} users, {}",
            wanted.scenario.name,
            self.port,
            shape.gateways,
            shape.stores,
            shape.partitions,
            wanted.scenario.everybody(),
            self.on()
        );
        let made = Made::take(&self.data, &of).map_err(|error| match error {
            NotOurs::Io { .. } => anyhow::Error::from(error),
            other => InvalidUsage(other.to_string()).into(),
        });
        // Held to the end: it keeps others from the folder.
        let mut made = made?;
        self.lifeline.watch()?;
        runtime()?.block_on(self.run(&wanted, || made.keep(&of)))
    }

    async fn run(
        &self,
        wanted: &Wanted,
        begins: impl FnOnce() -> std::io::Result<()>,
    ) -> anyhow::Result<u8> {
        console::note(&format!("starting {} on {}", wanted.scenario.name, self.on()));
        let stack = loadgen::stack::Stack::new(wanted, console::note);
        let mut stack = stack.map_err(|error| match error {
            ClusterError::PortTaken { .. } | ClusterError::NoPorts(_) => {
                InvalidUsage(format!("--port {}: {error}", self.port)).into()
            }
            other => anyhow::Error::from(other),
        })?;
        begins().context("the folder of the stack")?;
        let mut asked = std::pin::pin!(real::asked_to_end());
        let started = tokio::select! {
            biased;
            asked = &mut asked => { asked.context("signals")?; None }
            started = stack.start() => Some(started),
        };
        match started {
            Some(Ok(())) => {
                console::result(&self.addresses(&stack)?);
                tokio::select! {
                    biased;
                    asked = &mut asked => asked.context("signals")?,
                    () = stack.serve() => {}
                }
            }
            Some(Err(error)) => {
                stack.end().await?;
                return Err(error.into());
            }
            // It was asked to end before it ran.
            None => {}
        }
        self.lifeline.asked_to_end();
        console::note("draining");
        Ok(u8::from(!stack.end().await?))
    }

    fn wanted(&self) -> anyhow::Result<Wanted> {
        let (scenario, overrides) = (self.scenario.clone(), self.overrides.clone());
        let mut scenario: Scenario = Opening { scenario, overrides }.open_one(1)?.scenario;
        scenario.users.count = scenario.users.count.max(self.users);
        self.engines().check(&scenario)?;
        let binary = std::env::current_exe().context("cannot find the path of this program")?;
        let data = std::path::absolute(&self.data).context("the folder of the stack")?;
        let (scenario, engines) = (Arc::new(scenario), self.chosen());
        Ok(Wanted { scenario, engines, binary, data, first_port: self.port })
    }

    /// Those of the deployment, unless others are asked for.
    fn engines(&self) -> EngineArguments {
        self.engines.or("rabbitmq:3,postgres,haproxy")
    }

    fn chosen(&self) -> Engines {
        Engines { monitoring: true, ..self.engines().chosen() }
    }

    /// The same in words.
    fn on(&self) -> String {
        self.engines().words().unwrap_or_default()
    }

    /// Where what is.
    fn addresses(&self, stack: &loadgen::stack::Stack) -> anyhow::Result<String> {
        let entrances = stack.entrances();
        let monitoring = stack.monitoring().context("it is watched")?;
        let config = self.data.join("cluster.toml");
        let haproxy = self.chosen().haproxy.then(|| on_loopback(self.port + 1));
        let [prometheus, alertmanager, load] =
            [monitoring.prometheus, monitoring.alertmanager, monitoring.load].map(on_loopback);
        if self.json {
            let json = serde_json::json!({
                "users": entrances, "haproxy": haproxy, "prometheus": prometheus,
                "alertmanager": alertmanager, "load": load, "numbers": stack.metrics(),
                "config": config, "data": self.data,
            });
            return Ok(json.to_string());
        }
        let mut text = format!("fracas stack, data in {}\n", self.data.display());
        for entrance in entrances {
            writeln!(
                text,
                "  users         ws://{entrance}/v1/ws   http://{entrance}/openapi.json"
            )?;
        }
        if let Some(haproxy) = haproxy {
            writeln!(text, "  HAProxy       http://{haproxy}/")?;
        }
        let targets = entrances.iter().map(|entrance| format!("--target {entrance}"));
        // Without them nobody would judge what the queues hold: a balancer passes no numbers on.
        let numbers = stack.metrics().iter().map(|at| format!("--target-metrics {at}"));
        let reached: Vec<String> = targets.chain(numbers).collect();
        let whom = if self.data.as_os_str() == DATA {
            String::new()
        } else {
            format!(" --data {}", self.data.display())
        };
        write!(
            text,
            "  Prometheus    http://{prometheus}/alerts\n  Alertmanager  http://{alertmanager}/\n  \
             a load        fracas load {SCENARIO} --config {} --metrics {load} {}\n  \
             break it      fracas stack kill store-1{whom}; then start it, or ps\n\
             Ctrl-C drains and stops it.",
            config.display(),
            reached.join(" "),
        )?;
        Ok(text)
    }
}

fn runtime() -> anyhow::Result<tokio::runtime::Runtime> {
    real::tasks::runtime().context("a runtime")
}

/// A line for each part.
fn table(parts: &[Part]) -> String {
    let width = parts.iter().map(|part| part.name.len()).max().unwrap_or_default();
    let line = |Part { name, state, process, log }: &Part| {
        let process = process.map_or_else(|| "-".to_owned(), |id| id.to_string());
        format!("{name:width$}  {:8}  {process:>8}  {log}\n", state.to_string())
    };
    parts.iter().map(line).collect()
}
