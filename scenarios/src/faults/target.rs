//! Which hosts a fault's targets are, at the moment when it begins: the same in both worlds.

use super::{Injection, PlannedFault, stream};
use crate::scenario::{FaultKind, Role, Sides, Target};
use protocol::ConversationId;
use rand::Rng;
use rand_chacha::ChaCha8Rng;
use std::sync::Arc;

/// A link from one host to another.
pub type Pair = (Arc<str>, Arc<str>);

/// Who knows what is where.
pub struct Directory<'a> {
    /// All hosts of the cluster and of the clients.
    pub hosts: &'a [Arc<str>],
    /// The store node that owns a conversation.
    pub owner_of: &'a dyn Fn(ConversationId) -> Arc<str>,
    /// The broker that leads the inbound queue of a conversation's partition, if one is known.
    pub broker_of: &'a dyn Fn(ConversationId) -> Option<Arc<str>>,
    /// The gateway of the newest session of a user's first device, if it ever had one.
    pub gateway_of: &'a dyn Fn(protocol::UserId) -> Option<Arc<str>>,
    /// The client host that carries a user.
    pub client_of: &'a dyn Fn(protocol::UserId) -> Arc<str>,
}

impl Directory<'_> {
    /// Finds out whom a fault hits. Of processes, `any` means any of the `running` ones: who is down
    /// cannot die or stop.
    pub fn injection(&self, fault: PlannedFault, seed: u64, running: &[Arc<str>]) -> Injection {
        let random = &mut stream(seed, fault.id, "target");
        let (mut nodes, mut links) = (Vec::new(), Vec::new());
        match &fault.kind {
            FaultKind::Blip { between }
            | FaultKind::Cut { between, .. }
            | FaultKind::Flap { between, .. }
            | FaultKind::Reset { between }
            | FaultKind::Corrupt { between }
            | FaultKind::SlowLink { between, .. }
            | FaultKind::NarrowLink { between, .. } => links = self.pairs(between, random),
            FaultKind::Surge { .. } | FaultKind::Storm { .. } | FaultKind::Hostile { .. } => {}
            FaultKind::Skew { target, .. } | FaultKind::FullDisk { target } => {
                nodes = self.resolve(target, random);
            }
            FaultKind::Kill { target }
            | FaultKind::PowerLoss { target }
            | FaultKind::Drain { target }
            | FaultKind::Pause { target } => {
                nodes = Directory { hosts: running, ..*self }.resolve(target, random);
                nodes.retain(|node| running.contains(node));
                if nodes.is_empty() {
                    nodes = self.all_of(target);
                }
            }
        }
        let PlannedFault { id, at, lasts, kind, drawn } = fault;
        Injection { id, at, lasts, kind, drawn, nodes, links }
    }

    /// The hosts of a target; none if there is nobody now (a user without a session).
    pub fn resolve(&self, target: &Target, random: &mut ChaCha8Rng) -> Vec<Arc<str>> {
        match target {
            Target::Node(name) => {
                self.hosts.iter().filter(|host| ***host == **name).cloned().collect()
            }
            Target::Owner(conversation) => vec![(self.owner_of)(*conversation)],
            Target::BrokerOf(conversation) => (self.broker_of)(*conversation).into_iter().collect(),
            Target::GatewayOf(user) => (self.gateway_of)(*user).into_iter().collect(),
            Target::ClientOf(user) => vec![(self.client_of)(*user)],
            Target::Every(role) => self.of_role(*role),
            Target::Any(role) => {
                let hosts = self.of_role(*role);
                if hosts.is_empty() {
                    return hosts;
                }
                let chosen = random.random_range(0..hosts.len());
                vec![hosts[chosen].clone()]
            }
        }
    }

    /// All hosts that a target may mean: without drawing lots.
    pub fn all_of(&self, target: &Target) -> Vec<Arc<str>> {
        match target {
            Target::Any(role) | Target::Every(role) => self.of_role(*role),
            Target::Node(name) => vec![name.as_str().into()],
            Target::Owner(conversation) => vec![(self.owner_of)(*conversation)],
            Target::BrokerOf(conversation) => (self.broker_of)(*conversation).into_iter().collect(),
            Target::GatewayOf(user) => (self.gateway_of)(*user).into_iter().collect(),
            Target::ClientOf(user) => vec![(self.client_of)(*user)],
        }
    }

    /// The directed pairs from one side to the other.
    pub fn pairs(&self, sides: &Sides, random: &mut ChaCha8Rng) -> Vec<Pair> {
        let mut side = |targets: &[Target]| -> Vec<Arc<str>> {
            targets.iter().flat_map(|target| self.resolve(target, random)).collect()
        };
        let from = side(&sides.from);
        let to = if sides.to.is_empty() {
            self.hosts.iter().filter(|host| !from.contains(host)).cloned().collect()
        } else {
            side(&sides.to)
        };
        from.iter()
            .flat_map(|from| to.iter().map(move |to| (from.clone(), to.clone())))
            .filter(|(from, to)| from != to)
            .collect()
    }

    fn of_role(&self, role: Role) -> Vec<Arc<str>> {
        let prefix = format!("{}-", role.word());
        self.hosts.iter().filter(|host| host.starts_with(&prefix)).cloned().collect()
    }
}
