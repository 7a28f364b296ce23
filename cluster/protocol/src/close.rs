//! WebSocket close codes of the cluster (RFC 6455 section 7.4.2 leaves 4000 to 4999 to applications).

/// Why a server closed a session. On a trunk the same number travels in `closed`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum CloseCode {
    /// The client said goodbye.
    Normal,
    /// The message was larger than `limits::MAX_FRAME_BYTES`.
    TooBig,
    /// The frame could not be decoded, or a text frame came on a binary subprotocol.
    Malformed,
    /// No valid `hello` token, or the token ran out or was revoked.
    Unauthenticated,
    /// The first frame was not `hello`, or a second `hello` came.
    OutOfOrder,
    /// No `hello` within `limits::HELLO_TIMEOUT`.
    HelloTimeout,
    /// Nothing was heard within the idle timeout.
    IdleTimeout,
    /// The same device opened another session.
    Replaced,
    /// The session did not read fast enough; reconnect and resume from the cursors.
    SlowConsumer,
    /// Too many frames per second for too long.
    RateLimited,
    /// The gateway is shutting down; reconnect elsewhere.
    Draining,
    /// The gateway holds as many sessions as it may.
    Full,
    /// The gateway cannot reach what it needs.
    Unavailable,
}

impl CloseCode {
    /// Every code, in the order of the documented table.
    pub const ALL: [Self; 13] = [
        Self::Normal,
        Self::TooBig,
        Self::Malformed,
        Self::Unauthenticated,
        Self::OutOfOrder,
        Self::HelloTimeout,
        Self::IdleTimeout,
        Self::Replaced,
        Self::SlowConsumer,
        Self::RateLimited,
        Self::Draining,
        Self::Full,
        Self::Unavailable,
    ];

    /// The number on the wire.
    pub const fn code(self) -> u16 {
        match self {
            Self::Normal => 1000,
            Self::TooBig => 1009,
            Self::Malformed => 4400,
            Self::Unauthenticated => 4401,
            Self::OutOfOrder => 4402,
            Self::HelloTimeout => 4408,
            Self::IdleTimeout => 4409,
            Self::Replaced => 4410,
            Self::SlowConsumer => 4411,
            Self::RateLimited => 4429,
            Self::Draining => 4500,
            Self::Full => 4501,
            Self::Unavailable => 4503,
        }
    }

    /// Whether a close tells a client, or a server, that it has broken the protocol: 1002 (RFC 6455, section 7.4.1)
    /// and what a gateway says of that.
    pub const fn blames(code: u16) -> bool {
        code == 1002
            || code == Self::TooBig.code()
            || code == Self::Malformed.code()
            || code == Self::OutOfOrder.code()
            || code == Self::HelloTimeout.code()
    }

    /// The code of a number on the wire.
    pub fn from_code(code: u16) -> Option<Self> {
        Self::ALL.into_iter().find(|known| known.code() == code)
    }
}
