//! Which nodes a cluster has, and where they listen.

use serde::Serialize;
use std::fmt;
use std::str::FromStr;

/// The role of a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Role {
    /// WebSocket and REST front.
    Gateway,
    /// Message queue.
    Broker,
    /// Owners of conversations.
    Store,
    /// Push notifications.
    Notifier,
    /// Tokens.
    Auth,
}

impl Role {
    /// All roles, in the order in which a cluster is started.
    pub const ALL: [Self; 5] =
        [Self::Auth, Self::Broker, Self::Store, Self::Notifier, Self::Gateway];

    /// The part of a node's name before its number.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Gateway => "gateway",
            Self::Broker => "broker",
            Self::Store => "store",
            Self::Notifier => "notifier",
            Self::Auth => "auth",
        }
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

impl FromStr for Role {
    type Err = String;

    fn from_str(word: &str) -> Result<Self, String> {
        Self::ALL.into_iter().find(|role| role.word() == word).ok_or_else(|| {
            let words: Vec<&str> = Self::ALL.map(Self::word).to_vec();
            format!("unknown role {word:?}: expected one of {}", words.join(", "))
        })
    }
}

/// Where every node listens: `host:port`, the first of a role is number 1.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Topology {
    /// Gateways: clients connect here.
    pub gateways: Vec<String>,
    /// The broker; one in this version.
    pub brokers: Vec<String>,
    /// Store nodes. Their number and order must never change for given data directories: a
    /// conversation's partition lives on the store that its number says.
    pub stores: Vec<String>,
    /// How many notifiers; they listen nowhere.
    pub notifiers: u16,
    /// The auth service.
    pub auth: String,
    /// The push provider that notifiers call; empty: nobody is notified.
    pub push_provider: String,
}

impl Topology {
    /// The name of a node.
    pub fn name(role: Role, number: u16) -> String {
        format!("{role}-{number}")
    }

    /// How many nodes of a role there are.
    pub fn count(&self, role: Role) -> u16 {
        let count = match role {
            Role::Gateway => self.gateways.len(),
            Role::Broker => self.brokers.len(),
            Role::Store => self.stores.len(),
            Role::Notifier => usize::from(self.notifiers),
            Role::Auth => 1,
        };
        u16::try_from(count).unwrap_or(u16::MAX)
    }

    /// Where a node listens; `None` for notifiers and for numbers that do not exist.
    pub fn address(&self, role: Role, number: u16) -> Option<&str> {
        let index = usize::from(number).checked_sub(1)?;
        match role {
            Role::Gateway => self.gateways.get(index),
            Role::Broker => self.brokers.get(index),
            Role::Store => self.stores.get(index),
            Role::Notifier => None,
            Role::Auth => (index == 0).then_some(&self.auth),
        }
        .map(String::as_str)
    }

    /// Every node, in the order in which a cluster is started.
    pub fn nodes(&self) -> impl Iterator<Item = (Role, u16)> + '_ {
        Role::ALL.into_iter().flat_map(|role| (1..=self.count(role)).map(move |n| (role, n)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wrong_role_is_answered_with_the_right_ones() {
        assert_eq!("store".parse(), Ok(Role::Store));
        let error = "shop".parse::<Role>().unwrap_err();
        assert!(error.contains("gateway") && error.contains("store"), "{error}");
    }
}
