//! What the parts of a hub bring about: frames to sessions, calls to make, timers, numbers. Every part
//! gets it as an argument; none keeps it.

use super::calls::Call;
use super::config::HubConfig;
use super::outbound::Outlet;
use super::outlets::Outlets;
use super::timers::Timers;
use ports::Span;
use protocol::frames::server::{ErrorCode, ErrorNotice};
use protocol::store_calls::UserConversation;
use protocol::{CloseCode, ServerFrame, SessionId};
use std::collections::VecDeque;
use std::time::Duration;

/// See the module.
#[derive(Debug)]
pub struct Effects<O> {
    /// When it happens: milliseconds since this gateway began.
    pub now_ms: u64,
    /// The same in microseconds, for traces and durations.
    pub now_us: u64,
    /// Frames to sessions.
    pub outlets: Outlets<O>,
    /// What to look at again.
    pub timers: Timers,
    /// Calls, in the order in which they are to be made.
    pub calls: VecDeque<Call>,
    /// A gap was found: what was sent to this gateway was lost, answers perhaps.
    pub lost: bool,
    /// Members of whom an entry has told; the hub knows their sessions.
    pub joined: Vec<UserConversation>,
    /// Numbers.
    pub counts: Counts,
    /// Steps of traced messages that have ended.
    pub spans: Vec<Span>,
}

/// What happened since it was last looked at.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Frames from clients.
    pub frames_in: u64,
    /// Refused sends, edits and deletions.
    pub rejections: u64,
    /// Of these, messages of which nobody had given word in time.
    pub unanswered: u64,
    /// How long the senders of published messages waited for word of them, those without a decision too.
    pub answered: Vec<Duration>,
    /// Repairs of a conversation's stream.
    pub repairs: u64,
    /// Entries that streams could not keep.
    pub evicted: u64,
    /// Closed sessions, in the order of `CloseCode::ALL`.
    pub closes: [u64; CloseCode::ALL.len()],
}

impl<O: Outlet> Effects<O> {
    /// Nothing has happened.
    pub fn new(config: &HubConfig) -> Self {
        Self {
            now_ms: 0,
            now_us: 0,
            outlets: Outlets::new(config.design.slow_session, &config.limits),
            timers: Timers::default(),
            calls: VecDeque::new(),
            lost: false,
            joined: Vec::new(),
            counts: Counts::default(),
            spans: Vec::new(),
        }
    }

    /// Posts a frame to one session.
    pub fn say(&mut self, id: SessionId, frame: ServerFrame) {
        self.outlets.say(id, frame);
    }

    /// Tells a client of its mistake.
    pub fn complain(&mut self, id: SessionId, code: ErrorCode, detail: String) {
        self.say(id, ServerFrame::Error(ErrorNotice { code, detail }));
    }
}

impl Counts {
    /// A session was closed.
    pub fn closed(&mut self, code: CloseCode) {
        if let Some(index) = CloseCode::ALL.iter().position(|known| *known == code) {
            self.closes[index] += 1;
        }
    }
}
