//! Steps of messages as spans of OpenTelemetry: to any collector that takes OTLP over HTTP.
//!
//! The client of OpenTelemetry brings a thread that batches and sends. What does not fit into its queue, or
//! reaches no collector, is dropped, and counted: a node never waits for its traces.

#![warn(missing_docs)]

mod counted;
mod spans;

use counted::{Counted, Waiting};
use opentelemetry::{InstrumentationScope, KeyValue};
use opentelemetry_otlp::{ExporterBuildError, Protocol, WithExportConfig, WithHttpConfig};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::{BatchConfigBuilder, BatchSpanProcessor, SpanProcessor};
use ports::{Span, Telemetry, Traces};
use protocol::trace::{Sampler, Tracing};
use std::sync::Arc;
use std::time::Duration;

/// Spans that wait for the collector at most: some seconds of a busy node.
const QUEUE: usize = 16_384;
/// Spans of one request.
const BATCH: usize = 512;
/// How long a span waits for others at most.
const DELAY: Duration = Duration::from_secs(1);
/// How long a request may take.
const TIMEOUT: Duration = Duration::from_secs(5);
/// How long the last spans may take at the end of a node.
const GOODBYE: Duration = Duration::from_secs(2);

/// No client of the collector can be made.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// Of HTTP.
    #[error("no client of HTTP")]
    Http(#[from] reqwest::Error),
    /// Of OpenTelemetry.
    #[error("no client of OpenTelemetry")]
    Exporter(#[from] ExporterBuildError),
}

/// A node's way to the collector.
#[derive(Debug)]
pub struct Collector {
    sampler: Sampler,
    scope: InstrumentationScope,
    node: String,
    processor: BatchSpanProcessor,
    waiting: Arc<Waiting>,
}

impl Collector {
    /// Begins to send the spans of a node (`store-1`), in a thread of its own. Numbers of what was sent and what
    /// was lost go to the telemetry.
    ///
    /// # Errors
    /// The URL is none, or there are no certificates to trust.
    pub fn start(
        to: &Tracing,
        node: &str,
        telemetry: Arc<dyn Telemetry>,
    ) -> Result<Arc<Self>, StartError> {
        let exporter = opentelemetry_otlp::SpanExporter::builder()
            .with_http()
            .with_protocol(Protocol::HttpBinary)
            .with_endpoint(&to.endpoint)
            .with_timeout(TIMEOUT)
            .with_http_client(http()?)
            .build()?;
        let batches = BatchConfigBuilder::default()
            .with_max_queue_size(QUEUE)
            .with_max_export_batch_size(BATCH)
            .with_scheduled_delay(DELAY)
            .build();
        let waiting = Arc::new(Waiting::new(QUEUE, telemetry));
        let counted = Counted::new(exporter, waiting.clone());
        let mut processor = BatchSpanProcessor::builder(counted).with_batch_config(batches).build();
        let role = node.split('-').next().unwrap_or_default();
        // https://opentelemetry.io/docs/specs/semconv/resource/#service
        let resource = Resource::builder_empty().with_attributes([
            KeyValue::new("service.name", role.to_owned()),
            KeyValue::new("service.namespace", to.cluster.clone()),
            KeyValue::new("service.instance.id", node.to_owned()),
            KeyValue::new("service.version", env!("CARGO_PKG_VERSION")),
        ]);
        processor.set_resource(&resource.build());
        let sampler = Sampler::one_in(to.one_in, &to.cluster);
        let scope = InstrumentationScope::builder("fracas").build();
        Ok(Arc::new(Self { sampler, scope, node: node.to_owned(), processor, waiting }))
    }

    /// Sends what waits, and ends; blocks until that is done, or for some seconds.
    pub fn end(&self) {
        // What was lost is counted.
        let _ = self.processor.shutdown_with_timeout(GOODBYE);
        self.waiting.lost_for_good();
    }
}

/// A client that goes to the endpoint itself, whatever the environment says of proxies. It has a runtime of its
/// own, which must not be made within another one.
fn http() -> Result<reqwest::blocking::Client, reqwest::Error> {
    let make = || {
        let policy = reqwest::redirect::Policy::none();
        reqwest::blocking::Client::builder().no_proxy().redirect(policy).timeout(TIMEOUT).build()
    };
    std::thread::scope(|scope| scope.spawn(make).join().expect("building a client"))
}

impl Traces for Collector {
    fn sampler(&self) -> Sampler {
        self.sampler
    }

    fn span(&self, span: Span) {
        if let Some(failure) = &span.failure {
            let (trace_id, span_id) = (span.trace, span.id);
            tracing::info!(node = %self.node, %trace_id, %span_id, step = ?span.step, failure, "a step failed");
        }
        if self.waiting.one_more() {
            self.processor.on_end(spans::data(span, &self.scope));
        }
    }
}
