//! Made-up streams of events: users that send at random, and a cluster of three stores that a fault
//! slows down.

use protocol::{
    ClientMessageId, ConversationId, DeviceId, Epoch, GatewayId, Incarnation, NodeNumber, Sequence,
    SessionId, UserId,
};
use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};
use std::collections::BTreeMap;
use verify::history::event::{
    Deadlines, Device, Engine, Event, FORMAT, Header, Phase, Said, Seen, What,
};

const SECOND: u64 = 1_000_000;

/// What kind of run to make up.
pub(crate) struct Shape {
    users: u64,
    conversations: u64,
    load_s: (u64, u64),
    end_s: u64,
    rate: u64,
    /// Kind, target, from, to, effect: in milliseconds.
    faults: Vec<(&'static str, String, u64, u64, u64)>,
}

impl Shape {
    /// Some faults, a few seconds each.
    pub(crate) fn faults() -> Self {
        let fault =
            |kind, target: &str, from, to, effect| (kind, target.to_owned(), from, to, effect);
        let faults = vec![
            fault("pause", "store-1", 8_000, 11_500, 412),
            fault("blip", "gateway-2 – store-3", 13_800, 15_200, 1_733),
            fault("slow_link", "gateway-1 – broker-1", 14_600, 18_900, 6_204),
            fault("kill", "gateway-1", 17_400, 17_900, 1),
        ];
        Self { users: 60, conversations: 20, load_s: (3, 21), end_s: 28, rate: 400, faults }
    }

    /// One power loss.
    pub(crate) fn power_loss() -> Self {
        let faults = vec![("power_loss", "store-1".to_owned(), 9_120, 10_400, 7)];
        Self { faults, ..Self::faults() }
    }

    /// Nobody sends anything.
    pub(crate) fn empty() -> Self {
        Self { rate: 0, load_s: (1, 2), end_s: 3, faults: Vec::new(), ..Self::faults() }
    }

    /// Less than two seconds.
    pub(crate) fn short() -> Self {
        Self { load_s: (0, 1), end_s: 2, faults: Vec::new(), rate: 50, ..Self::faults() }
    }

    /// An hour with random faults everywhere.
    pub(crate) fn dense() -> Self {
        let mut random = SmallRng::seed_from_u64(3);
        let kinds = ["blip", "cut", "pause", "kill", "skew"];
        let faults = (0..160)
            .map(|n| {
                let from = 20_000 + n * 21_000 + random.random_range(0..20_000);
                let target = format!("store-{}", random.random_range(1..=3));
                (kinds[n as usize % 5], target, from, from + random.random_range(500..25_000), n)
            })
            .collect();
        Self { load_s: (10, 3_500), end_s: 3_600, rate: 20, faults, ..Self::faults() }
    }
}

/// The first line of the history.
pub(crate) fn header(name: &str, shape: &Shape) -> Header {
    Header {
        format: FORMAT,
        scenario: name.to_owned(),
        seed: 7,
        engine: Engine::Simulated,
        users: shape.users as u32,
        devices_per_user: 1,
        conversations: shape.conversations as u32,
        partitions: 16,
        slow_users: 0,
        hostile: false,
        tokens_run_out: false,
        idle_us: None,
        offline_users: Some(0),
        retention: None,
        unseen: Vec::new(),
        agent: None,
        deadlines: Deadlines {
            delivered_us: 10 * SECOND,
            stuck_us: 15 * SECOND,
            recovered_us: 20 * SECOND,
            revocation_us: SECOND,
            pushed_us: None,
        },
    }
}

/// The events, in order of time.
pub(crate) fn events(shape: &Shape) -> Vec<Event> {
    let mut made = Made { random: SmallRng::seed_from_u64(11), shape, events: Vec::new() };
    made.phases();
    made.sessions();
    made.operations();
    made.faults();
    let end = Event { at: shape.end_s * SECOND + 240_000, is: What::Phase(Phase::End) };
    made.events.sort_by_key(|event| event.at);
    made.events.retain(|event| event.at < end.at);
    made.events.push(end);
    made.events
}

struct Made<'a> {
    random: SmallRng,
    shape: &'a Shape,
    events: Vec<Event>,
}

impl Made<'_> {
    fn push(&mut self, at: u64, is: What) {
        self.events.push(Event { at, is });
    }

    fn phases(&mut self) {
        let (from, to) = self.shape.load_s;
        let end = self.shape.end_s;
        for (at, phase) in [
            (0, Phase::SetUp),
            (from * SECOND / 4, Phase::WarmUp),
            (from * SECOND, Phase::Load),
            (to * SECOND, Phase::Heal),
            (to * SECOND + (end - to) * SECOND / 2, Phase::Settle),
            (end * SECOND - SECOND / 2, Phase::Judge),
        ] {
            self.push(at, What::Phase(phase));
        }
    }

    fn sessions(&mut self) {
        for user in 1..=self.shape.users {
            let at = self
                .random
                .random_range(SECOND / 10..SECOND * 3 / 10 + self.shape.load_s.0 * SECOND / 2);
            self.open(at, user);
        }
        let kills: Vec<(u64, u64)> =
            self.shape.faults.iter().filter(|f| f.0 == "kill").map(|f| (f.2, f.3)).collect();
        for (from, to) in kills {
            for user in (1..=self.shape.users).filter(|user| user % 3 == 1) {
                self.push(from * 1_000 + user, What::Closed { device: device(user), code: 0 });
                let at = to * 1_000 + self.random.random_range(100_000..1_900_000);
                self.open(at, user);
            }
        }
    }

    fn open(&mut self, at: u64, user: u64) {
        let (gateway, incarnation, session) =
            (GatewayId((user % 3) as u16 + 1), Incarnation(1), SessionId(user));
        self.push(at, What::Opened { device: device(user), gateway, incarnation, session });
    }

    fn operations(&mut self) {
        let (from, to) = self.shape.load_s;
        let mut counters: BTreeMap<u64, u64> = BTreeMap::new();
        let mut heads: BTreeMap<u64, u64> = BTreeMap::new();
        for n in 0..(to - from) * self.shape.rate {
            let gap = SECOND / self.shape.rate;
            let intended = from * SECOND + n * gap + self.random.random_range(0..gap);
            let author = self.random.random_range(1..=self.shape.users);
            let conversation = self.random.random_range(1..=self.shape.conversations);
            let counter = counters.entry(author).or_insert(0);
            *counter += 1;
            let message = ClientMessageId((1 << 40) | *counter);
            let head = heads.entry(conversation).or_insert(0);
            *head += 1;
            let sequence = Sequence(*head);
            self.operation(intended, author, ConversationId(conversation), message, sequence);
        }
    }

    fn operation(
        &mut self,
        intended: u64,
        author: u64,
        conversation: ConversationId,
        message: ClientMessageId,
        sequence: Sequence,
    ) {
        let said = Said::Message { hash: message.0 ^ intended, parent: None };
        let owner = NodeNumber((conversation.0 % 3) as u16 + 1);
        let sent = intended + self.random.random_range(20..180);
        let by = device(author);
        self.push(sent, What::Sent { device: by, conversation, message, said, intended });
        let began = self.held_until(sent, owner);
        if began > sent + SECOND {
            self.push(sent + SECOND, What::Resent { device: by, conversation, message });
        }
        let accepted = began + self.latency(2_400);
        let epoch = Epoch(1);
        self.push(
            accepted,
            What::Accepted { device: by, conversation, message, sequence, epoch, owner },
        );
        let entry =
            Seen { conversation, sequence, epoch, owner, author: UserId(author), message, said };
        for step in 0..2 + conversation.0 % 11 {
            let user = (author + step * 7 - 1) % self.shape.users + 1;
            let shown = accepted + self.latency(1_300);
            self.push(shown, What::Shown { device: device(user), entry });
        }
    }

    /// When a store can begin to work on something, given what holds it up.
    fn held_until(&mut self, at: u64, owner: NodeNumber) -> u64 {
        let name = format!("store-{owner}");
        for (kind, target, from, to, _) in &self.shape.faults {
            let (from, to) = (from * 1_000, to * 1_000);
            if (from..to).contains(&at) && target.contains(&name) && *kind != "skew" {
                return to + (at - from) / 12;
            }
            if (from..to).contains(&at) && *kind == "slow_link" {
                return at + self.random.random_range(9_000..60_000);
            }
        }
        at
    }

    /// Mostly near the median, with a long tail.
    fn latency(&mut self, median: u64) -> u64 {
        let spread: f64 = (0..6).map(|_| self.random.random::<f64>() - 0.5).sum();
        (median as f64 * (spread * 1.1).exp()) as u64
    }

    fn faults(&mut self) {
        for (number, (kind, target, from, to, effect)) in self.shape.faults.iter().enumerate() {
            let fault = number as u32;
            let began = What::FaultBegan {
                fault,
                kind: (*kind).into(),
                target: (&**target).into(),
                drawn: false,
                injected: None,
            };
            self.events.push(Event { at: from * 1_000, is: began });
            let ended = What::FaultEnded { fault, effect: *effect };
            self.events.push(Event { at: to * 1_000, is: ended });
        }
        for at in 0..self.shape.end_s {
            let value = self.random.random_range(3..90);
            let (node, name) = ("gateway-1".into(), "session_queue_frames".into());
            self.push(at * SECOND, What::Gauge { node, name, value, limit: 4_096 });
        }
    }
}

fn device(user: u64) -> Device {
    Device { user: UserId(user), device: DeviceId(1) }
}
