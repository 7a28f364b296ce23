//! The run itself: its phases, its faults, and what makes it doubtful.

use crate::history::event::Phase;
use std::collections::BTreeMap;
use std::sync::Arc;

/// A fault that was injected.
#[derive(Clone, Debug)]
pub(crate) struct Fault {
    pub number: u32,
    pub kind: Arc<str>,
    pub target: Arc<str>,
    pub drawn: bool,
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
/// How long after its end a fault is still named as a possible cause, and how long after something
/// went wrong one that began then.
pub(crate) const SHORTLY_US: u64 = 10_000_000;

/// What is known of the run.
#[derive(Default)]
pub(crate) struct Run {
    /// The present phase.
    pub phase: Option<Phase>,
    seen: [bool; 7],
    is_stopped: bool,
    /// H of the definitions.
    pub healed_at: Option<u64>,
    /// From here on nothing is expected of the users: the final reads began, or the run was stopped.
    pub watched_until: Option<u64>,
    /// When the final reads began.
    pub judged_at: Option<u64>,
    /// When the load began to end: no new operations from here on.
    pub load_ended_at: Option<u64>,
    /// When the users began to connect.
    pub connects_at: Option<u64>,
    /// When the first fault began.
    pub first_fault_at: Option<u64>,
    /// Faults, of many the ones that are active or ended lately.
    faults: Vec<Fault>,
    active: u32,
    /// Since when no fault has been active.
    calm_since: u64,
    /// Limits of the load generator, and how often it met them.
    limits: BTreeMap<Arc<str>, u64>,
    drawn: Drawn,
    doubts: Vec<String>,
    further_doubts: u64,
}

/// Faults that were drawn by lot and have ended. One of them may find nothing to disturb; all of them,
/// and the run was not what the scenario wanted.
#[derive(Default)]
struct Drawn {
    faults: u64,
    with_effect: u64,
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
            Phase::WarmUp => self.connects_at = self.connects_at.or(Some(now)),
            Phase::Heal => self.healed_at = self.healed_at.or(Some(now)),
            Phase::Settle => self.load_ended_at = self.load_ended_at.or(Some(now)),
            Phase::Judge => {
                self.judged_at = self.judged_at.or(Some(now));
                self.watched_until = self.watched_until.or(Some(now));
            }
            Phase::End => self.watched_until = self.watched_until.or(Some(now)),
            Phase::SetUp | Phase::Load => {}
        }
    }

    /// The run ends before its time.
    pub fn stopped(&mut self, why: &str, now: u64) {
        self.watched_until = self.watched_until.or(Some(now));
        self.is_stopped = true;
        self.doubt(format!("the run was stopped at {:.3} s: {why}", now as f64 / 1e6));
    }

    /// The generator met a limit of its own; each one is a reason for an unknown verdict.
    pub fn generator_limited(&mut self, limit: &Arc<str>, times: u64) {
        let so_far = self.limits.entry(limit.clone()).or_default();
        *so_far = so_far.saturating_add(times);
    }

    /// Whether the generator met a limit of its own: then what is late may be its fault.
    pub fn is_generator_limited(&self) -> bool {
        !self.limits.is_empty()
    }

    /// The faults that were active at a time or later.
    pub fn faults_since(&self, time: u64) -> impl Iterator<Item = &Fault> {
        self.faults.iter().filter(move |fault| fault.ended.is_none_or(|ended| ended >= time))
    }

    /// Whether faults on such targets were active for so long without a gap of so much, until a time or
    /// later.
    pub fn is_disturbed(
        &self,
        on: impl Fn(&str) -> bool,
        (long, gap): (u64, u64),
        until: u64,
        now: u64,
    ) -> bool {
        let on = self.faults.iter().filter(|fault| on(&fault.target));
        let mut spans: Vec<(u64, u64)> =
            on.map(|fault| (fault.began, fault.ended.unwrap_or(now))).collect();
        spans.sort_unstable();
        let (mut began, mut ended) = spans.first().copied().unwrap_or_default();
        for (from, to) in spans {
            if from > ended.saturating_add(gap) {
                began = from;
            }
            ended = to.max(ended);
            if ended >= until && ended - began >= long {
                return true;
            }
        }
        false
    }

    /// How long no fault has been active, counted from `since` at the earliest.
    pub fn calm_for(&self, since: u64, now: u64) -> u64 {
        if self.active > 0 { 0 } else { now.saturating_sub(since.max(self.calm_since)) }
    }

    pub fn fault_began(
        &mut self,
        number: u32,
        (kind, target): (&Arc<str>, &Arc<str>),
        drawn: bool,
        now: u64,
    ) {
        self.first_fault_at = self.first_fault_at.or(Some(now));
        self.active += 1;
        if self.faults.len() >= MOST_FAULTS {
            let ended = self.faults.iter().position(|fault| fault.ended.is_some());
            self.faults.remove(ended.unwrap_or(0));
        }
        let (kind, target) = (kind.clone(), target.clone());
        self.faults.push(Fault { number, kind, target, drawn, began: now, ended: None });
    }

    pub fn fault_ended(&mut self, number: u32, effect: u64, now: u64) {
        let found = self.faults.iter_mut().rev().find(|f| f.number == number && f.ended.is_none());
        let Some(fault) = found else {
            return self.doubt(format!("fault {number} ended but never began"));
        };
        fault.ended = Some(now);
        (self.active, self.calm_since) = (self.active.saturating_sub(1), now);
        if fault.drawn {
            self.drawn.faults += 1;
            self.drawn.with_effect += u64::from(effect > 0);
        } else if effect == 0 {
            let why = format!("fault {number} ({} on {}) had no effect", fault.kind, fault.target);
            self.doubt(why);
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

    /// What another part says of the run: the same, and what it alone doubts.
    pub fn merge(&mut self, other: &Self) {
        let known = self.doubts.len();
        for why in &other.doubts {
            if !self.doubts[..known].contains(why) {
                self.doubt(why.clone());
            }
        }
        self.further_doubts = self.further_doubts.max(other.further_doubts);
        for (limit, times) in &other.limits {
            let met = self.limits.entry(Arc::clone(limit)).or_default();
            *met = (*met).max(*times);
        }
    }

    /// The faults that were active between two times, or shortly before.
    pub fn faults_around(&self, from: u64, to: u64) -> Vec<String> {
        self.faults
            .iter()
            .filter(|f| f.ended.is_none_or(|ended| ended.saturating_add(SHORTLY_US) >= from))
            .filter(|f| f.began <= to)
            .map(|f| {
                let end = f.ended.map_or_else(
                    || "still active".to_owned(),
                    |ended| format!("until {:.3} s", ended as f64 / 1e6),
                );
                format!(
                    "{}, {end}",
                    crate::verdict::fault_began(f.number, &f.kind, &f.target, f.began)
                )
            })
            .collect()
    }

    /// Everything doubtful, at the end.
    pub fn take_doubts(&mut self) -> Vec<String> {
        for (limit, times) in std::mem::take(&mut self.limits) {
            self.doubt(crate::limits::told(&limit, times));
        }
        for phase in PHASES {
            // A run that was stopped says so, and has the other phases not.
            if !self.seen[phase as usize] && !self.is_stopped {
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
        if self.drawn.faults > 0 && self.drawn.with_effect == 0 {
            self.doubt(format!("none of the {} random faults had an effect", self.drawn.faults));
        }
        let mut doubts = std::mem::take(&mut self.doubts);
        if self.further_doubts > 0 {
            doubts.push(format!("and {} more", self.further_doubts));
        }
        doubts
    }
}
