//! Time passes: timers, heartbeats, idle sessions, the drain; and the numbers.

use super::Hub;
use super::sweep::{Plan, TokenTime};
use crate::core::effects::Counts;
use crate::core::outbound::Outlet;
use crate::core::outlets::LINGER_MS;
use crate::core::sessions::Pulse;
use crate::core::timers::Timer;
use protocol::frames::client::Nonce;
use protocol::frames::server::Drain;
use protocol::{CloseCode, Partition, ServerFrame, SessionId};

/// What a gateway's numbers are made of.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Figures {
    /// Sessions now.
    pub sessions: u64,
    /// Of these, those that have not said hello.
    pub greeting: u64,
    /// Sessions that were refused since the last look: their address had its share of those.
    pub refused_strangers: u64,
    /// Most frames that waited for one session since the last look.
    pub queue_frames_max: u64,
    /// Most bytes that waited for one session since the last look.
    pub queue_bytes_max: u64,
    /// Frames posted to sessions since the last look.
    pub frames_out: u64,
    /// State frames that were dropped since the last look: their sessions' queues were nearly full.
    pub state_dropped: u64,
    /// The rest, since the last look.
    pub counts: Counts,
}

impl<O: Outlet> Hub<O> {
    /// To be called about ten times a second. Returns the sessions whose tokens are to be looked at.
    pub fn tick(&mut self, tokens: TokenTime) -> Vec<SessionId> {
        while let Some(timer) = self.out.timers.pop(self.out.now_ms) {
            self.fire(timer);
        }
        self.sends.tick(&mut self.out);
        let (due, ended) = self.sweep.next(self.out.now_ms, tokens);
        if ended {
            self.streams.sweep(&self.out);
        }
        let mut looked_at = Vec::with_capacity(due.len());
        for slot in due {
            match self.out.outlets.in_slot(slot) {
                Some(id) => {
                    self.look_at(id);
                    looked_at.push(id);
                }
                None => self.sweep.leave_out(slot),
            }
        }
        self.ephemeral.tick(&mut self.out);
        self.out.outlets.abandon_late(self.out.now_ms);
        self.conclude();
        looked_at
    }

    fn fire(&mut self, timer: Timer) {
        let Self { out, streams, .. } = self;
        match timer {
            Timer::Page(id, conversation) => streams.catch_up_again(out, id, conversation),
            Timer::Attach(id, conversation) => streams.attach_again(id, conversation),
            Timer::Refresh(conversation, user) => streams.refresh(conversation, user),
            Timer::Repair(conversation) => streams.repair_due(out, conversation),
            Timer::Lookup(id) => self.handshakes.look_up(id),
            Timer::Publish(id) => self.sends.publish_due(out, id),
            Timer::Backlog(id, number) => self.backlogs.read(out, id, number),
            Timer::Forget(user) => {
                if self.sessions.of(user).is_empty() {
                    self.sends.rates.forget(self.out.now_ms, user);
                }
            }
            Timer::Drained(id) => self.close(id, CloseCode::Draining),
        }
    }

    fn look_at(&mut self, id: SessionId) {
        let Some(session) = self.sessions.get_mut(id) else { return };
        match session.pulse(self.out.now_ms, &self.config) {
            Pulse::NoHello => return self.close(id, CloseCode::HelloTimeout),
            Pulse::Lost => return self.close(id, CloseCode::IdleTimeout),
            Pulse::Ping => {
                self.streams.pinged(id);
                self.out.say(id, ServerFrame::Ping(Nonce { nonce: self.out.now_ms }));
            }
            Pulse::Steady => {}
        }
        if self.handshakes.is_unfinished(self.out.now_ms, id) {
            return self.close(id, CloseCode::HelloTimeout);
        }
        let is_sending = self.sends.look_at(&mut self.out, id);
        self.plan(id, is_sending);
    }

    /// Plans the next look at a session. What it does before that makes it look sooner (`look_soon`).
    fn plan(&mut self, id: SessionId, is_sending: bool) {
        let Some(session) = self.sessions.get(id) else { return };
        let quiet = if is_sending { 0 } else { session.quiet_until_ms(&self.config) };
        let expires_ms = self.claims(id).map_or(u64::MAX, |claims| claims.expires_ms);
        self.sweep.plan(id, Plan { look_ms: quiet, expires_ms });
    }

    /// A session has something to do: a look may show something earlier than was planned.
    pub(super) fn look_soon(&mut self, id: SessionId) {
        self.sweep.plan(id, Plan::SOON);
    }

    /// Partitions that left senders without an answer lately.
    pub fn without_answers(&mut self) -> Vec<Partition> {
        self.sends.without_answers(self.out.now_ms)
    }

    /// Tells every session to reconnect, spread over a time, and closes each when its time has come.
    /// No new ones from now on.
    pub fn drain(&mut self, over_ms: u64) {
        self.draining = true;
        let all = self.out.outlets.all();
        let count = all.len().max(1) as u64;
        for (index, id) in all.into_iter().enumerate() {
            let reconnect_after_ms = (over_ms * index as u64 / count) as u32;
            self.out.say(id, ServerFrame::Drain(Drain { reconnect_after_ms }));
            // A client that follows the advice is gone before.
            let grace = LINGER_MS.min(over_ms / 4);
            let closes_ms = self.out.now_ms + u64::from(reconnect_after_ms) + grace;
            self.out.timers.set(closes_ms, Timer::Drained(id));
        }
        self.conclude();
    }

    /// Whether nobody is left, not even somebody who still reads last frames.
    pub fn is_empty(&self) -> bool {
        self.out.outlets.is_empty()
    }

    /// Ends whoever is left.
    pub fn close_all(&mut self, code: CloseCode) {
        for id in self.out.outlets.all() {
            self.close(id, code);
        }
        self.conclude();
    }

    /// What happened since the last look.
    pub fn take_figures(&mut self) -> Figures {
        let (peak, frames_out, state_dropped) = self.out.outlets.take_figures();
        Figures {
            sessions: self.out.outlets.len() as u64,
            greeting: self.strangers.len() as u64,
            refused_strangers: self.strangers.take_refused(),
            queue_frames_max: peak.frames as u64,
            queue_bytes_max: peak.bytes as u64,
            frames_out,
            state_dropped,
            counts: std::mem::take(&mut self.out.counts),
        }
    }
}
