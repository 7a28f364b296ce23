//! Which links of a cluster faults may hit, and which of them can be hit on real sockets.

use crate::run::{Engines, Processes};
use scenarios::faults::target::{Directory, Pair};
use scenarios::faults::{TALKING, schedule};
use scenarios::scenario::{FaultKind, Role, Scenario, Sides, Target};
use std::collections::BTreeSet;
use std::sync::Arc;

/// What the links of a run can be reached by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reach {
    /// What the cluster is made of, if it is our own.
    pub processes: Option<Processes>,
    /// Whether one generator drives all users.
    pub alone: bool,
}

/// Why a link cannot be hit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, thiserror::Error)]
pub enum Unreachable {
    /// The cluster is somebody else's.
    #[error("the cluster was given with --target")]
    Given,
    /// Its nodes share a configuration.
    #[error("links are between nodes, and all of them are one process")]
    OneProcess,
    /// Users are driven by several processes.
    #[error("the links of users are carried by one generator only")]
    Several,
    /// Servers of an engine find each other by themselves.
    #[error("servers of one engine talk to each other directly")]
    WithinEngine,
    /// Servers that tell everybody their own address.
    #[error("Kafka and Cassandra tell their clients at which address to connect")]
    Advertised,
    /// Users do not choose their gateway.
    #[error("users reach gateways through HAProxy, which chooses one for each")]
    Balanced,
    /// What arrives changed there was said so, as far as anybody can tell.
    #[error("what nodes and engines say to each other carries no checksum of ours")]
    Unchecked,
    /// Nobody connects to anybody.
    #[error("nobody talks over it")]
    Silent,
}

/// The links that are carried by proxies: who connects, and to whom.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Interposed(BTreeSet<Pair>);

impl Interposed {
    /// None.
    pub const NONE: Self = Self(BTreeSet::new());

    /// These, of who connects to whom.
    #[cfg(test)]
    pub fn between(links: &[(&str, &str)]) -> Self {
        Self(links.iter().map(|(from, to)| ((*from).into(), (*to).into())).collect())
    }

    /// All links of a run that its faults may hit and can.
    pub fn of(scenario: &Scenario, seed: u64, reach: Reach) -> Self {
        let faults = schedule(scenario, seed).into_iter();
        let possible =
            faults.filter_map(|fault| Some(possible(scenario, reach, fault.kind.sides()?)));
        Self(possible.flatten().filter_map(|pair| reach.hits(&pair).ok()).collect())
    }

    /// All of them.
    pub fn links(&self) -> &BTreeSet<Pair> {
        &self.0
    }
}

impl Reach {
    /// Whether a link can be hit: who connects, and to whom.
    ///
    /// # Errors
    /// Why not.
    pub fn hits(&self, (a, b): &Pair) -> Result<Pair, Unreachable> {
        let engines = match self.processes {
            None => return Err(Unreachable::Given),
            Some(Processes::One) => return Err(Unreachable::OneProcess),
            Some(Processes::EachNode(engines)) => engines,
        };
        let Engines { kafka, postgres, cassandra, haproxy, .. } = engines;
        let has_database = postgres || cassandra;
        let of_database = has_database.then_some(&(Role::Store, Role::Database));
        let mut talking = TALKING.iter().chain(of_database);
        let link = talking.find_map(|(from, to)| {
            let goes = |x: &Arc<str>, y: &Arc<str>| {
                // The push provider is on the first client host.
                let is_there = *to != Role::Clients || **y == *PUSH_PROVIDER;
                (is_of(x, *from) && is_of(y, *to) && is_there).then(|| (x.clone(), y.clone()))
            };
            goes(a, b).or_else(|| goes(b, a))
        });
        let some = |role: Role| is_of(a, role) || is_of(b, role);
        if !self.alone && some(Role::Clients) {
            Err(Unreachable::Several)
        } else if haproxy && some(Role::Clients) && some(Role::Gateway) {
            Err(Unreachable::Balanced)
        } else if is_of(a, Role::Broker) && is_of(b, Role::Broker) && !engines.own_broker() {
            Err(Unreachable::WithinEngine)
        } else if some(Role::Broker) && kafka > 0 || some(Role::Database) && cassandra {
            Err(Unreachable::Advertised)
        } else {
            link.ok_or(Unreachable::Silent)
        }
    }

    /// Whether one end of a link is a server of an engine, in the place of a broker.
    fn is_unchecked(&self, (a, b): &Pair) -> bool {
        let Some(Processes::EachNode(engines)) = self.processes else { return false };
        !engines.own_broker() && (is_of(a, Role::Broker) || is_of(b, Role::Broker))
    }

    /// Whether any seed's faults may hit links between users and gateways.
    pub fn may_hit_users(&self, scenario: &Scenario) -> bool {
        let by_lot = scenario.random_faults.iter().flat_map(|wanted| &wanted.kinds);
        if by_lot.map(String::as_str).any(|kind| OF_LINKS.contains(&kind)) {
            return self.hits(&(PUSH_PROVIDER.into(), "gateway-1".into())).is_ok();
        }
        let links = Interposed::of(scenario, 0, *self);
        links.links().iter().any(|(from, _)| is_of(from, Role::Clients))
    }

    /// How many of the links that a fault may hit can be, and why others cannot; nothing for other faults.
    pub fn of(
        &self,
        scenario: &Scenario,
        kind: &FaultKind,
    ) -> Option<(usize, BTreeSet<Unreachable>)> {
        let possible = possible(scenario, *self, kind.sides()?);
        let is_corrupt = matches!(kind, FaultKind::Corrupt { .. });
        if is_corrupt && possible.iter().any(|pair| self.is_unchecked(pair)) {
            return Some((0, BTreeSet::from([Unreachable::Unchecked])));
        }
        let (can, cannot): (Vec<_>, Vec<_>) =
            possible.iter().map(|pair| self.hits(pair)).partition(Result::is_ok);
        Some((can.len(), cannot.into_iter().filter_map(Result::err).collect()))
    }
}

/// The kinds of faults of links.
const OF_LINKS: [&str; 7] = ["blip", "cut", "flap", "reset", "corrupt", "slow_link", "narrow_link"];
/// The host of the push provider.
const PUSH_PROVIDER: &str = "clients-1";

/// All links that a fault between these sides may hit.
fn possible(scenario: &Scenario, reach: Reach, sides: &Sides) -> Vec<Pair> {
    let shape = &scenario.cluster;
    let engines = match reach.processes {
        Some(Processes::EachNode(engines)) => engines,
        Some(Processes::One) | None => Engines::NONE,
    };
    let hosts = Role::ALL.into_iter().flat_map(|role| {
        let count = match role {
            Role::Broker => shape.brokers.max(engines.rabbitmq).max(engines.kafka),
            Role::Database => u16::from(engines.postgres || engines.cassandra),
            role => shape.nodes(role),
        };
        (1..=count).map(move |number| format!("{}-{number}", role.word()).into())
    });
    let hosts: Vec<Arc<str>> = hosts.collect();
    let directory = Directory {
        hosts: &hosts,
        owner_of: &|conversation| scenario.first_owner_of(conversation),
        broker_of: &|_| None,
        gateway_of: &|_| None,
        client_of: &|user| scenario.client_host_of(user),
    };
    let side = |targets: &[Target]| -> BTreeSet<Arc<str>> {
        // Which one it is shows when the fault begins.
        let all = targets.iter().map(|target| match target {
            Target::BrokerOf(_) => Target::Every(Role::Broker),
            Target::GatewayOf(_) => Target::Every(Role::Gateway),
            other => other.clone(),
        });
        all.flat_map(|target| directory.all_of(&target)).collect()
    };
    let from = side(&sides.from);
    let to = if sides.to.is_empty() { hosts.iter().cloned().collect() } else { side(&sides.to) };
    let pairs = from.iter().flat_map(|from| to.iter().map(move |to| (from.clone(), to.clone())));
    pairs.filter(|(from, to)| from != to).collect()
}

fn is_of(host: &str, role: Role) -> bool {
    Role::of_host(host).is_some_and(|(of, _)| of == role)
}

#[cfg(test)]
mod tests {
    use super::*;
    use scenarios::scenario::Fault;
    use std::time::Duration;

    const NODES: Reach = on(Engines::NONE);

    const fn on(engines: Engines) -> Reach {
        Reach { processes: Some(Processes::EachNode(engines)), alone: true }
    }

    fn cut(from: &[&str], to: &[&str]) -> FaultKind {
        let side = |names: &[&str]| names.iter().map(|name| Target::Node((*name).into())).collect();
        FaultKind::Cut { between: Sides { from: side(from), to: side(to) }, one_way: false }
    }

    /// With two gateways and two stores.
    fn scenario(kind: FaultKind) -> Scenario {
        let mut scenario = crate::fixture::scenario(10, 5, 1);
        (scenario.cluster.gateways, scenario.cluster.stores) = (2, 2);
        let (at, lasts) = (Duration::from_secs(1), Duration::from_secs(1));
        scenario.faults = vec![Fault { at, every: None, lasts, kind }];
        scenario
    }

    fn links(kind: FaultKind, reach: Reach) -> Vec<String> {
        let interposed = Interposed::of(&scenario(kind), 1, reach);
        interposed.links().iter().map(|(from, to)| format!("{from} {to}")).collect()
    }

    fn reasons(kind: &FaultKind, reach: Reach) -> (usize, Vec<Unreachable>) {
        let (can, cannot) = reach.of(&scenario(kind.clone()), kind).expect("a fault of links");
        (can, cannot.into_iter().collect())
    }

    #[test]
    fn a_link_is_carried_from_who_connects() {
        assert_eq!(links(cut(&["store-2"], &["gateway-1"]), NODES), ["gateway-1 store-2"]);
        let all = ["gateway-1 broker-1", "gateway-2 broker-1", "notifier-1 broker-1"];
        let stores = ["store-1 broker-1", "store-2 broker-1"];
        assert_eq!(links(cut(&["broker-1"], &[]), NODES), [&all[..], &stores].concat());
        let users = ["clients-2 gateway-1", "clients-2 gateway-2"];
        assert_eq!(links(cut(&["clients-2"], &[]), NODES), users);
        assert_eq!(links(cut(&["clients-1"], &["notifier-1"]), NODES), ["notifier-1 clients-1"]);
        assert!(NODES.may_hit_users(&scenario(cut(&["clients-2"], &[]))));
        assert!(!NODES.may_hit_users(&scenario(cut(&["clients-1"], &["notifier-1"]))));
        let of_user = FaultKind::Blip {
            between: Sides {
                from: vec![Target::GatewayOf(protocol::UserId(1))],
                to: vec![Target::ClientOf(protocol::UserId(1))],
            },
        };
        // Whichever gateway it will be.
        let possible = ["clients-1 gateway-1", "clients-1 gateway-2"];
        assert_eq!(links(of_user, NODES), possible);
    }

    #[test]
    fn what_cannot_be_hit_has_a_reason() {
        use Unreachable::{
            Advertised, Balanced, Given, OneProcess, Several, Silent, Unchecked, WithinEngine,
        };
        let users = cut(&["clients-1"], &["gateway-1"]);
        assert_eq!(reasons(&users, NODES), (1, vec![]));
        let one = Reach { processes: Some(Processes::One), alone: true };
        assert_eq!(reasons(&users, one), (0, vec![OneProcess]));
        let given = Reach { processes: None, alone: true };
        assert_eq!(reasons(&users, given), (0, vec![Given]));
        assert_eq!(reasons(&users, Reach { alone: false, ..NODES }), (0, vec![Several]));
        let behind = on(Engines { haproxy: true, ..Engines::NONE });
        assert_eq!(reasons(&users, behind), (0, vec![Balanced]));
        assert_eq!(reasons(&cut(&["store-1"], &["store-2"]), NODES), (0, vec![Silent]));
        let broker = || cut(&["broker-1"], &[]);
        let on_rabbitmq = on(Engines { rabbitmq: 3, postgres: true, ..Engines::NONE });
        assert_eq!(reasons(&broker(), on_rabbitmq), (5, vec![WithinEngine, Silent]));
        let on_kafka = on(Engines { kafka: 1, ..Engines::NONE });
        assert_eq!(reasons(&broker(), on_kafka).0, 0);
        let rows = || cut(&["store-1"], &["database-1"]);
        assert_eq!(reasons(&rows(), on_rabbitmq), (1, vec![]));
        let on_cassandra = on(Engines { cassandra: true, ..Engines::NONE });
        assert_eq!(reasons(&rows(), on_cassandra), (0, vec![Advertised]));
        assert_eq!(reasons(&rows(), NODES), (0, vec![Silent]), "it has none");
        let FaultKind::Cut { between, .. } = cut(&["broker-1"], &["store-1", "gateway-1"]) else {
            unreachable!("it is one");
        };
        let corrupt = FaultKind::Corrupt { between };
        assert_eq!(reasons(&corrupt, NODES), (2, vec![]));
        assert_eq!(reasons(&corrupt, on_rabbitmq), (0, vec![Unchecked]));
    }
}
