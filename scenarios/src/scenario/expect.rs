//! What must come out of a run.

use std::time::Duration;

/// What must come out.
#[derive(Clone, Debug, PartialEq)]
pub struct Expect {
    /// The expected outcome.
    pub outcome: ExpectedOutcome,
    /// Deadline of `delivered_after_heal`.
    pub delivered_after_heal: Duration,
    /// Deadline of `no_stuck_session`.
    pub no_stuck_session: Duration,
    /// Deadline of `recovers_to_baseline`.
    pub recovers_within: Duration,
    /// How long after a revocation a token may still be accepted.
    pub revocation_within: Duration,
    /// Deadline of `away_member_is_pushed`.
    pub pushed_within: Duration,
    /// What is measured must stay within these.
    pub thresholds: Thresholds,
    /// Invariants that may judge nothing here without making the verdict unknown, for example
    /// `edits_converge` where nobody edits.
    pub may_be_idle: Vec<String>,
}

/// The expected outcome.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ExpectedOutcome {
    /// Verdict valid.
    Valid,
    /// Verdict violated, by exactly or at least these invariants.
    Violates(Vec<String>),
}

/// Bounds of what is measured.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Thresholds {
    /// From the intended send to `accepted`.
    pub accept: LatencyBounds,
    /// From the intended send to shown elsewhere.
    pub deliver: LatencyBounds,
    /// From the intended send to the first send: how late the generator is.
    pub lateness: PercentileBounds,
    /// From the beginning of a request of a user of the REST interface to the end of its answer.
    pub requests: RequestBounds,
    /// Refused operations per hundred sent ones, at most.
    pub refused_percent: Option<f64>,
    /// Accepted operations per second of the load, at least.
    pub throughput: Option<f64>,
    /// Until latency is back at its baseline after a fault, at most.
    pub recovery: Option<Duration>,
    /// A real run ends as soon as one of them cannot be met any more, but not before so long a load.
    pub abort_after: Option<Duration>,
}

/// Upper bounds of a latency.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LatencyBounds {
    /// Over the whole run.
    pub all: PercentileBounds,
    /// Of what no fault, and no recovery from one, overlapped.
    pub calm: PercentileBounds,
    /// Of the rest.
    pub under_faults: PercentileBounds,
    /// Of what came behind the warm-up.
    pub steady: PercentileBounds,
    /// Of each kind of operation, over the whole run.
    pub operations: OperationBounds,
}

/// Upper bounds by operation.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct OperationBounds {
    /// Of new messages that answer none.
    pub send: PercentileBounds,
    /// Of replies.
    pub reply: PercentileBounds,
    /// Of edits.
    pub edit: PercentileBounds,
    /// Of deletions.
    pub delete: PercentileBounds,
}

/// Upper bounds of the requests of users of the REST interface.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct RequestBounds {
    /// Of all kinds together.
    pub all: PercentileBounds,
    /// Of pages of a backlog.
    pub page_backlog: PercentileBounds,
    /// Of new conversations.
    pub create_conversation: PercentileBounds,
    /// Of members who are added.
    pub add_member: PercentileBounds,
    /// Of members who are removed.
    pub remove_member: PercentileBounds,
    /// Of sign-ins.
    pub sign_in: PercentileBounds,
    /// Requests without a success per hundred, at most.
    pub failed_percent: Option<f64>,
}

/// Upper bounds of percentiles.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PercentileBounds {
    /// Of the median.
    pub p50: Option<Duration>,
    /// Of the 90th percentile.
    pub p90: Option<Duration>,
    /// Of the 95th percentile.
    pub p95: Option<Duration>,
    /// Of the 99th percentile.
    pub p99: Option<Duration>,
    /// Of the highest value.
    pub max: Option<Duration>,
}
