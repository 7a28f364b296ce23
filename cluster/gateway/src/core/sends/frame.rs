//! What a send, edit or deletion asks for, as far as a gateway looks at it.

use crate::core::sender::Key;
use protocol::ids::MAX_CLIENT_CHOSEN_ID;
use protocol::records::Action;
use protocol::{ClientFrame, ClientMessageId, RejectReason, limits};

/// The conversation and id of a frame that has them.
pub fn named(frame: &ClientFrame) -> Option<Key> {
    match frame {
        ClientFrame::Send(send) => Some((send.conversation, send.client_message_id)),
        ClientFrame::Edit(edit) => Some((edit.conversation, edit.client_message_id)),
        ClientFrame::Delete(delete) => Some((delete.conversation, delete.client_message_id)),
        _ => None,
    }
}

/// Why a frame can never be accepted, as far as a gateway can tell.
pub fn flaw(frame: &ClientFrame) -> Option<RejectReason> {
    let (_, ClientMessageId(id)) = named(frame)?;
    if id == 0 || id > MAX_CLIENT_CHOSEN_ID {
        return Some(RejectReason::BadMessageId);
    }
    let body = match frame {
        ClientFrame::Send(send) => &send.body,
        ClientFrame::Edit(edit) => &edit.body,
        _ => return None,
    };
    (body.is_empty() || body.len() > limits::MAX_BODY_BYTES).then_some(RejectReason::BodySize)
}

/// What the owner is asked to do.
pub fn action(frame: ClientFrame) -> Option<Action> {
    match frame {
        ClientFrame::Send(send) => {
            Some(Action::Send { body: send.body, reply_to: send.reply_to, format: send.format })
        }
        ClientFrame::Edit(edit) => Some(Action::Edit { target: edit.target, body: edit.body }),
        ClientFrame::Delete(delete) => Some(Action::Delete { target: delete.target }),
        _ => None,
    }
}
