//! The levels of nodes' queues and resources: the highest, and how they went over time.

use crate::measured::{Level, Peaks, SECOND_US};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Gauges that are followed: a few per node, of at most some hundred nodes.
const LEVELS_MAX: usize = 4_096;
/// Moments of one gauge that are kept; then each stands for twice as long a time.
const PEAKS_MAX: usize = 240;

/// All of them.
pub(super) struct Levels {
    all: BTreeMap<(Arc<str>, Arc<str>), Followed>,
    /// A simulated node tells only when a level is twice its highest: nothing over time.
    over_time: bool,
}

/// One gauge.
struct Followed {
    highest: u64,
    /// When it was highest.
    limit: u64,
    peaks: Peaks,
}

impl Levels {
    pub(super) const fn new(over_time: bool) -> Self {
        Self { all: BTreeMap::new(), over_time }
    }

    pub(super) fn seen(
        &mut self,
        at_us: u64,
        node: &Arc<str>,
        name: &Arc<str>,
        (value, limit): (u64, u64),
    ) {
        let key = (node.clone(), name.clone());
        if !self.all.contains_key(&key) && self.all.len() == LEVELS_MAX {
            return;
        }
        let new = || Followed { highest: value, limit, peaks: Peaks::default() };
        let followed = self.all.entry(key).or_insert_with(new);
        if value > followed.highest {
            (followed.highest, followed.limit) = (value, limit);
        }
        if self.over_time {
            followed.peaks.add(at_us, value);
        }
    }

    pub(super) fn finish(self) -> Vec<Level> {
        let level = |((node, name), Followed { highest, limit, peaks })| Level {
            node,
            name,
            highest,
            limit,
            over_time: (!peaks.highest.is_empty()).then_some(peaks),
        };
        self.all.into_iter().map(level).collect()
    }
}

impl Peaks {
    fn add(&mut self, at_us: u64, value: u64) {
        self.seconds = self.seconds.max(1);
        let block = |seconds: u32| (at_us / SECOND_US / u64::from(seconds)) as usize;
        while block(self.seconds) >= PEAKS_MAX {
            self.seconds *= 2;
            let pairs = self.highest.chunks(2);
            self.highest = pairs.map(|pair| pair.iter().copied().max().flatten()).collect();
        }
        let at = block(self.seconds);
        if self.highest.len() <= at {
            self.highest.resize(at + 1, None);
        }
        self.highest[at] = self.highest[at].max(Some(value));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_run_keeps_its_peaks() {
        let (node, name): (Arc<str>, Arc<str>) = ("broker-1".into(), "queued".into());
        let mut levels = Levels::new(true);
        for second in (0..1_000).filter(|second| *second != 500) {
            let value = if second == 700 { 90 } else { second % 7 };
            levels.seen(second * SECOND_US, &node, &name, (value, 100));
        }
        let level = levels.finish().remove(0);
        assert_eq!((level.highest, level.limit), (90, 100));
        let Peaks { seconds, highest } = level.over_time.expect("it was followed");
        assert_eq!((seconds, highest.len()), (8, 125));
        let at = highest.iter().position(|peak| *peak == Some(90));
        assert_eq!(at, Some(700 / 8), "{highest:?}");
    }

    #[test]
    fn a_second_without_a_look_is_none() {
        let (node, name): (Arc<str>, Arc<str>) = ("broker-1".into(), "queued".into());
        let mut levels = Levels::new(true);
        levels.seen(0, &node, &name, (3, 100));
        levels.seen(2 * SECOND_US, &node, &name, (5, 100));
        levels.seen(2 * SECOND_US + 9, &node, &name, (4, 100));
        let peaks = levels.finish().remove(0).over_time.expect("it was followed");
        assert_eq!(peaks, Peaks { seconds: 1, highest: vec![Some(3), None, Some(5)] });
    }
}
