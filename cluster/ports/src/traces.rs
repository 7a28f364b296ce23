//! The steps of single messages: to a tracing backend in production.

use protocol::trace::{Sampler, SpanId, Step, TraceId, TraceParent};
use std::time::Duration;

/// Where the steps of a node go.
pub trait Traces: Send + Sync {
    /// Which messages are traced: the same ones, as long as the node lives.
    fn sampler(&self) -> Sampler;
    /// A step begins. Only for whoever wants to know of steps that never end; it is told when they end.
    fn begins(&self, _trace: TraceId, _step: Step) {}
    /// A step has just ended. Cheap, and never blocks: without room it is dropped, and counted.
    fn span(&self, span: Span);
}

/// A step of a message's way that has ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Span {
    /// Of which trace.
    pub trace: TraceId,
    /// Its name in the trace.
    pub id: SpanId,
    /// What it follows from; `None`: it is the first.
    pub parent: Option<SpanId>,
    /// Which step.
    pub step: Step,
    /// How long it took.
    pub took: Duration,
    /// Why it failed, if it did.
    pub failure: Option<String>,
    /// Numbers that say more.
    pub about: Vec<(&'static str, u64)>,
}

impl Span {
    /// A step that succeeded.
    pub const fn new(step: Step, at: TraceParent, parent: Option<SpanId>, took: Duration) -> Self {
        let TraceParent { trace, span: id } = at;
        Self { trace, id, parent, step, took, failure: None, about: Vec::new() }
    }

    /// With numbers that say more.
    #[must_use]
    pub fn about(mut self, about: impl IntoIterator<Item = (&'static str, u64)>) -> Self {
        self.about.extend(about);
        self
    }

    /// A step that failed.
    #[must_use]
    pub fn failed(mut self, why: impl Into<String>) -> Self {
        self.failure = Some(why.into());
        self
    }
}

/// Nothing is traced.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoTraces;

impl Traces for NoTraces {
    fn sampler(&self) -> Sampler {
        Sampler::OFF
    }

    fn span(&self, _: Span) {}
}
