//! The hub: one state machine that decides everything that a gateway does.
//!
//! It owns the parts and routes between them: what a client (`clients`), an owner or the broker
//! (`cluster`) says goes to the part that it concerns; `upkeep` is what happens by the clock alone. Each
//! public method ends with `conclude`, which does what only the hub can: tell the sessions of new
//! members, and close those that were found to be slow.

mod clients;
mod cluster;
mod sweep;
mod upkeep;

use super::backlogs::Backlogs;
use super::calls::Call;
use super::config::HubConfig;
use super::effects::Effects;
use super::ephemeral::Ephemeral;
use super::handshakes::Handshakes;
use super::outbound::Outlet;
use super::sends::Sends;
use super::sessions::{Sessions, State};
use super::strangers::{Address, Strangers};
use super::streams::Streams;
use ports::Span;
use protocol::codec::Codec;
use protocol::design::SlowSession;
use protocol::trace::Sampler;
use protocol::{CloseCode, SessionId};
use sweep::Sweep;
pub use sweep::TokenTime;

/// See the module.
pub struct Hub<O> {
    config: HubConfig,
    out: Effects<O>,
    sessions: Sessions,
    strangers: Strangers,
    handshakes: Handshakes,
    streams: Streams,
    backlogs: Backlogs,
    sends: Sends,
    ephemeral: Ephemeral,
    sweep: Sweep,
    draining: bool,
}

impl<O: Outlet> Hub<O> {
    /// A hub without sessions.
    pub fn new(config: HubConfig) -> Self {
        Self {
            out: Effects::new(&config),
            sessions: Sessions::default(),
            strangers: Strangers::new(config.limits.greeting),
            handshakes: Handshakes::new(&config.limits),
            streams: Streams::new(&config),
            backlogs: Backlogs::new(&config.limits),
            sends: Sends::new(&config),
            ephemeral: Ephemeral::new(&config),
            sweep: Sweep::new(config.heartbeat_ms),
            draining: false,
            config,
        }
    }

    /// The same, with the steps of these messages told.
    #[must_use]
    pub fn traced(mut self, sampler: Sampler) -> Self {
        self.sends.sampler = sampler;
        self
    }

    /// Whatever is told to the hub from now on happens at this time: microseconds since the gateway
    /// began. It never falls.
    pub fn at_us(&mut self, now_us: u64) {
        self.out.now_us = self.out.now_us.max(now_us);
        self.out.now_ms = self.out.now_us / 1_000;
    }

    /// The same in milliseconds.
    pub fn at(&mut self, now_ms: u64) {
        self.at_us(now_ms * 1_000);
    }

    /// Steps of traced messages that have ended.
    pub fn take_spans(&mut self) -> Vec<Span> {
        std::mem::take(&mut self.out.spans)
    }

    /// Most sessions.
    pub fn sessions_max(&self) -> usize {
        self.config.limits.sessions.min(super::slab::CAPACITY)
    }

    /// A connection (or a slot on a trunk) begins a session that counts as no address's. `None`: refused;
    /// the outlet says why.
    pub fn open(&mut self, codec: Codec, outlet: O, on_trunk: bool) -> Option<SessionId> {
        self.begin(codec, outlet, on_trunk, None)
    }

    /// A connection from an address begins a session. `None`: refused; the outlet says why.
    pub fn open_from(&mut self, codec: Codec, outlet: O, address: Address) -> Option<SessionId> {
        self.begin(codec, outlet, false, Some(address))
    }

    fn begin(
        &mut self,
        codec: Codec,
        outlet: O,
        on_trunk: bool,
        address: Option<Address>,
    ) -> Option<SessionId> {
        let refused = if self.draining {
            CloseCode::Draining
        } else if self.out.outlets.len() >= self.sessions_max() || !self.strangers.admit(address) {
            CloseCode::Full
        } else {
            let id = self.out.outlets.open(codec, outlet);
            self.strangers.opened(id, address);
            self.sessions.open(id, on_trunk, self.out.now_ms);
            self.look_soon(id);
            return Some(id);
        };
        if on_trunk {
            self.out.outlets.end(self.out.now_ms, outlet, refused);
        } else {
            self.out.outlets.refuse(self.out.now_ms, outlet, refused);
        }
        self.out.counts.closed(refused);
        None
    }

    /// Whether the surroundings have something to do.
    pub fn has_calls(&self) -> bool {
        !self.out.calls.is_empty() || self.handshakes.could_cut() || self.streams.could_cut()
    }

    /// What the surroundings have to do.
    pub fn take_calls(&mut self) -> Vec<Call> {
        self.handshakes.cut(&mut self.out, &self.sessions);
        self.streams.cut(&mut self.out, &self.sessions);
        self.out.calls.drain(..).collect()
    }

    fn refresh_all(&mut self) {
        self.streams.refresh_all();
        self.sends.publish_all_again(&mut self.out);
    }

    /// Ends a session behind what waits for it.
    fn close(&mut self, id: SessionId, code: CloseCode) {
        if self.forget(id) {
            self.out.outlets.close(self.out.now_ms, id, code);
            self.out.counts.closed(code);
        }
    }

    /// Does what the parts could not do themselves. Posting to others cannot make anybody slow here, so
    /// one round is enough.
    fn conclude(&mut self) {
        self.tell_joined();
        if std::mem::take(&mut self.out.lost) {
            self.sends.lost_some(self.out.now_ms);
        }
        let slow = self.out.outlets.take_slow();
        debug_assert!(
            self.config.design.slow_session == SlowSession::Disconnect || slow.is_empty()
        );
        for id in slow {
            if self.forget(id) {
                self.out.outlets.close_slow(self.out.now_ms, id);
                self.out.counts.closed(CloseCode::SlowConsumer);
            }
        }
    }

    /// Users became members: their sessions hear of it.
    fn tell_joined(&mut self) {
        for joined in std::mem::take(&mut self.out.joined) {
            for id in self.sessions.of(joined.user) {
                if self.sessions.get(*id).is_some_and(|session| session.state == State::Open) {
                    self.streams.joined(&mut self.out, *id, joined);
                } else {
                    self.handshakes.joined(*id, joined);
                }
            }
        }
    }

    /// Takes a session out of every part but the outlets; whether there was one.
    fn forget(&mut self, id: SessionId) -> bool {
        let Some(session) = self.sessions.get(id) else { return false };
        let user = session.user;
        self.strangers.leave(id);
        self.handshakes.forget(id);
        self.sends.close(&mut self.out, id);
        self.backlogs.forget(id);
        let arrived = self.streams.close(id);
        if let Some(lingering) = self.sessions.remove(id, arrived) {
            self.sends.user_gone(&mut self.out, user);
            self.streams.detach_unused(&mut self.out, user, lingering);
        }
        true
    }
}
