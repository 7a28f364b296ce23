//! What the users of a scenario will do, as a pure function of the scenario and the seed.
//!
//! The plan does not depend on how users are spread over hosts: each slice of the
//! users sees the same operations that all of them on one host would.

mod activity;
mod arrivals;
mod beside;
mod journeys;
mod operation;
mod people;
pub mod random;
mod schedule;
mod visits;

pub use journeys::{Journey, Journeys};
pub use operation::{Kind, Operation};
pub use schedule::Schedule;

use activity::Activity;
use beside::Series;
use people::People;
use protocol::codec::Codec;
use protocol::store_calls::ConversationKind;
use protocol::{ConversationId, Design, DeviceId, UserId};
use rand::Rng;
use scenarios::intensity::Piece;
use scenarios::scenario::{CodecChoice, Load, Scenario, SlowReaders, Transport};
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

/// A conversation to make.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PlannedConversation<'a> {
    /// Its id.
    pub id: ConversationId,
    /// Its kind.
    pub kind: ConversationKind,
    /// Its first members; the first one makes it.
    pub members: &'a [UserId],
}

/// Who there is and what they will do.
#[derive(Debug)]
pub struct Plan {
    seed: u64,
    devices: u32,
    offline: u32,
    renewing: f64,
    connect_over: Duration,
    transport: Transport,
    codec: Codec,
    design: Design,
    load: Load,
    /// The rate of the load and of the heal phase, as surges make it.
    rates: Vec<Piece>,
    /// What faults add.
    beside: Vec<Series>,
    heal: Duration,
    /// How long it takes until everybody has come back who is away when the load ends.
    back_over: Duration,
    activity: Activity,
    people: People,
    journeys: Option<Arc<Journeys>>,
    /// The operations of another run, instead of drawn ones.
    recorded: Option<Arc<[Operation]>>,
}

impl Plan {
    /// The plan of a scenario.
    pub fn new(scenario: &Scenario, seed: u64) -> Self {
        let journeys = Journeys::new(scenario, seed);
        Self {
            seed,
            devices: scenario.users.devices.max(1),
            offline: scenario.users.offline.min(scenario.users.count),
            renewing: scenario.users.renewing,
            connect_over: scenario.users.connect_over,
            transport: scenario.users.transport,
            codec: match scenario.users.codec {
                CodecChoice::Json => Codec::Json,
                CodecChoice::Binary => Codec::Binary,
            },
            design: scenario.design,
            load: scenario.load.clone(),
            rates: rates(scenario, seed),
            beside: beside::planned(scenario, seed),
            heal: scenario.phases.heal,
            // Well before anybody is missed.
            back_over: (scenario.phases.heal / 2).min(scenario.expect.no_stuck_session / 4),
            activity: Activity::new(
                scenario.load.activity,
                scenario.users.count.saturating_sub(scenario.users.offline),
                seed,
            ),
            people: People::new(&scenario.users, journeys.as_ref(), seed),
            journeys: journeys.map(Arc::new),
            recorded: None,
        }
    }

    /// The same users, who do what a recording says.
    pub fn replaying(self, operations: Arc<[Operation]>) -> Self {
        Self { recorded: Some(operations), ..self }
    }

    /// The seed.
    pub const fn seed(&self) -> u64 {
        self.seed
    }

    /// Who uses the REST interface beside the users, if anybody does.
    pub const fn journeys(&self) -> Option<&Arc<Journeys>> {
        self.journeys.as_ref()
    }

    /// All users who have devices: 1 to the count.
    pub fn users(&self) -> Range<u32> {
        1..self.people.users() + 1
    }

    /// Devices of each user.
    pub fn devices(&self) -> impl Iterator<Item = DeviceId> + use<> {
        (1..=self.devices).map(DeviceId)
    }

    /// Whether no device of a user ever connects. These are the last users.
    pub fn is_offline(&self, user: UserId) -> bool {
        user.0 > u64::from(self.people.users() - self.offline)
    }

    /// Whether a device gets another token before its own runs out.
    pub fn renews(&self, user: UserId, device: DeviceId) -> bool {
        let drawn = self.device_seed("renewing", user, device) as f64 / u64::MAX as f64;
        drawn < self.renewing
    }

    /// Sessions that will be connected.
    pub const fn sessions(&self) -> u64 {
        (self.people.users() - self.offline) as u64 * self.devices as u64
    }

    /// How slowly a user reads, if so.
    pub fn slow_reader(&self, user: UserId) -> Option<SlowReaders> {
        self.load.slow_readers.filter(|slow| user.0 <= u64::from(slow.users))
    }

    /// When a user's devices go dead, counted from the beginning of the load, if they do.
    pub fn vanishes(&self, user: UserId) -> Option<Duration> {
        let last = u64::from(self.people.users() - self.offline);
        let vanishing = self.load.vanishing?;
        let gone = user.0 <= last && user.0 > last.saturating_sub(u64::from(vanishing.users));
        gone.then_some(vanishing.after)
    }

    /// The number of conversations that there are from the beginning; their ids are 1 to this.
    pub const fn conversations(&self) -> u32 {
        self.people.conversations()
    }

    /// Members of all conversations together.
    pub const fn memberships(&self) -> u64 {
        self.people.memberships()
    }

    /// One conversation.
    pub fn conversation(&self, id: ConversationId) -> PlannedConversation<'_> {
        self.people.conversation(id)
    }

    /// The conversations of a user, ascending.
    pub fn conversations_of(&self, user: UserId) -> &[ConversationId] {
        self.people.conversations_of(user)
    }

    /// When a device connects, counted from the beginning of the warm-up.
    pub fn connect_at(&self, user: UserId, device: DeviceId) -> Duration {
        let mut stream = random::stream(self.seed, "connect", device_key(user, device));
        self.connect_over.mul_f64(stream.random::<f64>())
    }

    /// Which of `gateways` a device tries in its nth attempt: stands for the load balancer. Another
    /// attempt goes to another gateway.
    pub fn gateway_of(
        &self,
        user: UserId,
        device: DeviceId,
        attempt: u32,
        gateways: usize,
    ) -> usize {
        let first = random::number(self.seed, "gateway", device_key(user, device));
        // After a round over all gateways the next round begins elsewhere.
        ((first % gateways as u64) as usize + attempt as usize) % gateways
    }

    /// The seed of a device's own randomness, for one purpose.
    pub fn device_seed(&self, purpose: &str, user: UserId, device: DeviceId) -> u64 {
        random::number(self.seed, purpose, device_key(user, device))
    }

    /// Whether an operation is of a user who acts, with a device that there is, in a conversation that
    /// there is.
    pub fn knows(&self, operation: &Operation) -> bool {
        (1..=u64::from(self.online())).contains(&operation.user.0)
            && (1..=self.devices).contains(&operation.device.0)
            && (1..=u64::from(self.conversations())).contains(&operation.conversation.0)
    }

    /// The operations of some users, in the order of time.
    pub fn schedule(&self, users: Range<u32>) -> Schedule<'_> {
        Schedule::new(self, users)
    }

    /// How long operations are scheduled: the load and the heal phase.
    pub fn scheduled_for(&self) -> Duration {
        self.load_for() + self.heal
    }

    /// About how many operations are scheduled.
    pub fn operations(&self) -> u64 {
        if let Some(recorded) = &self.recorded {
            return recorded.len() as u64;
        }
        let arrivals: f64 = self.rates.iter().map(Piece::expected).sum();
        let beside: u64 = self.beside.iter().map(|series| series.times).sum();
        (arrivals * self.load.each_brings()) as u64 + beside
    }

    /// How long the load lasts.
    pub fn load_for(&self) -> Duration {
        self.load.lasts()
    }

    /// What users do.
    pub const fn load(&self) -> &Load {
        &self.load
    }

    /// How sessions are carried.
    pub const fn transport(&self) -> Transport {
        self.transport
    }

    /// How frames are written.
    pub const fn codec(&self) -> Codec {
        self.codec
    }

    /// The cluster's design choices, some of which concern clients.
    pub const fn design(&self) -> &Design {
        &self.design
    }

    const fn online(&self) -> u32 {
        self.people.users() - self.offline
    }
}

/// The rate of the load, and after it the last one for as long as the cluster heals.
fn rates(scenario: &Scenario, seed: u64) -> Vec<Piece> {
    let (mut rates, heal) = (scenarios::faults::rates(scenario, seed), scenario.phases.heal);
    match rates.last_mut() {
        Some(last) if last.is_constant() => last.lasts += heal,
        Some(last) => {
            let after = Piece::constant(heal, last.to);
            rates.push(after);
        }
        None => {}
    }
    rates
}

const fn device_key(user: UserId, device: DeviceId) -> u64 {
    (user.0 << 8) ^ device.0 as u64
}

#[cfg(test)]
mod tests;
