//! One session and one user, as the hub knows them.

use super::calls::Pending;
use super::limits::TokenBucket;
use super::mailbox::Mailbox;
use ports::Claims;
use protocol::codec::Codec;
use protocol::frames::client::Cursor;
use protocol::store_calls::UserConversation;
use protocol::{ClientMessageId, ConversationId, DeviceId, Sequence, SessionId, UserId};
use std::collections::VecDeque;
use std::sync::Arc;

/// One device's connection.
#[derive(Debug)]
pub struct Session {
    /// How its frames are written.
    pub codec: Codec,
    /// Where they wait.
    pub mailbox: Arc<Mailbox>,
    /// Whether the connection keeps itself alive for all its sessions (a trunk).
    pub on_trunk: bool,
    /// How far the greeting has got.
    pub state: State,
    /// When it was opened.
    pub opened_ms: u64,
    /// When something was heard of it.
    pub heard_ms: u64,
    /// When it was pinged.
    pub pinged_ms: u64,
    /// All its frames.
    pub frames: TokenBucket,
    /// Refused frames in a row.
    pub strikes: u32,
    /// Whose it is; meaningless before hello.
    pub user: UserId,
    /// Which device; meaningless before hello.
    pub device: DeviceId,
    /// Whether it wants presence and typing.
    pub presence: bool,
    /// What its token says.
    pub claims: Option<Box<Claims>>,
    /// Conversations in whose streams it has a place.
    pub conversations: Vec<ConversationId>,
    /// Where streams of this session ended because the user left: a stream that begins again does not
    /// go back behind that, however old the news of the joining is.
    pub left: Vec<(ConversationId, Sequence)>,
    /// Only while the user's conversations are looked up.
    pub greeting: Option<Box<Greeting>>,
    /// Pages of backlog under way for it.
    pub pages: u8,
    /// Pages under way that it asked for itself.
    pub requests: u8,
    /// Publications that were not answered yet, oldest first.
    pub pending: Vec<Pending>,
    /// Messages that were answered last, the newest at the end.
    pub answered: VecDeque<ClientMessageId>,
    /// When the last one was.
    pub answered_ms: u64,
    /// Conversations in which a message was refused for now: later ones must not overtake it.
    pub held_back: Vec<HeldBack>,
}

/// How far a session has got.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// Hello is awaited.
    Greeting,
    /// The user's conversations are looked up.
    Lookup,
    /// Welcome was said.
    Open,
}

/// What must be remembered between hello and welcome.
#[derive(Debug, Default)]
pub struct Greeting {
    /// Cursors of the hello, sorted by conversation.
    pub cursors: Vec<Cursor>,
    /// Conversations that the user joined meanwhile.
    pub joins: Vec<UserConversation>,
    /// When hello was said.
    pub since_ms: u64,
}

/// A message that was refused for now.
#[derive(Clone, Copy, Debug)]
pub struct HeldBack {
    /// The conversation.
    pub conversation: ConversationId,
    /// The message that must come again first.
    pub message: ClientMessageId,
    /// Until when the others wait for it.
    pub until_ms: u64,
}

impl Session {
    /// A session that has said nothing yet.
    pub fn new(codec: Codec, mailbox: Arc<Mailbox>, on_trunk: bool, now_ms: u64) -> Self {
        Self {
            codec,
            mailbox,
            on_trunk,
            state: State::Greeting,
            opened_ms: now_ms,
            heard_ms: now_ms,
            pinged_ms: now_ms,
            frames: TokenBucket::full(now_ms),
            strikes: 0,
            user: UserId(0),
            device: DeviceId(0),
            presence: false,
            claims: None,
            conversations: Vec::new(),
            left: Vec::new(),
            greeting: None,
            pages: 0,
            requests: 0,
            pending: Vec::new(),
            answered: VecDeque::new(),
            answered_ms: 0,
            held_back: Vec::new(),
        }
    }
}

/// A conversation and what has certainly arrived at a session that is gone.
pub type Lingering = (ConversationId, Option<Sequence>);

/// A user with sessions here (or who had some a moment ago).
#[derive(Debug)]
pub struct User {
    /// The sessions.
    pub sessions: Vec<SessionId>,
    /// Sends, edits and deletions.
    pub sends: TokenBucket,
    /// Conversations that may still be attached for sessions that are gone, with what arrived there:
    /// detached when the last session goes, so that a device that reconnects does not look offline in
    /// between.
    pub lingering: Vec<Lingering>,
}
