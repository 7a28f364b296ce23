//! The steps of traced messages that a gateway takes part in before they are decided.

use super::effects::Effects;
use super::outbound::Outlet;
use super::sender::{Key, Pending, Progress, Sender};
use ports::Span;
use ports::broker::PublishError;
use protocol::records::Inbound;
use protocol::trace::{Sampler, Step, TraceId, first_of, later};
use protocol::{Partition, RejectReason};
use std::time::Duration;

/// A traced message that is not decided. Times are microseconds since the gateway began.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Traced {
    trace: TraceId,
    /// Tells this session's steps from those of others that send the same message.
    place: u64,
    since_us: u64,
    published_us: u64,
    /// The broker has said what became of that publication.
    is_published: bool,
}

impl Traced {
    /// A message that has just come from a session.
    fn new(trace: TraceId, place: u64, now_us: u64) -> Self {
        Self { trace, place, since_us: now_us, published_us: now_us, is_published: false }
    }

    /// It is published now.
    pub const fn publish(&mut self, now_us: u64) {
        self.published_us = now_us;
        self.is_published = false;
    }

    /// The broker's word on its publication, of which it is so many.
    fn published(
        &self,
        now_us: u64,
        tries: u32,
        partition: Partition,
        result: Result<(), PublishError>,
    ) -> Span {
        let took = Duration::from_micros(now_us.saturating_sub(self.published_us));
        let span = self.publication(took, tries).about([("partition", partition.0.into())]);
        match result {
            Ok(()) => span,
            Err(error) => span.failed(error.to_string()),
        }
    }

    fn publication(&self, took: Duration, tries: u32) -> Span {
        // What the owner continues is the first one, whichever arrives.
        let place = if tries <= 1 { self.place } else { later(self.place, tries.into()) };
        let at = self.trace.parent(Step::Publish, place);
        let send = self.trace.span(Step::Send, self.place);
        Span::new(Step::Publish, at, Some(send), took).about([("attempt", tries.into())])
    }

    /// Its sender has word, after so many publications: `failure`, why it was not accepted.
    fn decided(&self, now_us: u64, key: Key, tries: u32, failure: Option<String>) -> Span {
        let at = self.trace.parent(Step::Send, self.place);
        let took = Duration::from_micros(now_us.saturating_sub(self.since_us));
        let (conversation, message) = key;
        let mut span = Span::new(Step::Send, at, None, took).about([
            ("conversation", conversation.0),
            ("client_message_id", message.0),
            ("publications", tries.into()),
        ]);
        span.failure = failure;
        span
    }
}

impl<O: Outlet> Effects<O> {
    /// What is to be remembered of a message that has just come, if it is traced.
    pub fn traced(
        &self,
        sampler: &Sampler,
        inbound: &Inbound,
        sender: &mut Sender,
    ) -> Option<Box<Traced>> {
        let trace = sampler.of(inbound)?;
        let first = first_of(inbound.from);
        // What comes again has steps of its own.
        let is_first = sender.is_traced_first((inbound.conversation, inbound.client_message_id));
        let place = if is_first { first } else { later(first, self.now_us) };
        Some(Box::new(Traced::new(trace, place, self.now_us)))
    }

    /// The broker's word on a publication.
    pub fn published(
        &mut self,
        pending: &mut Pending,
        partition: Partition,
        result: Result<(), PublishError>,
    ) {
        if let Some(traced) = &mut pending.traced {
            traced.is_published = true;
            self.spans.push(traced.published(self.now_us, pending.tries, partition, result));
        }
    }

    /// The sender of a message has word of it.
    pub fn decided<'a>(
        &mut self,
        all: impl IntoIterator<Item = &'a Pending>,
        refused: Option<RejectReason>,
    ) {
        for pending in all {
            let took = Duration::from_micros(self.now_us.saturating_sub(pending.since_us));
            self.counts.answered.push(took);
            self.ended(pending, refused.map(|reason| format!("refused: {reason:?}")));
        }
    }

    /// The sender of a message will not hear from this session what became of it.
    pub fn untold(&mut self, pending: &Pending) {
        self.ended(pending, Some("the session was closed first".to_owned()));
    }

    fn ended(&mut self, pending: &Pending, failure: Option<String>) {
        let Some(traced) = &pending.traced else { return };
        if pending.progress == Progress::Asked && !traced.is_published {
            let at = traced.published_us;
            let took = Duration::from_micros(self.now_us.saturating_sub(at));
            let span = traced.publication(took, pending.tries);
            self.spans.push(span.failed("the broker has not said"));
        }
        let span = traced.decided(self.now_us, pending.key, pending.tries, failure);
        self.spans.push(span);
    }
}
