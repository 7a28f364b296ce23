//! Fidelity: what runs of one scenario come to in the simulator and on real processes, side by side.
//!
//! A simulated run is worth what it foretells. Verdicts must be the same, and recovery from a fault must take
//! a time of the same order; latencies are shown, but not judged: simulated time has no processors, so a
//! real run adds what the code and the disk cost.

mod pair;
#[cfg(test)]
mod tests;

pub(crate) use pair::{Agreement, Pair, Side, told};

use crate::compare::differences::flatten;
use crate::folder;
use crate::gather::{Gathered, relative};
use crate::html;
use crate::past_run::PastRunError;
use crate::text;
use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::Path;
use verify::history::event::Engine;

/// The files of the report.
const FILES: [&str; 2] = ["fidelity.html", "fidelity.md"];
const SCENARIO: &str = "scenario.toml";

/// All scenarios that were run in both worlds.
#[derive(Debug)]
pub struct Fidelity {
    pub(crate) pairs: Vec<Pair>,
    /// Scenarios that were run in one world alone.
    pub(crate) alone: Vec<String>,
    /// What may be a run and cannot be read.
    pub unreadable: Vec<PastRunError>,
    pub(crate) version: String,
}

impl Fidelity {
    /// Pairs the runs of scenarios that are the same to the last key; links are seen from the page's folder.
    ///
    /// # Errors
    /// A folder is gone by now.
    pub fn of(gathered: Gathered, page: &Path, version: &str) -> io::Result<Self> {
        let page = page.canonicalize()?;
        let mut unreadable = gathered.unreadable;
        let mut scenarios: BTreeMap<(String, String), [Side; 2]> = BTreeMap::new();
        for (path, file) in gathered.runs {
            let link = relative(&page, &path.canonicalize()?);
            let text = match scenario(&path.join(SCENARIO)) {
                Ok(text) => text,
                Err(error) => {
                    unreadable.push(error);
                    continue;
                }
            };
            let sides = scenarios.entry((file.scenario.clone(), text)).or_default();
            let side = usize::from(file.engine == Engine::Real);
            sides[side].runs.push((link, file));
        }
        let (mut pairs, mut alone) = (Vec::new(), Vec::new());
        let texts: Vec<(String, String)> = scenarios.keys().cloned().collect();
        for ((scenario, text), [simulated, real]) in scenarios {
            if simulated.runs.is_empty() || real.runs.is_empty() {
                let world = if real.runs.is_empty() { "simulated" } else { "real" };
                let others =
                    texts.iter().filter(|(name, other)| *name == scenario && *other != text);
                let differ: Vec<String> =
                    others.map(|(_, other)| differing_keys(&text, other).join(", ")).collect();
                let differ = match differ.as_slice() {
                    [] => String::new(),
                    keys => format!("; other runs of it differ in {}", keys.join(", and in ")),
                };
                alone.push(format!("{scenario}: {world} runs alone{differ}"));
            } else {
                pairs.push(Pair { scenario, simulated, real });
            }
        }
        Ok(Self { pairs, alone, unreadable, version: version.to_owned() })
    }

    /// Whether there is anything to compare.
    pub const fn is_empty(&self) -> bool {
        self.pairs.is_empty()
    }

    /// Scenarios that were run in one world alone, and why, as far as is known.
    pub fn alone(&self) -> &[String] {
        &self.alone
    }

    /// The exit status: 0 all agree, 1 a verdict or a recovery differs, 2 that is unknown of one.
    pub fn status(&self) -> u8 {
        let all = || self.pairs.iter().map(Pair::agreement);
        match () {
            () if all().any(|one| one == Agreement::Differs) => 1,
            () if all().any(|one| one == Agreement::Unknown) || !self.unreadable.is_empty() => 2,
            () => 0,
        }
    }

    /// In how many scenarios both worlds agree.
    pub(crate) fn headline(&self) -> String {
        let agree = self.pairs.iter().filter(|pair| pair.agreement() == Agreement::Same).count();
        format!("{agree} of {} scenarios agree", self.pairs.len())
    }

    /// Writes `fidelity.html` and `fidelity.md`.
    ///
    /// # Errors
    /// The disk refused.
    pub fn write(&self, out: &Path) -> io::Result<()> {
        let [page, markdown] = FILES;
        folder::put(&out.join(page), html::fidelity::page(self))?;
        folder::put(&out.join(markdown), text::fidelity::markdown(self))
    }
}

/// The text of a scenario as it was run.
fn scenario(path: &Path) -> Result<String, PastRunError> {
    let text = std::fs::read_to_string(path)
        .map_err(|source| PastRunError::Disk { path: path.to_owned(), source })?;
    let named = text.parse::<toml::Table>().is_ok_and(|table| table.contains_key("name"));
    let damaged = || PastRunError::Damaged {
        path: path.to_owned(),
        why: "it is no scenario as a run leaves it".to_owned(),
    };
    if named { Ok(text) } else { Err(damaged()) }
}

/// The keys in which two scenarios differ.
fn differing_keys(one: &str, other: &str) -> Vec<String> {
    let flat = |text: &str| {
        let mut flat = Vec::new();
        flatten("", &toml::Value::Table(text.parse().unwrap_or_default()), &mut flat);
        flat.into_iter().collect::<BTreeSet<(String, String)>>()
    };
    let (one, other) = (flat(one), flat(other));
    let keys = one.symmetric_difference(&other).map(|(key, _)| key.clone());
    keys.collect::<BTreeSet<String>>().into_iter().collect()
}
