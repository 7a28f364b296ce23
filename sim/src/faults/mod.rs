//! What goes wrong: one file per word of the vocabulary, and one for all faults of links.
//!
//! A fault is begun once and ended once; ending it says how much it really did. A fault that did
//! nothing makes the verdict unknown: a partition that dropped no packet has tested nothing.

mod drain;
mod full_disk;
mod kill;
pub mod links;
mod pause;
mod power_loss;
pub mod schedule;
mod skew;

use crate::world::Hosts;
use links::LinkBoard;
use rand_chacha::ChaCha8Rng;
use scenarios::faults::claims::claimed;
use scenarios::faults::flap;
use scenarios::faults::target::Pair;
use scenarios::scenario::FaultKind;
use std::sync::Arc;
use std::time::Duration;

/// What a fault works on.
pub struct Stage<'a, 'sim> {
    /// The simulation.
    pub sim: &'a mut turmoil::Sim<'sim>,
    /// All links.
    pub board: &'a LinkBoard,
    /// All hosts.
    pub hosts: &'a Hosts,
    /// The seed of the run.
    pub seed: u64,
    /// The simulated time.
    pub now: Duration,
}

impl Stage<'_, '_> {
    /// What a fault draws for one purpose.
    pub fn stream(&self, fault: u32, purpose: &str) -> ChaCha8Rng {
        scenarios::faults::stream(self.seed, fault, purpose)
    }
}

/// A fault that has begun, with its targets resolved.
#[derive(Clone, Debug)]
pub struct Active {
    /// Its id in the schedule.
    pub id: u32,
    /// What it is.
    pub kind: FaultKind,
    /// The hosts that it works on, for faults of processes and clocks.
    pub hosts: Vec<Arc<str>>,
    /// The directed pairs that it works on, for faults of links.
    pub pairs: Vec<Pair>,
    /// What it did so far.
    pub effect: u64,
    /// The hosts whose processes have ended as they were asked to.
    pub down: Vec<Arc<str>>,
}

impl Active {
    /// The fault begins.
    pub fn begin(&mut self, stage: &mut Stage<'_, '_>) {
        match self.kind.clone() {
            FaultKind::Blip { .. }
            | FaultKind::Cut { .. }
            | FaultKind::Flap { .. }
            | FaultKind::Reset { .. }
            | FaultKind::Corrupt { .. }
            | FaultKind::SlowLink { .. }
            | FaultKind::NarrowLink { .. } => self.claim(stage),
            FaultKind::Kill { .. } => kill::begin(self, stage),
            FaultKind::PowerLoss { .. } => power_loss::begin(self, stage),
            FaultKind::Drain { .. } => drain::begin(self, stage),
            FaultKind::Pause { .. } => pause::begin(self, stage),
            FaultKind::Skew { offset_ms, drift_ppm, .. } => {
                skew::begin(self, stage, offset_ms, drift_ppm);
            }
            FaultKind::FullDisk { .. } => full_disk::begin(self, stage),
            // The users' plan has it.
            FaultKind::Surge { .. } | FaultKind::Storm { .. } | FaultKind::Hostile { .. } => {}
        }
    }

    /// Between its beginning and its end, a flapping link changes its state, and a process that was asked to
    /// end may have ended; when next, if at all.
    pub fn next_change(&self, begun: Duration, now: Duration) -> Option<Duration> {
        match self.kind {
            FaultKind::Flap { down, up, .. } => Some(flap::next_change(begun, now, down, up)),
            FaultKind::Drain { .. } => Some(drain::next_look(now)),
            _ => None,
        }
    }

    /// What happens between its beginning and its end.
    pub fn change(&mut self, stage: &mut Stage<'_, '_>, begun: Duration) {
        match self.kind {
            FaultKind::Flap { down, up, .. } if flap::is_down(begun, stage.now, down, up) => {
                self.claim(stage);
            }
            FaultKind::Flap { .. } => self.effect += stage.board.lift(stage.sim, self.id),
            FaultKind::Drain { .. } => drain::look(self, stage),
            _ => {}
        }
    }

    /// The links do what the fault wants.
    fn claim(&self, stage: &Stage<'_, '_>) {
        if let Some((claim, pairs)) = claimed(&self.kind, &self.pairs) {
            stage.board.lay(stage.sim, self.id, claim, pairs);
        }
    }

    /// The fault ends; what it did is in `effect`.
    pub fn end(&mut self, stage: &mut Stage<'_, '_>) {
        match &self.kind {
            FaultKind::Blip { .. }
            | FaultKind::Cut { .. }
            | FaultKind::Flap { .. }
            | FaultKind::Reset { .. }
            | FaultKind::Corrupt { .. }
            | FaultKind::SlowLink { .. }
            | FaultKind::NarrowLink { .. } => {
                self.effect += stage.board.lift(stage.sim, self.id);
            }
            FaultKind::Kill { .. } => kill::end(self, stage),
            FaultKind::PowerLoss { .. } => power_loss::end(self, stage),
            FaultKind::Drain { .. } => drain::end(self, stage),
            FaultKind::Pause { .. } => pause::end(self, stage),
            FaultKind::Skew { .. } => skew::end(self, stage),
            FaultKind::FullDisk { .. } => full_disk::end(self, stage),
            FaultKind::Surge { more: planned, .. }
            | FaultKind::Storm { reconnects: planned, .. } => self.effect += planned,
            FaultKind::Hostile { attacks } => self.effect += u64::from(*attacks),
        }
    }
}
