//! The steps of traced messages, whatever becomes of them.

use super::*;
use ports::Span;
use protocol::trace::{Sampler, Step, first_of};
use std::collections::BTreeSet;

struct Bench {
    sends: Sends,
    out: Effects<Shared>,
    id: SessionId,
    spans: Vec<Span>,
}

impl Bench {
    fn new() -> Self {
        let config = config(100);
        let (out, _, id) = one_session(&config);
        let mut sends = Sends::new(&config);
        sends.sampler = Sampler::one_in(1, "test");
        Self { sends, out, id, spans: Vec::new() }
    }

    fn at(&mut self, now_ms: u64) {
        self.out.now_ms = now_ms;
        self.out.now_us = now_ms * 1_000;
    }

    fn send(&mut self, message: u64) {
        let sent = self.sends.send(&mut self.out, self.id, USER, send(message, "x"));
        assert_eq!(sent, Sent::Taken);
    }

    fn published(&mut self, message: u64, result: Result<(), PublishError>) {
        let message = ClientMessageId(message);
        let of = PublishRef { session: self.id, conversation: CONVERSATION, message };
        self.sends.published(&mut self.out, of, result);
    }

    fn accepted(&mut self, message: u64) {
        let accepted = Accepted {
            client_message_id: ClientMessageId(message),
            conversation: CONVERSATION,
            sequence: Sequence(1),
            epoch: Epoch(1),
            owner: NodeNumber(1),
        };
        self.sends.accepted(&mut self.out, self.id, accepted);
    }

    /// The steps since the last look: which, whether they failed, and how long they took, in milliseconds.
    fn steps(&mut self) -> Vec<(Step, bool, u128)> {
        let spans = std::mem::take(&mut self.out.spans);
        self.spans.extend(spans.iter().cloned());
        let step = |span: Span| (span.step, span.failure.is_some(), span.took.as_millis());
        spans.into_iter().map(step).collect()
    }

    /// What must hold of all of them: no id comes twice, and every parent is there.
    fn hold(&mut self) {
        self.steps();
        let ids: BTreeSet<_> = self.spans.iter().map(|span| (span.trace, span.id)).collect();
        assert_eq!(ids.len(), self.spans.len(), "{:#?}", self.spans);
        for span in &self.spans {
            let is_there = span.parent.is_none_or(|parent| ids.contains(&(span.trace, parent)));
            assert!(is_there, "{span:?}");
        }
    }

    /// What the owner of a message continues.
    fn continued(&self, message: u64) -> bool {
        let from = SessionRef {
            gateway: self.sends.config.gateway,
            incarnation: self.sends.config.incarnation,
            session: self.id,
        };
        let trace = self.sends.sampler.trace(CONVERSATION, USER, ClientMessageId(message)).unwrap();
        let parent = trace.span(Step::Publish, first_of(from));
        self.spans.iter().any(|span| span.id == parent)
    }
}

#[test]
fn a_message_that_is_accepted_has_both_steps() {
    let mut bench = Bench::new();
    bench.at(10);
    bench.send(1);
    bench.at(14);
    bench.published(1, Ok(()));
    bench.at(25);
    bench.accepted(1);
    assert_eq!(bench.steps(), [(Step::Publish, false, 4), (Step::Send, false, 15)]);
    bench.hold();
    assert!(bench.continued(1));
}

#[test]
fn what_comes_again_has_steps_of_its_own() {
    let mut bench = Bench::new();
    bench.send(1);
    bench.published(1, Err(PublishError::Full));
    assert_eq!(bench.steps(), [(Step::Publish, true, 0), (Step::Send, true, 0)]);
    bench.at(500);
    bench.send(1);
    bench.at(520);
    bench.published(1, Ok(()));
    bench.accepted(1);
    assert_eq!(bench.steps(), [(Step::Publish, false, 20), (Step::Send, false, 20)]);
    bench.hold();
    assert!(bench.continued(1));
}

#[test]
fn what_the_broker_has_not_said_of_is_told_when_nobody_waits_for_it_any_more() {
    let mut bench = Bench::new();
    bench.send(1);
    bench.at(7);
    bench.sends.close(&mut bench.out, bench.id);
    assert_eq!(bench.steps(), [(Step::Publish, true, 7), (Step::Send, true, 7)]);
    bench.hold();
    assert!(bench.continued(1));
}

#[test]
fn nothing_is_told_of_what_is_not_traced() {
    let mut bench = Bench::new();
    bench.sends.sampler = Sampler::OFF;
    bench.send(1);
    bench.published(1, Ok(()));
    bench.accepted(1);
    assert_eq!(bench.steps(), []);
}
