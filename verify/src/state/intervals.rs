//! A set of sequences as disjoint intervals. In a sound run a device's set is one interval, so the
//! common case is two numbers and no allocation.

/// The set. `current` is the interval that grew last; the others are sorted.
#[derive(Clone, Debug, Default)]
pub(crate) struct Intervals {
    low: u32,
    /// Below `low`: empty.
    high: u32,
    #[expect(clippy::box_collection, reason = "8 bytes per pair instead of 24, and mostly none")]
    rest: Option<Box<Vec<(u32, u32)>>>,
}

impl Intervals {
    /// Adds a sequence (from 1).
    pub fn insert(&mut self, sequence: u32) {
        if self.low == 0 {
            (self.low, self.high) = (sequence, sequence);
            return;
        }
        if sequence == self.high + 1 {
            self.high = sequence;
            if self.rest.is_some() {
                self.join();
            }
        } else if !self.contains(sequence) {
            let rest = self.rest.get_or_insert_default();
            let at = rest.partition_point(|&(low, _)| low < self.low);
            rest.insert(at, (self.low, self.high));
            (self.low, self.high) = (sequence, sequence);
            self.join();
        }
    }

    /// Merges the current interval with the others that it touches.
    fn join(&mut self) {
        let Some(rest) = self.rest.as_mut() else { return };
        let (mut low, mut high) = (self.low, self.high);
        let above = rest.partition_point(|&(other, _)| other <= high);
        if rest.get(above).is_some_and(|&(other, _)| other == high + 1) {
            high = rest.remove(above).1;
        }
        if above > 0 && rest[above - 1].1 + 1 == low {
            low = rest.remove(above - 1).0;
        }
        (self.low, self.high) = (low, high);
    }

    /// Whether there is nothing in the set.
    pub const fn is_empty(&self) -> bool {
        self.low == 0
    }

    /// Whether a sequence is in the set.
    pub fn contains(&self, sequence: u32) -> bool {
        if self.low == 0 {
            return false;
        }
        if (self.low..=self.high).contains(&sequence) {
            return true;
        }
        self.rest.as_ref().is_some_and(|rest| {
            let above = rest.partition_point(|&(low, _)| low <= sequence);
            above > 0 && rest[above - 1].1 >= sequence
        })
    }

    /// The first sequence of `low..=high` that is not in the set and of which `is` holds.
    pub fn first_hole(&self, low: u32, high: u32, mut is: impl FnMut(u32) -> bool) -> Option<u32> {
        let mut found = None;
        // The set has few holes where this is asked: those behind the first one are looked at in vain.
        self.for_each_hole(low, high, |hole| {
            if found.is_none() && is(hole) {
                found = Some(hole);
            }
        });
        found
    }

    /// How many sequences up to one are in the set.
    pub fn count(&self, to: u32) -> u64 {
        let below = |(low, high): (u32, u32)| u64::from((high.min(to) + 1).saturating_sub(low));
        self.all().into_iter().map(below).sum()
    }

    /// Takes everything up to a sequence out.
    pub fn forget(&mut self, to: u32) {
        let all = self.all();
        *self = Self::default();
        for (low, high) in all.into_iter().filter(|&(_, high)| high > to) {
            let rest = self.rest.get_or_insert_default();
            rest.push((self.low, self.high));
            (self.low, self.high) = (low.max(to + 1), high);
        }
        if let Some(rest) = &mut self.rest {
            rest.retain(|&(low, _)| low > 0);
        }
        self.rest = self.rest.take().filter(|rest| !rest.is_empty());
    }

    /// All intervals, in order.
    pub fn all(&self) -> Vec<(u32, u32)> {
        let mut all: Vec<(u32, u32)> =
            self.rest.as_ref().map_or_else(Vec::new, |rest| rest.to_vec());
        if self.low > 0 {
            all.push((self.low, self.high));
        }
        all.sort_unstable();
        all
    }

    /// Calls for every sequence of `low..=high` that is not in the set: only where there are few.
    pub fn for_each_hole(&self, low: u32, high: u32, mut each: impl FnMut(u32)) {
        self.for_each_gap(low, high, |(from, to)| (from..=to).for_each(&mut each));
    }

    /// Calls for every span within `low..=high` of which nothing is in the set, however long.
    pub fn for_each_gap(&self, low: u32, high: u32, mut each: impl FnMut((u32, u32))) {
        if low > high || (self.low != 0 && self.low <= low && high <= self.high) {
            return;
        }
        let mut next = low;
        for (from, to) in self.all() {
            if from > high {
                break;
            }
            if next < from {
                each((next, from - 1));
            }
            next = next.max(to.saturating_add(1));
        }
        if next <= high {
            each((next, high));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    proptest! {
        #[test]
        fn behaves_like_a_set(inserted in prop::collection::vec(1_u32..40, 0..60)) {
            let mut intervals = Intervals::default();
            let mut model = BTreeSet::new();
            for sequence in inserted {
                intervals.insert(sequence);
                model.insert(sequence);
            }
            for sequence in 1..45 {
                prop_assert_eq!(intervals.contains(sequence), model.contains(&sequence));
            }
            let mut holes = Vec::new();
            intervals.for_each_hole(3, 42, |hole| holes.push(hole));
            let expected: Vec<u32> = (3..=42).filter(|s| !model.contains(s)).collect();
            prop_assert_eq!(holes, expected);
            for pair in intervals.all().windows(2) {
                prop_assert!(pair[0].1 + 1 < pair[1].0, "intervals that touch are one");
            }
        }
    }
}
