//! Who has just gone and may be back in a moment: their pushes wait, and what they missed is looked up.
//!
//! A device whose connection broke connects again, and a gateway whose link was lost attaches its users
//! again. Only when that has not happened in time is somebody taken for away. Then two things are due:
//! pushes for what was sent after the departure, which wait in the notifiers' queues, and pushes for
//! what was sent before it and never arrived: a connection can be dead long before anybody notices.
//! In memory only: an owner that has just begun knows nobody, and takes nobody for away for a while.

use super::attachments::{GatewayLife, PresenceChange};
use protocol::store_calls::PushAdvice;
use protocol::{ConversationId, Sequence, UserId};
use std::collections::{BTreeMap, BTreeSet};

/// How long a user may take to be back whose last session ended, milliseconds: a reconnect or two.
pub const SESSION_MS: u64 = 3_000;
/// How long a user may take to be back whose gateway's link was lost, milliseconds: the gateway
/// connects and attaches again, or its users go to another one.
pub const LINK_MS: u64 = 15_000;
/// How long the new owner of a partition takes nobody for away, milliseconds: the gateways announce
/// themselves and attach their users.
pub const TAKEOVER_MS: u64 = 10_000;

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
    pub fn of(change: PresenceChange, after: Sequence) -> Self {
        let PresenceChange { conversation, user, head, .. } = change;
        Self { conversation, user, after, upto: Some(head) }
    }
}

/// See the module. Times are milliseconds since the owner began.
#[derive(Debug)]
pub struct Absences {
    most: usize,
    gone: BTreeMap<(ConversationId, UserId), Gone>,
    due: BTreeSet<(u64, ConversationId, UserId)>,
}

#[derive(Debug, Default)]
struct Gone {
    /// Until when each gateway that had the user has time to attach the user again.
    by: Vec<(GatewayLife, u64)>,
    departure: Option<Departure>,
}

impl Gone {
    fn until_ms(&self) -> u64 {
        self.by.iter().map(|(_, until_ms)| *until_ms).max().unwrap_or(0)
    }
}

impl Absences {
    /// So many are watched at most; beyond it the oldest ends early.
    pub const fn new(most: usize) -> Self {
        Self { most, gone: BTreeMap::new(), due: BTreeSet::new() }
    }

    /// A user went from a gateway and may be back there until then. Told twice of one gateway, the earlier
    /// time counts; of several, the latest. Of what has arrived the most counts.
    pub fn went(
        &mut self,
        (life, until_ms): (GatewayLife, u64),
        conversation: ConversationId,
        user: UserId,
        departure: Option<Departure>,
    ) {
        let gone = self.gone.entry((conversation, user)).or_default();
        self.due.remove(&(gone.until_ms(), conversation, user));
        match gone.by.iter_mut().find(|(known, _)| *known == life) {
            Some((_, known)) => *known = until_ms.min(*known),
            None => gone.by.push((life, until_ms)),
        }
        let departure = departure.filter(|is| is.upto.is_none_or(|upto| is.after < upto));
        gone.departure = match (gone.departure, departure) {
            (Some(old), Some(new)) => Some(Departure {
                after: old.after.max(new.after),
                upto: old.upto.or(new.upto),
                ..new
            }),
            (old, new) => old.or(new),
        };
        self.due.insert((gone.until_ms(), conversation, user));
    }

    /// A user is back, on this gateway. Another one that is gone may still have a session of the user.
    pub fn came(&mut self, life: GatewayLife, conversation: ConversationId, user: UserId) {
        let Some(gone) = self.gone.get_mut(&(conversation, user)) else { return };
        self.due.remove(&(gone.until_ms(), conversation, user));
        gone.departure = None;
        gone.by.retain(|(known, _)| *known != life);
        if gone.by.is_empty() {
            self.gone.remove(&(conversation, user));
        } else {
            self.due.insert((gone.until_ms(), conversation, user));
        }
    }

    /// Whether somebody who has the conversation attached nowhere is to be pushed, now, by an owner that
    /// has owned the conversation since then.
    pub fn advice(
        &self,
        (since_ms, now_ms): (u64, u64),
        conversation: ConversationId,
        user: UserId,
    ) -> PushAdvice {
        let gone = self.gone.get(&(conversation, user)).map_or(0, Gone::until_ms);
        match gone.max(since_ms + TAKEOVER_MS).saturating_sub(now_ms) {
            0 => PushAdvice::Now,
            left => PushAdvice::Later { after_ms: left as u32 },
        }
    }

    /// Forgets everybody who went from such conversations.
    pub fn forget(&mut self, is_forgotten: impl Fn(ConversationId) -> bool) {
        self.gone.retain(|(conversation, _), _| !is_forgotten(*conversation));
        self.due.retain(|(_, conversation, _)| !is_forgotten(*conversation));
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
            && (until_ms <= now_ms || self.due.len() > self.most)
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
    use protocol::{GatewayId, Incarnation};

    const CONVERSATION: ConversationId = ConversationId(4);
    const USER: UserId = UserId(2);
    const WATCHED: usize = 100;
    const A: GatewayLife = GatewayLife { gateway: GatewayId(1), incarnation: Incarnation(1) };
    const B: GatewayLife = GatewayLife { gateway: GatewayId(2), incarnation: Incarnation(1) };

    fn departure(after: u64, upto: Option<u64>) -> Departure {
        let upto = upto.map(Sequence);
        Departure { conversation: CONVERSATION, user: USER, after: Sequence(after), upto }
    }

    fn advice(absences: &Absences, now_ms: u64) -> PushAdvice {
        absences.advice((0, now_ms), CONVERSATION, USER)
    }

    #[test]
    fn nobody_is_away_right_after_the_takeover() {
        let absences = Absences::new(WATCHED);
        let later = |after_ms| PushAdvice::Later { after_ms };
        assert_eq!(advice(&absences, 0), later(TAKEOVER_MS as u32));
        assert_eq!(advice(&absences, TAKEOVER_MS - 1), later(1));
        assert_eq!(advice(&absences, TAKEOVER_MS), PushAdvice::Now);
        let taken_over = absences.advice((5_000, TAKEOVER_MS), CONVERSATION, USER);
        assert_eq!(taken_over, later(5_000), "a partition that was taken over later");
    }

    #[test]
    fn whoever_is_back_in_time_was_never_away() {
        let mut absences = Absences::new(WATCHED);
        absences.went((A, 30_000), CONVERSATION, USER, Some(departure(3, Some(5))));
        assert_eq!(advice(&absences, 29_000), PushAdvice::Later { after_ms: 1_000 });
        absences.came(A, CONVERSATION, USER);
        assert_eq!(advice(&absences, 29_000), PushAdvice::Now);
        assert_eq!((absences.next_ms(), absences.over(99_000, 9)), (None, vec![]));
    }

    #[test]
    fn whoever_is_not_has_missed_what_did_not_arrive() {
        let mut absences = Absences::new(WATCHED);
        absences.went((A, 40_000), CONVERSATION, USER, Some(departure(3, Some(5))));
        // The gateway is back and knows more, of a session that ended before.
        absences.went((A, 30_000), CONVERSATION, USER, Some(departure(4, None)));
        assert_eq!(absences.next_ms(), Some(30_000));
        assert_eq!(absences.over(29_999, 9), []);
        assert_eq!(absences.over(30_000, 9), [departure(4, Some(5))]);
        assert_eq!((absences.next_ms(), absences.over(99_000, 9)), (None, vec![]));
    }

    #[test]
    fn what_one_gateway_knows_says_nothing_of_another() {
        let mut absences = Absences::new(WATCHED);
        let later = |after_ms| PushAdvice::Later { after_ms };
        // The link of A is lost, and B lets go of a session that ended before.
        absences.went((A, 40_000), CONVERSATION, USER, Some(departure(3, Some(5))));
        absences.went((B, 30_000), CONVERSATION, USER, None);
        assert_eq!(advice(&absences, 29_000), later(11_000));
        // Whoever is back on B, and goes again, may still have a session on A.
        absences.came(B, CONVERSATION, USER);
        assert_eq!(advice(&absences, 29_000), later(11_000));
        absences.went((B, 33_000), CONVERSATION, USER, Some(departure(4, Some(6))));
        assert_eq!((absences.over(39_999, 9), absences.next_ms()), (vec![], Some(40_000)));
        absences.came(A, CONVERSATION, USER);
        assert_eq!(advice(&absences, 30_000), later(3_000));
        assert_eq!((absences.over(99_000, 9), absences.next_ms()), (vec![], None));
    }

    #[test]
    fn whoever_has_got_everything_has_missed_nothing() {
        let mut absences = Absences::new(WATCHED);
        absences.went((A, 30_000), CONVERSATION, USER, Some(departure(5, Some(5))));
        assert_eq!(advice(&absences, 29_000), PushAdvice::Later { after_ms: 1_000 });
        assert_eq!((absences.over(30_000, 9), absences.next_ms()), (vec![], None));
    }

    #[test]
    fn what_is_forgotten_was_never_seen() {
        let mut absences = Absences::new(WATCHED);
        absences.went((A, 30_000), CONVERSATION, USER, Some(departure(3, Some(5))));
        absences.forget(|conversation| conversation != CONVERSATION);
        assert_eq!(absences.next_ms(), Some(30_000));
        absences.forget(|conversation| conversation == CONVERSATION);
        assert_eq!(advice(&absences, 29_000), PushAdvice::Now);
        assert_eq!((absences.next_ms(), absences.over(99_000, 9)), (None, vec![]));
    }

    #[test]
    fn what_is_watched_is_bounded() {
        let mut absences = Absences::new(WATCHED);
        for user in 0..2 * WATCHED as u64 {
            absences.went((A, user + 1), CONVERSATION, UserId(user), None);
            absences.over(0, 9);
        }
        assert_eq!(absences.gone.len(), WATCHED);
        assert_eq!(absences.next_ms(), Some(WATCHED as u64 + 1));
    }
}
