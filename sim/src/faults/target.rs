//! Which hosts a fault's targets are, at the moment when it begins.

use super::links::Pair;
use protocol::ConversationId;
use rand::Rng;
use rand_chacha::ChaCha8Rng;
use scenarios::scenario::{Role, Sides, Target};
use std::sync::Arc;

/// Who knows what is where.
pub struct Directory<'a> {
    /// All hosts of the cluster and of the clients.
    pub hosts: &'a [Arc<str>],
    /// The store node that owns a conversation.
    pub owner_of: &'a dyn Fn(ConversationId) -> Arc<str>,
    /// The gateway of the newest session of a user's first device, if it ever had one.
    pub gateway_of: &'a dyn Fn(protocol::UserId) -> Option<Arc<str>>,
    /// The client host that carries a user.
    pub client_of: &'a dyn Fn(protocol::UserId) -> Arc<str>,
}

impl Directory<'_> {
    /// The hosts of a target; none if there is nobody now (a user without a session).
    pub fn resolve(&self, target: &Target, random: &mut ChaCha8Rng) -> Vec<Arc<str>> {
        match target {
            Target::Node(name) => {
                self.hosts.iter().filter(|host| ***host == **name).cloned().collect()
            }
            Target::Owner(conversation) => vec![(self.owner_of)(*conversation)],
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
