//! `[expect]`: what must come out.

use super::load::positive;
use crate::scenario::{
    self, ExpectedOutcome, LatencyBounds, OperationBounds, PercentileBounds, RequestBounds,
    Thresholds,
};
use crate::value::invariant::InvariantName;
use crate::value::time::{Above, Below, BelowPercent};
use crate::value::word::ValidVerdict;
use settings::mistake::Mistakes;
use settings::section;
use settings::section::Field;
use std::time::Duration;

section! {
    /// The expected result: the verdict, the deadlines of the liveness claims, and bounds of what is measured.
    Expect {
        /// The verdict.
        verdict: Option<ValidVerdict> = None,
        /// Instead of a verdict: the invariants that must be violated.
        violates: Option<Vec<InvariantName>> = None,
        /// Deadline of `delivered_after_heal`, counted from the acceptance or the heal.
        delivered_after_heal: Duration = Duration::from_secs(15),
        /// Deadline of `no_stuck_session`; 8 s at least where tokens are revoked (`load.mix.revoke`).
        no_stuck_session: Duration = Duration::from_secs(15),
        /// Deadline of `recovers_to_baseline`, counted from the heal.
        recovers_within: Duration = Duration::from_secs(5),
        /// How long after a revocation a token may still be accepted.
        revocation_within: Duration = Duration::from_secs(5),
        /// Deadline of `away_member_is_pushed`, counted from the acceptance or the heal.
        pushed_within: Duration = Duration::from_secs(20),
        /// From the intended send until `accepted`, over the whole run.
        accept: Option<Latency> = None,
        /// The same of what no fault, and no recovery from one, overlapped.
        accept_calm: Option<Percentiles> = None,
        /// The same of the rest.
        accept_under_faults: Option<Percentiles> = None,
        /// The same of what came behind the warm-up, which is found by MSER. Only of a load at one rate and
        /// without faults; a load that never becomes steady has none.
        accept_steady: Option<Percentiles> = None,
        /// From the intended send until shown elsewhere, over the whole run.
        deliver: Option<Latency> = None,
        /// The same of what no fault, and no recovery from one, overlapped.
        deliver_calm: Option<Percentiles> = None,
        /// The same of the rest.
        deliver_under_faults: Option<Percentiles> = None,
        /// The same of what came behind the warm-up, which is found by MSER. Only of a load at one rate and
        /// without faults; a load that never becomes steady has none.
        deliver_steady: Option<Percentiles> = None,
        /// From the intended send until the first send: how late the generator is.
        lateness: Option<Percentiles> = None,
        /// From the beginning of a request of `journeys` to the end of its answer.
        requests: Option<Requests> = None,
        /// Refused operations per sent one.
        refused: Option<BelowPercent> = None,
        /// Accepted operations per second of the load.
        throughput: Option<Above> = None,
        /// Until latency is back at its baseline after a fault, the slowest time.
        recovery: Option<Below> = None,
        /// A real run ends as soon as a bound cannot be met any more, but not before so long a load; without
        /// this it never ends for that reason.
        abort_after: Option<Duration> = None,
        /// Invariants that may have nothing to judge here; any other one with nothing to judge
        /// makes the verdict unknown.
        may_be_idle: Vec<InvariantName> = Vec::new(),
    }
}

section! {
    /// Bounds of percentiles, of all operations and of each kind of them.
    Latency {
        /// The median.
        p50: Option<Below> = None,
        /// The 90th percentile.
        p90: Option<Below> = None,
        /// The 95th percentile.
        p95: Option<Below> = None,
        /// The 99th percentile.
        p99: Option<Below> = None,
        /// The highest value.
        max: Option<Below> = None,
        /// Of new messages that answer none.
        send: Option<Percentiles> = None,
        /// Of replies.
        reply: Option<Percentiles> = None,
        /// Of edits.
        edit: Option<Percentiles> = None,
        /// Of deletions.
        delete: Option<Percentiles> = None,
    }
}

section! {
    /// Bounds of percentiles, each of which must be met. What was not measured is neither met nor unmet: it
    /// is unknown.
    Percentiles {
        /// The median.
        p50: Option<Below> = None,
        /// The 90th percentile.
        p90: Option<Below> = None,
        /// The 95th percentile.
        p95: Option<Below> = None,
        /// The 99th percentile.
        p99: Option<Below> = None,
        /// The highest value.
        max: Option<Below> = None,
    }
}

section! {
    /// Bounds of what users of the REST interface ask for: of all requests, and of each kind.
    Requests {
        /// The median.
        p50: Option<Below> = None,
        /// The 90th percentile.
        p90: Option<Below> = None,
        /// The 95th percentile.
        p95: Option<Below> = None,
        /// The 99th percentile.
        p99: Option<Below> = None,
        /// The highest value.
        max: Option<Below> = None,
        /// Of pages of a backlog.
        page_backlog: Option<Percentiles> = None,
        /// Of new conversations.
        create_conversation: Option<Percentiles> = None,
        /// Of members who are added.
        add_member: Option<Percentiles> = None,
        /// Of members who are removed.
        remove_member: Option<Percentiles> = None,
        /// Of sign-ins.
        sign_in: Option<Percentiles> = None,
        /// Requests without a success, of all kinds, per request.
        failed: Option<BelowPercent> = None,
    }
}

/// What the rest of a scenario brings about.
#[derive(Clone, Copy, Debug)]
pub struct Brings {
    /// One rate, and no faults: a load that can become steady.
    pub steady: bool,
    /// Users of the REST interface.
    pub requests: bool,
}

impl Expect {
    /// Whether nothing is bounded that the rest of the scenario cannot bring about.
    pub fn goes_with(&self, brings: Brings, mistakes: &mut Mistakes) -> bool {
        let mut goes = true;
        for bounds in [&self.accept_steady, &self.deliver_steady] {
            if !brings.steady && matches!(bounds.get(), Some(Some(_))) {
                let what = "only a load at one rate and without faults (--set fault=[]) has a steady state";
                bounds.conflict(mistakes, what.into());
                goes = false;
            }
        }
        if !brings.requests && matches!(self.requests.get(), Some(Some(_))) {
            let what = "there are no users of the REST interface: add [journeys]";
            self.requests.conflict(mistakes, what.into());
            goes = false;
        }
        goes
    }

    /// The validated section.
    pub fn validated(&self, mistakes: &mut Mistakes) -> Option<scenario::Expect> {
        let deadlines = [
            &self.delivered_after_heal,
            &self.no_stuck_session,
            &self.recovers_within,
            &self.revocation_within,
            &self.pushed_within,
        ];
        let fit = deadlines.map(|deadline| positive(deadline, mistakes));
        let expect = scenario::Expect {
            outcome: outcome(
                &self.verdict,
                &self.violates,
                Some(ExpectedOutcome::Valid),
                mistakes,
            )?,
            delivered_after_heal: self.delivered_after_heal.get()?,
            no_stuck_session: self.no_stuck_session.get()?,
            recovers_within: self.recovers_within.get()?,
            revocation_within: self.revocation_within.get()?,
            pushed_within: self.pushed_within.get()?,
            thresholds: self.thresholds()?,
            may_be_idle: names(self.may_be_idle.get()?),
        };
        (fit == [true; 5]).then_some(expect)
    }

    fn thresholds(&self) -> Option<Thresholds> {
        let Self { accept, accept_calm, accept_under_faults, accept_steady, .. } = self;
        let Self { deliver, deliver_calm, deliver_under_faults, deliver_steady, .. } = self;
        Some(Thresholds {
            accept: LatencyBounds {
                calm: bounds(accept_calm)?,
                under_faults: bounds(accept_under_faults)?,
                steady: bounds(accept_steady)?,
                ..latency(accept)?
            },
            deliver: LatencyBounds {
                calm: bounds(deliver_calm)?,
                under_faults: bounds(deliver_under_faults)?,
                steady: bounds(deliver_steady)?,
                ..latency(deliver)?
            },
            lateness: bounds(&self.lateness)?,
            requests: requests(&self.requests)?,
            refused_percent: self.refused.get()?.map(|bound| bound.0),
            throughput: self.throughput.get()?.map(|bound| bound.0),
            recovery: self.recovery.get()?.map(|bound| bound.0),
            abort_after: self.abort_after.get()?,
        })
    }
}

/// What two keys say: a verdict, or what is violated; `otherwise`, if neither is there.
pub(super) fn outcome(
    verdict: &Field<Option<ValidVerdict>>,
    violates: &Field<Option<Vec<InvariantName>>>,
    otherwise: Option<ExpectedOutcome>,
    mistakes: &mut Mistakes,
) -> Option<ExpectedOutcome> {
    match (verdict.get()?, violates.get()?) {
        (None, None) => otherwise,
        (Some(ValidVerdict), None) => Some(ExpectedOutcome::Valid),
        (None, Some(invariants)) if !invariants.is_empty() => {
            Some(ExpectedOutcome::Violates(names(invariants)))
        }
        (None, Some(_)) => {
            violates.conflict(mistakes, "name at least one invariant".into());
            None
        }
        (Some(_), Some(_)) => {
            let what = "set either verdict = \"valid\" or violates, not both".into();
            violates.conflict(mistakes, what);
            None
        }
    }
}

/// The two keys of an outcome.
pub(super) fn wanted(outcome: &ExpectedOutcome) -> (Option<ValidVerdict>, Option<&[String]>) {
    match outcome {
        ExpectedOutcome::Valid => (Some(ValidVerdict), None),
        ExpectedOutcome::Violates(invariants) => (None, Some(invariants)),
    }
}

/// The bounds of all operations and of each kind.
fn latency(section: &Field<Option<Latency>>) -> Option<LatencyBounds> {
    let Some(section) = section.get()? else { return Some(LatencyBounds::default()) };
    let Latency { p50, p90, p95, p99, max, send, reply, edit, delete } = &section;
    Some(LatencyBounds {
        all: percentile_bounds([p50, p90, p95, p99, max])?,
        operations: OperationBounds {
            send: bounds(send)?,
            reply: bounds(reply)?,
            edit: bounds(edit)?,
            delete: bounds(delete)?,
        },
        ..LatencyBounds::default()
    })
}

fn requests(section: &Field<Option<Requests>>) -> Option<RequestBounds> {
    let Some(section) = section.get()? else { return Some(RequestBounds::default()) };
    let Requests { p50, p90, p95, p99, max, failed, .. } = &section;
    Some(RequestBounds {
        all: percentile_bounds([p50, p90, p95, p99, max])?,
        page_backlog: bounds(&section.page_backlog)?,
        create_conversation: bounds(&section.create_conversation)?,
        add_member: bounds(&section.add_member)?,
        remove_member: bounds(&section.remove_member)?,
        sign_in: bounds(&section.sign_in)?,
        failed_percent: failed.get()?.map(|bound| bound.0),
    })
}

fn bounds(section: &Field<Option<Percentiles>>) -> Option<PercentileBounds> {
    let Some(section) = section.get()? else { return Some(PercentileBounds::default()) };
    let Percentiles { p50, p90, p95, p99, max } = &section;
    percentile_bounds([p50, p90, p95, p99, max])
}

fn percentile_bounds(fields: [&Field<Option<Below>>; 5]) -> Option<PercentileBounds> {
    let bound = |field: &Field<Option<Below>>| field.get().map(|bound| bound.map(|below| below.0));
    let [p50, p90, p95, p99, max] = fields.map(bound);
    Some(PercentileBounds { p50: p50?, p90: p90?, p95: p95?, p99: p99?, max: max? })
}

fn latency_section(bounds: &LatencyBounds) -> Field<Option<Latency>> {
    let LatencyBounds { all, operations, .. } = bounds;
    let is_empty = (*all, *operations) == <(PercentileBounds, OperationBounds)>::default();
    let [p50, p90, p95, p99, max] = fields(all);
    let section = (!is_empty).then(|| Latency {
        p50,
        p90,
        p95,
        p99,
        max,
        send: percentiles(&operations.send),
        reply: percentiles(&operations.reply),
        edit: percentiles(&operations.edit),
        delete: percentiles(&operations.delete),
    });
    Field::of(section)
}

fn request_section(bounds: &RequestBounds) -> Field<Option<Requests>> {
    let [p50, p90, p95, p99, max] = fields(&bounds.all);
    let section = (*bounds != RequestBounds::default()).then(|| Requests {
        p50,
        p90,
        p95,
        p99,
        max,
        page_backlog: percentiles(&bounds.page_backlog),
        create_conversation: percentiles(&bounds.create_conversation),
        add_member: percentiles(&bounds.add_member),
        remove_member: percentiles(&bounds.remove_member),
        sign_in: percentiles(&bounds.sign_in),
        failed: Field::of(bounds.failed_percent.map(BelowPercent)),
    });
    Field::of(section)
}

fn percentiles(bounds: &PercentileBounds) -> Field<Option<Percentiles>> {
    let [p50, p90, p95, p99, max] = fields(bounds);
    let section =
        (*bounds != PercentileBounds::default()).then_some(Percentiles { p50, p90, p95, p99, max });
    Field::of(section)
}

fn fields(bounds: &PercentileBounds) -> [Field<Option<Below>>; 5] {
    let PercentileBounds { p50, p90, p95, p99, max } = *bounds;
    [p50, p90, p95, p99, max].map(|bound| Field::of(bound.map(Below)))
}

fn names(invariants: Vec<InvariantName>) -> Vec<String> {
    invariants.into_iter().map(|name| name.0).collect()
}

pub(super) fn claims(names: &[String]) -> Vec<InvariantName> {
    names.iter().cloned().map(InvariantName).collect()
}

impl From<&scenario::Expect> for Expect {
    fn from(expect: &scenario::Expect) -> Self {
        let (verdict, violates) = wanted(&expect.outcome);
        let Thresholds { accept, deliver, lateness, requests, .. } = &expect.thresholds;
        let Thresholds { refused_percent, throughput, recovery, abort_after, .. } =
            &expect.thresholds;
        Self {
            verdict: Field::of(verdict),
            violates: Field::of(violates.map(claims)),
            delivered_after_heal: Field::of(expect.delivered_after_heal),
            no_stuck_session: Field::of(expect.no_stuck_session),
            recovers_within: Field::of(expect.recovers_within),
            revocation_within: Field::of(expect.revocation_within),
            pushed_within: Field::of(expect.pushed_within),
            accept: latency_section(accept),
            accept_calm: percentiles(&accept.calm),
            accept_under_faults: percentiles(&accept.under_faults),
            accept_steady: percentiles(&accept.steady),
            deliver: latency_section(deliver),
            deliver_calm: percentiles(&deliver.calm),
            deliver_under_faults: percentiles(&deliver.under_faults),
            deliver_steady: percentiles(&deliver.steady),
            lateness: percentiles(lateness),
            requests: request_section(requests),
            refused: Field::of(refused_percent.map(BelowPercent)),
            throughput: Field::of(throughput.map(Above)),
            recovery: Field::of(recovery.map(Below)),
            abort_after: Field::of(*abort_after),
            may_be_idle: Field::of(claims(&expect.may_be_idle)),
        }
    }
}
