//! What one invariant has counted, and the evidence for its first violations.

use crate::history::Event;
use crate::history::event::Engine;
use crate::state::State;
use crate::state::recent::About;
use crate::verdict::Evidence;

/// Of what was to be judged, so much may be excused before the verdict is unknown: one in this many.
const EXCUSED_ONE_IN: u64 = 20;

/// Counts and evidence of one invariant.
pub(crate) struct Tally {
    /// How many things were judged.
    pub judged: u64,
    /// How often it was violated.
    pub violations: u64,
    /// How many of these are a matter of time: what was late, or too late to be seen. They count only
    /// if the generator kept its own time.
    late: u64,
    /// For the first few violations, in the order of time; whether they are a matter of time.
    evidence: Vec<(Evidence, bool)>,
    /// What was not judged, and why.
    excused: Vec<(&'static str, u64)>,
    /// What could not be compared any more, since it was compacted before.
    compacted: u64,
    /// Why this invariant cannot be trusted fully in this run.
    pub doubts: Vec<String>,
    evidence_max: usize,
}

impl Tally {
    pub const fn new(evidence_max: usize) -> Self {
        Self {
            judged: 0,
            violations: 0,
            late: 0,
            evidence: Vec::new(),
            excused: Vec::new(),
            compacted: 0,
            doubts: Vec::new(),
            evidence_max,
        }
    }

    /// What was counted in another part.
    pub fn merge(&mut self, other: Self) {
        self.judged += other.judged;
        self.violations += other.violations;
        self.late += other.late;
        self.compacted += other.compacted;
        other.excused.iter().for_each(|(why, count)| self.excuse(why, *count));
        self.doubts.extend(other.doubts);
        self.evidence.extend(other.evidence);
        self.evidence.sort_by_key(|(evidence, _)| evidence.at);
        let mut kept = [0; 2];
        self.evidence.retain(|(_, is_late)| {
            kept[usize::from(*is_late)] += 1;
            kept[usize::from(*is_late)] <= self.evidence_max
        });
    }

    /// A violation shows now. The sentence is made only if it is kept.
    #[cold]
    pub fn violated(&mut self, state: &State, about: About, what: impl FnOnce() -> String) {
        self.note(about.at(state.now), false, || state.evidence(what(), about));
    }

    /// As `violated`, by the passing of time: something is late, or has not come in time.
    #[cold]
    pub fn late(&mut self, state: &State, about: About, what: impl FnOnce() -> String) {
        self.late += 1;
        self.note(about.at(state.now), true, || state.evidence(what(), about));
    }

    /// A violation that one event shows by itself.
    #[cold]
    pub fn violated_by(&mut self, state: &State, event: &Event, what: impl FnOnce() -> String) {
        self.confirmed(|| by(state, event, what()));
    }

    /// As `violated_by`, by the passing of time.
    #[cold]
    pub fn late_by(&mut self, state: &State, event: &Event, what: impl FnOnce() -> String) {
        self.late += 1;
        self.note(state.now, true, || by(state, event, what()));
    }

    /// A violation is confirmed for which evidence may have been kept earlier.
    #[cold]
    pub fn confirmed(&mut self, evidence: impl FnOnce() -> Evidence) {
        self.note(u64::MAX, false, evidence);
    }

    /// Keeps the earliest: later violations are often consequences. What is judged at the end comes in
    /// any order, and `at` says without evidence whether it takes the place of a later one.
    fn note(&mut self, at: u64, is_late: bool, evidence: impl FnOnce() -> Evidence) {
        self.violations += 1;
        // What is late may turn out to be nobody's fault, and must not take the place of what is certain.
        let alike = |(_, late): &(Evidence, bool)| *late == is_late;
        if self.evidence.iter().filter(|kept| alike(kept)).count() >= self.evidence_max {
            let latest = self.evidence.iter().rposition(alike);
            let Some(latest) = latest.filter(|&latest| self.evidence[latest].0.at > at) else {
                return;
            };
            self.evidence.remove(latest);
        }
        let evidence = evidence();
        let place = self.evidence.partition_point(|(kept, _)| kept.at <= evidence.at);
        self.evidence.insert(place, (evidence, is_late));
    }

    /// So much was not judged, for this reason.
    pub fn excuse(&mut self, why: &'static str, count: u64) {
        if count > 0 {
            match self.excused.iter_mut().find(|(known, _)| *known == why) {
                Some((_, so_far)) => *so_far += count,
                None => self.excused.push((why, count)),
            }
        }
    }

    /// So much cannot be compared any more: it was compacted before (see `state::compaction`). This is no
    /// reason for doubt: whoever was owed it has been judged, and this is a repetition.
    pub const fn compacted(&mut self, count: u64) {
        self.compacted += count;
    }

    /// Violations that are certain while the history goes on: what is late on real sockets may yet turn out
    /// to be the load generator's fault.
    pub fn certain(&self, state: &State) -> u64 {
        let may_be_excused = state.header.engine == Engine::Real;
        self.violations - if may_be_excused { self.late } else { 0 }
    }

    /// The history is complete. If the generator met a limit of its own, what is late may be late by
    /// its fault: then it is a reason for doubt.
    pub fn close(&mut self, state: &State) {
        if state.run.is_generator_limited() && self.late > 0 {
            self.violations -= self.late;
            self.doubts.push(format!(
                "{} things were late, and the load generator may be the cause",
                std::mem::take(&mut self.late)
            ));
            self.evidence.retain(|(_, is_late)| !is_late);
        }
        let excused: u64 = self.excused.iter().map(|(_, count)| count).sum();
        if excused * EXCUSED_ONE_IN > self.judged + excused {
            let judged = self.judged;
            self.doubts.push(format!("{excused} not judged beside {judged}: {}", self.excuses()));
        }
    }

    /// What was not judged, for people: "3 away".
    pub fn excuses(&self) -> String {
        let compacted =
            (self.compacted > 0).then_some(("seen again after compaction", self.compacted));
        let excused = self.excused.iter().copied().chain(compacted);
        let excuses: Vec<String> = excused.map(|(why, count)| format!("{count} {why}")).collect();
        excuses.join(", ")
    }

    /// The evidence.
    pub fn into_evidence(self) -> Vec<Evidence> {
        let mut evidence: Vec<_> =
            self.evidence.into_iter().map(|(evidence, _)| evidence).collect();
        evidence.truncate(self.evidence_max);
        evidence
    }
}

/// What one event shows by itself.
fn by(state: &State, event: &Event, what: String) -> Evidence {
    Evidence {
        at: state.now,
        what,
        faults: state.run.faults_around(state.now, state.now),
        history: vec![serde_json::to_string(event).expect("events have string keys only")],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_late_takes_no_place_of_what_is_certain() {
        let evidence =
            |at| Evidence { at, what: String::new(), faults: Vec::new(), history: Vec::new() };
        let mut tally = Tally::new(2);
        for (at, is_late) in [(1, true), (2, true), (3, true), (4, false), (5, false), (6, false)] {
            tally.note(at, is_late, || evidence(at));
        }
        assert_eq!(tally.violations, 6);
        let kept: Vec<u64> = tally.evidence.iter().map(|(evidence, _)| evidence.at).collect();
        assert_eq!(kept, [1, 2, 4, 5]);
        tally.evidence.retain(|(_, is_late)| !is_late);
        assert_eq!(tally.into_evidence().len(), 2);
    }
    #[test]
    fn the_earliest_evidence_stays_in_whatever_order_it_comes() {
        let mut tally = Tally::new(2);
        for at in [50, 40, 60, 10, 30] {
            let (what, faults, history) = (String::new(), Vec::new(), Vec::new());
            tally.note(at, false, || Evidence { at, what, faults, history });
        }
        let kept: Vec<u64> = tally.into_evidence().iter().map(|evidence| evidence.at).collect();
        assert_eq!(kept, [10, 30]);
    }
}
