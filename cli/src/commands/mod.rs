//! The subcommands, one file each.

mod check_data;
mod cluster;
mod compare;
mod completions;
mod doctor;
mod engine;
mod explain;
mod explore;
mod fidelity;
mod history;
mod judge;
mod knee;
mod load;
mod man;
mod merge;
mod new;
mod node;
mod on_engines;
mod probe;
mod report;
mod run;
mod scenarios;
mod schema;
mod stack;
mod tries;
mod twin;

use ::node::ClusterConfig;
use ::node::config::Kept;
use campaign::InvalidUsage;
use campaign::lookup::read_text;
use clap::Subcommand;
use std::path::Path;

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Simulate a scenario with one seed, judge it and report.
    Run(run::Run),
    /// Simulate scenarios with many seeds, one process each.
    Explore(explore::Explore),
    /// Simulate everything that scenarios suggest to try, beside what they predict of it.
    Try(tries::Try),
    /// Simulate the same seed in two processes and stop at the first difference.
    Twin(twin::Twin),
    /// Run a scenario on real sockets against a real cluster, with the same checks.
    Load(load::Load),
    /// Merge the parts of several generators of a run, and judge the whole.
    Merge(merge::MergeParts),
    /// Search for the highest rate that a cluster sustains.
    Knee(knee::Knee),
    /// Compare two sets of runs: better, worse, or the same.
    Compare(compare::Compare),
    /// List the runs in folders, and write a page that links their reports.
    Report(report::Report),
    /// Put simulated and real runs of the same scenarios side by side.
    Fidelity(fidelity::Fidelity),
    /// Check the limits of this machine against what a scenario's load needs.
    Doctor(doctor::Doctor),
    /// Run a whole cluster on this machine.
    Cluster(cluster::Cluster),
    /// Run a cluster with all that belongs around it, and break its parts: RabbitMQ, PostgreSQL, HAProxy, Prometheus.
    Stack(stack::Stack),
    /// Run one node of a cluster.
    Node(node::Node),
    /// Ask a node whether it is alive, or ready.
    Probe(probe::Probe),
    /// Run a private server of an engine.
    #[command(hide = true)]
    Engine(engine::Engine),
    /// Check the data of nodes that do not run.
    CheckData(check_data::CheckData),
    /// Judge a recorded history again.
    Judge(judge::JudgeHistory),
    /// Write a scenario of your own to begin with.
    New(new::New),
    /// List the scenarios of the library, or of a folder.
    Scenarios(scenarios::Scenarios),
    /// Explain an invariant, a kind of fault or a design choice.
    Explain(explain::Explain),
    /// Print the JSON Schema of scenario files.
    Schema(schema::Schema),
    /// Print the completions for a shell.
    Completions(completions::Completions),
    /// Print the manual page.
    Man(man::Manual),
    /// Print the history of a simulated run, line by line.
    #[command(hide = true)]
    History(history::PrintHistory),
}

impl Command {
    /// Does it; the exit status.
    pub fn execute(self) -> anyhow::Result<u8> {
        match self {
            Self::Run(command) => command.execute(),
            Self::Explore(command) => command.execute(),
            Self::Try(command) => command.execute(),
            Self::Twin(command) => command.execute(),
            Self::Load(command) => command.execute(),
            Self::Merge(command) => command.execute(),
            Self::Knee(command) => command.execute(),
            Self::Compare(command) => command.execute(),
            Self::Report(command) => command.execute(),
            Self::Fidelity(command) => command.execute(),
            Self::Doctor(command) => command.execute(),
            Self::Cluster(command) => command.execute(),
            Self::Stack(command) => command.execute(),
            Self::Node(command) => command.execute(),
            Self::Probe(command) => Ok(command.execute()),
            Self::Engine(command) => command.execute(),
            Self::CheckData(command) => command.execute(),
            Self::Judge(command) => command.execute(),
            Self::New(command) => command.execute(),
            Self::Scenarios(command) => command.execute(),
            Self::Explain(command) => command.execute(),
            Self::Schema(command) => command.execute(),
            Self::Completions(command) => command.execute(),
            Self::Man(command) => command.execute(),
            Self::History(command) => command.execute(),
        }
    }
}

/// The configuration of a cluster.
fn read_config(file: &Path) -> anyhow::Result<ClusterConfig> {
    let path = file.display();
    let text = read_text(file)?;
    ClusterConfig::read_with(&text, &path.to_string(), &secret)
        .map_err(|mistakes| InvalidUsage(mistakes.to_string()).into())
}

/// A secret that a configuration keeps elsewhere.
fn secret(kept: Kept<'_>) -> Result<String, String> {
    match kept {
        Kept::File(path) => read_text(path.as_ref()).map_err(|InvalidUsage(why)| why),
        Kept::Variable(name) => {
            std::env::var(name).map_err(|_| format!("the variable {name} is not set, or no text"))
        }
    }
}

/// What to make of a node that did not run.
fn not_run(error: ::node::NodeError) -> anyhow::Error {
    let is_invalid_usage = error.is_invalid_usage();
    let error = anyhow::Error::from(error);
    if is_invalid_usage { InvalidUsage(format!("{error:#}")).into() } else { error }
}

/// "5%" as 0.05.
fn percent(text: &str) -> Result<f64, String> {
    let number = text.trim().strip_suffix('%').and_then(|number| number.trim().parse().ok());
    let percent = number.filter(|percent| (0.0..=1000.0).contains(percent));
    percent
        .map(|percent: f64| percent / 100.0)
        .ok_or_else(|| "expected percent, such as 5%".to_owned())
}
