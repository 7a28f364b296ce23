//! Delayed messages become due; gauges are reported even when nothing is written.

use super::gauges;
use super::shared::Shared;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::{Instant, timeout_at};

/// How often gauges are reported at least.
const REPORT: Duration = Duration::from_secs(1);

/// Runs until the node dies.
pub async fn run(shared: Arc<Shared>) {
    let mut report = Instant::now() + REPORT;
    loop {
        let due = shared.next_due().map(|due| shared.instant(due));
        let wake = due.map_or(report, |due| due.min(report));
        // An error is the time that has come; otherwise something may be due earlier than we knew.
        let _ = timeout_at(wake, shared.to_time.notified()).await;
        let now = Instant::now();
        if due.is_some_and(|due| due <= now) {
            shared.tick();
        }
        if report <= now {
            gauges::report(&shared);
            report = now + REPORT;
        }
    }
}
