//! A client of the model: reads its frames and checks each of them against the owner's logs.

use super::Shared;
use super::world::{Log, World};
use crate::core::outbound::Taken;
use crate::core::sends::UNANSWERED_MS;
use protocol::codec::Codec;
use protocol::frames::client::{Cursor, Nonce};
use protocol::frames::server::{Attached, ErrorCode};
use protocol::{
    ClientMessageId, CloseCode, Content, ConversationId, DeviceId, Entry, Sequence, ServerFrame,
    SessionId, UserId,
};
use std::collections::{BTreeMap, BTreeSet};

/// One device.
#[derive(Debug)]
pub struct Reader {
    pub user: UserId,
    pub device: DeviceId,
    pub session: Option<(SessionId, Shared)>,
    pub welcomed: bool,
    /// What it has shown, over all its sessions.
    pub cursors: BTreeMap<ConversationId, Sequence>,
    /// Conversations that this session was told its user has left.
    left: BTreeSet<ConversationId>,
    /// The same of earlier sessions: `hello` names no cursor of them (docs/protocol.md), and still nothing that was
    /// shown may come again.
    forgotten: BTreeSet<ConversationId>,
    /// Streams of this session.
    pub streams: BTreeMap<ConversationId, Sequence>,
    /// Messages of this session without an answer, and when they were sent.
    pub unanswered: BTreeMap<(ConversationId, ClientMessageId), u64>,
    /// Where this session's oldest message was not decided in time: it and those behind it are refused,
    /// stored or not.
    given_up: BTreeSet<ConversationId>,
    pub accepted: BTreeMap<ClientMessageId, Sequence>,
    pub shown: u64,
    /// Pings that are not answered.
    pub pings: Vec<Nonce>,
}

/// What came of reading.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    More,
    Hungry,
    Nothing,
    Ended(CloseCode),
}

impl Reader {
    pub fn new(user: u64, device: u32) -> Self {
        Self {
            user: UserId(user),
            device: DeviceId(device),
            session: None,
            welcomed: false,
            cursors: BTreeMap::new(),
            left: BTreeSet::new(),
            forgotten: BTreeSet::new(),
            streams: BTreeMap::new(),
            unanswered: BTreeMap::new(),
            given_up: BTreeSet::new(),
            accepted: BTreeMap::new(),
            shown: 0,
            pings: Vec::new(),
        }
    }

    pub fn hello_cursors(&self) -> Vec<Cursor> {
        let cursor = |(conversation, sequence): (&ConversationId, &Sequence)| Cursor {
            conversation: *conversation,
            sequence: *sequence,
        };
        let named = self.cursors.iter().filter(|(id, _)| !self.forgotten.contains(id));
        named.map(cursor).collect()
    }

    pub fn disconnect(&mut self) {
        self.session = None;
        self.welcomed = false;
        self.forgotten.append(&mut self.left);
        self.streams.clear();
        self.pings.clear();
        self.unanswered.clear();
        self.given_up.clear();
    }

    /// Reads one frame.
    pub fn read(&mut self, world: &World) -> Outcome {
        let Some((_, queue)) = &self.session else { return Outcome::Nothing };
        let taken = queue.borrow_mut().take();
        let frame = match taken {
            Taken::Frame(frame) => frame,
            Taken::End(code) => {
                queue.borrow_mut().finish();
                self.disconnect();
                return Outcome::Ended(code);
            }
            Taken::Abandoned => {
                self.disconnect();
                return Outcome::Ended(CloseCode::SlowConsumer);
            }
            Taken::Empty { hungry } => {
                return if hungry { Outcome::Hungry } else { Outcome::Nothing };
            }
        };
        self.check(world, Codec::Binary.decode_server(&frame).expect("our own frame"));
        Outcome::More
    }

    fn check(&mut self, world: &World, frame: ServerFrame) {
        let user = self.user;
        match frame {
            ServerFrame::Welcome(welcome) => {
                assert!(!std::mem::replace(&mut self.welcomed, true), "welcomed twice");
                assert_eq!(welcome.user, user);
            }
            ServerFrame::Attached(attached) => self.attached(world, &attached),
            ServerFrame::Detached(detached) => {
                let at = self.streams.remove(&detached.conversation).expect("attached before");
                self.left.insert(detached.conversation);
                let log = &world.logs[&detached.conversation];
                let next = log.entry(at.next());
                // The departure comes next, or was among what is no longer stored.
                let stored = Sequence(log.removed).max(at).next();
                let mut until_stored = (at.next().0..=stored.0).map(|n| log.entry(Sequence(n)));
                assert!(
                    until_stored.any(|e| e.is_some_and(|e| e.content == Content::Leave { user })),
                    "{user:?} detached at {at:?}, but next is {next:?}"
                );
            }
            ServerFrame::Entry(entry) => {
                let at = self.streams.get_mut(&entry.conversation).expect("attached before");
                assert_eq!(entry.sequence, at.next(), "{user:?} in {:?}", entry.conversation);
                *at = entry.sequence;
                let log = &world.logs[&entry.conversation];
                assert_eq!(Some(&entry), log.entry(entry.sequence));
                assert!(log.is_member(user, entry.sequence), "{user:?} got {entry:?}");
                self.cursors.insert(entry.conversation, entry.sequence);
                self.shown += 1;
            }
            ServerFrame::Accepted(accepted) => {
                let message = accepted.client_message_id;
                let entry = world.logs[&accepted.conversation].entry(accepted.sequence);
                assert!(
                    entry.is_some_and(|e| e.author == user && e.client_message_id == message),
                    "{accepted:?} is {entry:?}"
                );
                let earlier = self.accepted.insert(message, accepted.sequence);
                assert!(earlier.is_none_or(|sequence| sequence == accepted.sequence));
                self.unanswered.remove(&(accepted.conversation, message));
            }
            ServerFrame::Rejected(rejected) => {
                assert!(!rejected.reason.is_final(), "{rejected:?}");
                let (conversation, message) = (rejected.conversation, rejected.client_message_id);
                let sent_ms = self.unanswered.remove(&(conversation, message));
                if sent_ms.is_some_and(|sent_ms| world.now_ms >= sent_ms + UNANSWERED_MS) {
                    self.given_up.insert(conversation);
                }
                let is_it =
                    |entry: &Entry| (entry.author, entry.client_message_id) == (user, message);
                assert!(
                    self.given_up.contains(&conversation)
                        || !world.logs[&conversation].entries.iter().any(is_it),
                    "refused before its time, but stored: {rejected:?}"
                );
            }
            ServerFrame::Ping(nonce) => self.pings.push(nonce),
            ServerFrame::Resync(_) => {}
            // A report that crossed the end of its stream.
            ServerFrame::Error(notice) if notice.code == ErrorCode::NotAttached => {}
            other => panic!("unexpected {other:?}"),
        }
    }

    fn attached(&mut self, world: &World, attached: &Attached) {
        let log = &world.logs[&attached.conversation];
        let known = self.streams.insert(attached.conversation, attached.from);
        let before = known.or_else(|| self.cursors.get(&attached.conversation).copied());
        self.left.remove(&attached.conversation);
        let is_forgotten = self.forgotten.remove(&attached.conversation);
        if let Some(before) = before {
            assert!(attached.from >= before, "a stream went back: {attached:?}");
            // Of memberships between nobody can know.
            if !is_forgotten {
                self.check_skipped(log, before, attached.from);
            }
        }
    }

    /// Nothing between may be missing: the user was no member there, or it is no longer stored.
    fn check_skipped(&self, log: &Log, before: Sequence, from: Sequence) {
        for skipped in before.0 + 1..=from.0 {
            assert!(
                skipped <= log.removed || !log.is_member(self.user, Sequence(skipped)),
                "{:?} was a member at {skipped}, skipped from {before:?} to {from:?}",
                self.user
            );
        }
    }
}
