//! What owners say: entries, answers, notices; joins; and what to do when a connection was lost.
//!
//! Nothing durable depends on the gateway's queue. Whenever something may have been lost on the way,
//! every attachment is made again; the owner's head then shows which streams lack entries, and those
//! are read from the store.

use super::calls::Progress;
use super::encoded::Encoded;
use super::greeting::before;
use super::hub::{Hub, Now};
use super::session::State;
use super::stream::{Follow, Phase, Reading, Stream};
use super::timers::Timer;
use ports::StoreEvent;
use protocol::frames::server::Detached;
use protocol::records::ToGateway;
use protocol::store_calls::{AttachRefusal, AttachedAt, UserConversation};
use protocol::{ConversationId, Sequence, ServerFrame, SessionId, UserId};

/// How long entries that are known to exist may be on their way before they are read from the store,
/// milliseconds.
pub const PATIENCE_MS: u64 = 1_000;
/// Shortest time between two rounds in which every attachment is made again, milliseconds.
const REFRESH_EVERY_MS: u64 = 1_000;

impl Hub {
    /// A record from this gateway's queue.
    pub fn delivery(&mut self, now: Now, record: ToGateway) {
        match record {
            ToGateway::Entry(entry) => {
                let conversation = entry.conversation;
                if let Some(stream) = self.streams.get_mut(&conversation) {
                    let mut follow = Vec::new();
                    stream.arrived(entry, &mut self.outlets, &mut follow);
                    self.follow(now, conversation, follow);
                }
            }
            ToGateway::Accepted(id, accepted) => {
                let (conversation, message) = (accepted.conversation, accepted.client_message_id);
                self.answered(now, id, conversation, message);
                self.outlets.say(id, ServerFrame::Accepted(accepted));
            }
            ToGateway::Rejected(id, rejected) => self.rejected(now, id, rejected),
            ToGateway::Receipts(receipts) => self.receipts(receipts),
            ToGateway::Typing(typing) => {
                let mut frame = Encoded::from(ServerFrame::Typing(typing));
                self.tell_others(typing.conversation, typing.user, true, &mut frame);
            }
            ToGateway::Presence(presence) => {
                let mut frame = Encoded::from(ServerFrame::Presence(presence));
                self.tell_others(presence.conversation, presence.user, true, &mut frame);
            }
        }
        self.settle(now);
    }

    /// Tells the sessions of other users; `asked`: only those that asked for presence.
    pub(super) fn tell_others(
        &mut self,
        conversation: ConversationId,
        about: UserId,
        asked: bool,
        frame: &mut Encoded,
    ) {
        let Some(stream) = self.streams.get(&conversation) else { return };
        for place in &stream.places {
            let told = place.user != about
                && place.phase == Phase::Streaming
                && (!asked || self.outlets.sessions.get(place.session).is_some_and(|s| s.presence));
            if told {
                self.outlets.post(place.session, frame);
            }
        }
    }

    /// Does what entries asked for.
    pub(super) fn follow(&mut self, now: Now, conversation: ConversationId, follow: Vec<Follow>) {
        for next in follow {
            match next {
                Follow::Left { session, at } => self.left(session, conversation, at),
                Follow::Joined { user, at } => {
                    self.joined(now, UserConversation { user, conversation, joined: at });
                }
                Follow::CatchUp { session } => self.catch_up(session, conversation),
                Follow::Repair => self.repair(conversation),
            }
        }
    }

    /// A session's user left the conversation behind `at`. The user may be a member again already:
    /// the owner is asked, since its word of that may have come before this stream got here.
    fn left(&mut self, id: SessionId, conversation: ConversationId, at: Sequence) {
        let Some(stream) = self.streams.get_mut(&conversation) else { return };
        let Some(place) = stream.place_mut(id) else { return };
        if place.phase == Phase::SubscribingLate || matches!(place.phase, Phase::Attaching { .. }) {
            return;
        }
        place.phase = Phase::Attaching { after: Some(at), again: None };
        place.left = None;
        place.reading = Reading::Not;
        place.expelled = false;
        if let Some(session) = self.outlets.sessions.get_mut(id) {
            session.left.retain(|(other, _)| *other != conversation);
            session.left.push((conversation, at));
        }
        if std::mem::replace(&mut place.told, false) {
            self.outlets.say(id, ServerFrame::Detached(Detached { conversation }));
        }
        self.wish(id, conversation, Some(at));
    }

    /// What an owner tells unasked.
    pub fn store_event(&mut self, now: Now, event: StoreEvent) {
        match event {
            StoreEvent::Joined(joined) => self.joined(now, joined),
            // Its conversations wait until it is back; attachments that fail are tried again.
            StoreEvent::Lost(_) => {}
            // Which conversations are its own is not known here, and may change: all of them.
            // The node may also have told of new members in vain, and not have heard who went.
            StoreEvent::Back(_) => {
                self.refresh_all(now);
                self.look_up_all();
                self.detach_again();
            }
        }
        self.settle(now);
    }

    fn joined(&mut self, now: Now, joined: UserConversation) {
        let UserConversation { user, conversation, joined: at } = joined;
        let Some(known) = self.users.get(&user) else { return };
        for id in known.sessions.clone() {
            let Some(session) = self.outlets.sessions.get_mut(id) else { continue };
            if session.state != State::Open {
                if let Some(greeting) = &mut session.greeting {
                    greeting.joins.push(joined);
                }
                continue;
            }
            let (rules, limits) = (self.config.design.into(), &self.config.limits);
            let stream = self.streams.entry(conversation);
            let stream = stream.or_insert_with(|| Stream::new(conversation, rules, limits));
            let Some(place) = stream.place_mut(id) else {
                self.enter(id, conversation, Some(before(at)));
                continue;
            };
            match &mut place.phase {
                Phase::Attaching { again, .. } => {
                    *again = (*again).max(Some(before(at)));
                }
                Phase::Streaming => {
                    // Either the place is behind this, and meets the earlier departure in order, or
                    // it knows. A stream that lacks entries without knowing it learns it here.
                    stream.known = stream.known.max(at);
                    if stream.live.is_some_and(|live| live < at) {
                        self.timers.set(now.ms + PATIENCE_MS, Timer::Repair(conversation));
                    }
                }
                Phase::BacklogFirst | Phase::SubscribingLate => {}
            }
        }
    }

    /// The gateway's queue is subscribed to (again): what was sent meanwhile is lost.
    pub fn subscribed(&mut self, now: Now) {
        self.refresh_all(now);
        self.settle(now);
    }

    /// Messages were dropped from the gateway's queue.
    pub fn lossy(&mut self, now: Now) {
        // Under overload this happens again and again; one round covers all of it.
        let due = now.ms + REFRESH_EVERY_MS;
        self.losses += 1;
        self.refresh_due_ms.get_or_insert(due);
    }

    pub(super) fn refresh_all(&mut self, now: Now) {
        self.refresh_due_ms = None;
        self.losses += 1;
        for (conversation, stream) in &self.streams {
            for place in &stream.places {
                if matches!(place.phase, Phase::Streaming) {
                    self.refreshes.insert((*conversation, place.user));
                }
            }
        }
        // Answers may be lost as well: what was confirmed and not answered is published again.
        let mut waiting = Vec::new();
        for id in self.outlets.sessions.keys_between(0, self.outlets.sessions.width()) {
            let Some(session) = self.outlets.sessions.get_mut(id) else { continue };
            for pending in &mut session.pending {
                if let Progress::Confirmed(at_ms) = &mut pending.progress {
                    *at_ms = now.ms;
                }
            }
            if !session.pending.is_empty() {
                waiting.push(id);
            }
        }
        for id in waiting {
            self.publish_due(now, id);
        }
    }

    fn look_up_all(&mut self) {
        let all = self.outlets.sessions.keys_between(0, self.outlets.sessions.width());
        let known = |id: &SessionId| {
            self.outlets.sessions.get(*id).is_some_and(|session| session.state != State::Greeting)
        };
        self.lookups.extend(all.into_iter().filter(known));
        self.lookups.sort_unstable();
        self.lookups.dedup();
    }

    /// Asks again for an attachment that was not made again, if somebody still needs it.
    pub(super) fn refresh(&mut self, conversation: ConversationId, user: UserId) {
        let needed = self.streams.get(&conversation).is_some_and(|stream| {
            stream.places.iter().any(|p| p.user == user && p.phase == Phase::Streaming)
        });
        if needed {
            self.refreshes.insert((conversation, user));
        }
    }

    /// An attachment was made again, at the owner's head.
    pub(super) fn refreshed(
        &mut self,
        now: Now,
        conversation: ConversationId,
        user: UserId,
        number: u64,
        outcome: Result<AttachedAt, AttachRefusal>,
    ) {
        let Some(stream) = self.streams.get_mut(&conversation) else { return };
        match outcome {
            Ok(at) => {
                let mut follow = Vec::new();
                stream.begin(at.head, &mut self.outlets, &mut follow);
                if stream.live.is_some_and(|live| live < stream.known) {
                    follow.push(Follow::Repair);
                }
                self.follow(now, conversation, follow);
            }
            Err(AttachRefusal::NotMember) => {
                // The user left meanwhile. The stream will come to that entry; if it does not,
                // the place goes when the stream is complete.
                for place in stream.places.iter_mut().filter(|place| place.user == user) {
                    // An attachment that was made later knows better.
                    place.expelled = place.phase == Phase::Streaming && place.attached_by < number;
                }
                self.repair(conversation);
            }
        }
    }
}
