//! Follows single messages through the nodes of a run.

use ports::{Span, Traces, entered};
use protocol::trace::{Sampler, Step, TraceId};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use verify::history::path::{Message, PathStep};
use workload::Recorder;

/// The messages that are followed, and the steps that they have taken; clones are the same.
#[derive(Clone, Default)]
pub struct Path(Option<Arc<Followed>>);

struct Followed {
    sampler: Sampler,
    wanted: BTreeMap<TraceId, Message>,
    steps: Mutex<Vec<PathStep>>,
}

impl Path {
    /// Of these messages. Of none, nothing is traced at all.
    pub fn of(messages: &[Message]) -> Self {
        if messages.is_empty() {
            return Self::default();
        }
        let sampler = Sampler::one_in(1, "simulated");
        let trace = |message: &Message| {
            let (conversation, author, id) = *message;
            Some((sampler.trace(conversation, author, id)?, *message))
        };
        let wanted = messages.iter().filter_map(trace).collect();
        Self(Some(Arc::new(Followed { sampler, wanted, steps: Mutex::default() })))
    }

    /// What a node tells of them.
    pub fn on(&self, node: Arc<str>, recorder: Arc<dyn Recorder>) -> SimTraces {
        SimTraces { path: self.clone(), node, recorder }
    }

    /// The steps so far, in the order in which they were told.
    pub fn steps(&self) -> Vec<PathStep> {
        self.0.as_ref().map_or_else(Vec::new, |followed| entered(followed.steps.lock()).clone())
    }
}

/// The traces of a node.
pub struct SimTraces {
    path: Path,
    node: Arc<str>,
    recorder: Arc<dyn Recorder>,
}

impl SimTraces {
    fn push(&self, trace: TraceId, step: impl FnOnce(Message, u64) -> PathStep) {
        let Some(followed) = &self.path.0 else { return };
        if let Some(message) = followed.wanted.get(&trace) {
            let step = step(*message, self.recorder.now_us());
            entered(followed.steps.lock()).push(step);
        }
    }
}

impl Traces for SimTraces {
    fn sampler(&self) -> Sampler {
        self.path.0.as_ref().map_or(Sampler::OFF, |followed| followed.sampler)
    }

    fn begins(&self, trace: TraceId, step: Step) {
        self.push(trace, |message, now_us| PathStep {
            message,
            node: self.node.clone(),
            step,
            from_us: now_us,
            to_us: None,
            failure: None,
            about: BTreeMap::new(),
        });
    }

    fn span(&self, span: Span) {
        let Span { trace, step, took, failure, about, .. } = span;
        self.push(trace, |message, now_us| PathStep {
            message,
            node: self.node.clone(),
            step,
            from_us: now_us.saturating_sub(took.as_micros() as u64),
            to_us: Some(now_us),
            failure,
            about: about.into_iter().map(|(name, number)| (name.to_owned(), number)).collect(),
        });
    }
}
