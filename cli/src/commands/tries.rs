//! `fracas try`: whatever scenarios suggest to try, beside what they predict of it.

use crate::console::{self, ProgressLine};
use crate::whole::whole;
use crate::{interruption, markdown};
use campaign::tries::{Came, Tried, Tries};
use clap::Args;
use std::path::PathBuf;

/// Simulate everything that scenarios suggest to try, and see whether their predictions come true.
///
/// A prediction of a violation comes true as soon as a seed of 50 shows it; a prediction of a valid run, if
/// the first seeds are valid.
#[derive(Debug, Args)]
pub struct Try {
    /// Scenario files, or names of scenarios of the library (`fracas scenarios`).
    #[arg(required = true)]
    scenarios: Vec<PathBuf>,
    /// How many seeds must be valid where that is predicted.
    #[arg(long, default_value_t = 1, value_parser = whole(1..=u64::MAX))]
    seeds: u64,
    /// Processes at a time; one per processor by default.
    #[arg(long, value_parser = whole(1..=1_000_usize))]
    jobs: Option<usize>,
    /// Show no progress line.
    #[arg(long)]
    quiet: bool,
}

impl Try {
    /// 0: all predictions came true. 1: some did not. 2: some stay open.
    pub fn execute(self) -> anyhow::Result<u8> {
        let jobs = self.jobs.unwrap_or_else(|| {
            std::thread::available_parallelism().map_or(1, std::num::NonZero::get)
        });
        let tries = Tries::of(&self.scenarios)?;
        let (stop, total) = (interruption::listen()?, tries.total());
        let (mut progress, mut done) = (ProgressLine::new(self.quiet), 0);
        let all = tries.run(self.seeds, jobs, &stop, |_| {
            done += 1;
            progress.show(&format!("{done} of {total} tries"));
        });
        progress.finish();
        let items: Vec<String> = all.iter().map(|tried| item(&tries, tried)).collect();
        console::result(&markdown::to_text(&items.join("\n"), console::terminal()));
        let of = |came| all.iter().filter(|tried| tried.came == came).count();
        let (as_predicted, open) = (of(Came::True), of(Came::Open) + total - all.len());
        console::result(&format!("{as_predicted} of {total} tries came out as predicted"));
        for tried in all.iter().filter(|tried| tried.came != Came::True) {
            console::result(&tries.reproduce(tried));
        }
        Ok(match () {
            () if of(Came::False) > 0 => 1,
            () if open > 0 => 2,
            () => 0,
        })
    }
}

/// What became of a try, as an item of a list in Markdown.
fn item(tries: &Tries, tried: &Tried) -> String {
    let one = tries.tried(tried.number);
    let (command, seed) = (tries.command(tried.number), tried.run.seed);
    let (sign, came) = match tried.came {
        Came::True => ("✓", format!("**{}**, as predicted, with seed {seed}.", one.prediction())),
        Came::Open if tried.seeds > 1 => (
            "?",
            format!(
                "**open**: not shown by {} seeds, not all of which could be judged.",
                tried.seeds
            ),
        ),
        Came::Open => ("?", format!("**unknown** with seed {seed}: {}.", tried.run.why())),
        Came::False => {
            let predicted = one.prediction();
            let got = match tried.run.why() {
                _ if tried.run.died.is_none() && tried.seeds > 1 => {
                    format!("with none of {} seeds", tried.seeds)
                }
                none if none.is_empty() => format!("valid with seed {seed}"),
                why => format!("{why} with seed {seed}"),
            };
            ("✗", format!("**predicted {predicted}; came out {got}.**"))
        }
    };
    let first = tried.run.first.iter().map(|first| format!(" {first}"));
    format!("- {sign} `{command}`: {came}{} {}", first.collect::<String>(), one.because)
}
