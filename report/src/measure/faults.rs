//! Which faults are active, and which were.

use crate::measured::Band;
use std::sync::Arc;

/// Episodes that are kept one by one; a run of two days with one every minute stays below.
const BANDS_MAX: usize = 4_096;

/// The fault episodes so far.
#[derive(Default)]
pub(crate) struct Faults {
    bands: Vec<Band>,
    active: u64,
    last_ended_us: Option<u64>,
}

impl Faults {
    pub(crate) fn began(&mut self, at: u64, fault: u32, kind: &Arc<str>, target: &Arc<str>) {
        self.active += 1;
        if self.bands.len() < BANDS_MAX {
            let (kind, target) = (kind.clone(), target.clone());
            self.bands.push(Band { fault, kind, target, from_us: at, to_us: None, effect: None });
        }
    }

    pub(crate) fn ended(&mut self, at: u64, fault: u32, effect: u64) {
        self.active = self.active.saturating_sub(1);
        self.last_ended_us = Some(at);
        // The newest first: a repeated fault may carry one number in all its episodes.
        let open = |band: &&mut Band| band.fault == fault && band.to_us.is_none();
        if let Some(band) = self.bands.iter_mut().rev().find(open) {
            band.to_us = Some(at);
            band.effect = Some(effect);
        }
    }

    /// Whether some fault was active at some time since `since`.
    pub(crate) fn overlapped(&self, since: u64) -> bool {
        self.active > 0 || self.last_ended_us.is_some_and(|ended| ended >= since)
    }

    pub(crate) fn finish(self) -> Vec<Band> {
        self.bands
    }
}
