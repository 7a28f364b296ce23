//! What goes into a session from the application, and what comes out of it.

use protocol::frames::client::{Delete, Edit, Send};
use protocol::frames::server::{
    Accepted, Attached, Page, Presence, Receipts, Rejected, TypingNotice, Welcome,
};
use protocol::{ClientFrame, ClientMessageId, ConversationId, Entry, Secret, Sequence};

/// What a session is opened with, and goes on with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AccessToken {
    /// An OAuth 2.0 access token.
    pub token: Secret,
    /// In how many milliseconds another one is to be got; `None`: when this one was refused.
    pub renew_in_ms: Option<u64>,
}

/// Something that the user wants sequenced. It stays in the outbox until it is answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Action {
    /// Where.
    pub conversation: ConversationId,
    /// The id that stays the same on every resend; rises within a device.
    pub id: ClientMessageId,
    /// What.
    pub kind: ActionKind,
}

/// The kinds of action.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ActionKind {
    /// A message.
    Send {
        /// Its text.
        body: String,
        /// The message that it answers.
        reply_to: Option<Sequence>,
        /// The body's format; 1 is plain text.
        format: u16,
    },
    /// A new text for an own message.
    Edit {
        /// The message.
        target: Sequence,
        /// The new text.
        body: String,
    },
    /// An own message is withdrawn.
    Delete {
        /// The message.
        target: Sequence,
    },
}

impl Action {
    /// The frame that asks for it.
    pub fn frame(&self) -> ClientFrame {
        let (conversation, client_message_id) = (self.conversation, self.id);
        match &self.kind {
            ActionKind::Send { body, reply_to, format } => ClientFrame::Send(Send {
                conversation,
                client_message_id,
                body: body.clone(),
                reply_to: *reply_to,
                format: *format,
            }),
            ActionKind::Edit { target, body } => ClientFrame::Edit(Edit {
                conversation,
                client_message_id,
                target: *target,
                body: body.clone(),
            }),
            ActionKind::Delete { target } => {
                ClientFrame::Delete(Delete { conversation, client_message_id, target: *target })
            }
        }
    }
}

/// What the session wants done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Output {
    /// Send this on the connection.
    Frame(ClientFrame),
    /// Tell the application.
    Event(Event),
    /// Get another token for this session, and report `renewed` or `renewal_failed`.
    Renew,
    /// Drop the connection; it is not reported back.
    Disconnect,
    /// Connect (to any gateway) after this long and report `connected` or `connect_failed`.
    ConnectAfter {
        /// How long to wait first.
        delay_ms: u64,
        /// The last token was refused: get another one first.
        fresh_token: bool,
    },
}

/// What the application learns.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// The session is welcomed.
    Opened(Welcome),
    /// The session ended: a close code, or 0 for a lost connection. It reconnects on its own unless
    /// it was stopped.
    Closed {
        /// The number.
        code: u16,
    },
    /// No connection came about.
    ConnectFailed,
    /// A connection ended before `welcome`, and not by the own wish: a close code, or 0.
    NotWelcomed {
        /// The number.
        code: u16,
    },
    /// The stream of a conversation begins.
    Attached(Attached),
    /// The stream of a conversation ends.
    Detached(ConversationId),
    /// An action is durable; it left the outbox.
    Accepted(Accepted),
    /// An action was refused. Left the outbox if the reason is final, is sent again otherwise. A final refusal
    /// may be told again, and also of an action that was accepted.
    Rejected(Rejected),
    /// An action was sent again.
    Resent {
        /// Where.
        conversation: ConversationId,
        /// Which one.
        id: ClientMessageId,
    },
    /// An entry is shown. Each sequence once; in order unless the cluster left a gap.
    Shown(Entry),
    /// An entry at or below the cursor arrived: it is not shown (again).
    Dropped(Entry),
    /// Another member's cursors, as they are displayed from now on: they only rise.
    Receipts(Receipts),
    /// Another member types.
    Typing(TypingNotice),
    /// Another member came or went.
    Presence(Presence),
    /// The answer to a `backlog`.
    Page(Page),
    /// The gateway refused a frame; the session goes on.
    Refused(protocol::frames::server::ErrorNotice),
}
