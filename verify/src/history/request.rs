//! What the users of the REST interface ask for.

use serde::{Deserialize, Serialize};

/// A request of a user of the REST interface.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Request {
    /// One page of the stored entries of a conversation.
    PageBacklog,
    /// A new conversation.
    CreateConversation,
    /// A member more, or again.
    AddMember,
    /// A member less.
    RemoveMember,
    /// An access token for a password.
    SignIn,
}

impl Request {
    /// For people.
    pub const fn words(self) -> &'static str {
        match self {
            Self::PageBacklog => "page of backlog",
            Self::CreateConversation => "create conversation",
            Self::AddMember => "add member",
            Self::RemoveMember => "remove member",
            Self::SignIn => "sign in",
        }
    }
}
