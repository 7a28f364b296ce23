//! Whether a target exists in the topology.

use crate::scenario::{ClusterShape, Target, Users};
use crate::value::target::parts_of;

/// Why there may be none of a role.
pub const NO_DATABASE: &str =
    "the stores share no engine; with cluster.engine = \"shared\" they do";

/// Says what is wrong with a target, if anything. What is not known is not checked.
pub fn missing(
    target: &Target,
    cluster: Option<&ClusterShape>,
    users: Option<&Users>,
) -> Option<String> {
    match (target, cluster, users) {
        (Target::Node(name), Some(cluster), _) => {
            let (role, number) = parts_of(name)?;
            let (word, count) = (role.word(), cluster.nodes(role));
            match count {
                0 => Some(format!("there is no {name}: {NO_DATABASE}")),
                _ if (1..=count).contains(&number) => None,
                1 => Some(format!("there is no {name}, only {word}-1")),
                _ => Some(format!("there is no {name}, only {word}-1 to {word}-{count}")),
            }
        }
        (Target::Any(role) | Target::Every(role), Some(cluster), _) => (cluster.nodes(*role) == 0)
            .then(|| format!("there is no {}: {NO_DATABASE}", role.word())),
        (Target::Owner(conversation) | Target::BrokerOf(conversation), _, Some(users)) => {
            let last = u64::from(users.direct) + u64::from(users.groups);
            let there = (1..=last).contains(&conversation.0);
            (!there).then(|| format!("conversations are 1 to {last}, not {conversation}"))
        }
        (Target::GatewayOf(user) | Target::ClientOf(user), _, Some(users)) => {
            let online = u64::from(users.count - users.offline);
            let there = (1..=online).contains(&user.0);
            (!there).then(|| format!("users who are online are 1 to {online}, not {user}"))
        }
        _ => None,
    }
}
