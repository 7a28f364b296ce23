//! What is known of a user in a conversation: joins and departures, and who asked for them.

use super::intervals::Intervals;
use super::run::Run;
use protocol::tight;

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

/// A change of membership that was answered within this time, without a fault meanwhile, was tried once:
/// microseconds.
pub(crate) const ATTEMPT_US: u64 = 1_000_000;

/// How a change became known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Learned {
    Answer,
    Sight,
    Store,
}

/// What is known of a user in a conversation.
#[derive(Clone, Debug, Default)]
pub(crate) struct Member {
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
    unanswered: [i32; 2],
    /// Whether any was answered: then the history tells of those that were asked for.
    is_told: bool,
    /// How many departures, and joins, became known since the history tells of requests.
    happened: [u32; 2],
    /// How often a departure, and a join, was asked for.
    pub asked: [u32; 2],
    /// When the first departure, and join, was asked for that had no answer then.
    asked_at: [u64; 2],
    /// Whether a departure, and a join, may have been done more often than it was asked for.
    repeats: [bool; 2],
    /// When the last of the changes became known.
    pub changed_at: u64,
    /// When a change was asked for last.
    pub last_asked_at: u64,
    /// The highest cursors that any device has reported: delivered, read.
    pub reported: [u32; 2],
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

impl Member {
    /// Nothing is known yet; user and conversation from 0.
    pub fn new(user: u32, conversation: u32) -> Self {
        Self { user, conversation, ..Self::default() }
    }

    /// A join or departure is at a sequence. The first one learned of a sequence counts.
    pub fn change(
        &mut self,
        sequence: u32,
        joined: bool,
        learned: Learned,
        (now, is_told): (u64, bool),
    ) {
        let at = self.changes.partition_point(|change| change.sequence < sequence);
        if self.changes.get(at).is_none_or(|change| change.sequence != sequence) {
            let new = Change { sequence, joined, at: [u64::MAX; 2], stored: [false; 2] };
            tight::insert(&mut self.changes, at, new);
            self.happened[usize::from(joined)] += u32::from(is_told);
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

    /// Whether the user is a member after all that is known: certainly, or as far as one can tell.
    pub fn is_member_now(&self) -> bool {
        self.changes.last().is_some_and(|change| change.joined) && self.unanswered[0] <= 0
    }

    /// Where the joins and departures are.
    pub fn change_sequences(&self) -> impl Iterator<Item = u32> {
        self.changes.iter().map(|change| change.sequence)
    }

    /// Whether the user has certainly left and not come back, after all that is known.
    pub fn has_left(&self) -> bool {
        self.changes.last().is_some_and(|change| !change.joined)
            && self.asked[0] > 0
            && self.unanswered[1] <= 0
    }

    /// Whether the user ever joined, as far as is known.
    pub fn ever_joined(&self) -> bool {
        self.changes.iter().any(|change| change.joined)
    }

    /// A join or departure was asked for.
    pub fn ask(&mut self, joined: bool, now: u64) {
        let kind = usize::from(joined);
        if self.unanswered[kind] <= 0 {
            self.asked_at[kind] = now;
        }
        self.unanswered[kind] += 1;
        self.asked[kind] += 1;
        self.last_asked_at = now;
    }

    /// An answer said that a join or departure was done. Whoever asked may have tried several times if
    /// it took long, or a fault was active meanwhile; and a delayed attempt is done when it comes.
    pub fn answer(&mut self, joined: bool, run: &Run, now: u64) {
        let kind = usize::from(joined);
        let waited = now.saturating_sub(self.asked_at[kind]);
        self.repeats[kind] |=
            waited > ATTEMPT_US || run.calm_for(self.asked_at[kind], now) < waited;
        self.unanswered[kind] -= 1;
        self.is_told = true;
    }

    /// Whether a join or departure may have been done, or be done later, more often than it was asked for.
    pub const fn may_repeat(&self, joined: bool) -> bool {
        let kind = if joined { 1 } else { 0 };
        self.repeats[kind] || self.unanswered[kind] > 0
    }

    /// The last departure, or join.
    pub fn last(&self, joined: bool) -> Option<u32> {
        self.changes.iter().rfind(|change| change.joined == joined).map(|change| change.sequence)
    }

    /// Whether more departures, or joins, happened than can have been asked for.
    pub fn is_beyond_asked(&self, joined: bool) -> bool {
        let kind = usize::from(joined);
        self.happened[kind] > self.asked[kind] && !self.may_repeat(joined)
    }

    /// How many departures had been asked for, and the sequence of the last join, if the user is
    /// certainly a member now. As long as it stays the same, the user stays one.
    pub fn certain_member(&self) -> Option<(u32, u32)> {
        let newest = self.changes.last()?.sequence;
        let is_certain = self.asked[1] > 0 && self.is_member_now() && !self.may_repeat(false);
        is_certain.then_some((self.asked[0], newest))
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

    /// See `State::standing`. Every change from `known_from` on is known; `None`: the log was not
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
            (None, Some(true)) if self.is_told && self.unanswered.iter().all(|&open| open <= 0) => {
                Standing::Outside
            }
            _ => Standing::Unknown,
        }
    }

    /// Whether a change that nobody saw may lie between a join (or departure) and the next known one:
    /// one was asked for and never answered, or two of a kind follow each other.
    fn may_hide(&self, joined: bool, next: Option<bool>) -> bool {
        self.unanswered[usize::from(!joined)] > 0 || next == Some(joined)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_member_is_one_from_the_join_to_before_the_departure() {
        let mut who = Member::default();
        assert_eq!(who.standing(5, None), Standing::Unknown);
        assert_eq!(who.standing(5, Some(1)), Standing::Outside);
        who.change(10, false, Learned::Sight, (0, true));
        assert_eq!(who.standing(9, Some(9)), Standing::Member, "whoever leaves was there");
        assert_eq!(who.standing(9, None), Standing::Unknown, "but nobody knows since when");
        who.change(3, true, Learned::Sight, (0, true));
        for (sequence, expected) in [(2, Standing::Unknown), (3, Standing::Member)] {
            assert_eq!(who.standing(sequence, None), expected);
        }
        assert_eq!(who.standing(10, None), Standing::Outside);
        who.change(12, true, Learned::Sight, (0, true));
        assert_eq!(who.standing(11, Some(1)), Standing::Outside);
        assert_eq!(who.standing(12, Some(1)), Standing::Member);
    }

    #[test]
    fn what_was_asked_for_and_not_answered_may_have_been_done() {
        let (mut who, run) = (Member::default(), Run::default());
        who.ask(true, 0);
        who.change(3, true, Learned::Sight, (0, true));
        assert_eq!(who.standing(2, None), Standing::Unknown);
        who.answer(true, &run, 0);
        assert_eq!(who.standing(2, None), Standing::Outside, "it was the only one");
        assert_eq!(who.standing(5, None), Standing::Member);
        who.ask(false, 0);
        assert_eq!(who.standing(5, None), Standing::Unknown);
        assert_eq!(who.standing(5, Some(1)), Standing::Member, "the log would show it");
        who.change(7, false, Learned::Sight, (0, true));
        who.answer(false, &run, 0);
        assert_eq!(who.standing(5, None), Standing::Member);
        assert_eq!(who.standing(8, None), Standing::Outside);
        who.ask(true, 0);
        assert_eq!(who.standing(8, None), Standing::Unknown);
    }

    #[test]
    fn a_second_join_in_a_row_betrays_a_departure_that_nobody_saw() {
        let mut who = Member::default();
        who.change(3, true, Learned::Sight, (0, true));
        who.change(9, true, Learned::Sight, (0, true));
        assert_eq!(who.standing(5, None), Standing::Unknown);
        assert_eq!(who.standing(9, None), Standing::Member);
    }

    #[test]
    fn a_change_that_was_asked_for_once_is_done_once_unless_it_was_tried_again() {
        let answered = |after: u64, fault: bool| {
            let (mut who, mut run) = (Member::default(), Run::default());
            who.ask(false, 10);
            if fault {
                run.fault_began(1, (&"cut".into(), &"store-1".into()), false, 11);
                run.fault_ended(1, 1, 12);
            }
            assert!(who.may_repeat(false) && !who.may_repeat(true));
            who.answer(false, &run, 10 + after);
            who.may_repeat(false)
        };
        assert!(!answered(ATTEMPT_US, false));
        assert!(answered(ATTEMPT_US + 1, false));
        assert!(answered(5, true));
    }

    #[test]
    fn nobody_is_a_certain_member_whose_departure_may_be_under_way() {
        let (mut who, run) = (Member::default(), Run::default());
        who.change(3, true, Learned::Sight, (0, true));
        assert_eq!(who.certain_member(), None, "nobody tells of those who ask");
        who.ask(true, 0);
        assert_eq!(who.certain_member(), Some((0, 3)));
        who.ask(false, 0);
        assert_eq!(who.certain_member(), None);
        who.answer(false, &run, 0);
        assert_eq!(
            who.certain_member(),
            Some((1, 3)),
            "the answer was that of an earlier departure"
        );
        who.change(7, false, Learned::Answer, (0, true));
        assert_eq!(who.certain_member(), None);
    }
}
