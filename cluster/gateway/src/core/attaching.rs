//! Attachments: which session gets which conversation's stream, from where.
//!
//! What waits to be attached travels in batches. The answer to a session's first attachment decides
//! where its stream begins; if it is open what is for the session between its cursor and there, the
//! pages of its backlog decide.

use super::calls::{AttachCall, AttachWish};
use super::greeting::RETRY_MS;
use super::hub::{Hub, Now};
use super::stream::{Follow, Phase, Stream};
use super::timers::Timer;
use protocol::design::Attach;
use protocol::frames::server::Attached;
use protocol::store_calls::{AttachItem, AttachRefusal, AttachedAt, AttachedItem};
use protocol::{ConversationId, Sequence, ServerFrame, SessionId, UserId};
use std::collections::BTreeSet;

/// What may be added to the time before a failed attachment is tried again, milliseconds.
const MORE_RETRY_MS: u64 = 4_000;

impl Hub {
    /// Gives a session a place in a conversation, to be attached behind `after`.
    pub(super) fn enter(
        &mut self,
        id: SessionId,
        conversation: ConversationId,
        after: Option<Sequence>,
    ) {
        let Some(session) = self.outlets.sessions.get_mut(id) else { return };
        let mut left = session.left.iter().filter(|(other, _)| *other == conversation);
        // The pages behind that place tell what is for the user, be there several memberships between.
        let after = left.next().map(|(_, at)| *at).or(after);
        let (rules, limits) = (self.config.design.into(), &self.config.limits);
        let stream = self.streams.entry(conversation);
        let stream = stream.or_insert_with(|| Stream::new(conversation, rules, limits));
        let atomic = self.config.design.attach == Attach::Atomic;
        let phase =
            if atomic { Phase::Attaching { after, again: None } } else { Phase::BacklogFirst };
        if !stream.add(id, session.user, phase) {
            return;
        }
        session.conversations.push(conversation);
        self.departed.back(session.user, conversation);
        if atomic {
            self.wish(id, conversation, after);
        } else {
            if let Some(place) = stream.place_mut(id) {
                // From the head: a page behind everything has no entries, but tells the head.
                place.at = after.unwrap_or(Sequence(u64::MAX - 1));
            }
            self.catch_up(id, conversation);
        }
    }

    pub(super) fn wish(
        &mut self,
        id: SessionId,
        conversation: ConversationId,
        after: Option<Sequence>,
    ) {
        let Some(user) = self.outlets.sessions.get(id).map(|session| session.user) else { return };
        let item = AttachItem { conversation, user, after, presence: false, again: false };
        self.wishes.push_back(AttachWish { item, session: Some(id) });
    }

    /// Asks again for an attachment that was not answered.
    pub(super) fn attach_again(&mut self, id: SessionId, conversation: ConversationId) {
        let place = self.streams.get(&conversation).and_then(|stream| stream.place(id));
        match place.map(|place| place.phase) {
            Some(Phase::Attaching { after, .. }) => self.wish(id, conversation, after),
            Some(Phase::SubscribingLate) => self.wish(id, conversation, None),
            Some(Phase::BacklogFirst | Phase::Streaming) | None => {}
        }
    }

    /// Whether a wish is still one: its session waits for it.
    fn is_wanted(&self, wish: &AttachWish) -> bool {
        wish.session.is_none_or(|id| {
            let stream = self.streams.get(&wish.item.conversation);
            stream.and_then(|stream| stream.place(id)).is_some_and(|place| {
                matches!(place.phase, Phase::Attaching { .. } | Phase::SubscribingLate)
            })
        })
    }

    /// The next batch: no pair twice, since answers are told apart by their pairs.
    pub(super) fn cut_wishes(&mut self) -> Vec<AttachWish> {
        let mut pairs = BTreeSet::new();
        let mut cut: Vec<AttachWish> = Vec::new();
        let mut later = Vec::new();
        while cut.len() < self.config.limits.attach_items
            && let Some(mut wish) = self.wishes.pop_front()
        {
            if !self.is_wanted(&wish) {
                continue;
            }
            if !pairs.insert((wish.item.conversation, wish.item.user)) {
                later.push(wish);
                continue;
            }
            wish.item.presence = self.wants_presence(wish.item.user);
            cut.push(wish);
        }
        for wish in later.into_iter().rev() {
            self.wishes.push_front(wish);
        }
        while cut.len() < self.config.limits.attach_items
            && let Some((conversation, user)) = self.refreshes.pop_first()
        {
            if pairs.insert((conversation, user)) {
                let presence = self.wants_presence(user);
                let after = self.goes_on(conversation, user);
                let item = AttachItem { conversation, user, after, presence, again: true };
                cut.push(AttachWish { item, session: None });
            }
            // A fresh attachment in the same batch refreshes as well.
        }
        cut
    }

    /// Up to where every stream of a user has everything.
    fn goes_on(&self, conversation: ConversationId, user: UserId) -> Option<Sequence> {
        let places = self.streams.get(&conversation)?.places.iter();
        let streaming = places.filter(|p| p.user == user && p.phase == Phase::Streaming);
        streaming.map(|place| place.at).min()
    }

    fn wants_presence(&self, user: UserId) -> bool {
        self.users.get(&user).is_some_and(|user| {
            let mut sessions = user.sessions.iter();
            sessions.any(|id| self.outlets.sessions.get(*id).is_some_and(|s| s.presence))
        })
    }

    /// The answers to a batch of attachments; missing ones are asked for again later.
    pub fn attached(&mut self, now: Now, call: AttachCall, answers: Vec<AttachedItem>) {
        self.attaches_under_way -= 1;
        // Entries behind such an answer may have been lost while it was on its way.
        let doubtful = call.losses != self.losses;
        // While an owner is away, what waits for it is asked for the less often the more it is.
        let again_ms = now.ms + RETRY_MS + (self.timers.len() as u64 / 20).min(MORE_RETRY_MS);
        let mut answers = answers.into_iter().peekable();
        for AttachWish { item, session } in call.wishes {
            let answer = answers.next_if(|answer| {
                (answer.conversation, answer.user) == (item.conversation, item.user)
            });
            match (answer, session) {
                (Some(answer), Some(id)) => {
                    self.attached_session(now, id, item.conversation, call.number, answer.outcome);
                    if doubtful {
                        self.refresh(item.conversation, item.user);
                    }
                }
                (Some(answer), None) => {
                    self.refreshed(now, item.conversation, item.user, call.number, answer.outcome);
                }
                (None, Some(id)) => {
                    let timer = Timer::Attach(id, item.conversation);
                    self.timers.set(again_ms, timer);
                }
                (None, None) => {
                    let timer = Timer::Refresh(item.conversation, item.user);
                    self.timers.set(again_ms, timer);
                }
            }
        }
        self.settle(now);
    }

    fn attached_session(
        &mut self,
        now: Now,
        id: SessionId,
        conversation: ConversationId,
        number: u64,
        outcome: Result<AttachedAt, AttachRefusal>,
    ) {
        let Some(stream) = self.streams.get_mut(&conversation) else { return };
        let Some(place) = stream.place_mut(id) else { return };
        let (late, after, again) = match place.phase {
            Phase::Attaching { after, again } => (false, after, again),
            Phase::SubscribingLate => (true, None, None),
            Phase::BacklogFirst | Phase::Streaming => return,
        };
        let at = match (outcome, again) {
            (Ok(at), _) => at,
            // The answer is from before the user joined.
            (Err(AttachRefusal::NotMember), Some(joined)) => {
                let after = after.or(Some(joined));
                place.phase = Phase::Attaching { after, again: None };
                return self.wish(id, conversation, after);
            }
            (Err(AttachRefusal::NotMember), None) => return self.leave_quietly(id, conversation),
        };
        place.phase = Phase::Streaming;
        place.attached_by = number;
        let mut follow = Vec::new();
        if late {
            // What was stored since the last page is behind the place, and nobody will notice.
            place.at = at.head;
            place.arrived.get_or_insert(at.head);
            stream.begin(at.head, &mut self.outlets, &mut follow);
        } else if let Some(after) = after.filter(|after| *after < at.from) {
            // The user joined later, or again, or retention removed something: what is for this
            // session between its cursor and there, only a page can tell.
            place.at = after;
            stream.begin(at.head, &mut self.outlets, &mut follow);
            follow.push(Follow::CatchUp { session: id });
        } else {
            let from = at.from.min(at.head);
            place.at = from;
            place.arrived.get_or_insert(from);
            place.told = true;
            let attached = Attached { conversation, from, head: at.head };
            self.outlets.say(id, ServerFrame::Attached(attached));
            stream.begin(at.head, &mut self.outlets, &mut follow);
            let first = from.next();
            stream.feed(id, at.entries, first, &mut self.outlets, &mut follow);
        }
        if stream.live.is_some_and(|live| live < stream.known) {
            self.timers.set(now.ms + super::delivering::PATIENCE_MS, Timer::Repair(conversation));
        }
        self.follow(now, conversation, follow);
    }

    /// A session's place goes without a word: it was never told that it has one, or was told already
    /// that it has it no more.
    pub(super) fn leave_quietly(&mut self, id: SessionId, conversation: ConversationId) {
        if let Some(session) = self.outlets.sessions.get_mut(id) {
            session.conversations.retain(|other| *other != conversation);
        }
        if let Some(stream) = self.streams.get_mut(&conversation) {
            stream.remove(id);
            if stream.places.is_empty() {
                self.streams.remove(&conversation);
            }
        }
    }
}
