//! Targets: nodes by name, by what they do at the moment, by chance, or all of a role.

use crate::scenario::{Role, Target};
use protocol::{ConversationId, UserId, nearest};
use settings::value::TextForm;

impl TextForm for Target {
    fn expected() -> String {
        "a target: \"store-1\", \"owner(conversation=3)\", \"broker(conversation=3)\", \"gateway(user=7)\", \"clients(user=7)\", \
         \"any store\" or \"every store\""
            .into()
    }

    fn from_text(text: &str) -> Option<Self> {
        let text = text.trim();
        if let Some(role) = text.strip_prefix("any ") {
            return role_of(role.trim()).map(Self::Any);
        }
        if let Some(role) = text.strip_prefix("every ") {
            return role_of(role.trim()).map(Self::Every);
        }
        if let Some((call, argument)) = text.strip_suffix(')').and_then(|t| t.split_once('(')) {
            let (name, number) = argument.split_once('=')?;
            let number = number.trim().replace('_', "").parse().ok()?;
            return match (call.trim(), name.trim()) {
                ("owner", "conversation") => Some(Self::Owner(ConversationId(number))),
                ("broker", "conversation") => Some(Self::BrokerOf(ConversationId(number))),
                ("gateway", "user") => Some(Self::GatewayOf(UserId(number))),
                ("clients", "user") => Some(Self::ClientOf(UserId(number))),
                _ => None,
            };
        }
        let (role, number) = parts_of(text)?;
        Some(Self::Node(format!("{}-{number}", role.word())))
    }

    fn text(&self) -> String {
        match self {
            Self::Node(name) => name.clone(),
            Self::Owner(conversation) => format!("owner(conversation={conversation})"),
            Self::BrokerOf(conversation) => format!("broker(conversation={conversation})"),
            Self::GatewayOf(user) => format!("gateway(user={user})"),
            Self::ClientOf(user) => format!("clients(user={user})"),
            Self::Any(role) => format!("any {}", role.word()),
            Self::Every(role) => format!("every {}", role.word()),
        }
    }

    fn nearest(text: &str) -> Option<String> {
        let roles = Role::ALL.map(Role::word);
        let mut candidates: Vec<String> = roles
            .iter()
            .flat_map(|role| [format!("any {role}"), format!("every {role}")])
            .collect();
        if let Some((_, number)) = text.rsplit_once('-') {
            candidates.extend(roles.iter().map(|role| format!("{role}-{number}")));
        }
        if let Some((_, number)) = text.rsplit_once('=') {
            candidates.extend(
                ["owner(conversation=", "broker(conversation=", "gateway(user=", "clients(user="]
                    .map(|call| format!("{call}{number}")),
            );
        }
        nearest(text, candidates.iter().map(String::as_str)).map(str::to_owned)
    }
}

impl Target {
    /// The role of the nodes that it may mean.
    pub(crate) fn role(&self) -> Role {
        match self {
            Self::Node(name) => parts_of(name).expect("nodes are named after their role").0,
            Self::Owner(_) => Role::Store,
            Self::BrokerOf(_) => Role::Broker,
            Self::GatewayOf(_) => Role::Gateway,
            Self::ClientOf(_) => Role::Clients,
            Self::Any(role) | Self::Every(role) => *role,
        }
    }
}

/// The role and the number of a node's name.
pub(crate) fn parts_of(name: &str) -> Option<(Role, u16)> {
    let (role, number) = name.rsplit_once('-')?;
    Some((role_of(role)?, number.parse().ok()?))
}

fn role_of(word: &str) -> Option<Role> {
    Role::ALL.into_iter().find(|role| role.word() == word)
}
