//! What was measured in a run, ready to be written or compared. `measure` makes it from events.
//!
//! All times are microseconds in the clock of the history; missing values are `None`, never zero.

pub(crate) mod disk;
pub(crate) mod machine;
pub(crate) mod processors;
mod totals;

pub use totals::Totals;

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::sync::Arc;
use verify::history::event::{Phase, Request};

pub(crate) const SECOND_US: u64 = 1_000_000;

/// Everything that was measured in a run.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Measured {
    /// Time of the last event.
    pub ended_us: u64,
    /// From the intended time of an operation until its sender got `accepted`. What was not
    /// answered by the end of the run (`Totals::unanswered`) counts as if it had been answered
    /// then: a lower bound, because leaving it out would make a cluster that loses answers look fast.
    pub accept: Latency,
    /// From the intended time of an operation until another device showed its entry; one value per
    /// device that showed it.
    pub deliver: Latency,
    /// How late the load generator invoked its operations: from the intended time to the first send.
    pub lateness: Percentiles,
    /// One row per second of the run, from second zero, without holes.
    pub seconds: Vec<Second>,
    /// When each phase began, in order.
    pub phases: Vec<PhaseMark>,
    /// The fault episodes, in the order in which they began.
    pub faults: Vec<Band>,
    /// With what the latencies after faults were compared (`Band::recovery`); `None`: fewer than twenty
    /// answers between the beginning of the load and the first fault.
    #[serde(default)]
    pub baseline: Option<Baseline>,
    /// Nodes' levels at their highest.
    pub levels: Vec<Level>,
    /// Whether latency was steady under the load; `None`: nobody can tell, because the load came at more than
    /// one rate, had faults, or was shorter than ten seconds.
    #[serde(default)]
    pub steady: Option<Steady>,
    /// What the users of the REST interface asked for, kind by kind: a closed loop, with latencies from
    /// the beginning of each request. Empty if there are none.
    #[serde(default)]
    pub requests: Vec<Requests>,
    /// All of these together.
    #[serde(default)]
    pub requests_all: Option<Percentiles>,
    /// What each process used; empty for simulated runs.
    #[serde(default)]
    pub processes: Vec<Used>,
    /// The threshold for which the run ended early, because it could not be met any more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unmeetable: Option<String>,
    /// Counts over the whole run.
    pub totals: Totals,
}

/// The latency of one kind of operation.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Latency {
    /// Over the whole run.
    pub all: Percentiles,
    /// The mean over the whole run.
    #[serde(default)]
    pub mean_us: Option<f64>,
    /// Of the operations that no fault, and no recovery from one, overlapped between the intended time
    /// and the end.
    pub calm: Percentiles,
    /// Of the others.
    pub under_fault: Percentiles,
    /// From the end of the warm-up to the end of the run (`Measured::steady`). What was never answered counts
    /// in it whenever it was intended.
    #[serde(default)]
    pub steady: Option<Percentiles>,
    /// Of each kind of operation, over the whole run.
    #[serde(default)]
    pub operations: Operations,
    /// Counted from when operations were sent instead of when they were due: without the generator's lateness.
    #[serde(default)]
    pub from_sent: FromSent,
    /// The distribution over the whole run, for a chart: rising quantiles, with the value of each.
    pub distribution: Vec<Point>,
}

/// Whether latency was steady under a load.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Steady {
    /// It was, behind a warm-up.
    From {
        /// The moment in the run; 0: from the beginning of the load on.
        at_us: u64,
        /// The warm-up: whole seconds of the load.
        warm_up_s: u32,
    },
    /// It drifted to the end.
    Never,
}

impl Steady {
    /// Since which moment of the run, in microseconds.
    pub(crate) const fn since_us(self) -> Option<u64> {
        match self {
            Self::From { at_us, .. } => Some(at_us),
            Self::Never => None,
        }
    }
}

/// Percentiles of a latency that is counted from when operations were sent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct FromSent {
    /// Over the whole run.
    pub all: Percentiles,
    /// As `Latency::calm`.
    pub calm: Percentiles,
    /// As `Latency::under_fault`.
    pub under_fault: Percentiles,
    /// As `Latency::steady`.
    pub steady: Option<Percentiles>,
    /// Of each kind of operation.
    pub operations: Operations,
}

/// Percentiles by operation.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Operations {
    /// Of new messages that answer none.
    pub send: Percentiles,
    /// Of replies.
    pub reply: Percentiles,
    /// Of edits.
    pub edit: Percentiles,
    /// Of deletions.
    pub delete: Percentiles,
}

impl Operations {
    /// Each with its name.
    pub(crate) const fn named(&self) -> [(&'static str, &Percentiles); 4] {
        [
            ("send", &self.send),
            ("reply", &self.reply),
            ("edit", &self.edit),
            ("delete", &self.delete),
        ]
    }
}

/// Requests of the users of the REST interface, of one kind.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Requests {
    /// What was asked for.
    pub request: Request,
    /// From the beginning of the request to the end of its answer, whatever that is. A request that was
    /// never answered counts with the time that its user has waited.
    pub all: Percentiles,
    /// Of the requests that no fault, and no recovery from one, overlapped.
    pub calm: Percentiles,
    /// Of the others.
    pub under_fault: Percentiles,
    /// Answers other than success, by status; 0: there was none.
    pub failed: BTreeMap<u16, u64>,
}

/// Percentiles of a distribution, each at most 0.1 % above the exact value.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Percentiles {
    /// How many values there were.
    pub count: u64,
    /// Half of the values are at most this.
    pub p50_us: Option<u64>,
    /// 90 % of the values are at most this.
    pub p90_us: Option<u64>,
    /// 95 % of the values are at most this.
    #[serde(default)]
    pub p95_us: Option<u64>,
    /// 99 % of the values are at most this.
    pub p99_us: Option<u64>,
    /// 99.9 % of the values are at most this.
    pub p999_us: Option<u64>,
    /// The highest value, exact.
    pub max_us: Option<u64>,
}

/// A point of a distribution.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Point {
    /// The share of the values that are at most `value_us`; 1 is the highest value.
    pub quantile: f64,
    /// The value.
    pub value_us: u64,
}

/// What happened within one second.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Second {
    /// Operations that were sent for the first time.
    pub sent: u32,
    /// Operations of which the sender got `accepted`, for the first time.
    pub accepted: u32,
    /// Entries that were shown on devices other than the sender's.
    pub delivered: u32,
    /// Operations that were refused, for whatever reason.
    pub rejected: u32,
    /// Operations that were sent again.
    pub resent: u32,
    /// Sessions that ended.
    pub closed: u32,
    /// Devices that were connected when the second ended.
    pub connected: u32,
    /// Median latency of what was accepted in this second.
    pub accept_p50_us: Option<u64>,
    /// 99th percentile of the same.
    pub accept_p99_us: Option<u64>,
    /// Median latency of what was delivered in this second.
    pub deliver_p50_us: Option<u64>,
    /// 99th percentile of the same.
    pub deliver_p99_us: Option<u64>,
}

/// The beginning of a phase.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PhaseMark {
    /// Which.
    pub phase: Phase,
    /// When.
    pub at_us: u64,
}

/// A fault episode.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Band {
    /// Its number in the run.
    pub fault: u32,
    /// Its word: `pause`.
    pub kind: Arc<str>,
    /// What it hit: `store-1`.
    pub target: Arc<str>,
    /// When it began.
    pub from_us: u64,
    /// When it ended; `None` if it had not by the end of the run.
    pub to_us: Option<u64>,
    /// What it did (packets held, writes lost, ...); `None` if it had not ended.
    pub effect: Option<u64>,
    /// How soon latency was back at its baseline.
    #[serde(default)]
    pub recovery: Recovery,
}

/// How soon latency was back at its baseline after a fault.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Recovery {
    /// Not known: there is no baseline, it had not ended, or another fault was active at its end or
    /// before latency was back.
    #[default]
    Unknown,
    /// So many microseconds after its end, to a second.
    After(u64),
    /// Not before the run ended.
    Never,
}

/// What latency was before the faults, and what it may be after them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Baseline {
    /// The 90th percentile until accepted, from the beginning of the load to the first fault.
    pub accept_p90_us: u64,
    /// A second in which more than a tenth took longer is slow.
    pub accept_allowed_us: u64,
    /// The same until shown elsewhere; `None`: too few.
    pub deliver_p90_us: Option<u64>,
    /// As `accept_allowed_us`.
    pub deliver_allowed_us: Option<u64>,
}

/// The highest level of a node's gauge.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Level {
    /// The node: `gateway-1`.
    pub node: Arc<str>,
    /// The gauge.
    pub name: Arc<str>,
    /// Its highest value.
    pub highest: u64,
    /// The limit that stood when it was highest.
    pub limit: u64,
    /// How it went; `None` in simulated runs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub over_time: Option<Peaks>,
}

/// A gauge over a run.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Peaks {
    /// Seconds that each value stands for.
    pub seconds: u32,
    /// The highest value in that time, from the beginning of the run on; `None`: nobody looked.
    pub highest: Vec<Option<u64>>,
}

/// What a process of a real run used of its machine.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Used {
    /// The node, `generator`, `cluster` where all nodes are one process, or `machine`.
    pub process: Arc<str>,
    /// User and system time, of all its lives together.
    pub cpu_us: u64,
    /// Resident memory at its highest.
    pub memory_bytes_max: u64,
    /// Open descriptors at their highest.
    pub open_files_max: u64,
    /// Bytes of its data when they were looked at last; `None`: it has no folder of its own.
    pub disk_bytes: Option<u64>,
    /// Of the machine: how many it has; `None`: nobody said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub processors: Option<u64>,
    /// Once a second while it ran.
    pub looks: Vec<Look>,
}

/// What a process used at one moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Look {
    /// When.
    pub at_us: u64,
    /// User and system time until then.
    pub cpu_us: u64,
    /// Resident memory.
    pub memory_bytes: u64,
    /// Open descriptors.
    pub open_files: u64,
    /// Bytes of its data, at every fifth look or so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub disk_bytes: Option<u64>,
    /// Of the machine: since it started, how long some task waited for a disk.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub disk_wait_us: Option<u64>,
    /// Of the machine: since the run began, how long the disk under the cluster's data stalled for no reason of the
    /// cluster's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub disk_stalled_us: Option<u64>,
}

impl Measured {
    /// The longest time that latency took to be back at its baseline after a fault: `Never` if it
    /// was not in one case, `Unknown` if that is known of no fault.
    pub fn recovery(&self) -> Recovery {
        let known = self.faults.iter().map(|band| band.recovery);
        known
            .max_by_key(|recovery| match recovery {
                Recovery::Unknown => 0,
                Recovery::After(us) => us.saturating_add(1),
                Recovery::Never => u64::MAX,
            })
            .unwrap_or_default()
    }

    /// Operations that were accepted per second of the load, its whole seconds alone; `None`: it had none.
    pub fn throughput(&self) -> Option<f64> {
        let seconds = self.seconds_of(Phase::Load)?;
        let accepted: u64 = seconds.iter().map(|second| u64::from(second.accepted)).sum();
        (!seconds.is_empty()).then(|| accepted as f64 / seconds.len() as f64)
    }

    /// The whole seconds of a phase; `None`: it had none.
    pub fn seconds_of(&self, phase: Phase) -> Option<&[Second]> {
        let at = self.phases.iter().position(|mark| mark.phase == phase)?;
        let ends_us = self.phases.get(at + 1).map_or(self.ended_us, |mark| mark.at_us);
        self.seconds.get(self.first_second(phase)?..(ends_us / SECOND_US) as usize)
    }

    /// The first whole second of a phase.
    pub(crate) fn first_second(&self, phase: Phase) -> Option<usize> {
        let began = self.phases.iter().find(|mark| mark.phase == phase)?.at_us;
        Some(began.div_ceil(SECOND_US) as usize)
    }

    /// The share of the requests of the REST interface without a success; `None`: there was none.
    pub fn failed_requests(&self) -> Option<f64> {
        let all: u64 = self.requests.iter().map(|of_kind| of_kind.all.count).sum();
        let failed: u64 = self.requests.iter().flat_map(|of_kind| of_kind.failed.values()).sum();
        (all > 0).then(|| failed as f64 / all as f64)
    }

    /// The share of the operations that were refused; `None`: none was sent.
    pub fn refused(&self) -> Option<f64> {
        let sent = self.totals.sent();
        (sent > 0).then(|| self.totals.rejected_in_all() as f64 / sent as f64)
    }
}
