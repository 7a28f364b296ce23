//! The hub: one state machine that decides everything that a gateway does.
//!
//! Its methods are spread over files by subject: `greeting` (hello, lookup), `attaching`, `delivering`
//! (what owners say), `catching_up` (backlog and repair), `sending`, `notices` (receipts, typing,
//! presence) and `upkeep` (time, drain). Each public method ends with `settle`, which closes sessions
//! that were found to be slow.

use super::calls::{AttachWish, BacklogRequest, Call};
use super::departed::Departed;
use super::limits::FRAMES_PER_SEND;
use super::mailbox::{Level, Mailbox};
use super::notices::Notices;
use super::outlets::Outlets;
use super::session::{Session, State, User};
use super::slab::Slab;
use super::stream::Stream;
use super::timers::Timers;
use ports::TokenVerifier;
use protocol::codec::{Codec, DecodeError};
use protocol::design::SlowSession;
use protocol::frames::server::{ErrorCode, ErrorNotice, Resync};
use protocol::limits::GatewayLimits;
use protocol::records::SessionRef;
use protocol::{
    ClientFrame, CloseCode, ConversationId, Design, GatewayId, Incarnation, ServerFrame, SessionId,
    UserId,
};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

/// The time, both ways.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Now {
    /// Milliseconds since this gateway began; never falls.
    pub ms: u64,
    /// The wall clock, for tokens only.
    pub wall_ms: u64,
}

/// What a hub is told once.
#[derive(Clone, Copy, Debug)]
pub struct HubConfig {
    /// The gateway.
    pub gateway: GatewayId,
    /// Its life.
    pub incarnation: Incarnation,
    /// Partitions of the cluster.
    pub partitions: u16,
    /// Design choices.
    pub design: Design,
    /// How often a silent session is pinged, milliseconds.
    pub heartbeat_ms: u64,
    /// Silence after which a session is given up, milliseconds.
    pub idle_timeout_ms: u64,
    /// What it holds, at most.
    pub limits: GatewayLimits,
}

/// What happened since it was last looked at.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Frames from clients.
    pub frames_in: u64,
    /// Refused sends, edits and deletions.
    pub rejections: u64,
    /// Repairs of a conversation's stream.
    pub repairs: u64,
    /// Closed sessions, in the order of `CloseCode::ALL`.
    pub closes: [u64; CloseCode::ALL.len()],
}

/// See the module.
pub struct Hub {
    pub(super) config: HubConfig,
    pub(super) tokens: Arc<dyn TokenVerifier>,
    pub(super) outlets: Outlets,
    pub(super) users: BTreeMap<UserId, User>,
    pub(super) streams: BTreeMap<ConversationId, Stream>,
    pub(super) timers: Timers,
    pub(super) notices: Notices,
    pub(super) calls: VecDeque<Call>,
    pub(super) lookups: Vec<SessionId>,
    pub(super) lookups_under_way: usize,
    pub(super) wishes: VecDeque<AttachWish>,
    pub(super) refreshes: BTreeSet<(ConversationId, UserId)>,
    pub(super) refresh_due_ms: Option<u64>,
    pub(super) losses: u64,
    pub(super) attaches_under_way: usize,
    pub(super) attaches: u64,
    pub(super) backlogs: BTreeMap<u64, BacklogRequest>,
    pub(super) backlogs_asked: u64,
    pub(super) departed: Departed,
    pub(super) ending: Vec<(u64, Arc<Mailbox>)>,
    pub(super) swept: usize,
    pub(super) swept_ms: u64,
    pub(super) draining: bool,
    pub(super) counts: Counts,
}

/// How long a closed session may take to read its last frames, milliseconds.
pub const LINGER_MS: u64 = 2_000;

impl Hub {
    /// A hub without sessions.
    pub fn new(config: HubConfig, tokens: Arc<dyn TokenVerifier>) -> Self {
        Self {
            tokens,
            outlets: Outlets {
                sessions: Slab::default(),
                slow: Vec::new(),
                policy: config.design.slow_session,
                limit: Level {
                    frames: config.limits.session_queue_frames,
                    bytes: config.limits.session_queue_bytes,
                },
                peak: Level::default(),
                posted: 0,
                evicted: 0,
            },
            users: BTreeMap::new(),
            streams: BTreeMap::new(),
            timers: Timers::default(),
            notices: Notices::default(),
            calls: VecDeque::new(),
            lookups: Vec::new(),
            lookups_under_way: 0,
            wishes: VecDeque::new(),
            refreshes: BTreeSet::new(),
            refresh_due_ms: None,
            losses: 0,
            attaches_under_way: 0,
            attaches: 0,
            backlogs: BTreeMap::new(),
            backlogs_asked: 0,
            departed: Departed::default(),
            ending: Vec::new(),
            swept: 0,
            swept_ms: 0,
            draining: false,
            counts: Counts::default(),
            config,
        }
    }

    /// Sessions that are open.
    pub fn sessions(&self) -> usize {
        self.outlets.sessions.len()
    }

    /// Most sessions.
    pub fn sessions_max(&self) -> usize {
        self.config.limits.sessions.min(super::slab::CAPACITY)
    }

    /// A connection (or a slot on a trunk) begins a session. `None`: refused; the mailbox says why.
    pub fn open(
        &mut self,
        now: Now,
        codec: Codec,
        mailbox: Arc<Mailbox>,
        on_trunk: bool,
    ) -> Option<SessionId> {
        let refused = if self.draining {
            CloseCode::Draining
        } else if self.sessions() >= self.sessions_max() {
            CloseCode::Full
        } else {
            let session = Session::new(codec, mailbox, on_trunk, now.ms);
            return Some(self.outlets.sessions.insert(session));
        };
        mailbox.close(refused);
        self.ending.push((now.ms + LINGER_MS, mailbox));
        self.count_close(refused);
        None
    }

    /// A session's connection is gone, without a word or with one.
    pub fn gone(&mut self, now: Now, id: SessionId) {
        self.forget(now, id);
    }

    /// Something came from a session's connection that is no frame (a WebSocket ping or pong).
    pub fn heard(&mut self, now: Now, id: SessionId) {
        if let Some(session) = self.outlets.sessions.get_mut(id) {
            session.heard_ms = now.ms;
        }
    }

    /// A frame other than `hello`, which has its own method.
    pub fn frame(&mut self, now: Now, id: SessionId, frame: ClientFrame) {
        if !self.admit(now, id, Some(&frame)) {
            return self.settle(now);
        }
        match frame {
            ClientFrame::Hello(_) => self.close(now, id, CloseCode::OutOfOrder),
            ClientFrame::Send(_) | ClientFrame::Edit(_) | ClientFrame::Delete(_) => {
                self.send(now, id, frame);
            }
            ClientFrame::Receipt(receipt) => self.receipt(id, receipt),
            ClientFrame::Typing(typing) => self.typing(now, id, typing),
            ClientFrame::Backlog(backlog) => self.backlog(id, backlog),
            ClientFrame::Ping(nonce) => self.outlets.say(id, ServerFrame::Pong(nonce)),
            ClientFrame::Pong(nonce) => self.ponged(id, nonce),
        }
        self.settle(now);
    }

    /// Bytes that are no frame.
    pub fn undecodable(&mut self, now: Now, id: SessionId, error: &DecodeError) {
        match error {
            DecodeError::UnknownFrame(kind) => {
                if self.admit(now, id, None) {
                    let mut kind: String = kind.chars().take(64).collect();
                    kind.insert_str(0, "unknown frame: ");
                    self.complain(id, ErrorCode::UnknownFrame, kind);
                }
            }
            DecodeError::Malformed(_) => self.close(now, id, CloseCode::Malformed),
        }
        self.settle(now);
    }

    /// A client's mistake below the level of frames, or its goodbye.
    pub fn breach(&mut self, now: Now, id: SessionId, code: CloseCode) {
        self.close(now, id, code);
        self.settle(now);
    }

    /// Whether a frame (`None`: of an unknown kind) may be looked at: after hello, and not too often.
    fn admit(&mut self, now: Now, id: SessionId, frame: Option<&ClientFrame>) -> bool {
        self.counts.frames_in += 1;
        let limits = self.config.limits;
        let Some(session) = self.outlets.sessions.get_mut(id) else { return false };
        session.heard_ms = now.ms;
        let (per_second, burst) = (
            limits.rate_per_second.saturating_mul(FRAMES_PER_SEND),
            limits.rate_burst.saturating_mul(FRAMES_PER_SEND),
        );
        let within = session.frames.take(now.ms, per_second, burst);
        if session.state == State::Greeting {
            self.close(now, id, CloseCode::OutOfOrder);
            return false;
        }
        let Err(retry_after_ms) = within else { return true };
        self.strike(now, id);
        if let Some((conversation, message)) = frame.and_then(super::sending::named) {
            self.refuse_for_now(now, id, conversation, message, true, retry_after_ms);
            return false;
        }
        let dropped = "too many frames per second; this one was dropped";
        let detail = match frame {
            // It has kept the session alive, and its sender will ping again.
            Some(ClientFrame::Ping(_) | ClientFrame::Pong(_)) => return false,
            Some(ClientFrame::Backlog(asked)) => format!("backlog {}: {dropped}", asked.request),
            _ => dropped.to_owned(),
        };
        self.complain(id, ErrorCode::Unavailable, detail);
        false
    }

    /// A frame was refused because there are too many; whether the session survived.
    pub(super) fn strike(&mut self, now: Now, id: SessionId) -> bool {
        let limit = self.config.limits.rate_strikes;
        let Some(session) = self.outlets.sessions.get_mut(id) else { return false };
        session.strikes += 1;
        if session.strikes < limit {
            return true;
        }
        self.close(now, id, CloseCode::RateLimited);
        false
    }

    pub(super) fn complain(&mut self, id: SessionId, code: ErrorCode, detail: String) {
        self.outlets.say(id, ServerFrame::Error(ErrorNotice { code, detail }));
    }

    pub(super) fn session_ref(&self, session: SessionId) -> SessionRef {
        let HubConfig { gateway, incarnation, .. } = self.config;
        SessionRef { gateway, incarnation, session }
    }

    /// Ends a session behind what waits for it.
    pub(super) fn close(&mut self, now: Now, id: SessionId, code: CloseCode) {
        let Some(session) = self.forget(now, id) else { return };
        session.mailbox.close(code);
        self.ending.push((now.ms + LINGER_MS, session.mailbox));
        self.count_close(code);
    }

    fn count_close(&mut self, code: CloseCode) {
        if let Some(index) = CloseCode::ALL.iter().position(|known| *known == code) {
            self.counts.closes[index] += 1;
        }
    }

    /// Closes what was found to be slow. Posting to others cannot make anybody slow here, so one
    /// round is enough.
    pub(super) fn settle(&mut self, now: Now) {
        debug_assert!(
            self.config.design.slow_session == SlowSession::Disconnect
                || self.outlets.slow.is_empty()
        );
        for id in std::mem::take(&mut self.outlets.slow) {
            let Some(session) = self.forget(now, id) else { continue };
            let waiting = session.mailbox.level().frames as u32;
            let resync = ServerFrame::Resync(Resync { waiting });
            let last = session.codec.encode_server(&resync).into();
            session.mailbox.close_instead(last, CloseCode::SlowConsumer);
            self.ending.push((now.ms + LINGER_MS, session.mailbox));
            self.count_close(CloseCode::SlowConsumer);
        }
    }

    /// Takes a session out of everything.
    fn forget(&mut self, now: Now, id: SessionId) -> Option<Session> {
        let session = self.outlets.sessions.remove(id)?;
        if session.state == State::Greeting {
            return Some(session);
        }
        let mut lingering = Vec::with_capacity(session.conversations.len());
        for conversation in &session.conversations {
            let Some(stream) = self.streams.get_mut(conversation) else { continue };
            if let Some(place) = stream.remove(id) {
                lingering.push((*conversation, place.arrived));
            }
            if stream.places.is_empty() {
                self.streams.remove(conversation);
            }
        }
        let Some(user) = self.users.get_mut(&session.user) else { return Some(session) };
        user.sessions.retain(|other| *other != id);
        user.lingering.append(&mut lingering);
        if user.sessions.is_empty() {
            // The bucket outlives the sessions: reconnecting does not refill it.
            let full = user.sends.full_in_ms(now.ms, self.config.limits.rate_per_second);
            self.timers.set(now.ms + full, super::timers::Timer::Forget(session.user));
            let lingering = std::mem::take(&mut user.lingering);
            self.detach_unused(now, session.user, lingering);
        }
        Some(session)
    }
}
