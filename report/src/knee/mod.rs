//! The knee of a cluster: the highest rate that it sustains, how its throughput scales up to there, and
//! what is used up beyond.
//!
//! Which rates are tried, in which order, is for `campaign::knee` to decide; here is what a run at a rate
//! has shown, what all of them together say, and how that is written.

mod level;
mod saturation;
pub(crate) mod usl;
pub(crate) mod words;
mod write;

pub use level::{Level, Outcome};
pub use saturation::{Resource, Saturated};
use serde::Serialize;
pub use usl::{Estimate, FEWEST_LEVELS, Fit, Point};
pub(crate) use write::FILES;

/// How a search ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum End {
    /// A knee was found, and its rate was sustained for longer.
    Held,
    /// A knee was found, but its rate was not sustained for longer.
    NotHeld,
    /// A knee was found, but whether its rate is sustained for longer could not be told.
    HoldUnknown,
    /// Not even the lowest rate was sustained.
    NothingSustained,
    /// The users of the scenario cannot do more, and the cluster sustained it.
    UsersLimited,
    /// The generator, not the cluster, was the limit.
    GeneratorLimited,
    /// A level said nothing, for another reason.
    Unknown,
    /// Somebody asked for the end.
    Interrupted,
}

impl End {
    /// The exit status: 0 found and held, 1 it was not, 2 unknown.
    pub const fn status(&self) -> u8 {
        match self {
            Self::Held => 0,
            Self::NotHeld | Self::NothingSustained => 1,
            Self::HoldUnknown
            | Self::UsersLimited
            | Self::GeneratorLimited
            | Self::Unknown
            | Self::Interrupted => 2,
        }
    }
}

/// All of a search.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Knee {
    /// The version of Fracas.
    pub version: String,
    /// The scenario's name.
    pub scenario: String,
    /// What it ran on, in words.
    pub machine: String,
    /// The thresholds of the scenario, in words.
    pub thresholds: Vec<String>,
    /// How the search ended.
    pub end: End,
    /// The highest rate that was sustained.
    pub sustained: Option<f64>,
    /// The lowest rate that was not.
    pub broken: Option<f64>,
    /// All levels, in the order in which they were run.
    pub levels: Vec<Level>,
    /// The law of scalability, fitted to the levels that were steady.
    pub fit: Option<Fit>,
    /// Why there is none.
    pub no_fit: Option<String>,
    /// What was used up at the lowest rate that was not sustained; of the machine alone, where the generator
    /// was the limit.
    pub saturated: Vec<Saturated>,
    /// The command that searches again.
    pub reproduce: String,
}

/// What a knee is told of.
#[derive(Clone, Copy, Debug)]
pub struct Searched<'a> {
    /// The version of Fracas.
    pub version: &'a str,
    /// The scenario's name.
    pub scenario: &'a str,
    /// The thresholds of the scenario, in words.
    pub thresholds: &'a [String],
    /// The command that searches again.
    pub reproduce: &'a str,
}

impl Knee {
    /// What the levels say together; `bounds` are the highest rate that was sustained and the lowest that
    /// was not.
    pub fn new(
        searched: Searched<'_>,
        levels: Vec<Level>,
        end: End,
        bounds: (Option<f64>, Option<f64>),
    ) -> Self {
        let points: Vec<Point> = levels.iter().filter_map(Level::point).collect();
        let fit = usl::fit(&points);
        let saturated = saturated(&levels, &end, bounds.1);
        Self {
            version: searched.version.to_owned(),
            scenario: searched.scenario.to_owned(),
            machine: crate::Machine::here().words(crate::number::COMMA),
            thresholds: searched.thresholds.to_vec(),
            end,
            sustained: bounds.0,
            broken: bounds.1,
            saturated,
            no_fit: fit.as_ref().err().cloned(),
            fit: fit.ok(),
            levels,
            reproduce: searched.reproduce.to_owned(),
        }
    }

    /// The last run at the lowest rate that was not sustained.
    pub(crate) fn breaking(&self) -> Option<&Level> {
        breaking(&self.levels, self.broken?)
    }
}

fn saturated(levels: &[Level], end: &End, broken: Option<f64>) -> Vec<Saturated> {
    if *end == End::GeneratorLimited {
        let limited = levels.iter().rev().find(|level| level.outcome == Outcome::GeneratorLimited);
        let of_the_machine =
            |found: &&Saturated| matches!(found.resource, Resource::Processors | Resource::Disk);
        let found = limited.map_or(&[][..], |level| &level.saturated);
        return found.iter().filter(of_the_machine).cloned().collect();
    }
    let level = broken.and_then(|rate| breaking(levels, rate));
    level.map(|level| level.saturated.clone()).unwrap_or_default()
}

fn breaking(levels: &[Level], rate: f64) -> Option<&Level> {
    let is_it = |level: &&Level| {
        level.outcome == Outcome::Broken && !level.is_hold && (level.rate - rate).abs() < 1e-9
    };
    levels.iter().rev().find(is_it)
}

#[cfg(test)]
mod tests;
