//! What is counted over a whole run.

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Counts over a whole run.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Totals {
    /// Events of the history.
    pub events: u64,
    /// New messages that were sent.
    pub messages: u64,
    /// Edits that were sent.
    pub edits: u64,
    /// Deletions that were sent.
    pub deletes: u64,
    /// Operations that were sent again.
    pub resent: u64,
    /// Operations that were accepted, each counted once.
    pub accepted: u64,
    /// Further `accepted` for an operation that already was.
    pub accepted_again: u64,
    /// Operations that were refused, by reason.
    pub rejected: BTreeMap<String, u64>,
    /// Operations without an answer at the end of the run.
    pub unanswered: u64,
    /// Entries that were shown on devices other than the sender's.
    pub delivered: u64,
    /// Of these, entries that were intended before the device's first session, or before its user
    /// joined (again): shown, but without a latency, because nobody owed them to it then.
    pub caught_up: u64,
    /// Entries that were shown on the sender's own device.
    pub echoed: u64,
    /// Accepts and deliveries without a latency, because their intended time was not known any more.
    pub untimed: u64,
    /// Latencies above ten minutes, which count as ten minutes in the percentiles.
    pub clipped: u64,
    /// Sessions that were opened.
    pub opened: u64,
    /// Sessions that ended, by close code; 0 is a lost connection.
    pub closed: BTreeMap<u16, u64>,
    /// Connection attempts that failed.
    pub connects_failed: u64,
    /// Most devices connected at once.
    pub connected_max: u64,
    /// Pages of stored entries that were read.
    pub pages_read: u64,
    /// Cursor reports that were sent.
    pub receipts_sent: u64,
    /// Cursor reports of others that were seen.
    pub receipts_seen: u64,
    /// Members who joined or left.
    pub members_changed: u64,
    /// Notifications that the push provider took.
    pub pushed: u64,
    /// Entries in the dead letters at the end.
    pub dead_letters: u64,
    /// What nodes gave up because a bound of theirs was reached, by what it is.
    #[serde(default)]
    pub shed: BTreeMap<String, u64>,
    /// Limits of its own that the load generator met, with how often.
    #[serde(default)]
    pub limits: BTreeMap<String, u64>,
    /// Entries in the store at the end.
    pub stored: u64,
    /// Announcements of a partition's owner.
    pub owners: u64,
    /// Faults that began.
    pub faults: u64,
}

impl Totals {
    /// Operations that were sent, each counted once.
    pub fn sent(&self) -> u64 {
        self.messages + self.edits + self.deletes
    }

    /// Operations that were refused, for whatever reason.
    pub fn rejected_in_all(&self) -> u64 {
        self.rejected.values().sum()
    }
}
