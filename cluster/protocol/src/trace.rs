//! Which trace a message belongs to, and the names of its steps, as OpenTelemetry and W3C Trace Context have
//! them.
//!
//! A message names its trace: the id follows from its conversation, its author and the author's id for it, and
//! so does whether it is sampled. Every node that has a record in its hands knows both without being told,
//! over any broker and over none, and whoever knows a message finds its trace. Steps that others refer to have
//! ids that follow from the trace as well. See `docs/decisions/traces.md`.

use crate::ids::{ClientMessageId, ConversationId, UserId};
use crate::mix::{GAMMA, derive, mix};
use crate::records::{self, Inbound, PushJob, SessionRef, ToGateway};
use crate::{Content, Entry};
use serde::{Deserialize, Serialize};
use std::fmt;

/// A trace: 32 hexadecimal digits, never all zero.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct TraceId(pub u128);

/// A step of a trace: 16 hexadecimal digits, never all zero.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct SpanId(pub u64);

/// A step that another one follows from, as the header `traceparent` has it: of a trace that is sampled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TraceParent {
    /// The trace.
    pub trace: TraceId,
    /// The step.
    pub span: SpanId,
}

/// The steps of a message's way.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Step {
    /// On the gateway, from the sender's frame to the answer.
    Send,
    /// On the gateway, from the publication to the broker's confirm.
    Publish,
    /// On the store node, from the delivery until its entry is durable.
    Sequence,
    /// On the store node, the write that made it durable, which many may share.
    Commit,
    /// On the store node, from the publications for gateways and notifiers to their confirms.
    FanOut,
    /// On a gateway, from the arrival of the entry until it stands in the queues of its sessions.
    Deliver,
    /// On a notifier, an attempt at the push provider.
    Push,
}

/// How a cluster is traced.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tracing {
    /// The URL at which a collector of OpenTelemetry takes OTLP: `http://127.0.0.1:4318/v1/traces`.
    pub endpoint: String,
    /// One message in so many is traced.
    pub one_in: u64,
    /// The cluster's name there, which tells its traces from those of others.
    pub cluster: String,
}

/// Which messages are traced.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sampler {
    salt: u64,
    /// Of 2^64 messages.
    share: u64,
}

impl Sampler {
    /// None.
    pub const OFF: Self = Self { salt: 0, share: 0 };

    /// One message in so many, 0: none. Clusters with other names have other traces.
    pub fn one_in(count: u64, cluster: &str) -> Self {
        Self { salt: derive(0, cluster), share: u64::MAX.checked_div(count).unwrap_or(0) }
    }

    /// Whether there is any message that is traced.
    pub const fn is_on(&self) -> bool {
        self.share > 0
    }

    /// The trace of a message, if it is sampled.
    #[inline]
    pub fn trace(
        &self,
        conversation: ConversationId,
        author: UserId,
        message: ClientMessageId,
    ) -> Option<TraceId> {
        if !self.is_on() {
            return None;
        }
        let word = |salt: u64| {
            let words = [conversation.0, author.0, message.0];
            words.into_iter().fold(salt, |hash, word| mix((hash ^ word).wrapping_add(GAMMA)))
        };
        // The lower half stays uniform: samplers behind this one decide by it
        // (https://www.w3.org/TR/trace-context-2/#randomness-of-trace-id).
        let high = word(self.salt);
        let is_sampled = high < self.share || self.share == u64::MAX;
        is_sampled.then(|| {
            let low = word(self.salt.rotate_left(32) ^ GAMMA);
            TraceId(((u128::from(high) << 64) | u128::from(low)).max(1))
        })
    }

    /// The trace of a request to sequence something.
    #[inline]
    pub fn of(&self, inbound: &Inbound) -> Option<TraceId> {
        self.trace(inbound.conversation, inbound.author, inbound.client_message_id)
    }

    /// The trace of an entry that somebody sent.
    #[inline]
    pub fn of_entry(&self, entry: &Entry) -> Option<TraceId> {
        match entry.content {
            Content::Message { .. } | Content::Edit { .. } | Content::Delete { .. } => {
                self.trace(entry.conversation, entry.author, entry.client_message_id)
            }
            _ => None,
        }
    }

    /// What the reader of a record in an inbound queue continues.
    pub fn parent_of_inbound(&self, record: &[u8]) -> Option<TraceParent> {
        let inbound: Inbound = self.decoded(record)?;
        self.of(&inbound).map(|trace| trace.parent(Step::Publish, first_of(inbound.from)))
    }

    /// What the reader of a record in a gateway's queue continues.
    pub fn parent_to_gateway(&self, record: &[u8]) -> Option<TraceParent> {
        match self.decoded(record)? {
            ToGateway::Entry(entry) => {
                self.of_entry(&entry).map(|trace| trace.parent(Step::FanOut, FIRST))
            }
            _ => None,
        }
    }

    /// What the reader of a job continues.
    pub fn parent_of_job(&self, record: &[u8]) -> Option<TraceParent> {
        let job = self.is_on().then(|| PushJob::decode(record).ok())??;
        self.of_job(&job).map(|trace| trace.parent(Step::FanOut, FIRST))
    }

    /// The trace of the message that a job is about, if the job names it.
    pub fn of_job(&self, job: &PushJob) -> Option<TraceId> {
        self.trace(job.conversation, job.author, job.client_message_id?)
    }

    fn decoded<T: serde::de::DeserializeOwned>(&self, record: &[u8]) -> Option<T> {
        self.is_on().then(|| records::decode(record).ok())?
    }
}

/// Where a step is that is made once in a message's life.
pub const FIRST: u64 = 0;

/// Where the first step of a session is.
pub fn first_of(from: SessionRef) -> u64 {
    let SessionRef { gateway, incarnation, session } = from;
    [u64::from(gateway.0), incarnation.0, session.0]
        .into_iter()
        .fold(1, |hash, word| mix((hash ^ word).wrapping_add(GAMMA)))
}

/// Where a later one is, by what tells it from the others.
pub fn later(place: u64, number: u64) -> u64 {
    mix((place ^ number).wrapping_add(GAMMA))
}

impl TraceId {
    /// The id of a step at a place: the same step at another place is another one.
    pub fn span(self, step: Step, place: u64) -> SpanId {
        let folded = (self.0 as u64) ^ ((self.0 >> 64) as u64).rotate_left(17);
        let step = mix(folded.wrapping_add((step as u64 + 1).wrapping_mul(GAMMA)));
        SpanId(mix((step ^ place).wrapping_add(GAMMA)).max(1))
    }

    /// The same, as a parent.
    pub fn parent(self, step: Step, place: u64) -> TraceParent {
        TraceParent { trace: self, span: self.span(step, place) }
    }
}

impl fmt::Display for TraceId {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{:032x}", self.0)
    }
}

impl fmt::Display for SpanId {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{:016x}", self.0)
    }
}

impl fmt::Display for TraceParent {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Version 0, sampled: https://www.w3.org/TR/trace-context/#traceparent-header
        write!(out, "00-{}-{}-01", self.trace, self.span)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::{GatewayId, Incarnation, SessionId};
    use crate::records::Action;
    use std::collections::BTreeSet;

    fn trace(sampler: Sampler, message: u64) -> Option<TraceId> {
        sampler.trace(ConversationId(5), UserId(4), ClientMessageId(message))
    }

    #[test]
    fn a_share_of_all_messages_is_traced_and_everybody_agrees_which() {
        let half = Sampler::one_in(2, "chat");
        let traced = (0..10_000).filter(|message| trace(half, *message).is_some()).count();
        assert!((4_800..5_200).contains(&traced), "{traced}");
        let (all, none) = (Sampler::one_in(1, "chat"), Sampler::one_in(0, "chat"));
        assert!((0..1_000).all(|message| trace(all, message).is_some()));
        assert!((0..1_000).all(|message| trace(none, message).is_none()));
        assert_eq!(none.is_on(), Sampler::OFF.is_on());
        // Who samples more has those of who samples less.
        for message in 0..100 {
            assert!(trace(half, message).is_none_or(|id| trace(all, message) == Some(id)));
        }
    }

    #[test]
    fn every_message_of_every_cluster_has_a_trace_of_its_own() {
        let samplers = [Sampler::one_in(1, "chat"), Sampler::one_in(1, "other")];
        let mut seen = BTreeSet::new();
        for sampler in samplers {
            for (conversation, author, message) in [(1, 2, 3), (2, 1, 3), (3, 2, 1), (0, 0, 0)] {
                let (conversation, author) = (ConversationId(conversation), UserId(author));
                let id = sampler.trace(conversation, author, ClientMessageId(message));
                assert!(seen.insert(id.expect("all are traced")));
            }
        }
    }

    #[test]
    fn a_record_tells_what_its_reader_continues() {
        let sampler = Sampler::one_in(1, "chat");
        let from = SessionRef {
            gateway: GatewayId(1),
            incarnation: Incarnation(2),
            session: SessionId(3),
        };
        let inbound = Inbound {
            from,
            author: UserId(4),
            conversation: ConversationId(5),
            client_message_id: ClientMessageId(6),
            action: Action::Send { body: "hello".to_owned(), reply_to: None, format: 1 },
        };
        let record = records::encode(&inbound);
        let parent = sampler.parent_of_inbound(&record).expect("it is traced");
        let trace = sampler.of(&inbound).expect("it is traced");
        assert_eq!(parent, trace.parent(Step::Publish, first_of(from)));
        assert_eq!(Sampler::OFF.parent_of_inbound(&record), None);
        assert_eq!(sampler.parent_of_inbound(b"\x07"), None);
        let header = parent.to_string();
        assert_eq!(header, format!("00-{:032x}-{:016x}-01", trace.0, parent.span.0));
        assert_eq!(header.len(), 55);
    }

    #[test]
    fn the_steps_of_a_trace_are_told_apart() {
        let id = trace(Sampler::one_in(1, "chat"), 1).expect("all are traced");
        let steps = [Step::Send, Step::Publish, Step::Sequence, Step::Commit, Step::FanOut];
        let places = [FIRST, 1, later(FIRST, 1), later(1, 1)];
        let spans: BTreeSet<_> =
            steps.iter().flat_map(|step| places.map(|place| id.span(*step, place))).collect();
        assert_eq!(spans.len(), steps.len() * places.len());
    }
}
