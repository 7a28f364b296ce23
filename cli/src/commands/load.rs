//! `fracas load`: a scenario on real sockets, with the same users, checks and report as in the
//! simulator.

use crate::commands::run::reproduce;
use crate::console::{self, ProgressLine};
use crate::observation::{Circumstances, Shared};
use crate::opening::Opening;
use anyhow::Context;
use clap::Args;
use loadgen::drive::{self, RealRun};
use report::Took;
use std::path::PathBuf;
use std::sync::Arc;
use verify::history::event::Engine;

/// Run a scenario on real sockets against a real cluster.
#[derive(Debug, Args)]
pub struct Load {
    #[command(flatten)]
    opening: Opening,
    /// Decides what the users do and when.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// A gateway of a cluster that runs already, `host:port`; repeat it for several. Without it, a
    /// cluster is started on this machine and ended after the run.
    #[arg(long, value_name = "HOST:PORT")]
    target: Vec<String>,
    /// The folder for the report, the history and the data of a started cluster; without it, the data
    /// goes to a temporary folder and nothing stays.
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// No progress line.
    #[arg(long)]
    quiet: bool,
    /// The verdict as JSON instead of a table.
    #[arg(long)]
    json: bool,
}

impl Load {
    /// Runs it; the status as for a simulated run.
    pub fn execute(self) -> anyhow::Result<u8> {
        let opened = self.opening.open_one()?;
        let scenario = Arc::new(opened.scenario);
        let quiet = self.quiet || self.json;
        if !quiet {
            let version = env!("CARGO_PKG_VERSION");
            console::note(&format!("fracas {version} · {} · seed {}", scenario.name, self.seed));
        }
        let header = loadgen::header(&scenario, self.seed, Engine::Real);
        let observation = Shared::begin(header, &scenario, self.out.as_deref())?;
        let folder = DataFolder::new(self.out.as_deref())?;
        let run = RealRun {
            scenario: scenario.clone(),
            seed: self.seed,
            target: (!self.target.is_empty()).then(|| self.target.clone()),
            cluster_binary: std::env::current_exe().context("the path of this program")?,
            data: folder.path.clone(),
        };
        let cpu = node::real::cpu_time();
        let (progress, thread) = drive::run(run, observation.sink());
        let mut line = ProgressLine::new(quiet);
        for at in progress {
            line.show(&report::progress(
                at.elapsed.as_secs_f64(),
                at.total.as_secs_f64(),
                at.events,
                observation.violations(),
                1.0,
            ));
        }
        line.finish();
        let ended = thread.join().map_err(|_| anyhow::anyhow!("the thread of the run is gone"))?;
        let concluded = observation.conclude(Circumstances {
            scenario: &scenario,
            reproduce: &reproduce("load", &self.opening, self.seed, &opened.overrides),
            doubts: ended.doubts,
            notes: ended.notes,
            took: Took {
                wall: ended.wall,
                cpu: (node::real::cpu_time() + node::real::children_cpu_time()).saturating_sub(cpu),
                simulated: ended.wall,
            },
        })?;
        concluded.print(self.json);
        Ok(concluded.status)
    }
}

/// Where a started cluster keeps its data: within the report's folder, or for the time of the run.
struct DataFolder {
    path: PathBuf,
    is_temporary: bool,
}

impl DataFolder {
    fn new(out: Option<&std::path::Path>) -> anyhow::Result<Self> {
        let is_temporary = out.is_none();
        let path = match out {
            Some(out) => out.join("cluster"),
            None => std::env::temp_dir().join(format!("fracas-load-{}", std::process::id())),
        };
        if path.exists() {
            std::fs::remove_dir_all(&path)
                .with_context(|| format!("cannot empty {}", path.display()))?;
        }
        std::fs::create_dir_all(&path)
            .with_context(|| format!("cannot make {}", path.display()))?;
        Ok(Self { path, is_temporary })
    }
}

impl Drop for DataFolder {
    fn drop(&mut self) {
        if self.is_temporary {
            // It is in the system's temporary folder, which is emptied anyway.
            let _ = std::fs::remove_dir_all(&self.path);
        }
    }
}
