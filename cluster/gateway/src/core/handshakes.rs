//! From hello to welcome: cursors that wait, and the lookup of the users' conversations.
//!
//! Lookups of many sessions travel together: a thousand users who reconnect at once cost a few calls.

use super::calls::{Call, LookupCall};
use super::effects::Effects;
use super::outbound::Outlet;
use super::sessions::Sessions;
use super::streams::Behind;
use protocol::frames::client::{Cursor, Cursors};
use protocol::limits::GatewayLimits;
use protocol::store_calls::UserConversation;
use protocol::{CloseCode, ConversationId, Sequence, SessionId, UserId, limits};
use std::collections::{BTreeMap, BTreeSet};

/// What must be remembered between hello and welcome.
#[derive(Debug)]
struct Greeting {
    /// Cursors of the hello and what followed; when all are there, sorted by conversation, each once.
    cursors: Vec<Cursor>,
    /// Whether more follow.
    more: bool,
    /// Conversations that the user joined meanwhile.
    joins: Vec<UserConversation>,
    since_ms: u64,
}

/// Where a session's streams begin.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Beginning {
    /// The user's conversations, and the cursors that are known of them.
    pub conversations: Vec<(ConversationId, Behind)>,
    /// Cursors of conversations that the user has left: should the user join again, the stream does
    /// not begin before them.
    pub left: Vec<(ConversationId, Sequence)>,
}

/// See the module.
#[derive(Debug)]
pub struct Handshakes {
    greetings: BTreeMap<SessionId, Greeting>,
    waiting: Vec<SessionId>,
    under_way: usize,
    calls_max: usize,
    users_max: usize,
}

impl Handshakes {
    /// Nobody has said hello.
    pub fn new(limits: &GatewayLimits) -> Self {
        Self {
            greetings: BTreeMap::new(),
            waiting: Vec::new(),
            under_way: 0,
            calls_max: limits.lookup_calls,
            users_max: limits.lookup_users,
        }
    }

    /// Hello was said, with these cursors; perhaps `more` follow.
    pub fn begin(&mut self, now_ms: u64, id: SessionId, cursors: Vec<Cursor>, more: bool) {
        let greeting = Greeting { cursors, more, joins: Vec::new(), since_ms: now_ms };
        self.greetings.insert(id, greeting);
        self.conclude(id);
    }

    /// More cursors came.
    ///
    /// # Errors
    /// They were not announced, or are too many.
    pub fn go_on(
        &mut self,
        id: SessionId,
        Cursors { cursors, more }: Cursors,
    ) -> Result<(), CloseCode> {
        let greeting = self.greetings.get_mut(&id).filter(|greeting| greeting.more);
        let greeting = greeting.ok_or(CloseCode::OutOfOrder)?;
        if greeting.cursors.len() + cursors.len() > limits::MAX_CURSORS_IN_ALL {
            return Err(CloseCode::TooBig);
        }
        greeting.cursors.extend(cursors);
        greeting.more = more;
        self.conclude(id);
        Ok(())
    }

    /// Looks up the conversations of a session once all of its cursors are there.
    fn conclude(&mut self, id: SessionId) {
        let Some(greeting) = self.greetings.get_mut(&id).filter(|greeting| !greeting.more) else {
            return;
        };
        // The highest cursor of a conversation counts if it is named twice.
        let cursors = &mut greeting.cursors;
        cursors.sort_by_key(|cursor| (cursor.conversation, std::cmp::Reverse(cursor.sequence)));
        cursors.dedup_by_key(|cursor| cursor.conversation);
        self.waiting.push(id);
    }

    /// Whether a session has not said all of its cursors in time.
    pub fn is_unfinished(&self, now_ms: u64, id: SessionId) -> bool {
        self.is_overdue(now_ms, id) && self.greetings.get(&id).is_some_and(|is| is.more)
    }

    /// A session is gone.
    pub fn forget(&mut self, id: SessionId) {
        self.greetings.remove(&id);
    }

    /// The conversations of this session's user are to be looked up (again).
    pub fn look_up(&mut self, id: SessionId) {
        self.waiting.push(id);
    }

    /// All of these are to be looked up again.
    pub fn look_up_all(&mut self, sessions: impl Iterator<Item = SessionId>) {
        self.waiting.extend(sessions);
        self.waiting.sort_unstable();
        self.waiting.dedup();
    }

    /// The user of a session joined a conversation before the session was welcomed.
    pub fn joined(&mut self, id: SessionId, joined: UserConversation) {
        if let Some(greeting) = self.greetings.get_mut(&id) {
            greeting.joins.push(joined);
        }
    }

    /// Whether `cut` may find something.
    pub fn could_cut(&self) -> bool {
        self.under_way < self.calls_max && !self.waiting.is_empty()
    }

    /// Makes calls of what waits, as far as they may be under way.
    pub fn cut<O: Outlet>(&mut self, out: &mut Effects<O>, known: &Sessions) {
        while self.could_cut() {
            let count = self.waiting.len().min(self.users_max);
            // Who is still to name cursors is looked up behind the last of them.
            let is_whole = |id| self.greetings.get(&id).is_none_or(|greeting| !greeting.more);
            let alive = |id| {
                let session = known.get(id).filter(|_| is_whole(id));
                session.map(|session| (id, session.user))
            };
            let (sessions, users): (Vec<_>, BTreeSet<_>) =
                self.waiting.drain(..count).filter_map(alive).unzip();
            if !sessions.is_empty() {
                self.under_way += 1;
                let users = users.into_iter().collect();
                out.calls.push_back(Call::OfUsers(LookupCall { sessions, users }));
            }
        }
    }

    /// A call was answered.
    pub fn answered(&mut self) {
        self.under_way -= 1;
    }

    /// Whether a session that is not welcomed yet has waited for too long.
    pub fn is_overdue(&self, now_ms: u64, id: SessionId) -> bool {
        let timeout = limits::HELLO_TIMEOUT.as_millis() as u64;
        self.greetings.get(&id).is_some_and(|greeting| now_ms >= greeting.since_ms + timeout)
    }

    /// The conversations of a session's user are known (`found`: sorted). `None`: the session does not
    /// wait for them.
    pub fn end(&mut self, id: SessionId, found: &[UserConversation]) -> Option<Beginning> {
        if self.greetings.get(&id)?.more {
            return None;
        }
        let Greeting { cursors, joins, .. } = self.greetings.remove(&id)?;
        let mut conversations: Vec<_> = found
            .iter()
            .map(|item| {
                let cursor = cursors.binary_search_by_key(&item.conversation, |c| c.conversation);
                let cursor = cursor.ok().map(|index| cursors[index].sequence);
                (item.conversation, Behind::Cursor(cursor))
            })
            .collect();
        let is_left = |cursor: &Cursor| {
            conversations.binary_search_by_key(&cursor.conversation, |item| item.0).is_err()
        };
        let left = cursors.iter().copied().filter(is_left);
        let left = left.map(|cursor| (cursor.conversation, cursor.sequence)).collect();
        for join in &joins {
            if conversations.iter().all(|(known, _)| *known != join.conversation) {
                conversations.push((join.conversation, Behind::Joining(join.joined.before())));
            }
        }
        conversations.dedup_by_key(|(conversation, _)| *conversation);
        Some(Beginning { conversations, left })
    }
}

/// The part of a sorted lookup that is about one user.
pub fn of_user(found: &[UserConversation], user: UserId) -> &[UserConversation] {
    let from = found.partition_point(|item| item.user < user);
    let count = found[from..].partition_point(|item| item.user == user);
    &found[from..from + count]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn handshakes() -> Handshakes {
        Handshakes::new(&GatewayLimits::default())
    }

    fn cursor(conversation: u64, sequence: u64) -> Cursor {
        let (conversation, sequence) = (ConversationId(conversation), Sequence(sequence));
        Cursor { conversation, sequence }
    }

    fn member(user: u64, conversation: u64, joined: u64) -> UserConversation {
        let (conversation, joined) = (ConversationId(conversation), Sequence(joined));
        UserConversation { user: UserId(user), conversation, joined }
    }

    #[test]
    fn a_stream_begins_at_the_highest_cursor_or_at_the_news_of_the_joining() {
        let mut handshakes = handshakes();
        let id = SessionId(1);
        handshakes.begin(0, id, vec![cursor(2, 4), cursor(9, 3), cursor(2, 6)], false);
        handshakes.joined(id, member(7, 3, 8));
        handshakes.joined(id, member(7, 2, 9));
        let found = [member(6, 1, 1), member(7, 1, 1), member(7, 2, 1), member(8, 4, 1)];
        let beginning = handshakes.end(id, of_user(&found, UserId(7)));
        let at = |conversation, behind| (ConversationId(conversation), behind);
        let conversations = vec![
            at(1, Behind::Cursor(None)),
            at(2, Behind::Cursor(Some(Sequence(6)))),
            at(3, Behind::Joining(Sequence(7))),
        ];
        let left = vec![(ConversationId(9), Sequence(3))];
        assert_eq!(beginning, Some(Beginning { conversations, left }));
        assert_eq!(handshakes.end(id, &found), None, "welcomed once");
    }

    #[test]
    fn a_session_begins_behind_the_last_of_its_cursors() {
        let mut handshakes = handshakes();
        let id = SessionId(1);
        let more = |cursors, more| Cursors { cursors, more };
        assert_eq!(handshakes.go_on(id, more(vec![], false)), Err(CloseCode::OutOfOrder));
        handshakes.begin(0, id, vec![cursor(2, 4)], true);
        let found = [member(7, 1, 1), member(7, 2, 1), member(7, 3, 1)];
        assert_eq!(handshakes.go_on(id, more(vec![cursor(1, 5)], true)), Ok(()));
        assert!(!handshakes.could_cut() && handshakes.end(id, &found).is_none());
        assert!(!handshakes.is_unfinished(9_999, id) && handshakes.is_unfinished(10_000, id));
        assert_eq!(handshakes.go_on(id, more(vec![cursor(3, 6), cursor(2, 3)], false)), Ok(()));
        assert!(handshakes.could_cut() && !handshakes.is_unfinished(10_000, id));
        assert_eq!(handshakes.go_on(id, more(vec![], false)), Err(CloseCode::OutOfOrder));
        let at = |conversation, after| {
            (ConversationId(conversation), Behind::Cursor(Some(Sequence(after))))
        };
        let beginning = handshakes.end(id, &found).unwrap();
        assert_eq!(beginning.conversations, [at(1, 5), at(2, 4), at(3, 6)]);
    }

    #[test]
    fn nobody_names_cursors_without_end() {
        let mut handshakes = handshakes();
        handshakes.begin(0, SessionId(1), Vec::new(), true);
        let mut go_on = |count| {
            let cursors = vec![cursor(2, 4); count];
            handshakes.go_on(SessionId(1), Cursors { cursors, more: true })
        };
        assert_eq!(go_on(limits::MAX_CURSORS_IN_ALL), Ok(()));
        assert_eq!(go_on(1), Err(CloseCode::TooBig));
    }

    #[test]
    fn a_lookup_does_not_take_for_ever() {
        let mut handshakes = handshakes();
        handshakes.begin(100, SessionId(1), Vec::new(), false);
        let timeout = 100 + limits::HELLO_TIMEOUT.as_millis() as u64;
        assert!(!handshakes.is_overdue(timeout - 1, SessionId(1)));
        assert!(handshakes.is_overdue(timeout, SessionId(1)));
        handshakes.forget(SessionId(1));
        assert!(!handshakes.is_overdue(timeout, SessionId(1)));
    }

    #[test]
    fn everybody_is_looked_up_once_however_often_it_is_asked_for() {
        let mut handshakes = handshakes();
        handshakes.look_up(SessionId(2));
        handshakes.look_up_all([1, 2, 3].map(SessionId).into_iter());
        assert_eq!(handshakes.waiting, [1, 2, 3].map(SessionId));
    }
}
