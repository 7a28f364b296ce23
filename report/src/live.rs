//! How a run stands while it is under way: of the last whole second, and so far.

use crate::measure::latencies::Latencies;
use crate::measure::latency::Distribution;
use crate::measured::Second;
use std::sync::Arc;
use verify::history::event::Phase;

/// How a run stands, as far as its events have been looked at.
#[derive(Clone, Debug, Default)]
pub struct Live {
    /// The phase, and when it began; `None` before the first.
    pub phase: Option<(Phase, u64)>,
    /// When the newest event happened, in microseconds since the run began.
    pub now_us: u64,
    /// The last second that is over.
    pub second: Second,
    /// Events that were judged.
    pub events: u64,
    /// Operations that were sent.
    pub sent: u64,
    /// Those that were accepted.
    pub accepted: u64,
    /// Entries that were shown on devices other than the sender's.
    pub delivered: u64,
    /// Operations that were refused.
    pub refused: u64,
    /// Violations that the judge has found.
    pub violations: u64,
    /// Members that the set-up has made.
    pub made: u64,
    /// Conversations that were read back.
    pub read_back: u64,
    /// The faults that are active, by kind and target.
    pub faults: Vec<String>,
    /// Of each process its share of one processor in the last second, in percent, and its memory in
    /// bytes.
    pub processes: Vec<(Arc<str>, u64, u64)>,
}

/// Bounds of the buckets of a latency, in microseconds.
pub(crate) const BUCKETS_US: [u64; 14] = [
    1_000, 2_500, 5_000, 10_000, 25_000, 50_000, 100_000, 250_000, 500_000, 1_000_000, 2_500_000,
    5_000_000, 10_000_000, 30_000_000,
];

/// All latencies of one kind so far, as Prometheus counts them.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Buckets {
    /// How many are at most each bound.
    pub(crate) at_most: [u64; BUCKETS_US.len()],
    /// How many there are.
    pub(crate) count: u64,
    /// Their sum.
    pub(crate) sum_us: f64,
}

impl Buckets {
    pub(crate) fn of(distribution: &Distribution) -> Self {
        let count = distribution.len();
        let sum_us = if count == 0 { 0.0 } else { distribution.histogram().mean() * count as f64 };
        Self { at_most: distribution.at_most(BUCKETS_US), count, sum_us }
    }
}

/// Latencies so far, from the intended time on.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct LiveLatencies {
    /// Until accepted.
    pub accept: Buckets,
    /// Until shown elsewhere.
    pub deliver: Buckets,
    /// Until first sent: how late the generator is.
    pub lateness: Buckets,
}

impl LiveLatencies {
    pub(crate) fn of(latencies: &Latencies, lateness: &Distribution) -> Self {
        Self {
            accept: Buckets::of(&latencies.accept.so_far()),
            deliver: Buckets::of(&latencies.deliver.so_far()),
            lateness: Buckets::of(lateness),
        }
    }
}

/// What a run plans to do.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Extent {
    /// Members of all conversations.
    pub members: u64,
    /// Conversations.
    pub conversations: u64,
    /// Sessions.
    pub sessions: u64,
    /// How long the load, the heal and the settling last, in microseconds.
    pub lengths_us: [u64; 3],
}

impl Live {
    /// How far the phase is: done, of how many, and in which unit; `None` if nobody knows.
    pub fn done(&self, extent: &Extent, recorded: u64) -> Option<(u64, u64, Unit)> {
        let (phase, since) = self.phase?;
        let spent = self.now_us.saturating_sub(since);
        let [load, heal, settle] = extent.lengths_us;
        Some(match phase {
            Phase::SetUp => (self.made, extent.members, Unit::Members),
            Phase::WarmUp => (self.second.connected.into(), extent.sessions, Unit::Sessions),
            Phase::Load => (spent.min(load), load, Unit::Time),
            Phase::Heal => (spent.min(heal), heal, Unit::Time),
            Phase::Settle => (spent.min(settle), settle, Unit::Time),
            Phase::Judge => (self.read_back, extent.conversations, Unit::Conversations),
            Phase::End => (self.events.min(recorded), recorded, Unit::Events),
        })
    }
}

/// What a phase counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    /// Microseconds.
    Time,
    /// Members made.
    Members,
    /// Sessions connected.
    Sessions,
    /// Conversations read back.
    Conversations,
    /// Events judged.
    Events,
}

impl Unit {
    /// For people.
    pub const fn words(self) -> &'static str {
        match self {
            Self::Time => "",
            Self::Members => "members made",
            Self::Sessions => "online",
            Self::Conversations => "conversations read back",
            Self::Events => "events judged",
        }
    }
}
