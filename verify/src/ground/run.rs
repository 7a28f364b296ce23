//! The run itself: its phases, its faults, and what makes it doubtful.

use crate::history::event::Phase;
use std::sync::Arc;

/// A fault that was injected.
#[derive(Clone, Debug)]
pub(crate) struct Fault {
    pub number: u32,
    pub kind: Arc<str>,
    pub target: Arc<str>,
    pub began: u64,
    pub ended: Option<u64>,
}

/// The phases, in order.
pub(crate) const PHASES: [Phase; 7] = [
    Phase::SetUp,
    Phase::WarmUp,
    Phase::Load,
    Phase::Heal,
    Phase::Settle,
    Phase::Judge,
    Phase::End,
];

/// Faults of which the details are kept for evidence.
const MOST_FAULTS: usize = 256;
/// How long after its end a fault is still named as a possible cause.
const SHORTLY_US: u64 = 10_000_000;

/// What is known of the run.
#[derive(Default)]
pub(crate) struct Run {
    /// The present phase.
    pub phase: Option<Phase>,
    seen: [bool; 7],
    /// H of the definitions.
    pub healed_at: Option<u64>,
    /// The last event.
    pub ended_at: Option<u64>,
    /// When the first fault began.
    pub first_fault_at: Option<u64>,
    /// Faults that are active or ended lately.
    faults: Vec<Fault>,
    doubts: Vec<String>,
    further_doubts: u64,
}

/// Doubts that are spelled out.
const MOST_DOUBTS: usize = 20;

impl Run {
    /// A phase begins. Heal counts once: the first.
    pub fn phase(&mut self, phase: Phase, now: u64) {
        if self.phase.is_some_and(|current| current >= phase) {
            self.doubt(format!("phase {phase:?} began twice or too late"));
        }
        self.phase = self.phase.max(Some(phase));
        self.seen[phase as usize] = true;
        match phase {
            Phase::Heal => self.healed_at = self.healed_at.or(Some(now)),
            Phase::End => self.ended_at = Some(now),
            _ => {}
        }
    }

    pub fn fault_began(&mut self, number: u32, kind: &Arc<str>, target: &Arc<str>, now: u64) {
        self.first_fault_at = self.first_fault_at.or(Some(now));
        if self.faults.len() >= MOST_FAULTS {
            let ended = self.faults.iter().position(|fault| fault.ended.is_some());
            self.faults.remove(ended.unwrap_or(0));
        }
        let (kind, target) = (kind.clone(), target.clone());
        self.faults.push(Fault { number, kind, target, began: now, ended: None });
    }

    pub fn fault_ended(&mut self, number: u32, effect: u64, now: u64) {
        let found = self.faults.iter_mut().rev().find(|f| f.number == number && f.ended.is_none());
        let name = found.map(|fault| {
            fault.ended = Some(now);
            format!("{} on {}", fault.kind, fault.target)
        });
        match name {
            None => self.doubt(format!("fault {number} ended but never began")),
            Some(name) if effect == 0 => {
                self.doubt(format!("fault {number} ({name}) had no effect"));
            }
            Some(_) => {}
        }
    }

    /// Something makes the run doubtful.
    pub fn doubt(&mut self, why: String) {
        if self.doubts.len() < MOST_DOUBTS {
            self.doubts.push(why);
        } else {
            self.further_doubts += 1;
        }
    }

    /// The faults that were active at a time or shortly before.
    pub fn faults_around(&self, now: u64) -> Vec<String> {
        self.faults
            .iter()
            .filter(|f| f.ended.is_none_or(|ended| ended.saturating_add(SHORTLY_US) >= now))
            .map(|f| {
                let began = f.began as f64 / 1e6;
                let state = f.ended.map_or_else(
                    || "still active".to_owned(),
                    |ended| format!("until {:.3} s", ended as f64 / 1e6),
                );
                format!("fault {}: {} on {} from {began:.3} s, {state}", f.number, f.kind, f.target)
            })
            .collect()
    }

    /// Everything doubtful, at the end.
    pub fn take_doubts(&mut self) -> Vec<String> {
        for phase in PHASES {
            if !self.seen[phase as usize] {
                self.doubt(format!("the history has no phase {phase:?}"));
            }
        }
        let unended: Vec<String> = self
            .faults
            .iter()
            .filter(|fault| fault.ended.is_none())
            .map(|f| format!("fault {} ({} on {}) never ended", f.number, f.kind, f.target))
            .collect();
        for doubt in unended {
            self.doubt(doubt);
        }
        let mut doubts = std::mem::take(&mut self.doubts);
        if self.further_doubts > 0 {
            doubts.push(format!("and {} more", self.further_doubts));
        }
        doubts
    }
}
