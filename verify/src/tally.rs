//! What one invariant has counted, and the evidence for its first violations.

use crate::ground::Ground;
use crate::ground::recent::About;
use crate::history::Event;
use crate::verdict::Evidence;

/// Counts and evidence of one invariant.
pub(crate) struct Tally {
    /// How many things were judged.
    pub judged: u64,
    /// How often it was violated.
    pub violations: u64,
    /// For the first few violations.
    pub evidence: Vec<Evidence>,
    /// What the counts do not say: a second denominator, a sampling rate.
    pub note: Option<String>,
    /// Why this invariant cannot be trusted fully in this run.
    pub doubts: Vec<String>,
    evidence_max: usize,
}

impl Tally {
    pub fn new(evidence_max: usize) -> Self {
        Self {
            judged: 0,
            violations: 0,
            evidence: Vec::new(),
            note: None,
            doubts: Vec::new(),
            evidence_max,
        }
    }

    /// A violation shows now. The sentence is made only if it is kept.
    #[cold]
    pub fn violated(&mut self, ground: &Ground, about: About, what: impl FnOnce() -> String) {
        self.violations += 1;
        if self.evidence.len() < self.evidence_max {
            self.evidence.push(ground.evidence(what(), about));
        }
    }

    /// A violation that one event shows by itself.
    #[cold]
    pub fn violated_by(&mut self, ground: &Ground, event: &Event, what: impl FnOnce() -> String) {
        self.violations += 1;
        if self.evidence.len() < self.evidence_max {
            let line = serde_json::to_string(event).expect("events have string keys only");
            self.evidence.push(Evidence {
                at: ground.now,
                what: what(),
                faults: ground.run.faults_around(ground.now),
                history: vec![line],
            });
        }
    }

    /// A violation is confirmed for which evidence may have been kept earlier.
    #[cold]
    pub fn confirmed(&mut self, evidence: impl FnOnce() -> Evidence) {
        self.violations += 1;
        if self.evidence.len() < self.evidence_max {
            self.evidence.push(evidence());
        }
    }
}
