//! Who has just gone and may be back in a moment: their pushes wait, and what they missed is looked up.
//!
//! A device whose connection broke connects again, and a gateway whose link was lost attaches its users
//! again. Only when that has not happened in time is somebody taken for away. Then two things are due:
//! pushes for what was sent after the departure, which wait in the notifiers' queues, and pushes for
//! what was sent before it and never arrived: a connection can be dead long before anybody notices.
//! In memory only: an owner that has just begun knows nobody, and takes nobody for away for a while.

use super::attachments::Turn;
use protocol::store_calls::PushAdvice;
use protocol::{ConversationId, Sequence, UserId};
use std::collections::{BTreeMap, BTreeSet};

/// How long a user may take to be back whose last session ended, milliseconds: a reconnect or two.
pub const SESSION_MS: u64 = 3_000;
/// How long a user may take to be back whose gateway's link was lost, milliseconds: the gateway
/// connects and attaches again, or its users go to another one.
pub const LINK_MS: u64 = 15_000;
/// How long an owner that has just begun takes nobody for away, milliseconds: the gateways announce
/// themselves and attach their users.
pub const TAKEOVER_MS: u64 = 10_000;
/// Absences that are watched; beyond it the oldest ends early.
const WATCHED: usize = 1_048_576;

/// What somebody who is gone may have missed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Departure {
    /// The conversation.
    pub conversation: ConversationId,
    /// Who went.
    pub user: UserId,
    /// What came before, or at this sequence, arrived.
    pub after: Sequence,
    /// What came later was known to be for somebody who is not there; `None`: nobody knows.
    pub upto: Option<Sequence>,
}

impl Departure {
    /// Of a user who went when everything up to `after` had certainly arrived.
    pub fn of(turn: Turn, after: Sequence) -> Self {
        let Turn { conversation, user, head, .. } = turn;
        Self { conversation, user, after, upto: Some(head) }
    }
}

/// See the module. Times are milliseconds since the owner began.
#[derive(Debug, Default)]
pub struct Absences {
    gone: BTreeMap<(ConversationId, UserId), Gone>,
    due: BTreeSet<(u64, ConversationId, UserId)>,
}

#[derive(Clone, Copy, Debug)]
struct Gone {
    until_ms: u64,
    departure: Option<Departure>,
}

impl Absences {
    /// A user went and may be back until then. Told twice, the earlier time counts, and of what has
    /// arrived the most.
    pub fn went(
        &mut self,
        until_ms: u64,
        conversation: ConversationId,
        user: UserId,
        departure: Option<Departure>,
    ) {
        let key = (conversation, user);
        let departure = departure.filter(|is| is.upto.is_none_or(|upto| is.after < upto));
        let mut gone = Gone { until_ms, departure };
        if let Some(known) = self.gone.get(&key) {
            self.due.remove(&(known.until_ms, conversation, user));
            gone.until_ms = until_ms.min(known.until_ms);
            gone.departure = match (known.departure, departure) {
                (Some(old), Some(new)) => Some(Departure {
                    after: old.after.max(new.after),
                    upto: old.upto.or(new.upto),
                    ..new
                }),
                (old, new) => old.or(new),
            };
        }
        self.gone.insert(key, gone);
        self.due.insert((gone.until_ms, conversation, user));
    }

    /// A user is back.
    pub fn came(&mut self, conversation: ConversationId, user: UserId) {
        if let Some(gone) = self.gone.remove(&(conversation, user)) {
            self.due.remove(&(gone.until_ms, conversation, user));
        }
    }

    /// Whether somebody who has the conversation attached nowhere is to be pushed.
    pub fn advice(&self, now_ms: u64, conversation: ConversationId, user: UserId) -> PushAdvice {
        let gone = self.gone.get(&(conversation, user)).map_or(0, |gone| gone.until_ms);
        match gone.max(TAKEOVER_MS).saturating_sub(now_ms) {
            0 => PushAdvice::Now,
            left => PushAdvice::Later { after_ms: left as u32 },
        }
    }

    /// When somebody is taken for away next.
    pub fn next_ms(&self) -> Option<u64> {
        self.due.first().map(|(until_ms, ..)| *until_ms)
    }

    /// The departures of those who have not come back in time, about `most` at a time.
    pub fn over(&mut self, now_ms: u64, most: usize) -> Vec<Departure> {
        let mut over = Vec::new();
        while let Some(&(until_ms, conversation, user)) = self.due.first()
            && over.len() < most
            && (until_ms <= now_ms || self.due.len() > WATCHED)
        {
            self.due.pop_first();
            let gone = self.gone.remove(&(conversation, user));
            over.extend(gone.and_then(|gone| gone.departure));
        }
        over
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CONVERSATION: ConversationId = ConversationId(4);
    const USER: UserId = UserId(2);

    fn departure(after: u64, upto: Option<u64>) -> Departure {
        let upto = upto.map(Sequence);
        Departure { conversation: CONVERSATION, user: USER, after: Sequence(after), upto }
    }

    fn advice(absences: &Absences, now_ms: u64) -> PushAdvice {
        absences.advice(now_ms, CONVERSATION, USER)
    }

    #[test]
    fn nobody_is_away_right_after_the_takeover() {
        let absences = Absences::default();
        let later = |after_ms| PushAdvice::Later { after_ms };
        assert_eq!(advice(&absences, 0), later(TAKEOVER_MS as u32));
        assert_eq!(advice(&absences, TAKEOVER_MS - 1), later(1));
        assert_eq!(advice(&absences, TAKEOVER_MS), PushAdvice::Now);
    }

    #[test]
    fn whoever_is_back_in_time_was_never_away() {
        let mut absences = Absences::default();
        absences.went(30_000, CONVERSATION, USER, Some(departure(3, Some(5))));
        assert_eq!(advice(&absences, 29_000), PushAdvice::Later { after_ms: 1_000 });
        absences.came(CONVERSATION, USER);
        assert_eq!(advice(&absences, 29_000), PushAdvice::Now);
        assert_eq!((absences.next_ms(), absences.over(99_000, 9)), (None, vec![]));
    }

    #[test]
    fn whoever_is_not_has_missed_what_did_not_arrive() {
        let mut absences = Absences::default();
        absences.went(40_000, CONVERSATION, USER, Some(departure(3, Some(5))));
        // The gateway is back and knows more, of a session that ended before.
        absences.went(30_000, CONVERSATION, USER, Some(departure(4, None)));
        assert_eq!(absences.next_ms(), Some(30_000));
        assert_eq!(absences.over(29_999, 9), []);
        assert_eq!(absences.over(30_000, 9), [departure(4, Some(5))]);
        assert_eq!((absences.next_ms(), absences.over(99_000, 9)), (None, vec![]));
    }

    #[test]
    fn whoever_has_got_everything_has_missed_nothing() {
        let mut absences = Absences::default();
        absences.went(30_000, CONVERSATION, USER, Some(departure(5, Some(5))));
        assert_eq!(advice(&absences, 29_000), PushAdvice::Later { after_ms: 1_000 });
        assert_eq!((absences.over(30_000, 9), absences.next_ms()), (vec![], None));
    }

    #[test]
    fn what_is_watched_is_bounded() {
        let mut absences = Absences::default();
        for user in 0..2 * WATCHED as u64 {
            absences.went(user + 1, CONVERSATION, UserId(user), None);
            absences.over(0, 9);
        }
        assert_eq!(absences.gone.len(), WATCHED);
        assert_eq!(absences.next_ms(), Some(WATCHED as u64 + 1));
    }
}
