//! Hello, and what follows: the user's conversations, and welcome.
//!
//! Lookups and attachments of many sessions travel together: a thousand users who reconnect at once
//! cost a few calls.

use super::calls::{AttachCall, Call, LookupCall};
use super::hub::{Hub, Now};
use super::limits::TokenBucket;
use super::session::{Greeting, State, User};
use super::timers::Timer;
use ports::{CallError, Claims, TokenError};
use protocol::design::ClientHeartbeat;
use protocol::frames::client::Hello;
use protocol::frames::server::Welcome;
use protocol::store_calls::UserConversation;
use protocol::{CloseCode, ConversationId, Sequence, ServerFrame, SessionId, UserId, limits};
use std::collections::BTreeSet;

/// Before a failed call is made again, milliseconds.
pub const RETRY_MS: u64 = 500;

impl Hub {
    /// The first frame of a session, with what its token says.
    pub fn hello(
        &mut self,
        now: Now,
        id: SessionId,
        hello: Hello,
        claims: Result<Claims, TokenError>,
    ) {
        self.greet(now, id, hello, claims);
        self.settle(now);
    }

    fn greet(
        &mut self,
        now: Now,
        id: SessionId,
        mut hello: Hello,
        claims: Result<Claims, TokenError>,
    ) {
        self.counts.frames_in += 1;
        let Some(session) = self.outlets.sessions.get_mut(id) else { return };
        if session.state != State::Greeting {
            return self.close(now, id, CloseCode::OutOfOrder);
        }
        let claims = match claims {
            Ok(claims) => claims,
            Err(TokenError::NotReady) => return self.close(now, id, CloseCode::Unavailable),
            Err(TokenError::Invalid | TokenError::Expired | TokenError::Revoked) => {
                return self.close(now, id, CloseCode::Unauthenticated);
            }
        };
        let Some(user) = claims.user.filter(|_| claims.has("chat")) else {
            return self.close(now, id, CloseCode::Unauthenticated);
        };
        if hello.cursors.len() > limits::MAX_CURSORS {
            return self.close(now, id, CloseCode::TooBig);
        }
        // The highest cursor of a conversation counts if it is named twice.
        hello
            .cursors
            .sort_by_key(|cursor| (cursor.conversation, std::cmp::Reverse(cursor.sequence)));
        hello.cursors.dedup_by_key(|cursor| cursor.conversation);
        session.heard_ms = now.ms;
        session.state = State::Lookup;
        session.user = user;
        session.device = hello.device;
        session.presence = hello.presence;
        session.claims = Some(Box::new(claims));
        let greeting = Greeting { cursors: hello.cursors, joins: Vec::new(), since_ms: now.ms };
        session.greeting = Some(Box::new(greeting));
        self.replace(now, id, user);
        self.lookups.push(id);
    }

    /// The new session takes the place of an earlier one of the same device.
    fn replace(&mut self, now: Now, id: SessionId, user: UserId) {
        let device = self.outlets.sessions.get(id).map(|session| session.device);
        let sends = TokenBucket::full(now.ms);
        let known = self.users.entry(user).or_insert_with(|| User {
            sessions: Vec::new(),
            sends,
            lingering: Vec::new(),
        });
        // In line before the earlier one goes, so that nothing is detached in between.
        known.sessions.push(id);
        let earlier: Vec<SessionId> = known
            .sessions
            .iter()
            .copied()
            .filter(|other| *other != id)
            .filter(|other| self.outlets.sessions.get(*other).map(|s| s.device) == device)
            .collect();
        for other in earlier {
            self.close(now, other, CloseCode::Replaced);
        }
    }

    /// The conversations of the users of some sessions, or why they are not known.
    pub fn looked_up(
        &mut self,
        now: Now,
        call: &LookupCall,
        found: Result<Vec<UserConversation>, CallError>,
    ) {
        self.lookups_under_way -= 1;
        match found {
            Ok(mut found) => {
                found.sort_by_key(|item| (item.user, item.conversation));
                for id in &call.sessions {
                    self.learn(now, *id, &found);
                }
            }
            Err(_) => {
                for id in &call.sessions {
                    self.look_up_later(now, *id);
                }
            }
        }
        self.settle(now);
    }

    fn look_up_later(&mut self, now: Now, id: SessionId) {
        let Some(session) = self.outlets.sessions.get(id) else { return };
        let since_ms = session.greeting.as_ref().map(|greeting| greeting.since_ms);
        let timeout = limits::HELLO_TIMEOUT.as_millis() as u64;
        if since_ms.is_some_and(|since| now.ms >= since + timeout) {
            self.close(now, id, CloseCode::Unavailable);
        } else {
            self.timers.set(now.ms + RETRY_MS, Timer::Lookup(id));
        }
    }

    /// What a lookup found, for a session that waits for it or one that may have missed something.
    /// `found` is sorted by user and holds other users' conversations too.
    fn learn(&mut self, now: Now, id: SessionId, found: &[UserConversation]) {
        let Some(session) = self.outlets.sessions.get(id) else { return };
        if session.state != State::Open {
            return self.welcome(now, id, found);
        }
        let user = session.user;
        let from = found.partition_point(|item| item.user < user);
        for item in found[from..].iter().take_while(|item| item.user == user) {
            // Where it has a place already, this changes nothing.
            self.enter(id, item.conversation, Some(before(item.joined)));
        }
    }

    fn welcome(&mut self, now: Now, id: SessionId, found: &[UserConversation]) {
        let Some(session) = self.outlets.sessions.get_mut(id) else { return };
        let Some(greeting) = session.greeting.take() else { return };
        session.state = State::Open;
        let (user, device) = (session.user, session.device);
        let from = found.partition_point(|item| item.user < user);
        let mut conversations: Vec<(ConversationId, Option<Sequence>)> = found[from..]
            .iter()
            .take_while(|item| item.user == user)
            .map(|item| {
                let cursor =
                    greeting.cursors.binary_search_by_key(&item.conversation, |c| c.conversation);
                (item.conversation, cursor.ok().map(|index| greeting.cursors[index].sequence))
            })
            .collect();
        // Cursors of conversations that the user has left: should the user join again, the stream does
        // not begin before them.
        for cursor in &greeting.cursors {
            let found = conversations.binary_search_by_key(&cursor.conversation, |item| item.0);
            if found.is_err() {
                session.left.push((cursor.conversation, cursor.sequence));
            }
        }
        for join in &greeting.joins {
            if conversations.iter().all(|(known, _)| *known != join.conversation) {
                conversations.push((join.conversation, Some(before(join.joined))));
            }
        }
        conversations.dedup_by_key(|(conversation, _)| *conversation);
        let beats = self.config.design.client_heartbeat == ClientHeartbeat::On;
        let millis = |ms: u64| if beats { ms as u32 } else { 0 };
        let welcome = Welcome {
            session: id,
            user,
            device,
            gateway: self.config.gateway,
            incarnation: self.config.incarnation,
            heartbeat_ms: millis(self.config.heartbeat_ms),
            idle_timeout_ms: millis(self.config.idle_timeout_ms),
            conversations: conversations.len() as u32,
        };
        self.outlets.say(id, ServerFrame::Welcome(welcome));
        let lingering = self.users.get_mut(&user).map(|user| std::mem::take(&mut user.lingering));
        for (conversation, after) in conversations {
            self.enter(id, conversation, after);
        }
        self.detach_unused(now, user, lingering.unwrap_or_default());
    }

    /// Whether `cut_calls` may find something.
    pub(super) fn could_cut(&self) -> bool {
        (self.lookups_under_way < self.config.limits.lookup_calls && !self.lookups.is_empty())
            || (self.attaches_under_way < self.config.limits.attach_calls
                && !(self.wishes.is_empty() && self.refreshes.is_empty()))
    }

    /// Makes calls of what waits, as far as they may be under way.
    pub(super) fn cut_calls(&mut self) {
        while self.lookups_under_way < self.config.limits.lookup_calls && !self.lookups.is_empty() {
            let count = self.lookups.len().min(self.config.limits.lookup_users);
            let sessions: Vec<SessionId> = self.lookups.drain(..count).collect();
            let alive = |id: &SessionId| self.outlets.sessions.get(*id).map(|s| (*id, s.user));
            let (sessions, users): (Vec<_>, BTreeSet<_>) =
                sessions.iter().filter_map(alive).unzip();
            if !sessions.is_empty() {
                self.lookups_under_way += 1;
                let users = users.into_iter().collect();
                self.calls.push_back(Call::OfUsers(LookupCall { sessions, users }));
            }
        }
        while self.attaches_under_way < self.config.limits.attach_calls {
            let wishes = self.cut_wishes();
            if wishes.is_empty() {
                break;
            }
            self.attaches_under_way += 1;
            self.attaches += 1;
            self.calls.push_back(Call::Attach(AttachCall {
                wishes,
                number: self.attaches,
                losses: self.losses,
            }));
        }
    }
}

/// The sequence before one.
pub fn before(sequence: Sequence) -> Sequence {
    Sequence(sequence.0.saturating_sub(1))
}
