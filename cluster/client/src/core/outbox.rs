//! Every unanswered action of a session: one outbox per conversation.

use super::Settings;
use super::conversation_outbox::ConversationOutbox;
use super::output::{Action, Output};
use protocol::{ClientMessageId, ConversationId};

/// The outbox holds as many unanswered actions as it may.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the outbox is full")]
pub struct OutboxFull;

/// Empty ones are dropped, so an idle session pays for an empty `Vec` only.
#[derive(Debug, Default)]
pub struct Outbox {
    conversations: Vec<ConversationOutbox>,
    actions: u32,
}

impl Outbox {
    pub fn push(&mut self, action: Action, settings: &Settings) -> Result<(), OutboxFull> {
        if self.actions >= settings.outbox_max {
            return Err(OutboxFull);
        }
        self.actions += 1;
        let conversation = action.conversation;
        let at = self.conversations.iter().position(|outbox| outbox.conversation == conversation);
        let at = at.unwrap_or_else(|| {
            self.conversations.push(ConversationOutbox::new(conversation, settings));
            self.conversations.len() - 1
        });
        self.conversations[at].push(action);
        Ok(())
    }

    /// Sends what may be sent now.
    pub fn fill(&mut self, now_ms: u64, settings: &Settings, out: &mut Vec<Output>) {
        for outbox in &mut self.conversations {
            outbox.fill(now_ms, settings, out);
        }
    }

    /// An action was accepted or finally rejected; whether it was waiting for that.
    pub fn decided(
        &mut self,
        conversation: ConversationId,
        id: ClientMessageId,
        now_ms: u64,
        settings: &Settings,
    ) -> bool {
        let Some(at) =
            self.conversations.iter().position(|outbox| outbox.conversation == conversation)
        else {
            return false;
        };
        let known = self.conversations[at].decided(id, now_ms, settings);
        self.actions -= u32::from(known);
        if self.conversations[at].is_empty() {
            self.conversations.swap_remove(at);
        }
        known
    }

    /// An action was refused for now; whether it was waiting for an answer.
    pub fn hold(&mut self, conversation: ConversationId, id: ClientMessageId, until: u64) -> bool {
        self.conversations
            .iter_mut()
            .find(|outbox| outbox.conversation == conversation)
            .is_some_and(|outbox| outbox.hold(id, until))
    }

    pub fn disconnected(&mut self) {
        self.conversations.iter_mut().for_each(ConversationOutbox::disconnected);
    }

    pub fn give_up_waiting(&mut self, now_ms: u64) {
        self.conversations.iter_mut().for_each(|outbox| outbox.give_up_waiting(now_ms));
    }

    /// When a conversation wants to be looked at, while the session is open.
    pub fn due_ms(&self) -> Option<u64> {
        self.conversations.iter().map(ConversationOutbox::due_ms).min()
    }

    pub fn unanswered(&self) -> impl Iterator<Item = (ConversationId, ClientMessageId)> {
        self.conversations
            .iter()
            .flat_map(|outbox| outbox.ids().map(|id| (outbox.conversation, id)))
    }
}
