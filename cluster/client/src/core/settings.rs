//! The numbers that all sessions of an application share.

use protocol::design::{Receipts, ReconnectJitter, Unauthorised};
use protocol::limits;

/// How a session behaves. Shared by reference: a million sessions keep one copy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Whether reconnects are spread; `Off` is row 16 of the design choices.
    pub jitter: ReconnectJitter,
    /// Whether members' cursors only rise on the display; `Overwrite` is row 20.
    pub receipts: Receipts,
    /// What becomes of what was refused for its token; `Dropped` is row 30.
    pub unauthorised: Unauthorised,
    /// The first reconnect comes within this time; each failure doubles it.
    pub backoff_ms_base: u64,
    /// The longest wait before a reconnect.
    pub backoff_ms_max: u64,
    /// Most unanswered actions of one conversation on the wire.
    pub window: u16,
    /// How long the first answer of a conversation may take before its actions are sent again.
    pub answer_timeout_ms: u64,
    /// Most unanswered actions of one session, on the wire or not.
    pub outbox_max: u32,
    /// How long a gateway may take to answer `hello`.
    pub welcome_timeout_ms: u64,
    /// Whether `presence` and `typing` frames are wanted.
    pub presence: bool,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            jitter: ReconnectJitter::On,
            receipts: Receipts::Maximum,
            unauthorised: Unauthorised::Resent,
            backoff_ms_base: 250,
            // Long enough to spread a full house, short enough to be back soon after a heal.
            backoff_ms_max: 5_000,
            // A burst of one user in one conversation fits without waiting for a round trip.
            window: 8,
            // The nodes behind a gateway give each other this long; an answer that takes longer was
            // lost on its way, and asking again is what brings it.
            answer_timeout_ms: limits::CALL_TIMEOUT.as_millis() as u64,
            outbox_max: 10_000,
            welcome_timeout_ms: limits::HELLO_TIMEOUT.as_millis() as u64,
            presence: true,
        }
    }
}
