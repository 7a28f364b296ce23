//! The row of the second that is under way, and the rows of those that are over.

use crate::measure::Latencies;
use crate::measured::Second;

/// Rows that are kept: two days. A longer run goes on without further rows.
pub(crate) const SECONDS_MAX: usize = 172_800;
const SECOND_US: u64 = 1_000_000;

/// The series of a run.
#[derive(Default)]
pub(crate) struct Seconds {
    over: Vec<Second>,
    now: Second,
    now_ends_us: u64,
}

impl Seconds {
    pub(crate) fn new() -> Self {
        Self { now_ends_us: SECOND_US, ..Self::default() }
    }

    /// The row to count in.
    pub(crate) fn now(&mut self) -> &mut Second {
        &mut self.now
    }

    /// The last row that is over, with who is connected now.
    pub(crate) fn last(&self) -> Second {
        let last = self.over.last().copied().unwrap_or_default();
        Second { connected: self.now.connected, ..last }
    }

    /// Ends all seconds before `at`, and tells of each.
    pub(crate) fn advance(
        &mut self,
        at: u64,
        latencies: &mut Latencies,
        mut ended: impl FnMut(u64, &Second),
    ) {
        while at >= self.now_ends_us {
            ended(self.now_ends_us, &self.now);
            if self.over.len() < SECONDS_MAX {
                self.end(latencies);
            } else {
                self.now = Second { connected: self.now.connected, ..Second::default() };
                self.now_ends_us = (at / SECOND_US + 1) * SECOND_US;
            }
        }
    }

    fn end(&mut self, latencies: &mut Latencies) {
        let [accept, deliver] = latencies.end_second(self.now_ends_us);
        (self.now.accept_p50_us, self.now.accept_p99_us) = accept;
        (self.now.deliver_p50_us, self.now.deliver_p99_us) = deliver;
        let connected = self.now.connected;
        self.over.push(std::mem::take(&mut self.now));
        self.now.connected = connected;
        self.now_ends_us += SECOND_US;
    }

    /// All rows; the last second counts if the run lasted into it.
    pub(crate) fn finish(
        mut self,
        ended_us: u64,
        latencies: &mut Latencies,
        ended: impl FnMut(u64, &Second),
    ) -> Vec<Second> {
        self.advance(ended_us, latencies, ended);
        let began_us = self.now_ends_us - SECOND_US;
        let anything = self.now != Second { connected: self.now.connected, ..Second::default() };
        if self.over.len() < SECONDS_MAX && (ended_us > began_us || anything) {
            self.end(latencies);
        }
        self.over
    }
}
