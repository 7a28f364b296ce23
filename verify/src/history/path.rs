//! The way of single messages through the nodes of a simulated run. It is no part of a history: a run is made
//! again for it, and its seed decides that it is the same.

use protocol::trace::Step;
use protocol::{ClientMessageId, ConversationId, UserId};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::sync::Arc;

/// A message, as its sender names it.
pub type Message = (ConversationId, UserId, ClientMessageId);

/// A step of a message's way.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PathStep {
    /// Which message.
    pub message: Message,
    /// The node that takes it.
    pub node: Arc<str>,
    /// Which step.
    pub step: Step,
    /// When it began, microseconds since the run began.
    pub from_us: u64,
    /// When it ended; `None`: it has begun, and what came of it is another step or nothing.
    pub to_us: Option<u64>,
    /// Why it failed, if it did.
    pub failure: Option<String>,
    /// Numbers that say more.
    pub about: BTreeMap<String, u64>,
}

impl PathStep {
    /// A number that says more.
    pub fn number(&self, name: &str) -> Option<u64> {
        self.about.get(name).copied()
    }
}
