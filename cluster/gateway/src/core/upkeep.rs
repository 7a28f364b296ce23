//! Time passes: timers, heartbeats, idle sessions, tokens that run out, the drain.
//!
//! Sessions have no timers of their own. A sweep looks at a slice of them on every tick.

use super::calls::Call;
use super::hub::{Counts, Hub, LINGER_MS, Now};
use super::sending::HELD_BACK_MS;
use super::session::State;
use super::timers::Timer;
use protocol::design::ClientHeartbeat;
use protocol::frames::client::Nonce;
use protocol::frames::server::Drain;
use protocol::{CloseCode, ServerFrame, SessionId, limits};
use std::collections::VecDeque;

/// Longest time between two looks at a session, milliseconds.
const SWEEP_MS: u64 = 1_000;

/// What a gateway's numbers are made of.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Figures {
    /// Sessions now.
    pub sessions: u64,
    /// Most frames that waited for one session since the last look.
    pub queue_frames_max: u64,
    /// Most bytes that waited for one session since the last look.
    pub queue_bytes_max: u64,
    /// Frames posted to sessions since the last look.
    pub frames_out: u64,
    /// Entries that streams could not keep, since the last look.
    pub evicted: u64,
    /// The rest, since the last look.
    pub counts: Counts,
}

impl Hub {
    /// To be called about ten times a second.
    pub fn tick(&mut self, now: Now) {
        while let Some(timer) = self.timers.pop(now.ms) {
            self.fire(now, timer);
        }
        if self.refresh_due_ms.is_some_and(|due| due <= now.ms) {
            self.refresh_all(now);
        }
        self.sweep(now);
        self.pass_on_notices(now);
        self.ending.retain(|(deadline_ms, mailbox)| {
            if *deadline_ms <= now.ms {
                mailbox.abandon();
            }
            *deadline_ms > now.ms && !mailbox.is_finished()
        });
        self.settle(now);
    }

    fn fire(&mut self, now: Now, timer: Timer) {
        match timer {
            Timer::Page(id, conversation) => self.catch_up_again(id, conversation),
            Timer::Attach(id, conversation) => self.attach_again(id, conversation),
            Timer::Refresh(conversation, user) => self.refresh(conversation, user),
            Timer::Repair(conversation) => {
                let stream = self.streams.get(&conversation);
                let behind = stream.is_some_and(|stream| {
                    stream.live.is_some_and(|live| live < stream.known)
                        || stream.places.iter().any(|place| place.expelled)
                });
                if behind {
                    self.repair(conversation);
                }
            }
            Timer::Lookup(id) => self.lookups.push(id),
            Timer::Publish(id) => self.publish_due(now, id),
            Timer::Backlog(number) => self.backlog_again(number),
            Timer::Forget(user) => {
                if self.users.get(&user).is_some_and(|user| user.sessions.is_empty()) {
                    self.users.remove(&user);
                }
            }
            Timer::Drained(id) => self.close(now, id, CloseCode::Draining),
        }
    }

    /// Looks at as many sessions as are due.
    fn sweep(&mut self, now: Now) {
        let period = (self.config.heartbeat_ms / 4).clamp(100, SWEEP_MS);
        let passed = now.ms.saturating_sub(self.swept_ms).min(period);
        let width = self.outlets.sessions.width();
        let count = (width as u64 * passed).div_ceil(period) as usize;
        self.swept_ms = now.ms;
        let from = if self.swept >= width { 0 } else { self.swept };
        let to = (from + count).min(width);
        self.swept = to;
        if to >= width {
            self.departed.sweep(now.ms);
        }
        for id in self.outlets.sessions.keys_between(from, to) {
            self.look_at(now, id);
        }
    }

    fn look_at(&mut self, now: Now, id: SessionId) {
        let Some(session) = self.outlets.sessions.get_mut(id) else { return };
        let silent_ms = now.ms.saturating_sub(session.heard_ms);
        if session.state == State::Greeting {
            let timeout = limits::HELLO_TIMEOUT.as_millis() as u64;
            if now.ms >= session.opened_ms + timeout {
                self.close(now, id, CloseCode::HelloTimeout);
            }
            return;
        }
        if now.ms >= session.answered_ms + HELD_BACK_MS {
            session.answered = VecDeque::new();
        }
        let beats = self.config.design.client_heartbeat == ClientHeartbeat::On
            && !session.on_trunk
            && self.config.heartbeat_ms > 0;
        let (pending, ping) = (
            !session.pending.is_empty(),
            beats
                && silent_ms >= self.config.heartbeat_ms
                && now.ms >= session.pinged_ms + self.config.heartbeat_ms,
        );
        if ping {
            session.pinged_ms = now.ms;
        }
        if beats && self.config.idle_timeout_ms > 0 && silent_ms >= self.config.idle_timeout_ms {
            return self.close(now, id, CloseCode::IdleTimeout);
        }
        if self.token_fails(now, id) {
            return self.close(now, id, CloseCode::Unauthenticated);
        }
        if ping {
            self.pinged(id);
            self.outlets.say(id, ServerFrame::Ping(Nonce { nonce: now.ms }));
        }
        if pending {
            self.publish_due(now, id);
        }
    }

    /// Tells every session to reconnect, spread over a time, and closes each when its time has come.
    /// No new ones from now on.
    pub fn drain(&mut self, now: Now, over_ms: u64) {
        self.draining = true;
        let all = self.outlets.sessions.keys_between(0, self.outlets.sessions.width());
        let count = all.len().max(1) as u64;
        for (index, id) in all.into_iter().enumerate() {
            let reconnect_after_ms = (over_ms * index as u64 / count) as u32;
            self.outlets.say(id, ServerFrame::Drain(Drain { reconnect_after_ms }));
            // A client that follows the advice is gone before.
            let grace = LINGER_MS.min(over_ms / 4);
            self.timers.set(now.ms + u64::from(reconnect_after_ms) + grace, Timer::Drained(id));
        }
        self.settle(now);
    }

    /// Whether nobody is left, not even somebody who still reads last frames.
    pub fn is_empty(&self) -> bool {
        self.sessions() == 0 && self.ending.iter().all(|(_, mailbox)| mailbox.is_finished())
    }

    /// Ends whoever is left.
    pub fn close_all(&mut self, now: Now, code: CloseCode) {
        for id in self.outlets.sessions.keys_between(0, self.outlets.sessions.width()) {
            self.close(now, id, code);
        }
        self.settle(now);
    }

    /// Whether the surroundings have something to do.
    pub fn has_calls(&self) -> bool {
        !self.calls.is_empty() || self.could_cut()
    }

    /// What the surroundings have to do.
    pub fn take_calls(&mut self) -> Vec<Call> {
        self.cut_calls();
        self.calls.drain(..).collect()
    }

    /// What happened since the last look.
    pub fn take_figures(&mut self) -> Figures {
        let peak = std::mem::take(&mut self.outlets.peak);
        Figures {
            sessions: self.sessions() as u64,
            queue_frames_max: peak.frames as u64,
            queue_bytes_max: peak.bytes as u64,
            frames_out: std::mem::take(&mut self.outlets.posted),
            evicted: std::mem::take(&mut self.outlets.evicted),
            counts: std::mem::take(&mut self.counts),
        }
    }
}
