//! What the users of the REST interface asked for, in words that all forms of the report share.

use crate::measured::{Percentiles, Requests};
use crate::number::{self, NARROW};

/// Over the table.
pub(crate) const TITLE: &str = "REST users";
/// Under it.
pub(crate) const NOTE: &str = "A closed loop, driven by goose: each user waits for an answer before it asks again, so that a stall \
     is met by few requests. From the beginning of a request to the end of its answer; one without an \
     answer counts with the time that it waited.";
/// Over its columns behind the first.
pub(crate) const HEAD: [&str; 6] = ["p50", "p90", "p99", "max", "count", "failed"];

/// The rows: whose, and the columns.
pub(crate) fn rows(all: &[Requests]) -> Vec<(String, [String; 6])> {
    let mut rows = Vec::new();
    for requests in all {
        let mut row = |name: &str, percentiles: &Percentiles, failed: String| {
            let Percentiles { count, p50_us, p90_us, p99_us, max_us, .. } = *percentiles;
            let [p50, p90, p99, max] =
                [p50_us, p90_us, p99_us, max_us].map(number::latency_or_dash);
            rows.push((name.to_owned(), [p50, p90, p99, max, number::count(count), failed]));
        };
        row(requests.request.words(), &requests.all, failed(requests));
        if requests.under_fault.count > 0 {
            row("  calm", &requests.calm, String::new());
            row("  under faults", &requests.under_fault, String::new());
        }
    }
    rows
}

/// `503: 12, no answer: 3`
fn failed(requests: &Requests) -> String {
    let told = requests.failed.iter().map(|(status, count)| {
        let status = if *status == 0 { "no answer".to_owned() } else { status.to_string() };
        format!("{status}: {}", number::grouped(*count, NARROW))
    });
    let told: Vec<String> = told.collect();
    if told.is_empty() { "–".to_owned() } else { told.join(", ") }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;
    use verify::history::event::Request;

    #[test]
    fn failures_are_told_by_status() {
        let calm = Percentiles { count: 1, p50_us: Some(900), ..Percentiles::default() };
        let under_fault = Percentiles { count: 2, ..calm };
        let all = Percentiles { count: 3, ..calm };
        let failed = BTreeMap::from([(0, 1), (503, 2)]);
        let requests = Requests { request: Request::AddMember, all, calm, under_fault, failed };
        let rows = rows(&[requests]);
        let names: Vec<&str> = rows.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(names, ["add member", "  calm", "  under faults"]);
        assert_eq!(rows[0].1[5], "no answer: 1, 503: 2");
        assert_eq!((rows[1].1[5].as_str(), rows[1].1[4].as_str()), ("", "1"));
    }
}
