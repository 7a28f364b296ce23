//! Stored entries: backlog for sessions that are behind, repairs of a stream, pages on demand.
//!
//! A session's backlog is read page by page, only while its own queue has room; so a large backlog
//! never makes a session slow.

use super::calls::{BacklogRequest, Call, RangeCall, RangePurpose};
use super::greeting::RETRY_MS;
use super::hub::{Hub, Now};
use super::stream::{Follow, Phase, Reading};
use super::timers::Timer;
use ports::CallError;
use protocol::frames::client::Backlog;
use protocol::frames::server::{Attached, ErrorCode, Page};
use protocol::store_calls::{RangePage, RangeQuery};
use protocol::{ConversationId, ServerFrame, SessionId, limits};

/// Pages under way that one session asked for itself.
const REQUESTS: u8 = 4;
/// Attempts at a page that a session asked for.
const REQUEST_TRIES: u32 = 3;

impl Hub {
    /// Asks for the next page of a session that is behind, if it may have one now.
    pub(super) fn catch_up(&mut self, id: SessionId, conversation: ConversationId) {
        let Some(stream) = self.streams.get_mut(&conversation) else { return };
        let live = stream.live;
        let Some(place) = stream.place_mut(id) else { return };
        let behind = match place.phase {
            Phase::Streaming => !place.told || live.is_some_and(|live| place.at < live),
            Phase::BacklogFirst => true,
            Phase::Attaching { .. } | Phase::SubscribingLate => false,
        };
        let Some(session) = self.outlets.sessions.get(id) else { return };
        if !behind
            || place.reading != Reading::Not
            || session.pages >= self.config.limits.catch_up_pages
            || !self.outlets.wants_page(id)
        {
            return;
        }
        place.reading = Reading::UnderWay;
        let (user, after) = (Some(place.user), place.at);
        let query =
            RangeQuery { conversation, user, after, limit: self.config.limits.catch_up_page };
        let purpose = RangePurpose::CatchUp(id);
        self.calls.push_back(Call::Range(RangeCall { query, purpose }));
        if let Some(session) = self.outlets.sessions.get_mut(id) {
            session.pages += 1;
        }
    }

    /// A session's queue has room again.
    pub fn room(&mut self, now: Now, id: SessionId) {
        self.catch_up_all(id);
        self.settle(now);
    }

    /// Asks for pages of whatever this session is behind in.
    fn catch_up_all(&mut self, id: SessionId) {
        let Some(session) = self.outlets.sessions.get(id) else { return };
        if session.pages >= self.config.limits.catch_up_pages {
            return;
        }
        for conversation in session.conversations.clone() {
            self.catch_up(id, conversation);
            let pages = self
                .outlets
                .sessions
                .get(id)
                .map_or(self.config.limits.catch_up_pages, |s| s.pages);
            if pages >= self.config.limits.catch_up_pages {
                break;
            }
        }
    }

    /// A page, or why there is none.
    pub fn ranged(&mut self, now: Now, call: &RangeCall, page: Result<RangePage, CallError>) {
        let conversation = call.query.conversation;
        match call.purpose {
            RangePurpose::CatchUp(id) => {
                if let Some(session) = self.outlets.sessions.get_mut(id) {
                    session.pages -= 1;
                }
                self.caught_up(now, id, &call.query, page);
                self.catch_up_all(id);
            }
            RangePurpose::Repair => self.repaired(now, conversation, page),
            RangePurpose::Backlog(number) => self.backlog_answered(now, number, page),
        }
        self.settle(now);
    }

    fn caught_up(
        &mut self,
        now: Now,
        id: SessionId,
        query: &RangeQuery,
        page: Result<RangePage, CallError>,
    ) {
        let conversation = query.conversation;
        let Some(stream) = self.streams.get_mut(&conversation) else { return };
        let Some(place) = stream.place_mut(id) else { return };
        // The place may be another one by now: the user left and came back.
        if place.reading != Reading::UnderWay || place.at != query.after {
            return;
        }
        place.reading = Reading::Not;
        let at = place.at;
        let page = match page {
            Ok(page) => page,
            Err(CallError::Refused(_)) if place.phase == Phase::BacklogFirst => {
                return self.leave_quietly(id, conversation);
            }
            Err(CallError::Refused(_)) => {
                return self.follow(now, conversation, vec![Follow::Left { session: id, at }]);
            }
            Err(CallError::Unavailable | CallError::Unknown) => {
                place.reading = Reading::Later;
                return self.timers.set(now.ms + RETRY_MS, Timer::Page(id, conversation));
            }
        };
        if place.phase == Phase::BacklogFirst {
            return self.read_first(now, id, conversation, page);
        }
        let mut follow = Vec::new();
        if !page.entries.is_empty() {
            stream.feed(id, page.entries, page.first, &mut self.outlets, &mut follow);
        } else if page.first > page.head && page.head > at {
            // Everything behind the place was removed by retention.
            place.at = page.head;
            place.told = true;
            let attached = Attached { conversation, from: place.at, head: page.head };
            self.outlets.say(id, ServerFrame::Attached(attached));
            follow.push(Follow::CatchUp { session: id });
        } else if page.head > at {
            // There is more, but not for this user.
            follow.push(Follow::Left { session: id, at });
        } else {
            place.reading = Reading::Later;
            self.timers.set(now.ms + RETRY_MS, Timer::Page(id, conversation));
        }
        self.follow(now, conversation, follow);
    }

    /// The time of a page that was not to be had has come.
    pub(super) fn catch_up_again(&mut self, id: SessionId, conversation: ConversationId) {
        let stream = self.streams.get_mut(&conversation);
        if let Some(place) = stream.and_then(|stream| stream.place_mut(id))
            && place.reading == Reading::Later
        {
            place.reading = Reading::Not;
        }
        self.catch_up(id, conversation);
    }

    /// Design choice `backlog_first`: pages first; when they are used up, a subscription, in a later
    /// step.
    fn read_first(
        &mut self,
        now: Now,
        id: SessionId,
        conversation: ConversationId,
        page: RangePage,
    ) {
        let Some(stream) = self.streams.get_mut(&conversation) else { return };
        let Some(place) = stream.place_mut(id) else { return };
        if !std::mem::replace(&mut place.told, true) {
            let from = place.at.min(page.head).max(super::greeting::before(page.first));
            place.at = from;
            let attached = Attached { conversation, from, head: page.head };
            self.outlets.say(id, ServerFrame::Attached(attached));
        }
        let at = place.at;
        let mut follow = Vec::new();
        stream.feed(id, page.entries, page.first, &mut self.outlets, &mut follow);
        let stayed = stream.place(id).is_some_and(|place| place.at == at);
        if stayed && follow.is_empty() {
            if let Some(place) = stream.place_mut(id) {
                place.phase = Phase::SubscribingLate;
            }
            self.timers.set(now.ms + 1, Timer::Attach(id, conversation));
        } else {
            follow.push(Follow::CatchUp { session: id });
        }
        self.follow(now, conversation, follow);
    }

    /// Reads what a stream lacks, unless that is under way.
    pub(super) fn repair(&mut self, conversation: ConversationId) {
        let Some(stream) = self.streams.get_mut(&conversation) else { return };
        let Some(after) = stream.live else { return };
        if std::mem::replace(&mut stream.repairing, true) {
            return;
        }
        self.counts.repairs += 1;
        let query =
            RangeQuery { conversation, user: None, after, limit: self.config.limits.repair_page };
        let purpose = RangePurpose::Repair;
        self.calls.push_back(Call::Range(RangeCall { query, purpose }));
    }

    fn repaired(
        &mut self,
        now: Now,
        conversation: ConversationId,
        page: Result<RangePage, CallError>,
    ) {
        let Some(stream) = self.streams.get_mut(&conversation) else { return };
        stream.repairing = false;
        let mut follow = Vec::new();
        match page {
            Ok(page) => {
                let head = page.head;
                let forward =
                    stream.repaired(page.entries, page.first, &mut self.outlets, &mut follow);
                stream.known = stream.known.max(head);
                let behind = stream.live.is_some_and(|live| live < stream.known);
                if behind && forward {
                    follow.push(Follow::Repair);
                } else if behind {
                    self.timers.set(now.ms + RETRY_MS, Timer::Repair(conversation));
                } else {
                    // The stream is complete, and still the owner says that these are no members. Those
                    // that are behind will see from their pages.
                    let live = stream.live;
                    let expelled = stream
                        .places
                        .iter()
                        .filter(|place| place.expelled && Some(place.at) == live);
                    follow.extend(expelled.map(|p| Follow::Left { session: p.session, at: p.at }));
                }
            }
            Err(_) => self.timers.set(now.ms + RETRY_MS, Timer::Repair(conversation)),
        }
        self.follow(now, conversation, follow);
    }

    /// A client asks for stored entries.
    pub(super) fn backlog(&mut self, id: SessionId, asked: Backlog) {
        if !(1..=limits::MAX_PAGE).contains(&asked.limit) {
            let (request, most) = (asked.request, limits::MAX_PAGE);
            let detail = format!("backlog {request}: limit is a number from 1 to {most}");
            return self.complain(id, ErrorCode::BadValue, detail);
        }
        let Some(session) = self.outlets.sessions.get_mut(id) else { return };
        if session.requests >= REQUESTS {
            let detail = format!("backlog {}: at most {REQUESTS} at a time", asked.request);
            return self.complain(id, ErrorCode::Unavailable, detail);
        }
        session.requests += 1;
        let query = RangeQuery {
            conversation: asked.conversation,
            user: Some(session.user),
            after: asked.after,
            limit: asked.limit,
        };
        self.backlogs_asked += 1;
        let number = self.backlogs_asked;
        let request = BacklogRequest { session: id, request: asked.request, query, tries: 1 };
        self.backlogs.insert(number, request);
        self.calls
            .push_back(Call::Range(RangeCall { query, purpose: RangePurpose::Backlog(number) }));
    }

    pub(super) fn backlog_again(&mut self, number: u64) {
        let Some(request) = self.backlogs.get_mut(&number) else { return };
        request.tries += 1;
        let purpose = RangePurpose::Backlog(number);
        self.calls.push_back(Call::Range(RangeCall { query: request.query, purpose }));
    }

    fn backlog_answered(&mut self, now: Now, number: u64, page: Result<RangePage, CallError>) {
        let Some(asked) = self.backlogs.get(&number).copied() else { return };
        let maybe = matches!(page, Err(CallError::Unavailable | CallError::Unknown));
        let waits = self.outlets.sessions.get(asked.session).is_some();
        if maybe && waits && asked.tries < REQUEST_TRIES {
            return self.timers.set(now.ms + RETRY_MS, Timer::Backlog(number));
        }
        self.backlogs.remove(&number);
        let Some(session) = self.outlets.sessions.get_mut(asked.session) else { return };
        session.requests -= 1;
        let (request, conversation) = (asked.request, asked.query.conversation);
        match page {
            Ok(RangePage { mut entries, first, head }) => {
                // All the pages that it may ask for at a time take half of its queue, in bytes of text.
                let most = self.config.limits.session_queue_bytes / (2 * usize::from(REQUESTS));
                let mut bytes = 0;
                let fitting = entries.iter().enumerate().take_while(|(index, entry)| {
                    bytes += entry.content.body_bytes();
                    *index == 0 || bytes <= most
                });
                let fitting = fitting.count();
                entries.truncate(fitting);
                let page = Page { request, conversation, entries, first, head };
                self.outlets.say(asked.session, ServerFrame::Page(page));
            }
            Err(CallError::Refused(_)) => {
                let detail = format!("backlog {request}: not a member of {conversation}");
                self.complain(asked.session, ErrorCode::NotAttached, detail);
            }
            Err(CallError::Unavailable | CallError::Unknown) => {
                let detail = format!("backlog {request}: no answer from the owner");
                self.complain(asked.session, ErrorCode::Unavailable, detail);
            }
        }
    }
}
