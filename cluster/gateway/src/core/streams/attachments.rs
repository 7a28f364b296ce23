//! Attachments that wait to be made, or made again. They travel in batches. Those of a session are held
//! back while its queue has no room for the answers: a user of many conversations is not slow for that.

use crate::core::calls::{AttachCall, AttachWish};
use protocol::limits::GatewayLimits;
use protocol::store_calls::AttachItem;
use protocol::{ConversationId, Sequence, SessionId, UserId};
use std::collections::{BTreeMap, BTreeSet, VecDeque};

/// See the module.
#[derive(Debug)]
pub struct Attachments {
    wishes: VecDeque<AttachWish>,
    refreshes: BTreeSet<(ConversationId, UserId)>,
    /// Of sessions without room.
    held_back: BTreeMap<SessionId, Vec<AttachWish>>,
    /// Of a session, how many are under way.
    expected: BTreeMap<SessionId, usize>,
    /// How often something was lost on the way from the owners.
    losses: u64,
    under_way: usize,
    made: u64,
    calls_max: usize,
    items_max: usize,
}

/// What must be known of the sessions when a batch is made up.
pub struct Known<'a> {
    /// Whether a session still waits to be attached to a conversation.
    pub is_wanted: &'a dyn Fn(SessionId, ConversationId) -> bool,
    /// What has certainly arrived at one of a user's devices. What was only sent may have gone to a
    /// connection that is dead, and is to be pushed then.
    pub has_arrived: &'a dyn Fn(ConversationId, UserId) -> Option<Sequence>,
    /// Whether a session has room for one more answer besides so many.
    pub has_room: &'a dyn Fn(SessionId, usize) -> bool,
    /// Whether a user wants presence.
    pub presence: &'a dyn Fn(UserId) -> bool,
}

impl Attachments {
    /// Nothing waits.
    pub const fn new(limits: &GatewayLimits) -> Self {
        Self {
            wishes: VecDeque::new(),
            refreshes: BTreeSet::new(),
            held_back: BTreeMap::new(),
            expected: BTreeMap::new(),
            losses: 0,
            under_way: 0,
            made: 0,
            calls_max: limits.attach_calls,
            items_max: limits.attach_items,
        }
    }

    /// A session is to be attached.
    pub fn wish(
        &mut self,
        id: SessionId,
        user: UserId,
        conversation: ConversationId,
        after: Option<Sequence>,
    ) {
        let item = AttachItem { conversation, user, after, presence: false, again: false };
        self.wishes.push_back(AttachWish { item, session: Some(id) });
    }

    /// A user's attachment is to be made again.
    pub fn refresh(&mut self, conversation: ConversationId, user: UserId) {
        self.refreshes.insert((conversation, user));
    }

    /// A user is no longer attached.
    pub fn forget(&mut self, conversation: ConversationId, user: UserId) {
        self.refreshes.remove(&(conversation, user));
    }

    /// A session has room again.
    pub fn go_on(&mut self, id: SessionId) {
        self.wishes.extend(self.held_back.remove(&id).into_iter().flatten());
    }

    /// A session is gone.
    pub fn gone(&mut self, id: SessionId) {
        self.held_back.remove(&id);
    }

    /// A connection was lost, and maybe something with it.
    pub const fn lost(&mut self) {
        self.losses += 1;
    }

    /// Whether `cut` may find something.
    pub fn could_cut(&self) -> bool {
        self.under_way < self.calls_max && !(self.wishes.is_empty() && self.refreshes.is_empty())
    }

    /// The next call, if there may be one: no pair twice, since answers are told apart by their pairs.
    pub fn cut(&mut self, known: &Known<'_>) -> Option<AttachCall> {
        if !self.could_cut() {
            return None;
        }
        let mut pairs = BTreeSet::new();
        let mut wishes: Vec<AttachWish> = Vec::new();
        let mut later = Vec::new();
        // When many sessions begin at once, those that wait to be attached again are not forgotten.
        let kept_free = self.refreshes.len().min(self.items_max / 4);
        while wishes.len() < self.items_max - kept_free
            && let Some(mut wish) = self.wishes.pop_front()
        {
            let AttachItem { conversation, user, .. } = wish.item;
            if !wish.session.is_none_or(|id| (known.is_wanted)(id, conversation)) {
                continue;
            }
            if !pairs.insert((conversation, user)) {
                later.push(wish);
                continue;
            }
            if let Some(id) = wish.session {
                let expected = self.expected.get(&id).copied().unwrap_or_default();
                if !(known.has_room)(id, expected) {
                    pairs.remove(&(conversation, user));
                    self.held_back.entry(id).or_default().push(wish);
                    continue;
                }
                self.expected.insert(id, expected + 1);
            }
            wish.item.presence = (known.presence)(user);
            wishes.push(wish);
        }
        for wish in later.into_iter().rev() {
            self.wishes.push_front(wish);
        }
        // The answer to a session's attachment is for that session alone, if it is still there by then.
        let mut refreshes = Vec::new();
        while wishes.len() < self.items_max
            && let Some((conversation, user)) = self.refreshes.pop_first()
        {
            if !pairs.insert((conversation, user)) {
                refreshes.push((conversation, user));
                continue;
            }
            let (after, presence) =
                ((known.has_arrived)(conversation, user), (known.presence)(user));
            let item = AttachItem { conversation, user, after, presence, again: true };
            wishes.push(AttachWish { item, session: None });
        }
        self.refreshes.extend(refreshes);
        if wishes.is_empty() {
            return None;
        }
        self.under_way += 1;
        self.made += 1;
        Some(AttachCall { wishes, number: self.made, losses: self.losses })
    }

    /// A call was answered. Whether something may have been lost while the answer was on its way.
    pub fn answered(&mut self, call: &AttachCall) -> bool {
        self.under_way -= 1;
        for id in call.wishes.iter().filter_map(|wish| wish.session) {
            let expected = self.expected.get_mut(&id).expect("counted when it was cut");
            *expected -= 1;
            if *expected == 0 {
                self.expected.remove(&id);
            }
            self.go_on(id);
        }
        call.losses != self.losses
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn attachments(calls: usize, items: usize) -> Attachments {
        let (attach_calls, attach_items) = (calls, items);
        Attachments::new(&GatewayLimits { attach_calls, attach_items, ..GatewayLimits::default() })
    }

    /// The next call, where session 9 no longer waits and session 8 has room for two: sessions and
    /// conversations.
    fn cut(attachments: &mut Attachments) -> Vec<(Option<u64>, u64)> {
        let known = Known {
            is_wanted: &|id, _| id != SessionId(9),
            has_arrived: &|_, _| None,
            has_room: &|id, expected| id != SessionId(8) || expected < 2,
            presence: &|_| false,
        };
        let call = attachments.cut(&known);
        let wishes = call.map(|call| call.wishes).unwrap_or_default().into_iter();
        wishes.map(|wish| (wish.session.map(|id| id.0), wish.item.conversation.0)).collect()
    }

    fn wish(attachments: &mut Attachments, session: u64, user: u64, conversation: u64) {
        attachments.wish(SessionId(session), UserId(user), ConversationId(conversation), None);
    }

    #[test]
    fn no_pair_comes_twice_in_a_call_and_nothing_is_forgotten() {
        let mut attachments = attachments(9, 3);
        for (session, user, conversation) in [(1, 1, 1), (2, 1, 1), (9, 2, 1), (3, 3, 1)] {
            wish(&mut attachments, session, user, conversation);
        }
        attachments.refresh(ConversationId(1), UserId(3));
        attachments.refresh(ConversationId(2), UserId(3));
        assert_eq!(cut(&mut attachments), [(Some(1), 1), (Some(3), 1), (None, 2)]);
        // The user's other sessions hear nothing of what session 3 is answered.
        assert_eq!(cut(&mut attachments), [(Some(2), 1), (None, 1)]);
        assert_eq!(cut(&mut attachments), []);
    }

    #[test]
    fn many_sessions_that_begin_leave_room_for_those_that_go_on() {
        let mut attachments = attachments(9, 4);
        for session in 1..=6 {
            wish(&mut attachments, session, session, 1);
            attachments.refresh(ConversationId(session), UserId(7));
        }
        let sessions = |calls: Vec<(Option<u64>, u64)>| calls.into_iter().map(|it| it.0).collect();
        let calls: [Vec<_>; 3] = std::array::from_fn(|_| sessions(cut(&mut attachments)));
        assert_eq!(calls[0], [Some(1), Some(2), Some(3), None]);
        assert_eq!(calls[1], [Some(4), Some(5), Some(6), None]);
        assert_eq!(calls[2], [None; 4]);
    }

    #[test]
    fn only_so_many_calls_are_under_way() {
        let mut attachments = attachments(1, 1);
        wish(&mut attachments, 1, 1, 1);
        wish(&mut attachments, 2, 2, 2);
        assert_eq!(cut(&mut attachments), [(Some(1), 1)]);
        assert!(!attachments.could_cut());
        let call = AttachCall { wishes: Vec::new(), number: 1, losses: 0 };
        assert!(!attachments.answered(&call));
        assert_eq!(cut(&mut attachments), [(Some(2), 2)]);
    }

    #[test]
    fn a_session_without_room_waits_and_holds_nobody_up() {
        let mut attachments = attachments(9, 9);
        for conversation in 1..=5 {
            wish(&mut attachments, 8, 8, conversation);
        }
        wish(&mut attachments, 1, 1, 1);
        assert_eq!(cut(&mut attachments), [(Some(8), 1), (Some(8), 2), (Some(1), 1)]);
        assert_eq!(cut(&mut attachments), []);
        attachments.go_on(SessionId(8));
        assert_eq!(cut(&mut attachments), [], "there are two under way");
        let item = |conversation| AttachItem {
            conversation: ConversationId(conversation),
            user: UserId(8),
            after: None,
            presence: false,
            again: false,
        };
        let wishes = [1, 2].map(|id| AttachWish { item: item(id), session: Some(SessionId(8)) });
        attachments.answered(&AttachCall { wishes: wishes.into(), number: 1, losses: 0 });
        assert_eq!(cut(&mut attachments), [(Some(8), 3), (Some(8), 4)]);
        attachments.gone(SessionId(8));
        assert!(attachments.held_back.is_empty());
    }

    #[test]
    fn what_was_lost_before_an_answer_makes_it_doubtful() {
        let mut attachments = attachments(2, 9);
        wish(&mut attachments, 1, 1, 1);
        assert_eq!(cut(&mut attachments).len(), 1);
        attachments.lost();
        assert!(attachments.answered(&AttachCall { wishes: Vec::new(), number: 1, losses: 0 }));
    }
}
