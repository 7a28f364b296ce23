//! Requests of the users of the REST interface.
//!
//! **A closed loop**: whoever waits for an answer asks for nothing else meanwhile, so that a stall is met by
//! as many requests as there are users, and not by all that would have come. Nothing is made up for the
//! others (docs/decisions/rest-journeys.md): the values stand apart from those of the open loop.

use super::latency::{BySecond, Split};
use crate::measured::{Percentiles, Requests};
use std::collections::BTreeMap;
use verify::history::event::Request;

/// What was asked for of one kind.
struct OfKind {
    latency: Split,
    failed: BTreeMap<u16, u64>,
}

/// Of all kinds.
pub(crate) struct All {
    kinds: BTreeMap<Request, OfKind>,
    /// All kinds together.
    together: BySecond,
}

impl All {
    pub(super) fn new() -> Self {
        Self { kinds: BTreeMap::new(), together: BySecond::new() }
    }

    /// An answer, or the end of the wait for one (status 0).
    pub(super) fn answered(&mut self, request: Request, status: u16, us: u64, under_fault: bool) {
        let new = || OfKind { latency: Split::new(), failed: BTreeMap::new() };
        let of_kind = self.kinds.entry(request).or_insert_with(new);
        of_kind.latency.record(us, under_fault);
        self.together.second.record(us, under_fault);
        if !(200..300).contains(&status) {
            *of_kind.failed.entry(status).or_default() += 1;
        }
    }

    /// A second is over; `log` gets all of it.
    pub(super) fn end_second(&mut self, log: impl FnOnce(&Split)) {
        self.together.end_second(log);
    }

    /// Kind by kind, and together, if there were any; `log` gets what belongs to no second that has ended.
    pub(super) fn finish(
        mut self,
        log: impl FnOnce(&Split),
    ) -> (Vec<Requests>, Option<Percentiles>) {
        self.end_second(log);
        let all = self.together.run.all();
        let together = (!all.is_empty()).then(|| all.percentiles());
        let told = |(request, OfKind { latency, failed })| Requests {
            request,
            all: latency.all().percentiles(),
            calm: latency.calm.percentiles(),
            under_fault: latency.under_fault.percentiles(),
            failed,
        };
        (self.kinds.into_iter().map(told).collect(), together)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_request_counts_and_failures_are_told_by_status() {
        let mut all = All::new();
        all.answered(Request::SignIn, 200, 7_000, false);
        all.answered(Request::PageBacklog, 200, 1_000, false);
        all.answered(Request::PageBacklog, 503, 2_000, true);
        all.answered(Request::PageBacklog, 0, 10_000_000, true);
        all.end_second(|second| assert_eq!(second.len(), 4));
        let (told, together) = all.finish(|_| panic!("nothing came since"));
        let together = together.expect("there were some");
        assert_eq!((together.count, together.max_us), (4, Some(10_000_000)));
        assert_eq!(told[0].request, Request::PageBacklog);
        let of = &told[0];
        assert_eq!((of.all.count, of.calm.count, of.under_fault.count), (3, 1, 2));
        assert_eq!(of.all.max_us, Some(10_000_000), "who got no answer has waited for one");
        assert_eq!(of.failed, BTreeMap::from([(0, 1), (503, 1)]));
        assert_eq!((told[1].all.count, told[1].failed.len(), told.len()), (1, 0, 2));
    }
}
