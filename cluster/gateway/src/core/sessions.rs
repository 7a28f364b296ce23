//! Who is connected: sessions with what is known of each device, and the sessions of each user.

use super::config::HubConfig;
use super::limits::Quota;
use super::slab::Slots;
use ports::Claims;
use protocol::design::ClientHeartbeat;
use protocol::{ConversationId, DeviceId, Sequence, SessionId, UserId, limits};
use std::collections::BTreeMap;

/// One device's connection.
#[derive(Debug)]
pub struct Session {
    /// How far it has got.
    pub state: State,
    /// Whose it is; meaningless before hello.
    pub user: UserId,
    /// Which device; meaningless before hello.
    pub device: DeviceId,
    /// Whether it wants presence and typing.
    pub presence: bool,
    /// What its token says.
    pub claims: Option<Box<Claims>>,
    /// What it may still say.
    pub quota: Quota,
    /// When something was heard of it.
    pub heard_ms: u64,
    /// Whether the connection keeps itself alive for all its sessions (a trunk).
    on_trunk: bool,
    opened_ms: u64,
    pinged_ms: u64,
    /// The first ping that nothing has answered.
    asked_ms: u64,
}

/// How far a session has got.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// Hello is awaited.
    Greeting,
    /// The user's conversations are looked up.
    Lookup,
    /// Welcome was said.
    Open,
}

/// What a look at a session's clock shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pulse {
    /// All is well.
    Steady,
    /// It is silent: it was pinged now.
    Ping,
    /// It has not said hello in time.
    NoHello,
    /// It has been silent for too long.
    Lost,
}

/// A conversation and what has certainly arrived at a session that is gone.
pub type Lingering = (ConversationId, Option<Sequence>);

/// A user with sessions here.
#[derive(Debug, Default)]
struct User {
    sessions: Vec<SessionId>,
    /// Conversations that may still be attached for sessions that are gone, with what arrived there:
    /// detached when the last session goes, so that a device that reconnects does not look offline in
    /// between.
    lingering: Vec<Lingering>,
}

/// See the module.
#[derive(Debug, Default)]
pub struct Sessions {
    by_id: Slots<Box<Session>>,
    users: BTreeMap<UserId, User>,
}

impl Session {
    fn new(on_trunk: bool, now_ms: u64) -> Self {
        Self {
            state: State::Greeting,
            user: UserId(0),
            device: DeviceId(0),
            presence: false,
            claims: None,
            quota: Quota::full(now_ms),
            heard_ms: now_ms,
            on_trunk,
            opened_ms: now_ms,
            pinged_ms: now_ms,
            asked_ms: 0,
        }
    }

    /// Looks at the time.
    pub fn pulse(&mut self, now_ms: u64, config: &HubConfig) -> Pulse {
        if self.state == State::Greeting {
            let timeout = limits::HELLO_TIMEOUT.as_millis() as u64;
            let late = now_ms >= self.opened_ms + timeout;
            return if late { Pulse::NoHello } else { Pulse::Steady };
        }
        if config.design.client_heartbeat == ClientHeartbeat::Off || self.on_trunk {
            return Pulse::Steady;
        }
        let silent_ms = now_ms.saturating_sub(self.heard_ms);
        // Whoever says nothing is asked first: a gateway that comes too late to ask has only itself to blame.
        let unanswered_ms = match config.heartbeat_ms {
            0 => silent_ms,
            heartbeat if self.asked_ms > self.heard_ms => {
                now_ms.saturating_sub(self.asked_ms) + heartbeat
            }
            _ => 0,
        };
        if config.idle_timeout_ms > 0 && unanswered_ms >= config.idle_timeout_ms {
            return Pulse::Lost;
        }
        let due = config.heartbeat_ms > 0
            && silent_ms >= config.heartbeat_ms
            && now_ms >= self.pinged_ms + config.heartbeat_ms;
        if due {
            if self.asked_ms <= self.heard_ms {
                self.asked_ms = now_ms;
            }
            self.pinged_ms = now_ms;
            return Pulse::Ping;
        }
        Pulse::Steady
    }

    /// Before this time, milliseconds since the gateway began, a look shows nothing unless the session's
    /// state changes.
    pub fn quiet_until_ms(&self, config: &HubConfig) -> u64 {
        if self.state != State::Open {
            return 0;
        }
        let HubConfig { heartbeat_ms: heartbeat, idle_timeout_ms: idle, .. } = *config;
        if config.design.client_heartbeat == ClientHeartbeat::Off || self.on_trunk {
            return u64::MAX;
        }
        let after = |ms: u64, set: bool| if set { ms } else { u64::MAX };
        let ping = after(self.heard_ms.max(self.pinged_ms) + heartbeat, heartbeat > 0);
        let lost = match heartbeat {
            0 => self.heard_ms + idle,
            _ if self.asked_ms > self.heard_ms => self.asked_ms + idle.saturating_sub(heartbeat),
            _ => u64::MAX,
        };
        ping.min(after(lost, idle > 0))
    }

    /// Whether a pong answers the latest ping: the answer to an earlier one says nothing about what
    /// came before the latest.
    pub const fn is_latest_ping(&self, nonce: u64) -> bool {
        self.pinged_ms == nonce
    }
}

impl Sessions {
    /// A session that has said nothing yet.
    pub fn open(&mut self, id: SessionId, on_trunk: bool, now_ms: u64) {
        self.by_id.set(id, Box::new(Session::new(on_trunk, now_ms)));
    }

    /// A session.
    #[inline]
    pub fn get(&self, id: SessionId) -> Option<&Session> {
        self.by_id.get(id).map(AsRef::as_ref)
    }

    /// A session, to change.
    #[inline]
    pub fn get_mut(&mut self, id: SessionId) -> Option<&mut Session> {
        self.by_id.get_mut(id).map(AsMut::as_mut)
    }

    /// A session that has said whose it is. Returns earlier ones that it replaces, those of the same device,
    /// and the oldest if there are more than `most` then: it is in line before they go, so that nothing is
    /// detached in between.
    pub fn greeted(
        &mut self,
        id: SessionId,
        (user, device): (UserId, DeviceId),
        most: usize,
    ) -> Vec<SessionId> {
        let sessions = &mut self.users.entry(user).or_default().sessions;
        let same_device = |other: &SessionId| {
            self.by_id.get(*other).is_some_and(|session| session.device == device)
        };
        let (mut replaced, others): (Vec<_>, Vec<_>) =
            sessions.iter().copied().partition(same_device);
        let too_many = (others.len() + 1).saturating_sub(most);
        replaced.extend(others.into_iter().take(too_many));
        sessions.push(id);
        replaced
    }

    /// A session is gone, with what had arrived in its conversations. If it was the user's last one,
    /// everything that lingers is returned.
    pub fn remove(&mut self, id: SessionId, arrived: Vec<Lingering>) -> Option<Vec<Lingering>> {
        let session = self.by_id.remove(id)?;
        if session.state == State::Greeting {
            return None;
        }
        let user = self.users.get_mut(&session.user)?;
        user.sessions.retain(|other| *other != id);
        user.lingering.extend(arrived);
        if !user.sessions.is_empty() {
            return None;
        }
        self.users.remove(&session.user).map(|user| user.lingering)
    }

    /// The sessions of a user that have said hello.
    pub fn of(&self, user: UserId) -> &[SessionId] {
        self.users.get(&user).map_or(&[], |user| &user.sessions)
    }

    /// A conversation may still be attached though no session of the user reads it. `false`: the user has
    /// no sessions, so nothing lingers.
    pub fn linger(&mut self, user: UserId, lingering: Lingering) -> bool {
        self.users.get_mut(&user).map(|user| user.lingering.push(lingering)).is_some()
    }

    /// What lingers of a user's earlier sessions, no longer kept here.
    pub fn take_lingering(&mut self, user: UserId) -> Vec<Lingering> {
        self.users
            .get_mut(&user)
            .map(|user| std::mem::take(&mut user.lingering))
            .unwrap_or_default()
    }

    /// Whether one of the user's sessions wants presence.
    pub fn wants_presence(&self, user: UserId) -> bool {
        self.of(user).iter().any(|id| self.get(*id).is_some_and(|session| session.presence))
    }

    /// Everybody who has said hello.
    pub fn all_greeted(&self) -> impl Iterator<Item = SessionId> {
        let greeted = self.by_id.iter().filter(|(_, session)| session.state != State::Greeting);
        greeted.map(|(id, _)| id)
    }
}

#[cfg(test)]
mod tests {
    use super::super::hub_model::config;
    use super::*;
    use proptest::collection::vec;
    use proptest::prelude::*;

    fn greeted(sessions: &mut Sessions, id: u64, device: u32) -> Vec<SessionId> {
        let (id, device) = (SessionId(id), DeviceId(device));
        sessions.open(id, false, 0);
        let session = sessions.get_mut(id).unwrap();
        (session.state, session.user, session.device) = (State::Open, UserId(7), device);
        sessions.greeted(id, (UserId(7), device), 3)
    }

    #[test]
    fn what_arrived_lingers_until_the_last_session_goes() {
        let mut sessions = Sessions::default();
        assert_eq!(greeted(&mut sessions, 1, 1), []);
        assert_eq!(greeted(&mut sessions, 2, 2), []);
        assert_eq!(greeted(&mut sessions, 3, 1), [SessionId(1)], "the same device again");
        let arrived = |sequence| vec![(ConversationId(sequence), Some(Sequence(sequence)))];
        assert_eq!(sessions.remove(SessionId(1), arrived(1)), None);
        assert_eq!(sessions.take_lingering(UserId(7)), arrived(1));
        assert_eq!(sessions.remove(SessionId(2), arrived(2)), None);
        let lingering = sessions.remove(SessionId(3), arrived(3));
        assert_eq!(lingering, Some([arrived(2), arrived(3)].concat()));
        assert_eq!(sessions.of(UserId(7)), []);
    }

    #[test]
    fn of_one_user_the_oldest_session_goes_when_there_are_too_many() {
        let mut sessions = Sessions::default();
        for id in 1..=3 {
            assert_eq!(greeted(&mut sessions, id, id as u32), []);
        }
        assert_eq!(greeted(&mut sessions, 4, 2), [SessionId(2)], "the same device makes room");
        assert_eq!(greeted(&mut sessions, 5, 5), [1, 2].map(SessionId), "2 is still there");
        sessions.remove(SessionId(1), Vec::new());
        sessions.remove(SessionId(2), Vec::new());
        assert_eq!(sessions.of(UserId(7)), [3, 4, 5].map(SessionId));
        assert_eq!(greeted(&mut sessions, 6, 6), [SessionId(3)]);
    }

    #[test]
    fn a_session_is_pinged_and_then_given_up() {
        let config = HubConfig { heartbeat_ms: 1_000, idle_timeout_ms: 2_500, ..config(10) };
        let mut sessions = Sessions::default();
        greeted(&mut sessions, 1, 1);
        let session = sessions.get_mut(SessionId(1)).unwrap();
        let pulses = [900, 1_000, 1_900, 2_000, 2_500].map(|ms| session.pulse(ms, &config));
        let (steady, ping) = (Pulse::Steady, Pulse::Ping);
        assert_eq!(pulses, [steady, ping, steady, ping, Pulse::Lost]);
        assert!(session.is_latest_ping(2_000) && !session.is_latest_ping(1_000));
        session.heard_ms = 2_400;
        assert_eq!(session.pulse(2_500, &config), steady);
        // A gateway that was held up asks before it gives up.
        let late = [9_000, 10_000, 10_499, 10_500].map(|ms| session.pulse(ms, &config));
        assert_eq!(late, [ping, ping, steady, Pulse::Lost]);
        session.on_trunk = true;
        assert_eq!(session.pulse(9_000, &config), steady, "the trunk is pinged for all");
    }

    proptest! {
        #[test]
        fn a_look_shows_nothing_as_long_as_a_session_is_quiet(
            heartbeat_ms in 0_u64..20,
            idle_timeout_ms in 0_u64..50,
            heard in vec(prop::bool::weighted(0.1), 1..300),
        ) {
            let config = HubConfig { heartbeat_ms, idle_timeout_ms, ..config(10) };
            let mut session = Session::new(false, 0);
            prop_assert_eq!(session.quiet_until_ms(&config), 0, "hello is awaited");
            session.state = State::Open;
            let mut quiet = session.quiet_until_ms(&config);
            for (now_ms, heard) in (1..).zip(heard) {
                if heard {
                    session.heard_ms = now_ms;
                }
                let pulse = session.pulse(now_ms, &config);
                prop_assert!(pulse == Pulse::Steady || now_ms >= quiet, "{pulse:?} at {now_ms}, {quiet}");
                if now_ms >= quiet {
                    quiet = session.quiet_until_ms(&config);
                    let lost = pulse == Pulse::Lost || (1..=heartbeat_ms).contains(&idle_timeout_ms);
                    prop_assert!(quiet > now_ms || lost, "at {now_ms}, {quiet}");
                }
            }
        }
    }

    #[test]
    fn hello_does_not_wait_for_ever() {
        let mut session = Session::new(true, 0);
        let timeout = limits::HELLO_TIMEOUT.as_millis() as u64;
        let pulses = [timeout - 1, timeout].map(|ms| session.pulse(ms, &config(10)));
        assert_eq!(pulses, [Pulse::Steady, Pulse::NoHello]);
    }
}
