//! Dead letters as messages, and how a table is made of a queue of them.
//!
//! A queue finds nothing by an id, removes nothing from its middle, and takes the same message twice. So
//! whoever lists dead letters reads all of them, at most one reader at a time: it sorts them by their ids,
//! and removes what is there twice.

use ports::broker::{DeadLetter, NewDeadLetter, Origin, Queue};
use protocol::Partition;
use std::collections::BTreeMap;

/// A dead letter on its way into the queue, or out of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dead {
    /// As it is listed.
    pub letter: DeadLetter,
    /// Names the message within its origin.
    pub key: u128,
}

impl Dead {
    /// A new one.
    pub fn new(id: u64, at_ms: u64, new: NewDeadLetter) -> Self {
        let NewDeadLetter { origin, key, reason, attempts, message } = new;
        Self { letter: DeadLetter { id, origin, reason, attempts, at_ms, message }, key }
    }
}

/// The bits of an id below its milliseconds.
const COUNTER_BITS: u32 = 12;

/// Ids that rise: the wall clock in milliseconds, and a counter. They stay below 2^53 until the year 2039,
/// so every JSON reader takes them.
#[derive(Clone, Copy, Debug, Default)]
pub struct Ids {
    last: u64,
}

impl Ids {
    /// The next one. `random` keeps those of several nodes apart: two of them are the same only if both
    /// die in the same millisecond, one time in 4,096.
    pub fn next(&mut self, now_ms: u64, random: u64) -> u64 {
        let fresh = (now_ms << COUNTER_BITS) | (random & ((1 << COUNTER_BITS) - 1));
        self.last = fresh.max(self.last + 1);
        self.last
    }
}

/// A message of the queue, as a reader holds it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Held<Tag> {
    /// Names it on the channel.
    pub tag: Tag,
    /// Whether a reader has seen it before: then somebody may know its id.
    pub seen: bool,
    /// What it holds.
    pub dead: Dead,
}

/// What a reader makes of the queue: dead letters by their ids, and what is there twice.
pub fn table<Tag>(held: Vec<Held<Tag>>) -> (BTreeMap<u64, Held<Tag>>, Vec<Tag>) {
    let mut by_key: BTreeMap<(Origin, u128), Held<Tag>> = BTreeMap::new();
    let mut doubled = Vec::new();
    for one in held {
        let name = (one.dead.letter.origin, one.dead.key);
        let Some(other) = by_key.remove(&name) else {
            by_key.insert(name, one);
            continue;
        };
        // The id that somebody may know stays; otherwise the first one.
        let rank = |held: &Held<Tag>| (!held.seen, held.dead.letter.id);
        let (stays, goes) = if rank(&other) <= rank(&one) { (other, one) } else { (one, other) };
        doubled.push(goes.tag);
        by_key.insert(name, stays);
    }
    (by_key.into_values().map(|held| (held.dead.letter.id, held)).collect(), doubled)
}

/// The origin as text.
pub fn origin_text(origin: Origin) -> String {
    Queue::from(origin).to_string()
}

/// The origin of a text.
pub fn origin_of(text: &str) -> Option<Origin> {
    let (kind, number) = text.rsplit_once('-')?;
    let number = number.parse().ok()?;
    match kind {
        "inbound" => Some(Origin::Inbound(Partition(number))),
        "notify" => Some(Origin::Jobs(number)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Bytes;

    fn held(tag: u32, id: u64, key: u128, seen: bool) -> Held<u32> {
        let origin = Origin::Inbound(Partition(1));
        let new =
            NewDeadLetter { origin, key, reason: "r".into(), attempts: 1, message: Bytes::new() };
        Held { tag, seen, dead: Dead::new(id, 0, new) }
    }

    #[test]
    fn what_is_there_twice_keeps_the_id_that_was_seen_or_else_the_first() {
        for (queue, ids, doubled) in [
            (vec![held(1, 10, 7, false), held(2, 9, 7, false)], vec![9], vec![1]),
            (vec![held(1, 10, 7, true), held(2, 9, 7, false)], vec![10], vec![2]),
            (vec![held(1, 10, 7, false), held(2, 11, 7, true)], vec![11], vec![1]),
            (vec![held(1, 30, 7, false), held(2, 20, 8, false)], vec![20, 30], vec![]),
        ] {
            let (table, twice) = table(queue);
            assert_eq!((table.into_keys().collect::<Vec<_>>(), twice), (ids, doubled));
        }
    }

    #[test]
    fn ids_rise_even_if_the_clock_does_not() {
        let mut ids = Ids::default();
        let drawn =
            [(5, 9), (5, 3), (4, 4_095), (6, u64::MAX)].map(|(now, random)| ids.next(now, random));
        assert_eq!(drawn, [5 * 4_096 + 9, 5 * 4_096 + 10, 5 * 4_096 + 11, 6 * 4_096 + 4_095]);
    }

    #[test]
    fn origins_are_read_back() {
        for origin in [Origin::Inbound(Partition(65_535)), Origin::Jobs(0)] {
            assert_eq!(origin_of(&origin_text(origin)), Some(origin));
        }
        for text in ["", "dead", "inbound", "inbound-", "inbound-65536", "gateway-1"] {
            assert_eq!(origin_of(text), None, "{text}");
        }
    }
}
