//! Visits: the sessions of a partly-open system (Schroeder, Wierman and Harchol-Balter, "Open Versus
//! Closed: A Cautionary Tale", NSDI 2006).
//!
//! They arrive by an open process, whoever is there already. In one, the user acts by its own clock until
//! the time is over, whatever the answers; what is shown may bring replies besides, which no plan knows
//! (see `Plan::reply`). Who is there when the load ends stays.

use super::arrivals::Arrivals;
use super::operation::{self, Kind, Operation};
use super::{Plan, random};
use protocol::{ConversationId, DeviceId, Sequence, UserId};
use rand::Rng;
use rand::rngs::SmallRng;
use rand_distr::Exp1;
use scenarios::scenario;
use std::collections::BTreeMap;
use std::iter::{Enumerate, Peekable};
use std::time::Duration;

/// The operations of all visits, in the order of time.
#[derive(Debug)]
pub struct Visits<'a> {
    plan: &'a Plan,
    of: scenario::Visits,
    arrivals: Peekable<Enumerate<Arrivals<'a>>>,
    /// By user, from 1.
    is_there: Vec<bool>,
    /// By the time of what they do next.
    running: BTreeMap<(Duration, u64), Visit>,
    /// Visits and operations so far.
    begun: u64,
    drawn: u64,
}

#[derive(Debug)]
struct Visit {
    user: UserId,
    device: DeviceId,
    ends: Duration,
    random: SmallRng,
}

impl<'a> Visits<'a> {
    pub fn new(plan: &'a Plan, of: scenario::Visits) -> Self {
        let arrivals = Arrivals::new(plan.load.arrivals, &plan.rates, plan.seed);
        let mut visits = Self {
            plan,
            of,
            arrivals: arrivals.enumerate().peekable(),
            is_there: vec![false; plan.online() as usize + 1],
            running: BTreeMap::new(),
            begun: 0,
            drawn: 0,
        };
        for user in (1..=u64::from(plan.online())).map(UserId) {
            if let Some(device) = plan.there_at_first(user) {
                let random = random::stream(plan.seed, "first visit", user.0);
                // The rest of an exponential time is distributed as the whole one.
                visits.begin(Duration::ZERO, (user, device), random);
            }
        }
        visits
    }

    fn begin(&mut self, at: Duration, (user, device): (UserId, DeviceId), mut random: SmallRng) {
        self.is_there[user.0 as usize] = true;
        let ends = at + self.of.stay.mul_f64(random.sample(Exp1));
        let ends = if ends < self.plan.load_for() { ends } else { Duration::MAX };
        self.begun += 1;
        self.go_on(at, self.begun, Visit { user, device, ends, random });
    }

    /// What comes next in a visit.
    fn go_on(&mut self, at: Duration, number: u64, mut visit: Visit) {
        let next = at + self.of.think.mul_f64(visit.random.sample(Exp1));
        self.running.insert((next.min(visit.ends), number), visit);
    }

    /// Somebody comes, unless all are there.
    fn arrive(&mut self, number: usize, at: Duration) -> Option<Operation> {
        let plan = self.plan;
        let mut random = random::stream(plan.seed, "visit", number as u64);
        let online = plan.online() as usize;
        let drawn = (online > 0).then(|| plan.activity.user(&mut random).0 as usize)?;
        // Whoever is there already sends the next one in line.
        let mut others = (0..online).map(|further| (drawn - 1 + further) % online + 1);
        let user = UserId(others.find(|user| !self.is_there[*user])? as u64);
        let device = DeviceId(random.random_range(1..=plan.devices));
        let come = self.turn(Kind::Come, at, (user, device));
        self.begin(at, (user, device), random);
        come
    }

    /// Goes on with the visit that is due.
    fn step(&mut self, (at, number): (Duration, u64), mut visit: Visit) -> Option<Operation> {
        let who = (visit.user, visit.device);
        if at >= visit.ends {
            self.is_there[visit.user.0 as usize] = false;
            return self.turn(Kind::Go, at, who);
        }
        self.drawn += 1;
        let operation = operation::of(self.plan, self.drawn, at, who, None, &mut visit.random);
        self.go_on(at, number, visit);
        operation
    }

    /// A user comes or goes.
    fn turn(
        &mut self,
        kind: Kind,
        at: Duration,
        (user, device): (UserId, DeviceId),
    ) -> Option<Operation> {
        let conversation = *self.plan.conversations_of(user).first()?;
        self.drawn += 1;
        Some(Operation { id: self.drawn, at, user, device, kind, conversation, size: 0, pick: 0 })
    }
}

impl Iterator for Visits<'_> {
    type Item = Operation;

    fn next(&mut self) -> Option<Operation> {
        loop {
            let arrival = self.arrivals.peek().copied();
            let step = self.running.first_key_value().map(|(key, _)| *key);
            let operation = match (arrival, step) {
                (Some((number, at)), step) if step.is_none_or(|(next, _)| at <= next) => {
                    self.arrivals.next();
                    self.arrive(number, at)
                }
                (_, Some((at, _))) if at <= self.plan.scheduled_for() => {
                    let (key, visit) = self.running.pop_first()?;
                    self.step(key, visit)
                }
                _ => return None,
            };
            if operation.is_some() {
                return operation;
            }
        }
    }
}

impl Plan {
    /// With which device a user is there when the load begins, if users come and go: as many as there are
    /// at its first rate in the long run (Little's law).
    fn there_at_first(&self, user: UserId) -> Option<DeviceId> {
        let visits = self.load.visits?;
        let rate = self.rates.first().map_or(0.0, |piece| piece.from);
        let share = rate * visits.stay.as_secs_f64() / f64::from(self.online().max(1));
        let mut random = random::stream(self.seed, "there at first", user.0);
        let device = DeviceId(random.random_range(1..=self.devices));
        (random.random::<f64>() < share).then_some(device)
    }

    /// Whether a user's device is put away when the load begins.
    pub fn is_away_at_first(&self, user: UserId, device: DeviceId) -> bool {
        self.load.visits.is_some() && self.there_at_first(user) != Some(device)
    }

    /// When a device that is away is taken up for good, counted from the beginning of the load: everybody
    /// comes back after it, and is judged by all that went past in the meantime.
    pub fn comes_back(&self, user: UserId, device: DeviceId) -> Duration {
        let part = self.device_seed("comes back", user, device) as f64 / u64::MAX as f64;
        self.load_for() + self.back_over.mul_f64(part)
    }

    /// After how long a device replies to a message that it has shown, and with how many bytes, if it does:
    /// decided by nothing but the seed and the message.
    pub fn reply(
        &self,
        (user, device): (UserId, DeviceId),
        (conversation, sequence): (ConversationId, Sequence),
    ) -> Option<(Duration, u32)> {
        let visits = self.load.visits.filter(|visits| visits.replies > 0.0)?;
        // One that somebody else has made is nothing of the plan's.
        if !(1..=u64::from(self.conversations())).contains(&conversation.0) {
            return None;
        }
        let others = self.conversation(conversation).members.len().saturating_sub(1).max(1);
        let devices = others as f64 * f64::from(self.devices);
        let seed = self.device_seed("replies", user, device);
        let mut random = random::stream(seed, "to", (conversation.0 << 32) ^ sequence.0);
        let after = (visits.reply_after_max.saturating_sub(visits.reply_after_min))
            .mul_f64(random.random::<f64>());
        let size = random::size(self.load.body, &mut random);
        (random.random::<f64>() < visits.replies / devices)
            .then_some((visits.reply_after_min + after, size))
    }
}
