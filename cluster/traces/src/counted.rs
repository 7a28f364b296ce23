//! An exporter that counts what it sent.

use opentelemetry_sdk::Resource;
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::trace::{SpanData, SpanExporter};
use ports::Telemetry;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

/// See the module.
pub struct Counted<E> {
    exporter: E,
    telemetry: Arc<dyn Telemetry>,
}

impl<E> Counted<E> {
    pub fn new(exporter: E, telemetry: Arc<dyn Telemetry>) -> Self {
        Self { exporter, telemetry }
    }
}

impl<E: SpanExporter> SpanExporter for Counted<E> {
    async fn export(&self, batch: Vec<SpanData>) -> OTelSdkResult {
        let count = batch.len() as u64;
        let exported = self.exporter.export(batch).await;
        let name = if exported.is_ok() { "traces_spans_sent" } else { "traces_spans_lost" };
        self.telemetry.count(name, count);
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
