//! Which faults are active, which were, and how soon latency was back after them.

use crate::measure::recovery::Recovery;
use crate::measured::{Band, Recovery as Recovered, Second};
use std::sync::Arc;
use verify::history::event::Engine;

/// Episodes that are kept one by one; a run of two days with one every minute stays below.
const BANDS_MAX: usize = 4_096;

/// The fault episodes so far.
pub(crate) struct Faults {
    bands: Vec<Band>,
    active: u64,
    /// The episode that ended last, while latency is not back.
    last: Option<usize>,
    pub(crate) recovery: Recovery,
}

impl Faults {
    pub(crate) fn new(engine: Engine) -> Self {
        Self { bands: Vec::new(), active: 0, last: None, recovery: Recovery::new(engine) }
    }

    pub(crate) fn began(&mut self, at: u64, fault: u32, kind: &Arc<str>, target: &Arc<str>) {
        self.active += 1;
        self.last = None;
        self.recovery.fault_began();
        if self.bands.len() < BANDS_MAX {
            let (kind, target) = (kind.clone(), target.clone());
            let recovery = Recovered::Unknown;
            let (from_us, to_us, effect) = (at, None, None);
            self.bands.push(Band { fault, kind, target, from_us, to_us, effect, recovery });
        }
    }

    pub(crate) fn ended(&mut self, at: u64, fault: u32, effect: u64) {
        self.active = self.active.saturating_sub(1);
        // The newest first: a repeated fault may carry one number in all its episodes.
        let open = |band: &Band| band.fault == fault && band.to_us.is_none();
        let ended = self.bands.iter().rposition(open);
        if let Some(band) = ended.map(|index| &mut self.bands[index]) {
            band.to_us = Some(at);
            band.effect = Some(effect);
        }
        if self.active == 0 {
            self.last = ended;
            self.recovery.faults_ended(at);
        }
    }

    /// Those that are active, by kind and target: "kill of store-1".
    pub(crate) fn active(&self) -> Vec<String> {
        let active = self.bands.iter().filter(|band| band.to_us.is_none());
        active.map(|band| format!("{} of {}", band.kind, band.target)).collect()
    }

    /// A second is over.
    pub(crate) fn second_ended(&mut self, at: u64, second: &Second) {
        let Some(since) = self.recovery.second_ended(at, second) else { return };
        if let Some(band) = self.last.take().map(|index| &mut self.bands[index]) {
            band.recovery = Recovered::After(since.saturating_sub(band.to_us.unwrap_or(since)));
        }
    }

    pub(crate) fn finish(mut self) -> Vec<Band> {
        let is_not_back = self.recovery.is_not_back();
        if let Some(last) = self.last.filter(|_| is_not_back) {
            self.bands[last].recovery = Recovered::Never;
        }
        self.bands
    }
}
