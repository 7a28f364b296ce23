//! Stored entries: backlog for sessions that are behind, repairs of a stream.
//!
//! A session's backlog is read page by page, only while its own queue has room; so a large backlog
//! never makes a session slow.

use super::Streams;
use super::stream::Follow;
use super::subscriber::{Expelled, Phase, Reading, Subscriber};
use crate::core::calls::{Call, RangeCall, RangePurpose};
use crate::core::effects::Effects;
use crate::core::outbound::Outlet;
use crate::core::timers::{RETRY_MS, Timer};
use ports::CallError;
use protocol::frames::server::Attached;
use protocol::store_calls::{RangePage, RangeQuery};
use protocol::{ConversationId, ServerFrame, SessionId};

impl Streams {
    /// Asks for the next page of a session that is behind, if it may have one now.
    pub(super) fn catch_up<O: Outlet>(
        &mut self,
        out: &mut Effects<O>,
        id: SessionId,
        conversation: ConversationId,
    ) {
        let Some(stream) = self.by_conversation.get_mut(&conversation) else { return };
        let live = stream.live;
        let Some(subscriber) = stream.subscriber_mut(id) else { return };
        let behind = match subscriber.phase {
            Phase::Streaming => !subscriber.told || live.is_some_and(|live| subscriber.at < live),
            Phase::BacklogFirst => true,
            Phase::Attaching { .. } | Phase::SubscribingLate => false,
        };
        let Some(reader) = self.readers.get_mut(id) else { return };
        let limits = &self.config.limits;
        if !behind
            || subscriber.reading != Reading::Not
            || reader.pages >= limits.catch_up_pages
            || !out.outlets.wants_more(id, 0)
        {
            return;
        }
        subscriber.reading = Reading::UnderWay;
        reader.pages += 1;
        let (user, after, limit) = (Some(subscriber.user), subscriber.at, limits.catch_up_page);
        let query = RangeQuery { conversation, user, after, limit };
        out.calls.push_back(Call::Range(RangeCall { query, purpose: RangePurpose::CatchUp(id) }));
    }

    /// Asks for pages of whatever this session is behind in.
    pub(super) fn catch_up_all<O: Outlet>(&mut self, out: &mut Effects<O>, id: SessionId) {
        let Some(reader) = self.readers.get(id) else { return };
        if reader.pages >= self.config.limits.catch_up_pages {
            return;
        }
        for conversation in reader.conversations.clone() {
            self.catch_up(out, id, conversation);
            let pages = self.readers.get(id).map(|reader| reader.pages);
            if pages.is_none_or(|pages| pages >= self.config.limits.catch_up_pages) {
                break;
            }
        }
    }

    /// A page for a session that is behind, or why there is none.
    pub fn caught_up<O: Outlet>(
        &mut self,
        out: &mut Effects<O>,
        id: SessionId,
        query: &RangeQuery,
        page: Result<RangePage, CallError>,
    ) {
        if let Some(reader) = self.readers.get_mut(id) {
            reader.pages -= 1;
        }
        self.page_came(out, id, query, page);
        self.catch_up_all(out, id);
    }

    fn page_came<O: Outlet>(
        &mut self,
        out: &mut Effects<O>,
        id: SessionId,
        query: &RangeQuery,
        page: Result<RangePage, CallError>,
    ) {
        let conversation = query.conversation;
        let Some(stream) = self.by_conversation.get_mut(&conversation) else { return };
        let Some(subscriber) = stream.subscriber_mut(id) else { return };
        // The subscription may be another one by now: the user left and came back.
        if subscriber.reading != Reading::UnderWay || subscriber.at != query.after {
            return;
        }
        subscriber.reading = Reading::Not;
        let at = subscriber.at;
        let page = match page {
            Ok(page) => page,
            Err(CallError::Refused(_)) if subscriber.phase == Phase::BacklogFirst => {
                return self.leave_quietly(id, conversation);
            }
            Err(CallError::Refused(_)) => return self.left(out, id, conversation, at),
            Err(CallError::Unavailable | CallError::Unknown) => {
                subscriber.reading = Reading::Later;
                return out.timers.set(out.now_ms + RETRY_MS, Timer::Page(id, conversation));
            }
        };
        if subscriber.phase == Phase::BacklogFirst {
            return self.read_first(out, id, conversation, page);
        }
        let mut follow = Vec::new();
        if !page.entries.is_empty() {
            stream.feed(id, page.entries, page.first, out, &mut follow);
        } else if page.first > page.head && page.head > at {
            // Everything behind its position was removed by retention.
            subscriber.at = page.head;
            subscriber.told = true;
            let attached = Attached { conversation, from: subscriber.at, head: page.head };
            out.say(id, ServerFrame::Attached(attached));
            follow.push(Follow::CatchUp { session: id });
        } else if page.head > at {
            // There is more, but not for this user.
            follow.push(Follow::Left { session: id, at });
        } else {
            subscriber.reading = Reading::Later;
            out.timers.set(out.now_ms + RETRY_MS, Timer::Page(id, conversation));
        }
        self.follow(out, conversation, follow);
    }

    /// The time of a page that was not to be had has come.
    pub fn catch_up_again<O: Outlet>(
        &mut self,
        out: &mut Effects<O>,
        id: SessionId,
        conversation: ConversationId,
    ) {
        let stream = self.by_conversation.get_mut(&conversation);
        if let Some(subscriber) = stream.and_then(|stream| stream.subscriber_mut(id))
            && subscriber.reading == Reading::Later
        {
            subscriber.reading = Reading::Not;
        }
        self.catch_up(out, id, conversation);
    }

    /// Design choice `backlog_first`: pages first; when they are used up, a subscription, in a later
    /// step.
    fn read_first<O: Outlet>(
        &mut self,
        out: &mut Effects<O>,
        id: SessionId,
        conversation: ConversationId,
        page: RangePage,
    ) {
        let Some(stream) = self.by_conversation.get_mut(&conversation) else { return };
        let Some(subscriber) = stream.subscriber_mut(id) else { return };
        if !std::mem::replace(&mut subscriber.told, true) {
            let from = subscriber.at.min(page.head).max(page.first.before());
            subscriber.at = from;
            let attached = Attached { conversation, from, head: page.head };
            out.say(id, ServerFrame::Attached(attached));
        }
        let at = subscriber.at;
        let mut follow = Vec::new();
        stream.feed(id, page.entries, page.first, out, &mut follow);
        match stream.subscriber_mut(id) {
            Some(subscriber) if subscriber.at == at && follow.is_empty() => {
                subscriber.phase = Phase::SubscribingLate;
                out.timers.set(out.now_ms + 1, Timer::Attach(id, conversation));
            }
            _ => follow.push(Follow::CatchUp { session: id }),
        }
        self.follow(out, conversation, follow);
    }

    /// Reads what a stream lacks, unless that is under way.
    pub(super) fn repair<O: Outlet>(&mut self, out: &mut Effects<O>, conversation: ConversationId) {
        let Some(stream) = self.by_conversation.get_mut(&conversation) else { return };
        let Some(after) = stream.live.filter(|_| stream.repairing.is_none()) else { return };
        self.repairs += 1;
        stream.repairing = Some(self.repairs);
        for subscriber in &mut stream.subscribers {
            if subscriber.expelled == Expelled::Said {
                subscriber.expelled = Expelled::Asked;
            }
        }
        out.counts.repairs += 1;
        out.lost = true;
        let limit = self.config.limits.repair_page;
        let query = RangeQuery { conversation, user: None, after, limit };
        out.calls.push_back(Call::Range(RangeCall {
            query,
            purpose: RangePurpose::Repair(self.repairs),
        }));
    }

    /// The time of a repair has come, if it is still needed.
    pub fn repair_due<O: Outlet>(&mut self, out: &mut Effects<O>, conversation: ConversationId) {
        let needed = self.by_conversation.get(&conversation).is_some_and(|stream| {
            stream.is_behind() || stream.subscribers.iter().any(|p| p.expelled != Expelled::No)
        });
        if needed {
            self.repair(out, conversation);
        }
    }

    /// A page for a stream that has a gap, or why there is none. A stream that has ended meanwhile and begun
    /// again did not ask for it, and may know of later departures.
    pub fn repaired<O: Outlet>(
        &mut self,
        out: &mut Effects<O>,
        conversation: ConversationId,
        number: u64,
        page: Result<RangePage, CallError>,
    ) {
        let stream = self.by_conversation.get_mut(&conversation);
        let Some(stream) = stream.filter(|stream| stream.repairing == Some(number)) else { return };
        stream.repairing = None;
        let Ok(RangePage { entries, first, head }) = page else {
            return out.timers.set(out.now_ms + RETRY_MS, Timer::Repair(conversation));
        };
        let mut follow = Vec::new();
        let forward = stream.repaired(entries, first, out, &mut follow);
        stream.known = stream.known.max(head);
        let live = stream.live;
        if stream.is_behind() && forward {
            follow.push(Follow::Repair);
        } else if stream.is_behind() {
            out.timers.set(out.now_ms + RETRY_MS, Timer::Repair(conversation));
        } else {
            // The stream is complete, and still the owner says that these are no members. Those that
            // are behind will see from their pages.
            let gone = |p: &&Subscriber| p.expelled == Expelled::Asked && Some(p.at) == live;
            let gone = stream.subscribers.iter().filter(gone);
            follow.extend(gone.map(|p| Follow::Left { session: p.session, at: p.at }));
            if stream.subscribers.iter().any(|p| p.expelled == Expelled::Said) {
                follow.push(Follow::Repair);
            }
        }
        self.follow(out, conversation, follow);
    }
}
