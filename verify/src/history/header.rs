//! The first line of a history.

use protocol::CloseCode;
use serde::{Deserialize, Serialize};
use std::fmt;

/// The format of `history.jsonl`; readers refuse a newer one.
pub const FORMAT: u32 = 3;

/// The first line of a history: what the judge needs to know beforehand.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Header {
    /// `FORMAT`.
    pub format: u32,
    /// The scenario's name.
    pub scenario: String,
    /// The seed.
    pub seed: u64,
    /// Where it ran.
    pub engine: Engine,
    /// Users are 1 to this.
    pub users: u32,
    /// Devices of each user are 1 to this.
    pub devices_per_user: u32,
    /// Conversations are 1 to this.
    pub conversations: u32,
    /// Partitions of the cluster.
    pub partitions: u16,
    /// Users 1 to this read slowly because the scenario wants it: what they wait for they delay
    /// themselves. Left out of the line if there are none.
    #[serde(default, skip_serializing_if = "is_none")]
    pub slow_users: u32,
    /// Some sessions end with their tokens, as the scenario wants it. Left out of the line if none do.
    #[serde(default, skip_serializing_if = "is_false")]
    pub tokens_run_out: bool,
    /// How long a gateway waits for a silent client, `idle_timeout_ms` of the protocol. Not there: 12.5 s.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub idle_us: Option<u64>,
    /// Of the last so many users no device ever connects. Not there: the history does not say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub offline_users: Option<u32>,
    /// Newest entries of each conversation that retention keeps. Not there: it keeps all of them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retention: Option<u64>,
    /// Strangers attack the cluster, as the scenario wants it. Left out of the line if they do not.
    #[serde(default, skip_serializing_if = "is_false")]
    pub hostile: bool,
    /// Claims about what this run could not see: they are not judged.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub unseen: Vec<String>,
    /// Whose history it is, if several generators made the run and this is what one of them saw.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub agent: Option<Agent>,
    /// Deadlines that the judge applies.
    pub deadlines: Deadlines,
}

/// How long a gateway waits for a silent client by default, microseconds.
const IDLE_US: u64 = 12_500_000;

/// The device stands above this bit of a message's id, in the histories of this project.
const DEVICE_SHIFT: u32 = 40;

impl Header {
    /// Whether the scenario wants a session to end with this code: its own goodbye, or the end of its token.
    pub fn is_wanted(&self, code: u16) -> bool {
        match CloseCode::from_code(code) {
            Some(CloseCode::Normal) => true,
            Some(CloseCode::Unauthenticated) => self.tokens_run_out,
            _ => false,
        }
    }

    /// How long the position of a message that was refused for now is held, microseconds (docs/protocol.md,
    /// "What a client must do", 3).
    pub fn held_back_us(&self) -> u64 {
        2 * self.idle_us.map_or(IDLE_US, |idle| idle.max(IDLE_US))
    }

    /// A message by its author and id, for people: "4/2 #18" is the 18th of user 4's device 2.
    pub fn message_name(&self, user: u64, id: u64) -> String {
        let (device, count) = (id >> DEVICE_SHIFT, id & ((1 << DEVICE_SHIFT) - 1));
        if (1..=u64::from(self.devices_per_user)).contains(&device) {
            format!("{user}/{device} #{count}")
        } else {
            format!("user {user}'s #{id}")
        }
    }
}

/// Whether there are none; by reference, as serde wants it.
#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde gives a reference")]
const fn is_none(count: &u32) -> bool {
    *count == 0
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde gives a reference")]
const fn is_false(flag: &bool) -> bool {
    !*flag
}

/// One of several generators.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Agent {
    /// From 0: the lead, which saw everything but other agents' users.
    pub number: u32,
    /// So many there are.
    pub of: u32,
}

impl fmt::Display for Agent {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "agent {} of {}", self.number, self.of)
    }
}

/// Deadlines of the liveness invariants, in microseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Deadlines {
    /// `delivered_after_heal`: from max(accepted, healed) to shown.
    pub delivered_us: u64,
    /// `no_stuck_session`: the longest time without progress or an error while something is due.
    pub stuck_us: u64,
    /// `recovers_to_baseline`: from the heal on.
    pub recovered_us: u64,
    /// How long after a revocation a token may still be honoured.
    pub revocation_us: u64,
    /// `away_member_is_pushed`: from max(accepted, healed) to the push. Not there: `stuck_us`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pushed_us: Option<u64>,
}

/// Where a run took place.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Engine {
    /// In the simulator: times are simulated.
    Simulated,
    /// On real sockets.
    Real,
}
