//! What the cluster says: records of the gateway's queue, events of the owners, answers to calls.

use super::Hub;
use crate::core::calls::{AttachCall, LookupCall, PublishRef, RangeCall, RangePurpose};
use crate::core::handshakes::{Beginning, of_user};
use crate::core::outbound::Outlet;
use crate::core::sessions::State;
use crate::core::timers::{RETRY_MS, Timer};
use ports::broker::PublishError;
use ports::{CallError, StoreEvent};
use protocol::design::ClientHeartbeat;
use protocol::frames::server::Welcome;
use protocol::records::ToGateway;
use protocol::store_calls::{AttachedItem, RangePage, UserConversation};
use protocol::{CloseCode, ConversationId, ServerFrame, SessionId, UserId};

impl<O: Outlet> Hub<O> {
    /// A record from this gateway's queue.
    pub fn delivery(&mut self, record: ToGateway) {
        let Self { out, streams, sends, sessions, .. } = self;
        match record {
            ToGateway::Entry(entry) => streams.entry(out, entry),
            ToGateway::Accepted(id, accepted) => sends.accepted(out, id, accepted),
            ToGateway::Rejected(id, rejected) => sends.rejected(out, id, rejected),
            ToGateway::Receipts(receipts, members) => {
                streams.receipts(out, sessions, receipts, members);
            }
            ToGateway::Typing(it) => {
                streams.tell_presence(out, it.conversation, it.user, ServerFrame::Typing(it));
            }
            ToGateway::Presence(it) => {
                streams.tell_presence(out, it.conversation, it.user, ServerFrame::Presence(it));
            }
        }
        self.conclude();
    }

    /// What an owner tells unasked.
    pub fn store_event(&mut self, event: StoreEvent) {
        match event {
            StoreEvent::Joined(joined) => self.out.joined.push(joined),
            StoreEvent::Heads(heads) => self.streams.heads(&mut self.out, heads),
            // Its conversations wait until it is back; attachments that fail are tried again.
            StoreEvent::Lost(_) => {}
            // Which conversations are its own is not known here, and may change: all of them.
            // The node may also have told of new members in vain, and not have heard who went; a new owner
            // has heard nothing.
            StoreEvent::Back(_) | StoreEvent::Moved => {
                self.refresh_all();
                self.handshakes.look_up_all(self.sessions.all_greeted());
                self.streams.detach_again(&mut self.out);
            }
        }
        self.conclude();
    }

    /// The gateway's queue is subscribed to (again): what was sent meanwhile is lost.
    pub fn subscribed(&mut self) {
        self.refresh_all();
        self.conclude();
    }

    /// The conversations of the users of some sessions, or why they are not known.
    pub fn looked_up(
        &mut self,
        call: &LookupCall,
        found: Result<Vec<UserConversation>, CallError>,
    ) {
        self.handshakes.answered();
        let found = found.map(|mut found| {
            found.sort_by_key(|item| (item.user, item.conversation));
            found
        });
        for id in call.sessions.iter().copied() {
            match &found {
                Ok(found) => self.learn(id, found),
                Err(_) if self.handshakes.is_overdue(self.out.now_ms, id) => {
                    self.close(id, CloseCode::Unavailable);
                }
                Err(_) if self.sessions.get(id).is_some() => {
                    self.out.timers.set(self.out.now_ms + RETRY_MS, Timer::Lookup(id));
                }
                Err(_) => {}
            }
        }
        self.conclude();
    }

    /// What a lookup found, for a session that waits for it or one that may have missed something.
    /// `found` is sorted by user and holds other users' conversations too.
    fn learn(&mut self, id: SessionId, found: &[UserConversation]) {
        let Some(session) = self.sessions.get(id) else { return };
        let found = of_user(found, session.user);
        if session.state != State::Open {
            return self.welcome(id, found);
        }
        for item in found {
            self.streams.joined(&mut self.out, id, *item);
        }
    }

    fn welcome(&mut self, id: SessionId, found: &[UserConversation]) {
        let Some(session) = self.sessions.get_mut(id) else { return };
        let Some(Beginning { conversations, left }) = self.handshakes.end(id, found) else {
            return;
        };
        session.state = State::Open;
        let user = session.user;
        let beats = self.config.design.client_heartbeat == ClientHeartbeat::On;
        let millis = |ms: u64| if beats { ms as u32 } else { 0 };
        let welcome = Welcome {
            session: id,
            user,
            device: session.device,
            gateway: self.config.gateway,
            incarnation: self.config.incarnation,
            heartbeat_ms: millis(self.config.heartbeat_ms),
            idle_timeout_ms: millis(self.config.idle_timeout_ms),
            conversations: conversations.len() as u32,
        };
        self.out.say(id, ServerFrame::Welcome(welcome));
        self.streams.open(id, user, session.presence, left);
        for (conversation, behind) in conversations {
            self.streams.enter(&mut self.out, id, conversation, behind);
        }
        let lingering = self.sessions.take_lingering(user);
        self.streams.detach_unused(&mut self.out, user, lingering);
    }

    /// The answers to a batch of attachments; missing ones are asked for again later.
    pub fn attached(&mut self, call: AttachCall, answers: Vec<AttachedItem>) {
        let batch = self.streams.answered(&self.out, &call);
        let mut answers = answers.into_iter().peekable();
        for wish in call.wishes {
            let pair = (wish.item.conversation, wish.item.user);
            let answer = answers.next_if(|answer| (answer.conversation, answer.user) == pair);
            let outcome = answer.map(|answer| answer.outcome);
            let may_be_attached = !matches!(outcome, Some(Err(_)));
            self.streams.attached(&mut self.out, batch, wish, outcome);
            if may_be_attached {
                self.detach_unless_read(pair);
            }
            // Who has joined has, before the next answer is looked at.
            self.tell_joined();
        }
        self.conclude();
    }

    /// A user is attached, as far as is known. If no session reads the conversation any more, the owner may
    /// have heard of that before it attached the user: a call that comes to the wrong owner is made again,
    /// later.
    fn detach_unless_read(&mut self, (conversation, user): (ConversationId, UserId)) {
        let mut sessions = self.sessions.of(user).iter();
        if !sessions.any(|id| self.streams.reader(*id, conversation).is_some()) {
            let lingering = self.streams.lingering(conversation, user);
            if !self.sessions.linger(user, lingering) {
                self.streams.detach_unused(&mut self.out, user, vec![lingering]);
            }
        }
    }

    /// A page, or why there is none.
    pub fn ranged(&mut self, call: &RangeCall, page: Result<RangePage, CallError>) {
        let Self { out, streams, backlogs, .. } = self;
        match call.purpose {
            RangePurpose::CatchUp(id) => streams.caught_up(out, id, &call.query, page),
            RangePurpose::Repair(number) => {
                streams.repaired(out, call.query.conversation, number, page);
            }
            RangePurpose::Backlog(id, number) => backlogs.answered(out, (id, number), page),
        }
        self.conclude();
    }

    /// A session's queue has room again.
    pub fn room(&mut self, id: SessionId) {
        self.backlogs.give(&mut self.out, id);
        self.streams.room(&mut self.out, id);
        self.conclude();
    }

    /// The broker's word on a publication.
    pub fn published(&mut self, of: PublishRef, result: Result<(), PublishError>) {
        self.sends.published(&mut self.out, of, result);
        self.conclude();
    }
}
