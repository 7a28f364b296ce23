//! One device's session with the cluster, across all of its connections.
//!
//! The driver above it connects, moves frames and keeps the time; every decision is here. The order
//! in which a sender's actions are sequenced is the business of `conversation_outbox`.

mod leaving;
mod renewal;

use super::cursors::{Cursors, Verdict};
use super::member_cursors::MemberCursors;
use super::outbox::{Outbox, OutboxFull};
use super::output::{AccessToken, Action, Event, Output};
use super::{Settings, backoff};
use protocol::frames::client::{Backlog, Hello, Nonce, Receipt, Typing};
use protocol::frames::server::{Rejected, Welcome};
use protocol::mix::SplitMix;
use protocol::{
    ClientFrame, ClientMessageId, CloseCode, ConversationId, DeviceId, Entry, RejectReason,
    Sequence, ServerFrame, design,
};
use std::sync::Arc;

/// Holds a refused action back for at least this long, even if the gateway names no time.
const HOLD_MS_MIN: u64 = 50;

/// A chat session that outlives its connections.
#[derive(Debug)]
pub struct Session {
    settings: Arc<Settings>,
    device: DeviceId,
    state: State,
    failures: u32,
    /// The next token must be another one: the last was refused, or its login ended.
    needs_token: bool,
    random: SplitMix,
    cursors: Cursors,
    outbox: Outbox,
    members: MemberCursors,
}

#[derive(Debug)]
enum State {
    /// Waiting for the driver to connect.
    Apart,
    /// `hello` was sent.
    Greeting { until_ms: u64, renew_ms: Option<u64> },
    /// `welcome` came.
    Open(Open),
    /// The application said goodbye.
    Stopped,
}

#[derive(Debug)]
struct Open {
    /// 0: never.
    heartbeat_ms: u64,
    /// 0: never.
    idle_timeout_ms: u64,
    heard_ms: u64,
    pinged_ms: u64,
    opened_ms: u64,
    /// Failures in a row before it was welcomed.
    failures: u32,
    /// The gateway drains: move to another one at this time.
    leave_ms: Option<u64>,
    /// Another token is needed at this time; `None` also while one is asked for.
    renew_ms: Option<u64>,
}

impl Session {
    /// A session of one device. `seed` decides its jitter; give each device another one.
    pub fn new(settings: Arc<Settings>, device: DeviceId, seed: u64) -> Self {
        Self {
            settings,
            device,
            state: State::Apart,
            failures: 0,
            needs_token: false,
            random: SplitMix::new(seed),
            cursors: Cursors::default(),
            outbox: Outbox::default(),
            members: MemberCursors::default(),
        }
    }

    /// A connection stands: says `hello`.
    pub fn connected(&mut self, now_ms: u64, access: AccessToken, out: &mut Vec<Output>) {
        if matches!(self.state, State::Stopped) {
            out.push(Output::Disconnect);
            return;
        }
        // Whoever connected was told, if it had to be another one.
        self.needs_token = false;
        self.state = State::Greeting {
            until_ms: now_ms + self.settings.welcome_timeout_ms,
            renew_ms: access.renew_in_ms.map(|in_ms| now_ms + in_ms),
        };
        let (cursors, behind) = self.cursors.report();
        out.push(Output::Frame(ClientFrame::Hello(Hello {
            token: access.token,
            device: self.device,
            cursors,
            presence: self.settings.presence,
            more: !behind.is_empty(),
        })));
        out.extend(behind.into_iter().map(|more| Output::Frame(ClientFrame::Cursors(more))));
    }

    /// No connection came about.
    pub fn connect_failed(&mut self, out: &mut Vec<Output>) {
        out.push(Output::Event(Event::ConnectFailed));
        self.connect_again(0, out);
    }

    /// The connection is gone: a close code, or 0 if it was lost without a word. It comes back also after a code
    /// that tells a client not to. This one does not break the protocol, so such a code is a mistake of the gateway,
    /// which a judge of the run is told, or follows from a `hello` that came late; neither is a reason to leave messages
    /// unsent.
    pub fn disconnected(&mut self, now_ms: u64, code: u16, out: &mut Vec<Output>) {
        if matches!(self.state, State::Apart | State::Stopped) {
            return;
        }
        let leave_ms = match &self.state {
            State::Open(open) => {
                let lasted_ms = now_ms.saturating_sub(open.opened_ms);
                self.failures = backoff::failures(code, lasted_ms, open.failures);
                open.leave_ms
            }
            _ => None,
        };
        // Only this side says goodbye: if the other one does, the connection is lost all the same.
        let code = if code == CloseCode::Normal.code() { 0 } else { code };
        self.end(code, out);
        self.needs_token |= code == CloseCode::Unauthenticated.code();
        // A drain notice spreads its crowd itself.
        let wait_ms = leave_ms.map_or(0, |leave_ms| leave_ms.saturating_sub(now_ms));
        self.connect_again(wait_ms, out);
    }

    /// A frame arrived.
    pub fn frame(&mut self, now_ms: u64, frame: ServerFrame, out: &mut Vec<Output>) {
        match &mut self.state {
            State::Apart | State::Stopped => return,
            State::Open(open) => open.heard_ms = now_ms,
            State::Greeting { .. } => {}
        }
        match frame {
            ServerFrame::Welcome(welcome) => self.welcomed(now_ms, welcome, out),
            ServerFrame::Attached(attached) => {
                self.cursors.attached(&attached);
                out.push(Output::Event(Event::Attached(attached)));
            }
            ServerFrame::Detached(detached) => {
                self.cursors.detached(detached.conversation);
                out.push(Output::Event(Event::Detached(detached.conversation)));
            }
            ServerFrame::Accepted(accepted) => {
                let (conversation, id) = (accepted.conversation, accepted.client_message_id);
                self.outbox.decided(conversation, id, now_ms, &self.settings);
                // A second acceptance is told as well: it must name the same sequence.
                out.push(Output::Event(Event::Accepted(accepted)));
                self.fill(now_ms, out);
            }
            ServerFrame::Rejected(rejected) => self.rejected(now_ms, rejected, out),
            ServerFrame::Entry(entry) => self.entry(entry, out),
            ServerFrame::Receipts(receipts) => {
                let displayed = match self.settings.receipts {
                    design::Receipts::Maximum => self.members.raise(receipts),
                    design::Receipts::Overwrite => Some(receipts),
                };
                out.extend(displayed.map(|displayed| Output::Event(Event::Receipts(displayed))));
            }
            ServerFrame::Typing(typing) => out.push(Output::Event(Event::Typing(typing))),
            ServerFrame::Presence(presence) => out.push(Output::Event(Event::Presence(presence))),
            ServerFrame::Page(page) => out.push(Output::Event(Event::Page(page))),
            ServerFrame::Drain(drain) => {
                if let State::Open(open) = &mut self.state {
                    open.leave_ms = Some(now_ms + u64::from(drain.reconnect_after_ms));
                }
            }
            // The close that follows a resync says the same, and the cursors are kept anyway; when the new
            // token is to be replaced is known.
            ServerFrame::Resync(_) | ServerFrame::Pong(_) | ServerFrame::Renewed(_) => {}
            ServerFrame::Error(notice) => out.push(Output::Event(Event::Refused(notice))),
            ServerFrame::Ping(nonce) => out.push(Output::Frame(ClientFrame::Pong(nonce))),
        }
    }

    /// Looks at the clock. Call it at `due_ms`, or every now and then.
    pub fn tick(&mut self, now_ms: u64, out: &mut Vec<Output>) {
        match &mut self.state {
            State::Apart | State::Stopped => {}
            State::Greeting { until_ms, .. } => {
                if now_ms >= *until_ms {
                    out.push(Output::Disconnect);
                    self.disconnected(now_ms, 0, out);
                }
            }
            State::Open(open) => {
                let silent_ms = now_ms.saturating_sub(open.heard_ms);
                if open.leave_ms.is_some_and(|leave_ms| now_ms >= leave_ms) {
                    return self.reconnect(out);
                }
                if open.idle_timeout_ms > 0 && silent_ms >= open.idle_timeout_ms {
                    out.push(Output::Disconnect);
                    self.disconnected(now_ms, 0, out);
                    return;
                }
                let unasked_ms = now_ms.saturating_sub(open.pinged_ms.max(open.heard_ms));
                if open.heartbeat_ms > 0 && unasked_ms >= open.heartbeat_ms {
                    open.pinged_ms = now_ms;
                    out.push(Output::Frame(ClientFrame::Ping(Nonce { nonce: now_ms })));
                }
                if open.renew_ms.is_some_and(|renew_ms| now_ms >= renew_ms) {
                    open.renew_ms = None;
                    out.push(Output::Renew);
                }
                self.outbox.give_up_waiting(now_ms);
                self.outbox.fill(now_ms, &self.settings, out);
            }
        }
    }

    /// The application does not read at present: silence says nothing about the connection.
    pub const fn not_listening(&mut self, now_ms: u64) {
        if let State::Open(open) = &mut self.state {
            open.heard_ms = now_ms;
        }
    }

    /// When `tick` has something to do next.
    pub fn due_ms(&self) -> Option<u64> {
        match &self.state {
            State::Apart | State::Stopped => None,
            State::Greeting { until_ms, .. } => Some(*until_ms),
            State::Open(open) => {
                let idle = (open.idle_timeout_ms > 0).then(|| open.heard_ms + open.idle_timeout_ms);
                let ping = (open.heartbeat_ms > 0)
                    .then(|| open.heard_ms.max(open.pinged_ms) + open.heartbeat_ms);
                let outbox = self.outbox.due_ms();
                [idle, ping, open.leave_ms, open.renew_ms, outbox].into_iter().flatten().min()
            }
        }
    }

    /// The user acts. Sent at once if possible, kept until it is answered in any case.
    pub fn submit(
        &mut self,
        now_ms: u64,
        action: Action,
        out: &mut Vec<Output>,
    ) -> Result<(), OutboxFull> {
        self.outbox.push(action, &self.settings)?;
        self.fill(now_ms, out);
        Ok(())
    }

    /// Reports cursors; whether there was a session to report to (the next report covers it).
    pub fn receipt(&mut self, receipt: Receipt, out: &mut Vec<Output>) -> bool {
        self.say(ClientFrame::Receipt(receipt), out)
    }

    /// The user types; nothing is kept for later.
    pub fn typing(&mut self, conversation: ConversationId, out: &mut Vec<Output>) -> bool {
        self.say(ClientFrame::Typing(Typing { conversation }), out)
    }

    /// Asks for stored entries; the answer is lost with the connection.
    pub fn backlog(&mut self, backlog: Backlog, out: &mut Vec<Output>) -> bool {
        self.say(ClientFrame::Backlog(backlog), out)
    }

    /// Says goodbye for ever.
    pub fn stop(&mut self, out: &mut Vec<Output>) {
        self.leave(out);
        self.state = State::Stopped;
    }

    /// Whether the session is welcomed.
    pub const fn is_open(&self) -> bool {
        matches!(self.state, State::Open(_))
    }

    /// How far a conversation was shown; `None`: not attached so far.
    pub fn cursor(&self, conversation: ConversationId) -> Option<Sequence> {
        self.cursors.get(conversation)
    }

    /// How far every conversation was shown.
    pub fn cursors(&self) -> impl Iterator<Item = (ConversationId, Sequence)> {
        self.cursors.iter()
    }

    /// Actions without an answer, in order within each conversation.
    pub fn unanswered(&self) -> impl Iterator<Item = (ConversationId, ClientMessageId)> {
        self.outbox.unanswered()
    }

    fn welcomed(&mut self, now_ms: u64, welcome: Welcome, out: &mut Vec<Output>) {
        let State::Greeting { renew_ms, .. } = self.state else { return };
        let failures = std::mem::take(&mut self.failures);
        self.state = State::Open(Open {
            heartbeat_ms: u64::from(welcome.heartbeat_ms),
            idle_timeout_ms: u64::from(welcome.idle_timeout_ms),
            heard_ms: now_ms,
            pinged_ms: now_ms,
            opened_ms: now_ms,
            failures,
            leave_ms: None,
            renew_ms,
        });
        out.push(Output::Event(Event::Opened(welcome)));
        self.fill(now_ms, out);
    }

    fn rejected(&mut self, now_ms: u64, rejected: Rejected, out: &mut Vec<Output>) {
        let (conversation, id) = (rejected.conversation, rejected.client_message_id);
        let is_dropped = rejected.reason == RejectReason::Unauthorised
            && self.settings.unauthorised == design::Unauthorised::Dropped;
        let known = if is_dropped || rejected.reason.is_final() {
            self.outbox.decided(conversation, id, now_ms, &self.settings)
        } else {
            let wait_ms = u64::from(rejected.retry_after_ms).max(HOLD_MS_MIN);
            // Half as long again at most, so that those who were refused together come apart.
            let until_ms = now_ms + wait_ms + self.random.below(wait_ms / 2 + 1);
            self.outbox.hold(conversation, id, until_ms)
        };
        // A second decision is told as well: it must not differ from the first.
        if known || rejected.reason.is_final() {
            out.push(Output::Event(Event::Rejected(rejected)));
        }
        self.fill(now_ms, out);
    }

    fn entry(&mut self, entry: Entry, out: &mut Vec<Output>) {
        match self.cursors.entry(entry.conversation, entry.sequence) {
            Verdict::Show => out.push(Output::Event(Event::Shown(entry))),
            Verdict::Drop => out.push(Output::Event(Event::Dropped(entry))),
        }
    }

    fn fill(&mut self, now_ms: u64, out: &mut Vec<Output>) {
        if self.is_open() {
            self.outbox.fill(now_ms, &self.settings, out);
        }
    }

    fn say(&self, frame: ClientFrame, out: &mut Vec<Output>) -> bool {
        let open = self.is_open();
        if open {
            out.push(Output::Frame(frame));
        }
        open
    }

    /// Leaves the connection by the own wish; whether there was one. An attempt that is given up before
    /// `welcome` is not told: nobody refused it.
    fn leave(&mut self, out: &mut Vec<Output>) -> bool {
        if matches!(self.state, State::Apart | State::Stopped) {
            return false;
        }
        out.push(Output::Disconnect);
        if self.is_open() {
            self.end(CloseCode::Normal.code(), out);
        } else {
            self.apart();
        }
        true
    }

    /// The connection is over.
    fn end(&mut self, code: u16, out: &mut Vec<Output>) {
        let was_open = self.is_open();
        self.apart();
        let event = if was_open { Event::Closed { code } } else { Event::NotWelcomed { code } };
        out.push(Output::Event(event));
    }

    fn apart(&mut self) {
        self.state = State::Apart;
        self.outbox.disconnected();
    }

    fn connect_again(&mut self, wait_ms: u64, out: &mut Vec<Output>) {
        if matches!(self.state, State::Stopped) {
            return;
        }
        let backoff_ms = backoff::delay_ms(&self.settings, self.failures, &mut self.random);
        self.failures = self.failures.saturating_add(1);
        let delay_ms = if wait_ms > 0 { wait_ms } else { backoff_ms };
        let fresh_token = self.needs_token;
        out.push(Output::ConnectAfter { delay_ms, fresh_token });
    }
}
