//! Which device and conversation an event names.

use super::event::{Device, What};
use super::path::Message;
use protocol::ConversationId;

/// The device and the conversation that an event is about.
pub(crate) type Subject = (Option<Device>, Option<ConversationId>);

impl What {
    /// The message that an event is about, if its sender has named it.
    pub fn message(&self) -> Option<Message> {
        let message = match self {
            What::Sent { device, conversation, message, .. }
            | What::Resent { device, conversation, message, .. }
            | What::Accepted { device, conversation, message, .. }
            | What::Rejected { device, conversation, message, .. }
            | What::Unanswered { device, conversation, message, .. } => {
                (*conversation, device.user, *message)
            }
            What::Shown { entry, .. }
            | What::Received { entry, .. }
            | What::Read { entry, .. }
            | What::Stored { entry } => (entry.conversation, entry.author, entry.message),
            _ => return None,
        };
        (message.2.0 != 0).then_some(message)
    }

    /// The device and the conversation that an event is about.
    pub(crate) const fn subject(&self) -> Subject {
        match self {
            What::Opened { device, .. }
            | What::Closed { device, .. }
            | What::Back { device }
            | What::ConnectFailed { device } => (Some(*device), None),
            What::Attached { device, conversation, .. }
            | What::Detached { device, conversation }
            | What::Sent { device, conversation, .. }
            | What::Resent { device, conversation, .. }
            | What::Accepted { device, conversation, .. }
            | What::Rejected { device, conversation, .. }
            | What::Unanswered { device, conversation, .. }
            | What::ReadBegan { device, conversation, .. }
            | What::ReadEnded { device, conversation, .. }
            | What::ReadFailed { device, conversation, .. }
            | What::ReceiptSent { device, conversation, .. }
            | What::ReceiptSeen { device, conversation, .. } => {
                (Some(*device), Some(*conversation))
            }
            What::Shown { device, entry }
            | What::Received { device, entry }
            | What::Read { device, entry, .. } => (Some(*device), Some(entry.conversation)),
            What::Stored { entry } => (None, Some(entry.conversation)),
            What::MemberAsked { conversation, .. }
            | What::MemberChanged { conversation, .. }
            | What::StoredBegan { conversation }
            | What::StoredAll { conversation, .. }
            | What::StoredCursor { conversation, .. }
            | What::StoredCursorsAll { conversation }
            | What::Pushed { conversation, .. } => (None, Some(*conversation)),
            What::Phase(_)
            | What::Requested { .. }
            | What::Attacked { .. }
            | What::Revoked { .. }
            | What::Granted { .. }
            | What::Requeued { .. }
            | What::DeadLetter { .. }
            | What::InFlight { .. }
            | What::Gauge { .. }
            | What::Owner { .. }
            | What::FaultBegan { .. }
            | What::FaultEnded { .. }
            | What::NodeStarted { .. }
            | What::NodePanicked { .. }
            | What::NodeEnded { .. }
            | What::Usage(_)
            | What::Shed { .. }
            | What::GeneratorLimited { .. }
            | What::Stopped { .. } => (None, None),
        }
    }

    /// Whether it is told after a run was stopped: facts of the run, and which outcomes stay open.
    pub const fn follows_a_stop(&self) -> bool {
        matches!(
            self,
            What::Phase(_)
                | What::FaultEnded { .. }
                | What::NodeStarted { .. }
                | What::NodePanicked { .. }
                | What::NodeEnded { .. }
                | What::Shed { .. }
                | What::Usage(_)
                | What::GeneratorLimited { .. }
                | What::Unanswered { .. }
        )
    }

    /// The device that an event is about.
    pub const fn device(&self) -> Option<Device> {
        self.subject().0
    }
}
