//! The steps of traced messages that a store node takes part in: a delivery is sequenced, written, and fanned
//! out.

use super::input::Consumer;
use ports::{Machine, Span};
use protocol::records::Inbound;
use protocol::trace::{FIRST, Sampler, SpanId, Step, TraceId, first_of, later};
use std::time::Duration;
use tokio::time::Instant;

/// A delivery of a traced message.
#[derive(Clone, Copy, Debug)]
pub struct Arrived {
    trace: TraceId,
    /// The publication that brought it.
    publish: SpanId,
    at: Instant,
}

/// A traced message that was applied.
#[derive(Clone, Debug)]
pub struct Sequenced {
    arrived: Arrived,
    consumer: Consumer,
    position: u64,
    /// Its entry is new. What comes again is answered again.
    is_new: bool,
    failure: Option<String>,
}

/// Traced messages whose effects are on their way.
#[derive(Debug, Default)]
pub struct FannedOut {
    /// Which, where, and since when.
    messages: Vec<(TraceId, u64, Instant)>,
}

impl Arrived {
    /// A delivery that has just come, if its message is traced.
    pub fn now(sampler: Sampler, inbound: &Inbound) -> Option<Self> {
        let trace = sampler.of(inbound)?;
        let publish = trace.span(Step::Publish, first_of(inbound.from));
        Some(Self { trace, publish, at: Instant::now() })
    }

    /// Which trace its message has.
    pub const fn trace(&self) -> TraceId {
        self.trace
    }

    /// It was applied; `failure`: why it became a dead letter.
    pub const fn sequenced(
        self,
        (consumer, position): (Consumer, u64),
        is_new: bool,
        failure: Option<String>,
    ) -> Sequenced {
        Sequenced { arrived: self, consumer, position, is_new, failure }
    }
}

impl Sequenced {
    /// Where its steps are: a message has one first time. Of an owner's life a position is one delivery.
    fn place(&self) -> u64 {
        if self.is_new {
            return FIRST;
        }
        let Consumer { partition, epoch, number } = self.consumer;
        let words = [partition.0.into(), epoch.0, number, self.position];
        words.into_iter().fold(1, later)
    }
}

/// What a round has made durable, in a write that took so long, is fanned out from now on.
pub fn durable(machine: &Machine, sequenced: Vec<Sequenced>, write: Duration) -> FannedOut {
    let mut messages = Vec::with_capacity(sequenced.len());
    for it in sequenced {
        let place = it.place();
        let Arrived { trace, publish, at } = it.arrived;
        let (sequence, commit) =
            (trace.parent(Step::Sequence, place), trace.parent(Step::Commit, place));
        let under = Some(sequence.span);
        machine.traces.span(Span::new(Step::Commit, commit, under, write));
        let mut span = Span::new(Step::Sequence, sequence, Some(publish), at.elapsed()).about([
            ("partition", it.consumer.partition.0.into()),
            ("epoch", it.consumer.epoch.0),
            ("repeated", u64::from(!it.is_new)),
        ]);
        span.failure = it.failure;
        machine.traces.span(span);
        messages.push((trace, place, Instant::now()));
    }
    FannedOut { messages }
}

impl FannedOut {
    /// Takes another post's.
    pub fn append(&mut self, other: &mut Self) {
        self.messages.append(&mut other.messages);
    }

    /// All of it is confirmed.
    pub fn confirmed(&mut self, machine: &Machine) {
        for (trace, place, at) in self.messages.drain(..) {
            let parent = trace.span(Step::Sequence, place);
            let fan_out = trace.parent(Step::FanOut, place);
            machine.traces.span(Span::new(Step::FanOut, fan_out, Some(parent), at.elapsed()));
        }
    }
}
