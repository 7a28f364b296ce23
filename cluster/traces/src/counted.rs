//! An exporter that counts what it sent, and what was lost.

use opentelemetry_sdk::Resource;
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::trace::{SpanData, SpanExporter};
use ports::Telemetry;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

/// Spans on their way. What the client's own queue would drop without a number is dropped here.
pub struct Waiting {
    count: AtomicUsize,
    most: usize,
    telemetry: Arc<dyn Telemetry>,
}

impl Waiting {
    pub fn new(most: usize, telemetry: Arc<dyn Telemetry>) -> Self {
        Self { count: AtomicUsize::new(0), most, telemetry }
    }

    /// One more, if there is room.
    pub fn one_more(&self) -> bool {
        let has_room = self.count.fetch_add(1, Ordering::Relaxed) < self.most;
        if !has_room {
            self.count.fetch_sub(1, Ordering::Relaxed);
            self.telemetry.count(LOST, 1);
        }
        has_room
    }

    /// So many were sent, or were not taken.
    fn done(&self, count: usize, are_sent: bool) {
        self.count.fetch_sub(count, Ordering::Relaxed);
        self.telemetry.count(if are_sent { SENT } else { LOST }, count as u64);
    }

    /// Nothing more is sent.
    pub fn lost_for_good(&self) {
        let left = self.count.swap(self.most, Ordering::Relaxed);
        self.telemetry.count(LOST, left as u64);
    }
}

const SENT: &str = "traces_spans_sent";
const LOST: &str = "traces_spans_lost";

/// See the module.
pub struct Counted<E> {
    exporter: E,
    waiting: Arc<Waiting>,
}

impl<E> Counted<E> {
    pub fn new(exporter: E, waiting: Arc<Waiting>) -> Self {
        Self { exporter, waiting }
    }
}

impl<E: SpanExporter> SpanExporter for Counted<E> {
    async fn export(&self, batch: Vec<SpanData>) -> OTelSdkResult {
        let count = batch.len();
        let exported = self.exporter.export(batch).await;
        self.waiting.done(count, exported.is_ok());
        exported
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.exporter.shutdown_with_timeout(timeout)
    }

    fn force_flush(&self) -> OTelSdkResult {
        self.exporter.force_flush()
    }

    fn set_resource(&mut self, resource: &Resource) {
        self.exporter.set_resource(resource);
    }
}

impl<E: fmt::Debug> fmt::Debug for Counted<E> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.exporter.fmt(out)
    }
}

impl fmt::Debug for Waiting {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{} of {}", self.count.load(Ordering::Relaxed), self.most)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use fakes::FakeTelemetry;

    #[test]
    fn every_span_is_sent_or_lost_and_counted_as_one() {
        let telemetry = Arc::new(FakeTelemetry::default());
        let waiting = Waiting::new(3, telemetry.clone());
        let taken = (0..5).filter(|_| waiting.one_more()).count();
        assert_eq!((taken, telemetry.counted(LOST)), (3, 2));
        waiting.done(1, true);
        waiting.done(1, false);
        assert!(waiting.one_more());
        waiting.lost_for_good();
        assert_eq!((telemetry.counted(SENT), telemetry.counted(LOST)), (1, 2 + 1 + 2));
        assert!(!waiting.one_more(), "it has ended");
    }
}
