//! What the hub will look at again later.

use protocol::{ConversationId, SessionId, UserId};
use std::collections::BTreeSet;

/// Before a failed call is made again, milliseconds.
pub const RETRY_MS: u64 = 500;

/// Something to look at again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Timer {
    /// Ask for a page of this session's backlog.
    Page(SessionId, ConversationId),
    /// Attach this session's conversation.
    Attach(SessionId, ConversationId),
    /// Attach a conversation again for a user whose sessions are attached here.
    Refresh(ConversationId, UserId),
    /// See whether a conversation's stream still lacks entries that are known to exist.
    Repair(ConversationId),
    /// Look up the conversations of this session's user.
    Lookup(SessionId),
    /// Publish again what was not confirmed, or not answered.
    Publish(SessionId),
    /// Ask again for a page that a client asked for.
    Backlog(SessionId, u64),
    /// The rate of a user without sessions can be forgotten.
    Forget(UserId),
    /// End a session that was told to reconnect.
    Drained(SessionId),
}

/// Timers by due time. The same timer can be set for several times.
#[derive(Debug, Default)]
pub struct Timers {
    due: BTreeSet<(u64, Timer)>,
}

impl Timers {
    /// Sets a timer.
    pub fn set(&mut self, at_ms: u64, timer: Timer) {
        self.due.insert((at_ms, timer));
    }

    /// How many are set.
    pub fn len(&self) -> usize {
        self.due.len()
    }

    /// Takes the next one that is due.
    pub fn pop(&mut self, now_ms: u64) -> Option<Timer> {
        let &(at_ms, _) = self.due.first()?;
        if at_ms > now_ms {
            return None;
        }
        self.due.pop_first().map(|(_, timer)| timer)
    }
}
