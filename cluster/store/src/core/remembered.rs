//! De-duplication keys in memory: the bad design choice `deduplication = memory`.

use ports::message_store::DecisionRow;
use protocol::{ClientMessageId, UserId};
use std::collections::{BTreeMap, VecDeque};

/// Keys that are remembered; the oldest is forgotten first.
const CAPACITY: usize = 100_000;

/// The newest keys of this life of the owner.
#[derive(Debug, Default)]
pub struct Remembered {
    rows: BTreeMap<(UserId, ClientMessageId), DecisionRow>,
    order: VecDeque<(UserId, ClientMessageId)>,
}

impl Remembered {
    /// What was stored under a key.
    pub fn get(&self, author: UserId, message: ClientMessageId) -> Option<DecisionRow> {
        self.rows.get(&(author, message)).copied()
    }

    /// A key was stored.
    pub fn insert(&mut self, author: UserId, message: ClientMessageId, row: DecisionRow) {
        if self.rows.insert((author, message), row).is_none() {
            self.order.push_back((author, message));
        }
        if self.order.len() > CAPACITY
            && let Some(oldest) = self.order.pop_front()
        {
            self.rows.remove(&oldest);
        }
    }
}
