//! Which rate comes next: the core of the search, without I/O, clock or chance.
//!
//! The rate grows geometrically until it is not sustained (or shrinks until it is), then the two nearest
//! rates are brought together by their geometric mean, down to the resolution. A level that is not
//! sustained is run again, with another seed, before it counts: on a shared machine a single one may be
//! somebody else's doing. What is found too high in that way, the long run at the end finds out. Before
//! that, levels are added below the knee until there are enough for the law of scalability.

use report::knee::{End, FEWEST_LEVELS, Outcome};

/// Times that the lowest rate may be below the first one.
const DEEPEST: f64 = 1_000.0;
/// The lowest level that is added for the law, as a part of the knee.
const LOWEST_PART: f64 = 8.0;
/// Levels in all; a search that needs more does not converge.
const LEVELS_MAX: usize = 60;

/// What a search is made of.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Wanted {
    /// The first rate.
    pub from: f64,
    /// The highest rate that the users can do.
    pub most: f64,
    /// The next rate over the last one, while nothing has broken.
    pub growth: f64,
    /// The lowest rate that is not sustained is at most so much (a share) above the highest that is.
    pub resolution: f64,
    /// Runs at a rate before it counts as not sustained.
    pub tries: u32,
}

/// What comes next.
#[derive(Clone, Debug, PartialEq)]
pub enum Next {
    /// A run at a rate; `nth`, from 0, counts those at the same rate in a row.
    Level {
        /// Operations per second.
        rate: f64,
        /// How often that was tried already.
        nth: u32,
    },
    /// A longer run at the rate that was found.
    Hold {
        /// Operations per second.
        rate: f64,
    },
    /// Nothing.
    End(End),
}

/// What a level has shown.
#[derive(Clone, Copy, Debug)]
pub struct Seen {
    /// What became of it.
    pub outcome: Outcome,
    /// Whether the law of scalability can use it.
    pub is_steady: bool,
}

/// A search under way.
#[derive(Clone, Debug)]
pub struct Search {
    wanted: Wanted,
    sustained: Option<f64>,
    broken: Option<f64>,
    /// What became of the runs at the rate that is tried now.
    tries: Vec<Outcome>,
    /// The rates that the law can use.
    steady: Vec<f64>,
    /// The rates that were tried for the law alone.
    for_the_law: Vec<f64>,
    levels: usize,
    end: Option<End>,
}

impl Search {
    /// Before the first level.
    pub fn new(wanted: Wanted) -> Self {
        Self {
            wanted,
            sustained: None,
            broken: None,
            tries: Vec::new(),
            steady: Vec::new(),
            for_the_law: Vec::new(),
            levels: 0,
            end: None,
        }
    }

    /// The highest rate that was sustained, and the lowest that was not.
    pub const fn bounds(&self) -> (Option<f64>, Option<f64>) {
        (self.sustained, self.broken)
    }

    /// What comes next; the same until something was seen.
    pub fn next(&self) -> Next {
        if let Some(end) = &self.end {
            return Next::End(end.clone());
        }
        match self.step() {
            Step::Try(rate) => Next::Level { rate, nth: self.tries.len() as u32 },
            Step::ForTheLaw(rate) => Next::Level { rate, nth: 0 },
            Step::Hold(rate) => Next::Hold { rate },
            Step::End(end) => Next::End(end),
        }
    }

    /// What has become of what came next.
    pub fn saw(&mut self, seen: Seen) {
        self.levels += 1;
        let step = self.step();
        if let (true, Step::Try(rate) | Step::ForTheLaw(rate)) = (seen.is_steady, &step)
            && !self.steady.contains(rate)
        {
            self.steady.push(*rate);
        }
        match step {
            Step::Try(rate) => self.tried(rate, seen.outcome),
            Step::ForTheLaw(rate) => self.for_the_law.push(rate),
            Step::Hold(_) => {
                self.end = Some(match seen.outcome {
                    Outcome::Sustained => End::Held,
                    Outcome::Broken => End::NotHeld,
                    Outcome::GeneratorLimited | Outcome::Unknown => End::HoldUnknown,
                });
            }
            Step::End(_) => {}
        }
        if self.levels >= LEVELS_MAX && self.end.is_none() {
            self.end = Some(End::Unknown);
        }
    }

    fn tried(&mut self, rate: f64, outcome: Outcome) {
        self.tries.push(outcome);
        if outcome == Outcome::Sustained {
            self.sustained = Some(rate);
        } else if self.tries.len() < self.wanted.tries as usize {
            return;
        } else if self.tries.contains(&Outcome::Broken) {
            self.broken = Some(rate);
        } else {
            let limited = self.tries.contains(&Outcome::GeneratorLimited);
            self.end = Some(if limited { End::GeneratorLimited } else { End::Unknown });
        }
        self.tries.clear();
    }

    fn step(&self) -> Step {
        let Wanted { from, most, growth, .. } = self.wanted;
        match self.bounds() {
            (None, None) => Step::Try(from.min(most)),
            (None, Some(broken)) if broken <= from / DEEPEST => Step::End(End::NothingSustained),
            (None, Some(broken)) => Step::Try(round(broken / growth)),
            (Some(sustained), None) if sustained >= most => self.enough(End::UsersLimited),
            (Some(sustained), None) => Step::Try(round(sustained * growth).min(most)),
            (Some(sustained), Some(broken)) => match self.between(sustained, broken) {
                Some(rate) => Step::Try(rate),
                None => match self.lower() {
                    Some(rate) => Step::ForTheLaw(rate),
                    None => Step::Hold(sustained),
                },
            },
        }
    }

    /// The end, after the levels that the law lacks.
    fn enough(&self, end: End) -> Step {
        self.lower().map_or(Step::End(end), Step::ForTheLaw)
    }

    /// The rate between two, if they are too far apart.
    fn between(&self, sustained: f64, broken: f64) -> Option<f64> {
        if broken <= sustained * (1.0 + self.wanted.resolution) {
            return None;
        }
        let rate = round((sustained * broken).sqrt());
        (rate > sustained && rate < broken).then_some(rate)
    }

    /// A rate for the law, below the highest that was sustained: in the middle of the widest gap between
    /// those that are there. `None`: there are enough, or it does not help.
    fn lower(&self) -> Option<f64> {
        let top = self.sustained?;
        if self.steady.len() >= FEWEST_LEVELS || self.for_the_law.len() >= 2 * FEWEST_LEVELS {
            return None;
        }
        let used = self.steady.iter().chain(&self.for_the_law).copied();
        let mut rates: Vec<f64> = used.filter(|rate| *rate <= top).chain([top]).collect();
        rates.sort_unstable_by(f64::total_cmp);
        if rates[0] > top / LOWEST_PART * 1.05 {
            return Some(round(top / LOWEST_PART));
        }
        let gap = |pair: &[f64]| pair[1] / pair[0];
        let widest = rates.windows(2).max_by(|a, b| gap(a).total_cmp(&gap(b)))?;
        let rate = round((widest[0] * widest[1]).sqrt());
        (rate > widest[0] && rate < widest[1]).then_some(rate)
    }
}

enum Step {
    Try(f64),
    ForTheLaw(f64),
    Hold(f64),
    End(End),
}

/// Three digits, so that a command that repeats a level can be read.
fn round(rate: f64) -> f64 {
    let digits = 10_f64.powf(2.0 - rate.log10().floor());
    let rounded = (rate * digits).round() / digits;
    if rounded.is_finite() { rounded } else { rate }
}

#[cfg(test)]
mod tests;
