//! Figures that follow from a validated scenario: nodes of a role, lengths, sums, bounds.

use crate::intensity::Piece;
use crate::scenario::{
    Activity, ClusterShape, FaultKind, JourneyMix, Load, LoadPhase, Mix, Rate, Role, Scenario,
    Size, Users,
};
use protocol::partition::{home_of, partition_of};
use protocol::{ConversationId, StoreEngine, UserId, limits};
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

/// Hosts that carry the users of a run: enough for a fault that strikes some users only, few enough for the
/// simulator, whose cost grows with the cube of the hosts.
pub const CLIENT_HOSTS: u16 = 2;

/// How long a stranger waits for an answer: a gateway that waits for `hello` gives up before.
pub const STRANGERS_PATIENCE: Duration =
    limits::HELLO_TIMEOUT.saturating_add(Duration::from_secs(5));

impl ClusterShape {
    /// How many nodes of a role there are, numbered from 1.
    pub const fn nodes(&self, role: Role) -> u16 {
        match role {
            Role::Gateway => self.gateways,
            Role::Broker => self.brokers,
            Role::Store => self.stores,
            Role::Notifier | Role::Auth => 1,
            Role::Clients => CLIENT_HOSTS,
            Role::Database => match self.engine {
                StoreEngine::Shared => 1,
                StoreEngine::Redb | StoreEngine::Memory => 0,
            },
        }
    }

    /// Every node by role and number, in the order in which a cluster is started; a database is none.
    pub fn all_nodes(&self) -> impl Iterator<Item = (Role, u16)> + use<> {
        let shape = *self;
        let roles = [Role::Auth, Role::Broker, Role::Store, Role::Notifier, Role::Gateway];
        roles.into_iter().flat_map(move |role| (1..=shape.nodes(role)).map(move |n| (role, n)))
    }
}

impl Size {
    /// The smallest number that it can give.
    pub const fn smallest(&self) -> u32 {
        match *self {
            Self::Fixed(number) => number,
            Self::Uniform(from, _) | Self::Zipf(from, _, _) => from,
        }
    }

    /// The largest number that it can give.
    pub const fn largest(&self) -> u32 {
        match *self {
            Self::Fixed(number) => number,
            Self::Uniform(_, to) | Self::Zipf(_, to, _) => to,
        }
    }

    /// What it gives on average.
    pub fn mean(&self) -> f64 {
        match *self {
            Self::Fixed(number) => f64::from(number),
            Self::Uniform(from, to) => f64::midpoint(f64::from(from), f64::from(to)),
            Self::Zipf(from, to, exponent) => {
                let ranked = (from..=to).zip(1_u32..);
                let weighed = ranked.map(|(size, rank)| (f64::from(rank).powf(-exponent), size));
                let (weights, sum) = weighed.fold((0.0, 0.0), |(weights, sum), (weight, size)| {
                    (weights + weight, sum + weight * f64::from(size))
                });
                sum / weights
            }
        }
    }

    /// What its square is on average.
    pub fn mean_square(&self) -> f64 {
        let square = |size: u32| f64::from(size) * f64::from(size);
        match *self {
            Self::Fixed(number) => square(number),
            Self::Uniform(from, to) => {
                let count = f64::from(to - from) + 1.0;
                let mean = self.mean();
                mean.mul_add(mean, (count * count - 1.0) / 12.0)
            }
            Self::Zipf(from, to, exponent) => {
                let ranked = (from..=to).zip(1_u32..);
                let weighed = ranked.map(|(size, rank)| (f64::from(rank).powf(-exponent), size));
                let (weights, sum) = weighed.fold((0.0, 0.0), |(weights, sum), (weight, size)| {
                    (weights + weight, weight.mul_add(square(size), sum))
                });
                sum / weights
            }
        }
    }
}

impl Load {
    /// From the first to the last operation.
    pub fn lasts(&self) -> Duration {
        self.phases.iter().map(|phase| phase.lasts).sum()
    }

    /// The rate of its arrivals, piece by piece.
    pub fn pieces(&self) -> Vec<Piece> {
        self.phases.iter().flat_map(LoadPhase::pieces).collect()
    }

    /// Operations that an arrival brings, on average.
    pub fn each_brings(&self) -> f64 {
        self.visits.map_or(1.0, |visits| {
            let own = visits.stay.as_secs_f64() / visits.think.as_secs_f64();
            own / (1.0 - visits.replies) + 2.0
        })
    }
}

impl Activity {
    /// How many times as much as on average the busiest of so many users does.
    pub fn busiest(&self, users: u32) -> f64 {
        if self.users == 0.0 {
            return 1.0;
        }
        let shares = (1..=users).map(|rank| f64::from(rank).powf(-self.users));
        f64::from(users) / shares.sum::<f64>()
    }
}

impl Rate {
    /// The highest that it gets.
    pub const fn peak(&self) -> f64 {
        match *self {
            Self::Constant(rate) => rate,
            Self::Ramp(a, b)
            | Self::Staircase(a, b, _)
            | Self::Spike(a, b)
            | Self::Diurnal(a, b) => a.max(b),
        }
    }
}

impl Mix {
    /// All shares together: 1 in a valid scenario.
    pub fn sum(&self) -> f64 {
        let Self { send, reply, edit, delete, read_history, .. } = *self;
        let Self { join_leave, reconnect, typing, revoke, log_out, .. } = *self;
        let talk = send + reply + edit + delete + read_history;
        talk + join_leave + reconnect + typing + revoke + log_out
    }
}

impl JourneyMix {
    /// All shares together: 1 in a valid scenario.
    pub fn sum(&self) -> f64 {
        self.page_backlog + self.create_conversation + self.change_members + self.sign_in
    }
}

impl Scenario {
    /// The users of a client host, counted from 0: a block of the user numbers each.
    pub fn users_of_host(&self, index: u32) -> Range<u32> {
        let (count, hosts) = (u64::from(self.users.count), u64::from(CLIENT_HOSTS));
        let from = |index: u32| 1 + (count * u64::from(index) / hosts) as u32;
        from(index)..from(index + 1)
    }

    /// The store node that owns a conversation at first.
    pub fn first_owner_of(&self, conversation: ConversationId) -> Arc<str> {
        let ClusterShape { partitions, stores, .. } = self.cluster;
        let home = home_of(partition_of(conversation, partitions), stores);
        format!("{}-{home}", Role::Store.word()).into()
    }

    /// The host that carries a user.
    pub fn client_host_of(&self, user: UserId) -> Arc<str> {
        let mut hosts = 0..u32::from(CLIENT_HOSTS);
        let index = hosts.find(|index| self.users_of_host(*index).contains(&(user.0 as u32)));
        format!("{}-{}", Role::Clients.word(), index.unwrap_or(0) + 1).into()
    }

    /// Users of both kinds: those of the REST interface are the last ones.
    pub fn everybody(&self) -> u32 {
        self.users.count + self.journeys.map_or(0, |journeys| journeys.users)
    }

    /// Sessions of its users.
    pub fn sessions(&self) -> u64 {
        let online = self.users.count.saturating_sub(self.users.offline);
        u64::from(online) * u64::from(self.users.devices.max(1))
    }

    /// Connections that strangers hold at the same time, at most.
    pub fn strangers(&self) -> u64 {
        let patience = STRANGERS_PATIENCE.as_secs_f64();
        let attackers = self.faults.iter().map(|fault| match fault.kind {
            FaultKind::Hostile { attacks } => {
                let share = patience / fault.lasts.as_secs_f64().max(patience);
                (f64::from(attacks) * share).ceil() as u64
            }
            _ => 0,
        });
        attackers.sum()
    }

    /// Operations of its users, about; they go on at the last rate until the heal is over.
    pub fn operations(&self) -> u64 {
        // Surges by lot differ by seed; any will do.
        let pieces = crate::faults::rates(self, 1);
        let load: f64 = pieces.iter().map(Piece::expected).sum();
        let last = pieces.last().map_or(0.0, |piece| piece.to);
        let arrivals = load + last * self.phases.heal.as_secs_f64();
        (arrivals * self.load.each_brings()) as u64
    }

    /// Simulated time of a run, at most: all phases together.
    pub fn lasts(&self) -> Duration {
        let phases = &self.phases;
        phases.warm_up + self.load.lasts() + phases.heal + phases.settle
    }
}

impl Scenario {
    /// The highest rate that its users can do: what is beyond it gateways do not take from them. Infinite
    /// where the rates are those of visits.
    pub fn highest_rate(&self) -> f64 {
        if self.load.visits.is_some() {
            return f64::INFINITY;
        }
        highest_rate(&self.load.mix, &self.users, self.load.activity)
    }
}

/// The same of operations of a mix; infinite if none of them is a message.
pub(crate) fn highest_rate(mix: &Mix, users: &Users, activity: Activity) -> f64 {
    let online = (users.count - users.offline).max(1);
    let busiest = activity.busiest(online);
    let sends = mix.send + mix.reply + mix.edit + mix.delete;
    messages_per_user() * f64::from(online) / (sends * busiest)
}

/// Messages a second that a gateway takes from a user.
pub(crate) fn messages_per_user() -> f64 {
    f64::from(protocol::Limits::default().gateway.rate_per_second)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_by_rank_are_mostly_small() {
        assert_eq!((Size::Fixed(7).mean(), Size::Uniform(5, 50).mean()), (7.0, 27.5));
        // Ranks 1 and 2, with weights 1 and 1/2.
        assert!((Size::Zipf(3, 4, 1.0).mean() - (3.0 + 4.0 / 2.0) / 1.5).abs() < 1e-9);
    }
}
