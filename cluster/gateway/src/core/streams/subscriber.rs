//! A session in a conversation's stream: where it is, and what it waits for.

use protocol::{Sequence, SessionId, UserId};

/// A session in a stream.
#[derive(Clone, Copy, Debug)]
pub struct Subscriber {
    /// The session.
    pub session: SessionId,
    /// Whose it is.
    pub user: UserId,
    /// The highest sequence that it has (or may not see); see `stream`.
    pub at: Sequence,
    /// What has certainly arrived, in earlier sessions of the device too: it reported it, or answered a
    /// ping that was sent later. The rest may have been written to a connection that was dead already.
    /// `None`: the stream has not begun, and the device has no cursor.
    pub arrived: Option<Sequence>,
    /// `at` when the session was pinged.
    pub pinged: Option<Sequence>,
    /// The user left at this sequence: it and what follows is not for this session.
    pub left: Option<Sequence>,
    /// What it waits for.
    pub phase: Phase,
    /// The session knows that it is attached, and where. Not so while it is open whether the user was
    /// a member all the time since its cursor: the pages of its backlog will tell.
    pub told: bool,
    /// Whether a page is under way.
    pub reading: Reading,
    /// The number of the call that attached it.
    pub attached_by: u64,
    /// Whether the owner says that the user is no longer a member, while the `Leave` is still to come.
    pub expelled: Expelled,
}

/// How far a subscriber's next page is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reading {
    /// None is asked for.
    Not,
    /// The owner was asked.
    UnderWay,
    /// It had none to give; it is asked again when a timer fires, and not before: an owner that is away
    /// says so at once.
    Later,
}

/// Whether a member is one no longer, as far as its `Leave` is still to come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expelled {
    /// Not that the owner has said so.
    No,
    /// The owner has said so. A page that was under way by then may end before the `Leave`, and before
    /// messages that are still for the user.
    Said,
    /// And a page was asked for since, which holds all that was stored by then.
    Asked,
}

/// Where the stream of a session is to begin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Behind {
    /// Behind what the device has shown, in this session or an earlier one. `None`: it has no cursor, and the owner
    /// knows how far the user's devices have got.
    Cursor(Option<Sequence>),
    /// Before a joining, of which the news may be old: an earlier session of the device may have shown what followed,
    /// and been told that the user had left.
    Joining(Sequence),
}

impl Behind {
    /// The sequence.
    pub const fn sequence(self) -> Option<Sequence> {
        match self {
            Self::Cursor(at) => at,
            Self::Joining(at) => Some(at),
        }
    }
}

/// What a subscriber waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// For the owner's answer to an attachment. `again`: the user joined behind this sequence meanwhile.
    Attaching { behind: Behind, again: Option<Sequence> },
    /// Design choice `backlog_first`: reads without being subscribed.
    BacklogFirst,
    /// Design choice `backlog_first`: subscribes, believing that nothing was missed.
    SubscribingLate,
    /// Nothing but entries.
    Streaming,
}

impl Subscriber {
    /// Nothing has come yet.
    pub const fn new(session: SessionId, user: UserId, phase: Phase) -> Self {
        let arrived = match phase {
            Phase::Attaching { behind, .. } => behind.sequence(),
            Phase::BacklogFirst | Phase::SubscribingLate | Phase::Streaming => None,
        };
        Self {
            session,
            user,
            at: Sequence::START,
            arrived,
            pinged: None,
            left: None,
            phase,
            told: false,
            reading: Reading::Not,
            attached_by: 0,
            expelled: Expelled::No,
        }
    }

    /// Whether it hears of the others. One that was not told that it is attached may have been told that
    /// it is detached.
    #[inline]
    pub fn listens(&self) -> bool {
        self.told && self.phase == Phase::Streaming
    }

    /// Whether it gets the entry behind `live` as it comes.
    #[inline]
    pub fn is_live(&self, live: Option<Sequence>) -> bool {
        self.listens() && Some(self.at) == live
    }
}
