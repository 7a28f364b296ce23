//! `fracas knee`: the highest rate that a cluster sustains under a scenario's thresholds.

use super::load::Load;
use super::on_engines::EngineArguments;
use crate::scenario_arguments::ScenarioArguments;
use crate::sweep::prepared;
use crate::whole::whole;
use crate::{VERSION, console, interruption};
use anyhow::Context;
use campaign::knee::search::{Next, Search, Wanted};
use campaign::knee::{Found, find};
use campaign::reproduce::reproduce;
use campaign::{InvalidUsage, Opening};
use clap::Args;
use report::Knee as Report;
use report::knee::{Level, Searched};
use scenarios::Scenario;
use scenarios::duration;
use std::path::PathBuf;
use std::time::Duration;

/// What a reader of the help may want to know.
const MEANING: &str = "\
Each level is a whole run of the scenario on a cluster of its own, without its faults, with one rate in \
place of its phases. It is sustained if it is valid, if the thresholds of [expect] hold, and if what is \
sent is accepted as fast. The rate doubles until that fails twice, then the two nearest rates are brought \
together; the rate that is found is held for longer.

SIGINT (Ctrl-C), SIGTERM and SIGHUP end the search, which tells what it has seen so far.

Exit status: 0 a knee was found and held, 1 it did not hold or no rate was sustained, 2 unknown: the \
generator or the users of the scenario are the limit.";

/// Search for the highest rate that a cluster sustains, and say how it scales up to there.
#[derive(Debug, Args)]
#[command(after_help = MEANING)]
pub struct Knee {
    #[command(flatten)]
    opening: ScenarioArguments,
    /// The seed of the first run at each rate; another run has the next one.
    #[arg(long, default_value_t = 1, value_parser = whole(0..=u64::MAX))]
    seed: u64,
    /// The first rate; without it, the lowest one of the scenario.
    #[arg(long, value_name = "RATE", value_parser = rate)]
    from: Option<f64>,
    /// How long the load of a level lasts.
    #[arg(long = "for", value_name = "DURATION", default_value = "15s", value_parser = at_least_3s)]
    lasts: Duration,
    /// How long the rate that was found is held.
    #[arg(long, value_name = "DURATION", default_value = "1m", value_parser = at_least_3s)]
    hold: Duration,
    /// How far the lowest rate that is not sustained may be above the highest that is.
    #[arg(long, value_name = "PERCENT", default_value = "5%", value_parser = resolution)]
    resolution: f64,
    /// Runs at a rate before it counts as not sustained.
    #[arg(long, value_name = "RUNS", default_value_t = 2, value_parser = whole(1..=9_u32))]
    tries: u32,
    /// Start all nodes in one process. That costs less, and hides which node is the limit.
    #[arg(long, conflicts_with = "engines")]
    one_process: bool,
    #[command(flatten)]
    engines: EngineArguments,
    /// The folder for the search as a page, as Markdown and as JSON, with a folder for each level.
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// Do not tell of each level when it is over.
    #[arg(long)]
    quiet: bool,
    /// Print the search as JSON instead of a table.
    #[arg(long)]
    json: bool,
}

impl Knee {
    /// Searches; the status says whether a knee was found and held.
    pub fn execute(self) -> anyhow::Result<u8> {
        let opened = Opening::from(&self.opening).open_one(self.seed)?;
        let scenario = opened.scenario;
        let search = Search::new(self.wanted(&scenario)?);
        self.out.as_deref().map(prepared).transpose()?;
        let stop = super::load::listen()?;
        if !self.quiet && !self.json {
            let phases = scenario.phases;
            let each = self.lasts + phases.warm_up.min(scenario.users.connect_over) + phases.heal;
            let each = duration::text(each + phases.settle);
            console::note(&format!(
                "fracas {VERSION} · {} · seed {} · a level takes {each} and its set-up",
                scenario.name, self.seed
            ));
        }
        let (mut number, mut thresholds) = (0, None);
        let run = |next: &Next| {
            number += 1;
            let folder = self.out.is_some().then(|| number.to_string());
            self.level(next, folder, stop.clone(), &mut thresholds)
        };
        let Found { levels, end, bounds } = find(search, run, || stop.borrow().is_some())?;
        let searched = Searched {
            version: VERSION,
            scenario: &scenario.name,
            thresholds: &thresholds.unwrap_or_default(),
            reproduce: &self.reproduce(),
        };
        let knee = Report::new(searched, levels, end, bounds);
        if self.json {
            console::result(&console::pretty(&knee));
        } else {
            let terminal = console::terminal();
            console::result(&report::knee_table(&knee, terminal.colour, terminal.width));
        }
        if let Some(out) = &self.out {
            knee.write(out).with_context(|| format!("cannot write {}", out.display()))?;
        }
        Ok(knee.end.status())
    }

    fn wanted(&self, scenario: &Scenario) -> Result<Wanted, InvalidUsage> {
        let most = scenario.highest_rate();
        // With visits, too, rates are what is searched: visits per second.
        let rates = scenario.load.phases.iter().map(|phase| phase.rate.peak());
        let from = self.from.unwrap_or_else(|| rates.fold(f64::INFINITY, f64::min));
        if from > most {
            let why = format!("--from: the users of this scenario do at most {most:.0}/s");
            return Err(InvalidUsage(why));
        }
        Ok(Wanted { from, most, growth: 2.0, resolution: self.resolution, tries: self.tries })
    }

    /// Runs a level. The first one says what the thresholds are.
    fn level(
        &self,
        next: &Next,
        folder: Option<String>,
        stop: interruption::Receiver,
        thresholds: &mut Option<Vec<String>>,
    ) -> anyhow::Result<Level> {
        let (rate, nth, lasts, is_hold) = match next {
            Next::Level { rate, nth } => (*rate, *nth, self.lasts, false),
            Next::Hold { rate } => (*rate, 0, self.hold, true),
            Next::End(_) => unreachable!("the end is no level"),
        };
        let mut opening = self.opening.clone();
        let lasts = duration::text(lasts);
        opening
            .overrides
            .push(format!("load.phases=[{{ for = \"{lasts}\", rate = \"{rate}/s\" }}]"));
        let load = Load::of_a_level(
            opening,
            self.seed + u64::from(nth),
            self.one_process,
            self.engines.clone(),
        );
        let opened = load.opened()?;
        let out = self.out.as_deref().zip(folder.as_deref()).map(|(out, name)| out.join(name));
        let concluded = load.one(&opened[0], out.as_deref(), stop)?;
        console::unwritten(&concluded);
        let file = &concluded.file;
        thresholds.get_or_insert_with(|| {
            let bounds = file.expectations.iter().filter(|one| one.what != "outcome");
            bounds.map(|one| format!("{} {}", one.what, one.wanted)).collect()
        });
        let level = Level::of(rate, is_hold, folder, file);
        if !self.quiet && !self.json {
            console::note(&level.line());
        }
        Ok(level)
    }

    fn reproduce(&self) -> String {
        let ScenarioArguments { scenario, overrides } = &self.opening;
        let from = self.from.map(|from| format!(" --from {from}")).unwrap_or_default();
        let one_process = if self.one_process { " --one-process" } else { "" };
        let engines = self.engines.words().map(|engines| format!(" --engines {engines}"));
        let [lasts, hold] = [self.lasts, self.hold].map(duration::text);
        format!(
            "{}{from} --for {lasts} --hold {hold} --resolution {}% --tries {}{one_process}{}",
            reproduce("knee", scenario, self.seed, overrides),
            (self.resolution * 1e4).round() / 1e2,
            self.tries,
            engines.unwrap_or_default()
        )
    }
}

/// "500/s", or a number per second.
fn rate(text: &str) -> Result<f64, String> {
    let rate = duration::parse_rate(text).or_else(|| text.trim().parse().ok());
    rate.filter(|rate: &f64| rate.is_finite() && *rate > 0.0)
        .ok_or_else(|| "expected a rate, such as 500/s".to_owned())
}

/// A load that has whole seconds behind its beginning.
fn at_least_3s(text: &str) -> Result<Duration, String> {
    let time = duration::parse(text).filter(|time| *time >= Duration::from_secs(3));
    time.ok_or_else(|| "expected a duration of at least 3s, such as 15s".to_owned())
}

/// "5%" as 0.05.
fn resolution(text: &str) -> Result<f64, String> {
    super::percent(text)
        .ok()
        .filter(|share| (0.01..=1.0).contains(share))
        .ok_or_else(|| "expected percent from 1% to 100%, such as 5%".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        knee: Knee,
    }

    fn knee(words: &str) -> Knee {
        Line::try_parse_from(words.split(' ')).map(|line| line.knee).expect("good usage")
    }

    fn scenario() -> Scenario {
        let path =
            concat!(env!("CARGO_MANIFEST_DIR"), "/../scenarios/load/ten-thousand-a-second.toml");
        let opening = Opening { scenario: path.into(), overrides: Vec::new() };
        opening.open_one(1).expect("a scenario of the library").scenario
    }

    #[test]
    fn the_first_rate_is_the_lowest_of_the_scenario() {
        let wanted = |words: &str| knee(words).wanted(&scenario());
        let found = wanted("knee a.toml").expect("good usage");
        // 2,000 users of 50 messages a second; 98 % and 1 % of the operations are messages.
        assert_eq!((found.from, found.tries), (2_000.0, 2));
        assert!((found.most - 2_000.0 * 50.0 / 0.99).abs() < 1e-6, "{found:?}");
        assert_eq!(wanted("knee a.toml --from 500/s").map(|found| found.from), Ok(500.0));
        assert!(
            wanted("knee a.toml --from 200000")
                .is_err_and(|why| why.0.contains("at most 101010/s"))
        );
    }

    #[test]
    fn the_command_that_searches_again_has_all_that_matters() {
        assert_eq!(
            knee(
                "knee a.toml --set users.count=5 --from 7 --hold 30s --resolution 10% --one-process"
            )
            .reproduce(),
            "fracas knee a.toml --seed 1 --set 'users.count=5' --from 7 --for 15s --hold 30s \
             --resolution 10% --tries 2 --one-process"
        );
        assert_eq!(
            knee("knee a.toml --engines rabbitmq,postgres").reproduce(),
            "fracas knee a.toml --seed 1 --for 15s --hold 1m --resolution 5% --tries 2 --engines \
             rabbitmq,postgres"
        );
    }

    #[test]
    fn what_makes_no_level_is_refused() {
        for bad in ["--for 1s", "--resolution 0.5%", "--tries 0", "--from -3", "--from fast"] {
            let words = format!("knee a.toml {bad}");
            assert!(Line::try_parse_from(words.split(' ')).is_err(), "{bad}");
        }
    }
}
