//! Newtypes for everything that is counted or named, so that no two can be mistaken for each other.
//!
//! All of them travel as plain unsigned numbers. In JSON a number stays exact up to 2^53 - 1
//! (ECMAScript's `Number.MAX_SAFE_INTEGER`), so ids that clients choose are limited to that.

use serde::{Deserialize, Serialize};
use std::fmt;

/// The largest id that a client may choose: exact in every JSON implementation.
pub const MAX_CLIENT_CHOSEN_ID: u64 = (1 << 53) - 1;

macro_rules! number {
    ($(#[$doc:meta])* $name:ident($inner:ty)) => {
        $(#[$doc])*
        #[derive(
            Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
        )]
        #[serde(transparent)]
        pub struct $name(pub $inner);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(&self.0, f)
            }
        }
    };
}

number!(
    /// A person or service account.
    UserId(u64)
);
number!(
    /// One device of a user; unique per user.
    DeviceId(u32)
);
number!(
    /// A direct or group conversation.
    ConversationId(u64)
);
number!(
    /// A position in a conversation: gapless, from 1. Zero means "before the first".
    Sequence(u64)
);
number!(
    /// The id that a client gives to a message; unique per user for ever, so that a resend is recognised.
    ClientMessageId(u64)
);
number!(
    /// A slice of the conversations.
    Partition(u16)
);
number!(
    /// The fencing number of a partition's owner: rises with every acquisition.
    Epoch(u64)
);
number!(
    /// The number of a gateway in the topology, from 1.
    GatewayId(u16)
);
number!(
    /// One life of a gateway process.
    Incarnation(u64)
);
number!(
    /// The number of a node within its role, from 1: store-2 is 2.
    NodeNumber(u16)
);
number!(
    /// One session on one gateway incarnation.
    SessionId(u64)
);

impl Sequence {
    /// Before the first entry.
    pub const START: Self = Self(0);

    /// The sequence that must follow this one. Nothing follows the largest, which clients may ask for.
    #[must_use]
    pub const fn next(self) -> Self {
        Self(self.0.saturating_add(1))
    }

    /// The sequence before this one; before the first entry there is nothing.
    #[must_use]
    pub const fn before(self) -> Self {
        Self(self.0.saturating_sub(1))
    }
}

impl Epoch {
    /// The epoch of the next owner.
    #[must_use]
    pub const fn next(self) -> Self {
        Self(self.0 + 1)
    }
}
