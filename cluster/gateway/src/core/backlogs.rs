//! Pages of stored entries that clients ask for themselves. A page waits here until its session's queue
//! has room for it: what a session asked for never makes it slow.

use super::calls::{Call, RangeCall, RangePurpose};
use super::effects::Effects;
use super::encoded::Encoded;
use super::outbound::Outlet;
use super::timers::{RETRY_MS, Timer};
use ports::CallError;
use protocol::frames::client::Backlog;
use protocol::frames::server::{ErrorCode, Page};
use protocol::limits::GatewayLimits;
use protocol::store_calls::{RangePage, RangeQuery};
use protocol::{ServerFrame, SessionId, UserId, limits};
use std::collections::BTreeMap;

/// Pages under way that one session asked for.
const REQUESTS: usize = 4;
/// Attempts at a page.
const TRIES: u32 = 3;

#[derive(Debug)]
struct Asked {
    /// The client's number.
    request: u32,
    query: RangeQuery,
    tries: u32,
    /// The answer, as long as there is no room for it.
    page: Option<Encoded>,
}

/// Requests that are not answered yet, under numbers of ours.
#[derive(Debug)]
pub struct Backlogs {
    waiting: BTreeMap<(SessionId, u64), Asked>,
    asked: u64,
    /// Bytes of one page as it is sent, unless it holds a single entry.
    page_bytes: usize,
}

impl Backlogs {
    /// Nobody has asked.
    pub const fn new(limits: &GatewayLimits) -> Self {
        let page_bytes = limits.session_queue_bytes / (2 * REQUESTS);
        Self { waiting: BTreeMap::new(), asked: 0, page_bytes }
    }

    /// A client asks.
    pub fn ask<O: Outlet>(
        &mut self,
        out: &mut Effects<O>,
        id: SessionId,
        user: UserId,
        Backlog { request, conversation, after, limit }: Backlog,
    ) {
        if !(1..=limits::MAX_PAGE).contains(&limit) {
            let most = limits::MAX_PAGE;
            let detail = format!("backlog {request}: limit is a number from 1 to {most}");
            return out.complain(id, ErrorCode::BadValue, detail);
        }
        if self.waiting.range((id, 0)..=(id, u64::MAX)).count() >= REQUESTS {
            let detail = format!("backlog {request}: at most {REQUESTS} at a time");
            return out.complain(id, ErrorCode::Unavailable, detail);
        }
        self.asked += 1;
        let query = RangeQuery { conversation, user: Some(user), after, limit };
        self.waiting.insert((id, self.asked), Asked { request, query, tries: 0, page: None });
        self.read(out, id, self.asked);
    }

    /// Reads a page (again).
    pub fn read<O: Outlet>(&mut self, out: &mut Effects<O>, id: SessionId, number: u64) {
        let Some(asked) = self.waiting.get_mut(&(id, number)) else { return };
        asked.tries += 1;
        let purpose = RangePurpose::Backlog(id, number);
        out.calls.push_back(Call::Range(RangeCall { query: asked.query, purpose }));
    }

    /// A page, or why there is none.
    pub fn answered<O: Outlet>(
        &mut self,
        out: &mut Effects<O>,
        (id, number): (SessionId, u64),
        page: Result<RangePage, CallError>,
    ) {
        let Some(asked) = self.waiting.get_mut(&(id, number)) else { return };
        let maybe = matches!(page, Err(CallError::Unavailable | CallError::Unknown));
        if maybe && asked.tries < TRIES {
            return out.timers.set(out.now_ms + RETRY_MS, Timer::Backlog(id, number));
        }
        let (request, conversation) = (asked.request, asked.query.conversation);
        let (code, detail) = match page {
            Ok(RangePage { mut entries, first, head }) => {
                let mut bytes = 0;
                let fitting = entries.iter().enumerate().take_while(|(index, entry)| {
                    bytes += out.outlets.entry_bytes(id, entry);
                    *index == 0 || bytes <= self.page_bytes
                });
                let fitting = fitting.count();
                entries.truncate(fitting);
                let page = Page { request, conversation, entries, first, head };
                asked.page = Some(ServerFrame::Page(page).into());
                return self.give(out, id);
            }
            Err(CallError::Refused(_)) => {
                (ErrorCode::NotAttached, format!("not a member of {conversation}"))
            }
            Err(CallError::Unavailable | CallError::Unknown) => {
                (ErrorCode::Unavailable, "no answer from the owner".to_owned())
            }
        };
        self.waiting.remove(&(id, number));
        out.complain(id, code, format!("backlog {request}: {detail}"));
    }

    /// Gives a session the pages for which it has room now; the others wait for more.
    pub fn give<O: Outlet>(&mut self, out: &mut Effects<O>, id: SessionId) {
        let mut given = Vec::new();
        for (key, asked) in self.waiting.range_mut((id, 0)..=(id, u64::MAX)) {
            let Some(page) = &mut asked.page else { continue };
            if !out.outlets.post_if_room(id, page) {
                break;
            }
            given.push(*key);
        }
        for key in given {
            self.waiting.remove(&key);
        }
    }

    /// A session is gone.
    pub fn forget(&mut self, id: SessionId) {
        let mine = self.waiting.range((id, 0)..=(id, u64::MAX)).map(|(key, _)| *key);
        for key in mine.collect::<Vec<_>>() {
            self.waiting.remove(&key);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::hub_model::{config, heard, one_session};
    use super::*;
    use protocol::{ClientMessageId, Content, ConversationId, Entry, Epoch, NodeNumber, Sequence};

    const USER: UserId = UserId(7);

    fn asked(request: u32) -> Backlog {
        Backlog { request, conversation: ConversationId(1), after: Sequence(0), limit: 10 }
    }

    #[test]
    fn a_session_may_ask_for_a_few_pages_at_a_time() {
        let config = config(10);
        let (mut out, queue, id) = one_session(&config);
        let mut backlogs = Backlogs::new(&config.limits);
        for request in 0..=REQUESTS as u32 {
            backlogs.ask(&mut out, id, USER, asked(request));
        }
        assert_eq!(out.calls.len(), REQUESTS);
        assert!(matches!(&heard(&queue)[..], [ServerFrame::Error(_)]));
        let page = RangePage { entries: Vec::new(), first: Sequence(1), head: Sequence(0) };
        backlogs.answered(&mut out, (id, 1), Ok(page));
        assert!(matches!(&heard(&queue)[..], [ServerFrame::Page(page)] if page.request == 0));
        backlogs.ask(&mut out, id, USER, asked(9));
        assert_eq!(out.calls.len(), REQUESTS + 1);
    }

    #[test]
    fn a_page_that_is_not_to_be_had_is_tried_again_and_then_given_up() {
        let config = config(10);
        let (mut out, queue, id) = one_session(&config);
        let mut backlogs = Backlogs::new(&config.limits);
        backlogs.ask(&mut out, id, USER, asked(5));
        for tried in 1..=TRIES {
            assert_eq!(out.calls.len(), tried as usize);
            assert_eq!(heard(&queue), []);
            backlogs.answered(&mut out, (id, 1), Err(CallError::Unknown));
            if let Some(Timer::Backlog(id, number)) = out.timers.pop(RETRY_MS) {
                backlogs.read(&mut out, id, number);
            }
        }
        assert_eq!(out.calls.len(), TRIES as usize);
        assert!(matches!(&heard(&queue)[..], [ServerFrame::Error(_)]));
    }

    #[test]
    fn pages_wait_until_their_session_has_room() {
        let mut config = config(1_000);
        config.limits.session_queue_bytes = 100_000;
        let (mut out, queue, id) = one_session(&config);
        let mut backlogs = Backlogs::new(&config.limits);
        let entry = |sequence| Entry {
            conversation: ConversationId(1),
            sequence: Sequence(sequence),
            epoch: Epoch(1),
            owner: NodeNumber(1),
            author: USER,
            client_message_id: ClientMessageId(sequence),
            at_ms: 0,
            content: Content::Message { body: "x".repeat(40_000), reply_to: None },
        };
        for request in 0..4 {
            backlogs.ask(&mut out, id, USER, asked(request));
            let entries = vec![entry(1), entry(2)];
            let page = RangePage { entries, first: Sequence(1), head: Sequence(2) };
            backlogs.answered(&mut out, (id, u64::from(request) + 1), Ok(page));
        }
        let mut requests = Vec::new();
        while let [ServerFrame::Page(page)] = &heard(&queue)[..] {
            assert_eq!(page.entries.len(), 1, "a page holds one entry at least");
            requests.push(page.request);
            backlogs.give(&mut out, id);
        }
        assert_eq!(requests, [0, 1, 2, 3]);
        assert_eq!(out.outlets.take_slow(), []);
        assert!(backlogs.waiting.is_empty());
    }

    #[test]
    fn who_is_gone_waits_for_nothing() {
        let config = config(10);
        let (mut out, _queue, id) = one_session(&config);
        let mut backlogs = Backlogs::new(&config.limits);
        backlogs.ask(&mut out, id, USER, asked(1));
        backlogs.forget(id);
        assert!(backlogs.waiting.is_empty());
    }
}
