//! How late operations were invoked, against the schedule.

use std::time::Duration;

/// Operations later than this count as late: well above a timer's millisecond and above what a crowd
/// that reconnects costs for a moment. Bounds below it that are missed are open if
/// they are met counted from when operations were sent.
pub const LATE: Duration = Duration::from_millis(100);
/// A run in which more than one operation in this many was late was limited by the generator.
const LATE_ONE_IN: u64 = 100;
/// Whether so many late ones of all operations make a generator the bottleneck.
pub const fn is_late(late: u64, operations: u64) -> bool {
    late * LATE_ONE_IN > operations
}

/// Seconds that are kept one by one; later ones count into the last.
const SECONDS_MAX: usize = 24 * 60 * 60;

/// One second of the schedule.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Second {
    /// Operations that were intended in it.
    pub operations: u32,
    /// Of these, invoked more than `LATE` late.
    pub late: u32,
    /// The latest of them, microseconds.
    pub late_us_max: u32,
}

/// Over a whole run.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Lateness {
    seconds: Vec<Second>,
    skipped: u64,
    /// Devices that had yet to begin to connect when the load began.
    waiting: u64,
    queued: Duration,
}

impl Lateness {
    /// An operation that was intended this long after the beginning of the load was invoked so much
    /// later.
    pub fn note(&mut self, intended: Duration, late: Duration) {
        let at = (intended.as_secs() as usize).min(SECONDS_MAX - 1);
        if self.seconds.len() <= at {
            self.seconds.resize(at + 1, Second::default());
        }
        let second = &mut self.seconds[at];
        second.operations += 1;
        second.late += u32::from(late > LATE);
        second.late_us_max =
            second.late_us_max.max(late.as_micros().try_into().unwrap_or(u32::MAX));
    }

    /// An operation was not invoked at all.
    pub const fn note_skipped(&mut self) {
        self.skipped += 1;
    }

    /// So many devices waited for others to get through when the load began.
    pub const fn note_waiting(&mut self, devices: u64) {
        self.waiting += devices;
    }

    /// A device that had something to do got its turn after so long.
    pub fn note_queued(&mut self, queued: Duration) {
        self.queued = self.queued.max(queued);
    }

    /// The longest that a device with something to do was kept from it by the others of its slice.
    pub const fn queued(&self) -> Duration {
        self.queued
    }

    /// Adds what another slice has measured.
    pub fn merge(&mut self, other: &Self) {
        if self.seconds.len() < other.seconds.len() {
            self.seconds.resize(other.seconds.len(), Second::default());
        }
        for (mine, theirs) in self.seconds.iter_mut().zip(&other.seconds) {
            mine.operations += theirs.operations;
            mine.late += theirs.late;
            mine.late_us_max = mine.late_us_max.max(theirs.late_us_max);
        }
        self.skipped += other.skipped;
        self.waiting += other.waiting;
        self.note_queued(other.queued);
    }

    /// Second by second.
    pub fn seconds(&self) -> &[Second] {
        &self.seconds
    }

    /// Operations that were invoked.
    pub fn operations(&self) -> u64 {
        self.seconds.iter().map(|second| u64::from(second.operations)).sum()
    }

    /// Operations that were invoked late, or not at all, and devices that connected late.
    pub fn behind(&self) -> u64 {
        self.late() + self.skipped + self.waiting
    }

    fn late(&self) -> u64 {
        self.seconds.iter().map(|second| u64::from(second.late)).sum()
    }

    /// One sentence if the generator was the bottleneck.
    pub fn doubt(&self) -> Option<String> {
        let (operations, late) = (self.operations(), self.late());
        if self.skipped == 0 && !is_late(late, operations) {
            return (self.waiting > 0).then(|| {
                format!(
                    "the load began too early: {} devices still waited for others to connect (phases.\
                     warm_up)",
                    self.waiting
                )
            });
        }
        let worst = self.seconds.iter().map(|second| second.late_us_max).max().unwrap_or(0);
        Some(format!(
            "the generator was the bottleneck: {late} of {operations} operations were more than {} ms \
             late (the latest {} ms), {} were not invoked",
            LATE.as_millis(),
            worst / 1_000,
            self.skipped,
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_late_generator_is_doubted() {
        let mut lateness = Lateness::default();
        for i in 0..200 {
            lateness.note(Duration::from_millis(i * 10), Duration::from_millis(1));
        }
        assert_eq!(lateness.doubt(), None);
        for _ in 0..3 {
            lateness.note(Duration::from_secs(1), Duration::from_millis(180));
        }
        let doubt = lateness.doubt().expect("3 of 203 are more than 1 %");
        assert!(doubt.contains("3 of 203") && doubt.contains("180 ms"), "{doubt}");
        assert_eq!(lateness.seconds().len(), 2);
    }

    #[test]
    fn a_load_that_begins_before_everybody_could_connect_is_doubted() {
        let mut lateness = Lateness::default();
        lateness.note_waiting(0);
        assert_eq!(lateness.doubt(), None);
        lateness.note_waiting(7);
        assert!(lateness.doubt().is_some_and(|doubt| doubt.contains("7 devices still waited")));
        assert_eq!(lateness.behind(), 7);
    }

    #[test]
    fn a_single_operation_that_was_not_invoked_is_doubted() {
        let mut lateness = Lateness::default();
        lateness.note_skipped();
        assert!(lateness.doubt().is_some());
    }
}
