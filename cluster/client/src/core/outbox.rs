//! Every unanswered action of a session: one lane per conversation.

use super::Settings;
use super::lane::Lane;
use super::output::{Action, Output};
use protocol::{ClientMessageId, ConversationId};

/// The outbox holds as many unanswered actions as it may.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the outbox is full")]
pub struct OutboxFull;

/// Empty lanes are dropped, so an idle session pays for an empty `Vec` only.
#[derive(Debug, Default)]
pub struct Outbox {
    lanes: Vec<Lane>,
    actions: u32,
}

impl Outbox {
    pub fn push(&mut self, action: Action, settings: &Settings) -> Result<(), OutboxFull> {
        if self.actions >= settings.outbox_max {
            return Err(OutboxFull);
        }
        self.actions += 1;
        let conversation = action.conversation;
        let at = self.lanes.iter().position(|lane| lane.conversation == conversation);
        let at = at.unwrap_or_else(|| {
            self.lanes.push(Lane::new(conversation, settings));
            self.lanes.len() - 1
        });
        self.lanes[at].push(action);
        Ok(())
    }

    /// Sends what may be sent now.
    pub fn fill(&mut self, now_ms: u64, settings: &Settings, out: &mut Vec<Output>) {
        for lane in &mut self.lanes {
            lane.fill(now_ms, settings, out);
        }
    }

    /// An action was accepted or finally rejected; whether it was waiting for that.
    pub fn settle(
        &mut self,
        conversation: ConversationId,
        id: ClientMessageId,
        now_ms: u64,
        settings: &Settings,
    ) -> bool {
        let Some(at) = self.lanes.iter().position(|lane| lane.conversation == conversation) else {
            return false;
        };
        let known = self.lanes[at].settle(id, now_ms, settings);
        self.actions -= u32::from(known);
        if self.lanes[at].is_empty() {
            self.lanes.swap_remove(at);
        }
        known
    }

    /// An action was refused for now; whether it was waiting for an answer.
    pub fn hold(&mut self, conversation: ConversationId, id: ClientMessageId, until: u64) -> bool {
        self.lanes
            .iter_mut()
            .find(|lane| lane.conversation == conversation)
            .is_some_and(|lane| lane.hold(id, until))
    }

    pub fn disconnected(&mut self) {
        self.lanes.iter_mut().for_each(Lane::disconnected);
    }

    pub fn give_up_waiting(&mut self, now_ms: u64) {
        self.lanes.iter_mut().for_each(|lane| lane.give_up_waiting(now_ms));
    }

    /// When a lane wants to be looked at, while the session is open.
    pub fn due_ms(&self) -> Option<u64> {
        self.lanes.iter().map(Lane::due_ms).min()
    }

    pub const fn len(&self) -> u32 {
        self.actions
    }

    pub fn unanswered(&self) -> impl Iterator<Item = (ConversationId, ClientMessageId)> {
        self.lanes.iter().flat_map(|lane| lane.ids().map(|id| (lane.conversation, id)))
    }
}
