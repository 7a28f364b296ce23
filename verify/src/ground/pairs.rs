//! Slots for (user, conversation) and (device, conversation), given out when first mentioned.
//!
//! One open-addressing table with a fixed hash finds the (user, conversation); the user's devices
//! follow each other from there, so that one look-up serves both.

use super::NONE;
use super::intervals::Intervals;
use super::print::mix;

/// How far a device's stream of a conversation has got.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Stream {
    /// When the stream began last, or ended by `Detached`.
    pub attached_at: u64,
    /// The device's session in which it began; 0: it ended.
    pub session: u32,
    /// The highest sequence that was shown, or behind which a stream began.
    pub last: u32,
    /// Behind which the first stream began, or its head if that was less: nothing up to here is owed to
    /// the device.
    pub base: u32,
    /// Behind which the stream began last.
    pub from: u32,
    /// Whether a stream ever began or anything was shown.
    pub known: bool,
    /// Whether a stream ended by `Detached` since `last` was set.
    pub left: bool,
}

/// What is known of a device in a conversation.
#[derive(Clone, Debug, Default)]
pub(crate) struct Pair {
    pub stream: Stream,
    /// Everything that was shown.
    pub shown: Intervals,
}

/// A join or a departure.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Change {
    pub sequence: u32,
    pub joined: bool,
    /// When whoever asked was told that it is a departure, and a join; `u64::MAX`: not yet.
    at: [u64; 2],
    /// Whether it is a departure, and a join, in the store at the end.
    stored: [bool; 2],
}

/// How a change became known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Learned {
    Answer,
    Sight,
    Store,
}

/// What is known of a user in a conversation.
#[derive(Clone, Debug, Default)]
pub(crate) struct Who {
    /// Index of the user, from 0.
    pub user: u32,
    /// Index of the conversation, from 0.
    pub conversation: u32,
    /// The highest sequence that any device of the user has seen or was told of.
    pub floor: u32,
    /// The highest sequence of an own accepted send.
    pub own: u32,
    /// Joins and departures by sequence.
    changes: Vec<Change>,
    /// Departures and joins that were asked for, less those that were answered.
    unsettled: [i32; 2],
    /// Whether any was answered: then the history tells of those that were asked for.
    is_told: bool,
    /// Whether a departure, and a join, was ever asked for.
    pub asked: [bool; 2],
    /// When the last of the changes became known.
    pub changed_at: u64,
    /// Sequences that were in the answer to a read.
    pub read: Intervals,
    /// Sequences of which a notification was taken.
    pub pushed: Intervals,
}

/// Whether a user is a member at a sequence.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Standing {
    Member,
    Outside,
    /// The log was not read, and what else is known leaves room for a change that nobody saw.
    Unknown,
}

impl Who {
    /// A join or departure is at a sequence. The first one learned of a sequence counts.
    pub fn change(&mut self, sequence: u32, joined: bool, learned: Learned, now: u64) {
        let at = self.changes.partition_point(|change| change.sequence < sequence);
        if self.changes.get(at).is_none_or(|change| change.sequence != sequence) {
            let new = Change { sequence, joined, at: [u64::MAX; 2], stored: [false; 2] };
            self.changes.insert(at, new);
            if at + 1 == self.changes.len() {
                self.changed_at = now;
            }
        }
        let change = &mut self.changes[at];
        match learned {
            Learned::Answer => {
                let at = &mut change.at[usize::from(joined)];
                *at = now.min(*at);
            }
            Learned::Store => change.stored[usize::from(joined)] = true,
            Learned::Sight => {}
        }
    }

    /// The changes that were told to whoever asked for them: sequence, whether it is a join, when it was
    /// told, and whether the store has it so at the end.
    pub fn answered(&self) -> impl Iterator<Item = (u32, bool, u64, bool)> {
        let told = |change: &Change, joined: bool| {
            let (at, stored) = (change.at[usize::from(joined)], change.stored[usize::from(joined)]);
            (at != u64::MAX).then_some((change.sequence, joined, at, stored))
        };
        self.changes
            .iter()
            .flat_map(move |change| [told(change, false), told(change, true)])
            .flatten()
    }

    /// The first departure behind a sequence.
    pub fn departure_behind(&self, sequence: u32) -> Option<u32> {
        let after = self.changes.partition_point(|change| change.sequence <= sequence);
        self.changes[after..].iter().find(|change| !change.joined).map(|change| change.sequence)
    }

    /// Where the joins and departures are.
    pub fn change_sequences(&self) -> impl Iterator<Item = u32> {
        self.changes.iter().map(|change| change.sequence)
    }

    /// Whether the user is a member after all that is known: certainly, or as far as one can tell.
    pub fn is_member_now(&self) -> bool {
        self.changes.last().is_some_and(|change| change.joined) && self.unsettled[0] <= 0
    }

    /// Whether the user has certainly left and not come back, after all that is known.
    pub fn has_left(&self) -> bool {
        self.changes.last().is_some_and(|change| !change.joined)
            && self.asked[0]
            && self.unsettled[1] <= 0
    }

    /// Whether the user ever joined, as far as is known.
    pub fn ever_joined(&self) -> bool {
        self.changes.iter().any(|change| change.joined)
    }

    /// A join or departure was asked for, or an answer said that it was done.
    pub fn settle(&mut self, joined: bool, by: i32) {
        self.unsettled[usize::from(joined)] += by;
        self.asked[usize::from(joined)] |= by > 0;
        self.is_told |= by < 0;
    }

    /// How many of `low..=high` lie outside the membership, and the first of them.
    pub fn outside(&self, low: u32, high: u32, known_from: Option<u32>) -> Option<(u32, u64)> {
        let mut found: Option<(u32, u64)> = None;
        let mut from = low;
        while from <= high {
            let next = self.changes.partition_point(|change| change.sequence <= from);
            let to = self.changes.get(next).map_or(high, |next| (next.sequence - 1).min(high));
            if self.standing(from, known_from) == Standing::Outside {
                let (first, count) = found.unwrap_or((from, 0));
                found = Some((first, count + u64::from(to - from) + 1));
            }
            from = to + 1;
        }
        found
    }

    /// Whether the user is a member at a sequence below which every join and departure was seen.
    pub fn is_in(&self, sequence: u32) -> bool {
        let after = self.changes.partition_point(|change| change.sequence <= sequence);
        after.checked_sub(1).is_some_and(|last| self.changes[last].joined)
    }

    /// Whether the user left at a sequence or before, for good.
    pub fn is_gone(&self, sequence: u32) -> bool {
        self.changes.last().is_none_or(|last| !last.joined && last.sequence <= sequence)
    }

    /// Whether the user departed behind a sequence, up to another one.
    pub fn departs(&self, behind: u32, up_to: u32) -> bool {
        let departs = |change: &Change| {
            !change.joined && change.sequence > behind && change.sequence <= up_to
        };
        self.changes.iter().any(departs)
    }

    /// See `Ground::standing`. Every change from `known_from` on is known; `None`: the log was not
    /// read, and a change that was asked for may have been made without an answer.
    pub fn standing(&self, sequence: u32, known_from: Option<u32>) -> Standing {
        let after = self.changes.partition_point(|change| change.sequence <= sequence);
        let last = after.checked_sub(1).map(|i| (self.changes[i].sequence, self.changes[i].joined));
        let next = self.changes.get(after).map(|change| change.joined);
        let is_known_after = |s: u32| known_from.is_some_and(|from| from <= s + 1);
        match (last, next) {
            (Some((s, joined)), _) if is_known_after(s) || !self.may_hide(joined, next) => {
                if joined { Standing::Member } else { Standing::Outside }
            }
            // Whoever leaves was there.
            (None, Some(false)) if is_known_after(sequence) => Standing::Member,
            (None, _) if is_known_after(0) => Standing::Outside,
            (None, Some(true)) if self.is_told && self.unsettled.iter().all(|&open| open <= 0) => {
                Standing::Outside
            }
            _ => Standing::Unknown,
        }
    }

    /// Whether a change that nobody saw may lie between a join (or departure) and the next known one:
    /// one was asked for and never answered, or two of a kind follow each other.
    fn may_hide(&self, joined: bool, next: Option<bool>) -> bool {
        self.unsettled[usize::from(!joined)] > 0 || next == Some(joined)
    }
}

/// All slots.
pub(crate) struct Pairs {
    devices: u32,
    table: Vec<(u64, u32)>,
    pub whos: Vec<Who>,
    slots: Vec<Pair>,
    /// The slots of each conversation.
    of: Vec<Vec<u32>>,
}

/// No key: users and conversations are below this.
const EMPTY: u64 = u64::MAX;

impl Pairs {
    pub fn new(devices: u32) -> Self {
        let table = vec![(EMPTY, NONE); 1024];
        Self { devices, table, whos: Vec::new(), slots: Vec::new(), of: Vec::new() }
    }

    /// The slot of a (user, conversation), both from 0; made if it is new.
    pub fn who(&mut self, user: u32, conversation: u32) -> u32 {
        let key = (u64::from(user) << 32) | u64::from(conversation);
        let mask = self.table.len() - 1;
        let mut at = mix(key) as usize & mask;
        loop {
            let (found, slot) = self.table[at];
            if found == key {
                return slot;
            }
            if found == EMPTY {
                break;
            }
            at = (at + 1) & mask;
        }
        let slot = self.whos.len() as u32;
        self.table[at] = (key, slot);
        self.whos.push(Who { user, conversation, ..Who::default() });
        if self.of.len() <= conversation as usize {
            self.of.resize(conversation as usize + 1, Vec::new());
        }
        self.of[conversation as usize].push(slot);
        self.slots.resize_with(self.whos.len() * self.devices as usize, Pair::default);
        // Half full at most, so that a search ends after one or two steps.
        if self.whos.len() * 2 > self.table.len() {
            self.grow();
        }
        slot
    }

    /// The slot of a (user, conversation), if it has one.
    pub fn find(&self, user: u32, conversation: u32) -> Option<u32> {
        let key = (u64::from(user) << 32) | u64::from(conversation);
        let mask = self.table.len() - 1;
        let mut at = mix(key) as usize & mask;
        loop {
            match self.table[at] {
                (found, slot) if found == key => return Some(slot),
                (EMPTY, _) => return None,
                _ => at = (at + 1) & mask,
            }
        }
    }

    fn grow(&mut self) {
        let mut table = vec![(EMPTY, NONE); self.table.len() * 2];
        let mask = table.len() - 1;
        for &(key, slot) in self.table.iter().filter(|(key, _)| *key != EMPTY) {
            let mut at = mix(key) as usize & mask;
            while table[at].0 != EMPTY {
                at = (at + 1) & mask;
            }
            table[at] = (key, slot);
        }
        self.table = table;
    }

    /// The slots of a conversation.
    pub fn of_conversation(&self, conversation: usize) -> &[u32] {
        self.of.get(conversation).map_or(&[], Vec::as_slice)
    }

    /// The slot of a device of it, from 0.
    pub const fn pair_of(&self, who: u32, device: u32) -> u32 {
        who * self.devices + device
    }

    pub fn pair(&self, pair: u32) -> &Pair {
        &self.slots[pair as usize]
    }

    pub fn pair_mut(&mut self, pair: u32) -> &mut Pair {
        &mut self.slots[pair as usize]
    }

    /// Every (device, conversation) in which a stream ever began, with its slot.
    pub fn iter(&self) -> impl Iterator<Item = (u32, &Pair)> {
        (0..).zip(&self.slots).filter(|(_, pair)| pair.stream.known)
    }

    /// The highest sequence that any device of the user has in its stream; `None`: no device has one.
    pub fn last_of(&self, who: u32) -> Option<u32> {
        let first = (who * self.devices) as usize;
        let devices = &self.slots[first..first + self.devices as usize];
        devices.iter().filter(|pair| pair.stream.known).map(|pair| pair.stream.last).max()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_pair_keeps_its_slot_while_the_table_grows() {
        let mut pairs = Pairs::new(2);
        let slots: Vec<u32> = (0..5_000).map(|n| pairs.who(n % 70, n / 70)).collect();
        assert_eq!(slots, (0..5_000).collect::<Vec<u32>>());
        assert_eq!(pairs.who(4_321 % 70, 4_321 / 70), 4_321);
        assert_eq!(pairs.pair_of(3, 1), 7);
    }

    #[test]
    fn a_member_is_one_from_the_join_to_before_the_departure() {
        let mut who = Who::default();
        assert_eq!(who.standing(5, None), Standing::Unknown);
        assert_eq!(who.standing(5, Some(1)), Standing::Outside);
        who.change(10, false, Learned::Sight, 0);
        assert_eq!(who.standing(9, Some(9)), Standing::Member, "whoever leaves was there");
        assert_eq!(who.standing(9, None), Standing::Unknown, "but nobody knows since when");
        who.change(3, true, Learned::Sight, 0);
        for (sequence, expected) in [(2, Standing::Unknown), (3, Standing::Member)] {
            assert_eq!(who.standing(sequence, None), expected);
        }
        assert_eq!(who.standing(10, None), Standing::Outside);
        who.change(12, true, Learned::Sight, 0);
        assert_eq!(who.standing(11, Some(1)), Standing::Outside);
        assert_eq!(who.standing(12, Some(1)), Standing::Member);
    }

    #[test]
    fn what_was_asked_for_and_not_answered_may_have_been_done() {
        let mut who = Who::default();
        who.settle(true, 1);
        who.change(3, true, Learned::Sight, 0);
        assert_eq!(who.standing(2, None), Standing::Unknown);
        who.settle(true, -1);
        assert_eq!(who.standing(2, None), Standing::Outside, "it was the only one");
        assert_eq!(who.standing(5, None), Standing::Member);
        who.settle(false, 1);
        assert_eq!(who.standing(5, None), Standing::Unknown);
        assert_eq!(who.standing(5, Some(1)), Standing::Member, "the log would show it");
        who.change(7, false, Learned::Sight, 0);
        who.settle(false, -1);
        assert_eq!(who.standing(5, None), Standing::Member);
        assert_eq!(who.standing(8, None), Standing::Outside);
        who.settle(true, 1);
        assert_eq!(who.standing(8, None), Standing::Unknown);
    }

    #[test]
    fn a_second_join_in_a_row_betrays_a_departure_that_nobody_saw() {
        let mut who = Who::default();
        who.change(3, true, Learned::Sight, 0);
        who.change(9, true, Learned::Sight, 0);
        assert_eq!(who.standing(5, None), Standing::Unknown);
        assert_eq!(who.standing(9, None), Standing::Member);
    }
}
