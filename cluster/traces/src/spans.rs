//! A step as a span.

use opentelemetry::trace::{
    SpanContext, SpanId, SpanKind, Status, TraceFlags, TraceId, TraceState,
};
use opentelemetry::{InstrumentationScope, KeyValue};
use opentelemetry_sdk::trace::{SpanData, SpanEvents, SpanLinks};
use ports::Span;
use protocol::trace::Step;

/// A step that ends now.
#[expect(clippy::disallowed_types, reason = "this is the adapter")]
pub fn data(span: Span, scope: &InstrumentationScope) -> SpanData {
    let end_time = std::time::SystemTime::now();
    let Span { trace, id, parent, step, took, failure, about } = span;
    let (name, span_kind) = named(step);
    let trace = TraceId::from_bytes(trace.0.to_be_bytes());
    let of = |id: protocol::trace::SpanId| SpanId::from_bytes(id.0.to_be_bytes());
    let (sampled, state) = (TraceFlags::SAMPLED, TraceState::default());
    let attributes = about.into_iter().map(|(key, value)| {
        KeyValue::new(format!("fracas.{key}"), i64::try_from(value).unwrap_or(i64::MAX))
    });
    SpanData {
        span_context: SpanContext::new(trace, of(id), sampled, false, state),
        parent_span_id: parent.map_or(SpanId::INVALID, of),
        parent_span_is_remote: !matches!(step, Step::Publish | Step::Commit | Step::FanOut),
        span_kind,
        name: name.into(),
        start_time: end_time.checked_sub(took).unwrap_or(end_time),
        end_time,
        attributes: attributes.collect(),
        dropped_attributes_count: 0,
        events: SpanEvents::default(),
        links: SpanLinks::default(),
        status: failure.map_or(Status::Unset, Status::error),
        instrumentation_scope: scope.clone(),
    }
}

/// In the words of https://opentelemetry.io/docs/specs/semconv/messaging/messaging-spans/
const fn named(step: Step) -> (&'static str, SpanKind) {
    match step {
        Step::Send => ("send message", SpanKind::Server),
        Step::Publish => ("publish inbound", SpanKind::Producer),
        Step::Sequence => ("process inbound", SpanKind::Consumer),
        Step::Commit => ("commit", SpanKind::Internal),
        Step::FanOut => ("publish entry", SpanKind::Producer),
        Step::Deliver => ("process entry", SpanKind::Consumer),
        Step::Push => ("push", SpanKind::Client),
    }
}
