//! What became of a write whose answer did not come, or was a refusal.
//!
//! A lightweight transaction without an answer may have been carried out, may still be (it is in a socket, or
//! in a server that stands still), or never. A slot can be taken once, and only right behind the one before: so
//! the partition's state, read with SERIAL consistency, tells these apart, and an attempt that comes late finds
//! its slot taken. Never is anything guessed: what cannot be told apart stays unknown.

use ports::message_store::{Lease, Ownership};

/// The state of a partition, of one instant.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct State {
    /// Who owns it.
    pub ownership: Ownership,
    /// Which attempt to claim it was the last that succeeded.
    pub claimer: i64,
    /// The newest slot.
    pub head: i64,
    /// The rows of all slots up to here are in place.
    pub applied: i64,
    /// Which attempt took the newest slot.
    pub writer: i64,
}

/// A slot that was asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Asked {
    /// Its number.
    pub slot: i64,
    /// The attempt.
    pub attempt: i64,
}

/// What the state says of a commit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It has its slot.
    Done(i64),
    /// Nothing of it is written, nor will be: the lease is not the newest.
    Fenced(Ownership),
    /// It has no slot so far; this is the next one.
    Next(i64),
}

/// Whether the state says it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Judged {
    /// It does.
    Verdict(Verdict),
    /// Its slot is taken, and not the newest: look at who took it.
    Look(Asked),
}

/// Judges a commit under a lease; `asked` is the slot that it may have been given already.
pub fn judge(state: &State, lease: Lease, asked: Option<Asked>) -> Judged {
    if let Some(asked) = asked {
        if state.head == asked.slot && state.writer == asked.attempt {
            return Judged::Verdict(Verdict::Done(asked.slot));
        }
        if state.head > asked.slot {
            return Judged::Look(asked);
        }
    }
    Judged::Verdict(judge_anew(state, lease))
}

/// The same of a commit that certainly has no slot.
pub fn judge_anew(state: &State, lease: Lease) -> Verdict {
    if state.ownership.epoch == lease.epoch {
        Verdict::Next(state.head + 1)
    } else {
        Verdict::Fenced(state.ownership)
    }
}

/// What the state says of a claim.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Claimed {
    /// It succeeded.
    Yes,
    /// It did not, nor will it: the ownership is not as the claim has seen it.
    No,
    /// Not so far.
    NotYet,
}

/// Judges an attempt to claim a partition.
pub fn judge_claim(state: &State, seen: Ownership, attempt: i64) -> Claimed {
    if state.ownership == seen {
        Claimed::NotYet
    } else if state.claimer == attempt && state.ownership.epoch == seen.epoch.next() {
        Claimed::Yes
    } else {
        Claimed::No
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use protocol::{Epoch, NodeNumber, Partition};

    const ASKED: Asked = Asked { slot: 5, attempt: 77 };

    fn lease(epoch: u64) -> Lease {
        Lease { partition: Partition(1), epoch: Epoch(epoch) }
    }

    fn state(epoch: u64, head: i64, writer: i64) -> State {
        let ownership = Ownership { owner: NodeNumber(1), epoch: Epoch(epoch), renewals: 0 };
        State { ownership, head, writer, ..State::default() }
    }

    #[test]
    fn a_slot_is_taken_by_one_attempt() {
        let check = |state: State, expected| {
            assert_eq!(judge(&state, lease(3), Some(ASKED)), expected, "{state:?}");
        };
        check(state(3, 5, 77), Judged::Verdict(Verdict::Done(5)));
        // The next owner has begun and has written nothing: it was in time.
        check(state(4, 5, 77), Judged::Verdict(Verdict::Done(5)));
        // It may still come, so the same slot is asked for again.
        check(state(3, 4, 1), Judged::Verdict(Verdict::Next(5)));
        // It cannot come any more.
        check(state(4, 4, 1), Judged::Verdict(Verdict::Fenced(state(4, 4, 1).ownership)));
        check(state(4, 9, 1), Judged::Look(ASKED));
        check(state(3, 9, 77), Judged::Look(ASKED));
        // Another life of this node under the same lease took it.
        check(state(3, 5, 78), Judged::Verdict(Verdict::Next(6)));
    }

    #[test]
    fn a_lease_of_the_future_is_fenced() {
        assert!(matches!(judge_anew(&state(3, 5, 0), lease(7)), Verdict::Fenced(_)));
        let next = Judged::Verdict(Verdict::Next(6));
        assert_eq!(judge(&state(3, 5, 0), lease(3), None), next);
    }

    #[test]
    fn a_claim_is_known_by_its_attempt() {
        let seen = state(3, 5, 0).ownership;
        let after = |epoch, claimer| State { claimer, ..state(epoch, 5, 0) };
        assert_eq!(judge_claim(&after(3, 9), seen, 10), Claimed::NotYet);
        assert_eq!(judge_claim(&after(4, 10), seen, 10), Claimed::Yes);
        assert_eq!(judge_claim(&after(4, 11), seen, 10), Claimed::No);
        let renewed = Ownership { renewals: 1, ..seen };
        assert_eq!(judge_claim(&after(3, 9), renewed, 10), Claimed::No);
    }
}
