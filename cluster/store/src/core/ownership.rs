//! Whether this node owns a partition, wants to, or leaves it to others.
//!
//! The engine keeps a record of each partition's ownership, and its owner renews it. A standby takes a
//! partition over only after it has itself seen the record unchanged for so long: only this node's own
//! time is measured, and no clocks are compared (the leader election of Kubernetes' client-go does the
//! same). The claim names the record that it is based upon, so of several standbys one succeeds.
//!
//! Nobody takes a partition from an owner that renews: an owner that was fenced is a standby like any
//! other. So two live nodes do not acquire above each other in turns.

#[cfg(test)]
mod tests;

use ports::message_store::{Claim, Fenced, Lease, Ownership};
use protocol::{Epoch, NodeNumber, Partition};

/// How often an owner renews its leases and a standby looks at them, milliseconds.
pub const RENEW_MS: u64 = 500;
/// For how long the standby that comes first must see no renewal, milliseconds.
pub const SILENCE_MS: u64 = 4 * RENEW_MS;
/// Between two looks, milliseconds. What is longer says no more than a look does: an engine was slow, perhaps for the
/// owner as well, or the node was asleep.
const LOOKS_APART_MS: u64 = 2 * RENEW_MS;
/// How much longer each further standby waits, milliseconds: two looks, so that the one before it is
/// seen.
pub const RANK_MS: u64 = 2 * RENEW_MS;

/// The time that a node has watched, which is what silence is measured in. With an engine that takes its time for each
/// look, as many looks without a renewal are silence as at the usual pace.
#[derive(Clone, Copy, Debug, Default)]
pub struct Watch {
    looked_ms: u64,
    watched_ms: u64,
}

impl Watch {
    /// A look, at a time; the time that was watched.
    pub fn look(&mut self, now_ms: u64) -> u64 {
        let gap_ms = now_ms.saturating_sub(std::mem::replace(&mut self.looked_ms, now_ms));
        self.watched_ms += if gap_ms > LOOKS_APART_MS { RENEW_MS } else { gap_ms };
        self.watched_ms
    }

    /// The same at the last look.
    pub const fn watched_ms(&self) -> u64 {
        self.watched_ms
    }
}

/// A node's part in one partition. All times are those of a [`Watch`].
#[derive(Clone, Debug)]
pub struct Candidate {
    partition: Partition,
    node: NodeNumber,
    /// How many are preferred to it.
    rank: u16,
    state: State,
}

#[derive(Clone, Copy, Debug)]
enum State {
    Owner(Epoch),
    /// What was seen last, and since when (this node's time).
    Standby(Option<(Ownership, u64)>),
}

/// What to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decision {
    /// Look again later.
    Wait,
    /// Say that the owner lives.
    Renew(Lease),
    /// Try to become the owner.
    Claim(Claim),
    /// Somebody else is the owner.
    StepDown(Fenced),
}

impl Candidate {
    /// A standby that has not seen anything yet.
    pub fn new(partition: Partition, node: NodeNumber, rank: u16) -> Self {
        Self { partition, node, rank, state: State::Standby(None) }
    }

    /// The record as the engine has it.
    pub fn observe(&mut self, now_ms: u64, current: Ownership) -> Decision {
        let partition = self.partition;
        let since_ms = match self.state {
            State::Owner(epoch) if epoch == current.epoch => {
                return Decision::Renew(Lease { partition, epoch });
            }
            State::Owner(_) => {
                self.state = State::Standby(Some((current, now_ms)));
                return Decision::StepDown(Fenced { partition, current });
            }
            State::Standby(Some((seen, since_ms))) if seen == current => since_ms,
            State::Standby(_) => {
                self.state = State::Standby(Some((current, now_ms)));
                now_ms
            }
        };
        // An earlier life of this node, or nobody, is waited for by nobody.
        let is_free =
            current.owner == self.node || (current.owner == NodeNumber(0) && self.rank == 0);
        let patience_ms = SILENCE_MS + u64::from(self.rank) * RANK_MS;
        if !is_free && now_ms.saturating_sub(since_ms) < patience_ms {
            return Decision::Wait;
        }
        Decision::Claim(Claim { partition, owner: self.node, seen: current })
    }

    /// A look came to nothing: the engine was out of reach, perhaps for the owner as well. What a standby saw before
    /// says nothing of the time between.
    pub fn interrupted(&mut self) {
        if let State::Standby(seen) = &mut self.state {
            *seen = None;
        }
    }

    /// A claim has succeeded.
    pub fn acquired(&mut self, epoch: Epoch) {
        self.state = State::Owner(epoch);
    }

    /// A commit or a read under this node's lease was refused.
    pub fn fenced(&mut self, now_ms: u64, current: Ownership) {
        if matches!(self.state, State::Owner(own) if own != current.epoch) {
            self.state = State::Standby(Some((current, now_ms)));
        }
    }
}
