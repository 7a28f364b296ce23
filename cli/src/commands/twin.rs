//! `fracas twin`: the same seed in two processes, compared line by line.

use crate::console::{self, ProgressLine};
use crate::scenario_arguments::ScenarioArguments;
use crate::whole::whole;
use campaign::Opening;
use campaign::twin::{Compared, compare};
use clap::Args;

/// Prove that a seed decides everything.
#[derive(Debug, Args)]
pub struct Twin {
    #[command(flatten)]
    opening: ScenarioArguments,
    /// The seed.
    #[arg(long, default_value_t = 1, value_parser = whole(0..=u64::MAX))]
    seed: u64,
    /// Show no progress line.
    #[arg(long)]
    quiet: bool,
}

impl Twin {
    /// 0: nothing differs. 1: the first difference is shown. 2: a run failed.
    pub fn execute(self) -> anyhow::Result<u8> {
        let (opening, seed) = (Opening::from(&self.opening), self.seed);
        opening.open_one(seed)?;
        let mut progress = ProgressLine::new(self.quiet);
        let compared = compare(&opening, seed, |lines| {
            progress.show(&format!("{lines} lines are identical"));
        });
        progress.finish();
        Ok(match compared? {
            Compared::Same(lines) => {
                console::result(&format!(
                    "seed {seed}: {lines} lines of history, trace and log, and the exit status, are \
                     identical in two processes"
                ));
                0
            }
            Compared::Differs(how) => {
                console::result(&format!("seed {seed}: {how}"));
                1
            }
            Compared::NotEnded(status) => {
                console::error(&format!(
                    "the runs of seed {seed} agree, but did not finish: {status}"
                ));
                2
            }
        })
    }
}
