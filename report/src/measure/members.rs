//! Since when users are members, as far as that changes while messages flow.
//!
//! Whoever joined before the first message, and stayed, is not kept: memory grows with the changes.

use protocol::{ConversationId, UserId};
use std::collections::BTreeMap;

/// What is known of one user in one conversation.
#[derive(Clone, Copy)]
struct Membership {
    /// When the join was asked for; 0: before the first message.
    since_us: u64,
    /// Whether a departure was asked for since.
    leaves: bool,
}

/// The changes of the run.
#[derive(Default)]
pub(super) struct Members(BTreeMap<(UserId, ConversationId), Membership>);

impl Members {
    /// A join or a departure is asked for. It happens at some moment between this and the answer, so
    /// that the time of a join is too early if anything, and no delay is hidden.
    pub(super) fn asked(&mut self, who: (UserId, ConversationId), add: bool, now: u64) {
        if !add {
            let before_all = Membership { since_us: 0, leaves: true };
            self.0.entry(who).or_insert(before_all).leaves = true;
            return;
        }
        let joined = Membership { since_us: now, leaves: false };
        let known = self.0.entry(who).or_insert(joined);
        // Asked again, because the answer got lost, it is still the first join.
        if known.leaves {
            *known = joined;
        }
    }

    /// Since when a user has been a member without a break, or may have been.
    pub(super) fn since(&self, user: UserId, conversation: ConversationId) -> u64 {
        self.0.get(&(user, conversation)).map_or(0, |membership| membership.since_us)
    }
}
