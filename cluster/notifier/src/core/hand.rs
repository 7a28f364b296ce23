//! The jobs in a notifier's hand, one for each user: asked about, waiting, or ready to be pushed.
//!
//! A job says that somebody had no session when a message came. Whether that somebody is away, the
//! owner knows better a moment later, and after an outage of the provider much better: so it is asked
//! before every attempt. What the owner cannot say is pushed in the end: a push too many is better than
//! a message that nobody hears of.
//!
//! Who has waited for longest comes first, however often it was asked about or tried meanwhile: otherwise
//! a provider that can just keep up is told of new messages, and never of old ones.

use protocol::UserId;
use protocol::records::PushJob;
use protocol::store_calls::{PushAdvice, PushRef};
use std::collections::BTreeMap;
use std::sync::Arc;

/// How long an advice counts, milliseconds.
const FRESH_MS: u64 = 2_000;
/// Before an owner that did not answer is asked again, milliseconds.
const AGAIN_MS: u64 = 500;
/// Without an answer for this long, milliseconds, a job is pushed all the same.
const PATIENCE_MS: u64 = 10_000;

/// One user of a job: the delivery is not settled yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Held {
    /// The delivery.
    pub tag: u64,
    /// The number of the next attempt at it, from 1.
    pub attempt: u32,
    /// Who is to be told.
    pub user: UserId,
    /// Of what; its users are left out.
    pub job: Arc<PushJob>,
    /// Since when it waits for its turn.
    since_ms: u64,
    /// Since when nobody answers for it.
    unanswered_ms: Option<u64>,
    /// Until when the advice to push it counts.
    fresh_ms: u64,
}

/// A job's turn: since when it waits, its delivery and user.
type Turn = (u64, u64, UserId);

/// See the module. Times are milliseconds, and never fall.
#[derive(Debug)]
pub struct Hand {
    /// Jobs in one question.
    most: usize,
    new: BTreeMap<Turn, Held>,
    asked: Vec<Held>,
    /// By when they are to be asked about.
    later: BTreeMap<(u64, Turn), Held>,
    ready: BTreeMap<Turn, Held>,
}

impl Held {
    /// A job that has just come.
    pub const fn new(tag: u64, user: UserId, job: Arc<PushJob>) -> Self {
        Self { tag, attempt: 1, user, job, since_ms: 0, unanswered_ms: None, fresh_ms: 0 }
    }

    /// What it is about.
    pub fn push(&self) -> PushRef {
        let PushJob { conversation, sequence, .. } = *self.job;
        PushRef { user: self.user, conversation, sequence }
    }

    const fn turn(&self) -> Turn {
        (self.since_ms, self.tag, self.user)
    }

    /// A job for this user alone.
    pub fn alone(&self) -> PushJob {
        PushJob { users: vec![self.user], ..PushJob::clone(&self.job) }
    }
}

impl Hand {
    /// With so many jobs in one question.
    pub const fn new(most: usize) -> Self {
        Self {
            most,
            new: BTreeMap::new(),
            asked: Vec::new(),
            later: BTreeMap::new(),
            ready: BTreeMap::new(),
        }
    }

    /// How many jobs there are.
    pub fn count(&self) -> usize {
        self.new.len() + self.asked.len() + self.later.len() + self.ready.len()
    }

    /// Takes a job, the last in turn.
    pub fn take(&mut self, now_ms: u64, held: Held) {
        self.ask_about(Held { since_ms: now_ms, ..held });
    }

    fn ask_about(&mut self, held: Held) {
        self.new.insert(held.turn(), held);
    }

    /// What to ask now, unless a question is under way.
    pub fn question(&mut self, now_ms: u64) -> Option<Vec<PushRef>> {
        while let Some(first) = self.later.first_entry()
            && first.key().0 <= now_ms
        {
            let held = first.remove();
            self.ask_about(held);
        }
        if !self.asked.is_empty() || self.new.is_empty() {
            return None;
        }
        let in_turn = std::iter::from_fn(|| self.new.pop_first());
        self.asked = in_turn.take(self.most).map(|(_, held)| held).collect();
        Some(self.asked.iter().map(Held::push).collect())
    }

    /// The answer to the question; what is missing in it is not known. The jobs that are of no use.
    pub fn answered(&mut self, now_ms: u64, answers: &[(PushRef, PushAdvice)]) -> Vec<Held> {
        let answers: BTreeMap<PushRef, PushAdvice> = answers.iter().copied().collect();
        let mut useless = Vec::new();
        for mut held in std::mem::take(&mut self.asked) {
            let answer = answers.get(&held.push()).copied();
            let silent_since = *held.unanswered_ms.get_or_insert(now_ms);
            if answer.is_some() {
                held.unanswered_ms = None;
            }
            match answer {
                Some(PushAdvice::Never) => useless.push(held),
                Some(PushAdvice::Later { after_ms }) => {
                    self.keep_until(now_ms + u64::from(after_ms), held);
                }
                None if now_ms < silent_since + PATIENCE_MS => {
                    self.keep_until(now_ms + AGAIN_MS, held);
                }
                Some(PushAdvice::Now) | None => self.be_ready(now_ms, held),
            }
        }
        useless
    }

    /// Without anybody to ask: whatever there is, is ready.
    pub fn ask_nobody(&mut self) {
        let new = std::mem::take(&mut self.new);
        self.ready.extend(
            new.into_iter().map(|(turn, held)| (turn, Held { fresh_ms: u64::MAX, ..held })),
        );
    }

    fn be_ready(&mut self, now_ms: u64, held: Held) {
        self.ready.insert(held.turn(), Held { fresh_ms: now_ms + FRESH_MS, ..held });
    }

    /// The next job to be pushed. What has waited for too long is asked about again.
    pub fn next(&mut self, now_ms: u64) -> Option<Held> {
        while let Some((_, held)) = self.ready.pop_first() {
            if held.fresh_ms >= now_ms {
                return Some(held);
            }
            self.ask_about(held);
        }
        None
    }

    /// Not now after all: the provider is given a rest.
    pub fn keep(&mut self, held: Held) {
        self.ready.insert(held.turn(), held);
    }

    /// Not now after all: the same push is under way.
    pub fn postpone(&mut self, now_ms: u64, held: Held) {
        self.keep_until(now_ms + AGAIN_MS, held);
    }

    /// The attempt failed: another one is due then.
    pub fn try_again(&mut self, at_ms: u64, held: Held) {
        self.keep_until(at_ms, Held { attempt: held.attempt + 1, ..held });
    }

    fn keep_until(&mut self, at_ms: u64, held: Held) {
        self.later.insert((at_ms, held.turn()), held);
    }

    /// When a job that waits is to be asked about.
    pub fn due_ms(&self) -> Option<u64> {
        self.later.first_key_value().map(|((at_ms, ..), _)| *at_ms)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use protocol::{ConversationId, Sequence};

    fn held(user: u64) -> Held {
        let job = PushJob {
            users: Vec::new(),
            conversation: ConversationId(7),
            sequence: Sequence(3),
            author: UserId(1),
            preview: String::new(),
            at_ms: 0,
            client_message_id: None,
        };
        Held::new(user, UserId(user), Arc::new(job))
    }

    fn hand(users: std::ops::RangeInclusive<u64>) -> Hand {
        let mut hand = Hand::new(256);
        users.for_each(|user| hand.take(0, held(user)));
        hand
    }

    fn next(hand: &mut Hand, now_ms: u64) -> Option<u64> {
        hand.next(now_ms).map(|held| held.tag)
    }

    #[test]
    fn the_owner_says_what_becomes_of_a_job() {
        let mut hand = hand(1..=3);
        let asked = hand.question(0).unwrap();
        assert_eq!(asked.len(), 3);
        assert_eq!(hand.question(0), None, "one question at a time");
        let later = PushAdvice::Later { after_ms: 700 };
        let answers =
            [(asked[0], PushAdvice::Never), (asked[1], later), (asked[2], PushAdvice::Now)];
        let useless = hand.answered(100, &answers);
        assert_eq!(useless.iter().map(|held| held.tag).collect::<Vec<_>>(), [1]);
        assert_eq!((next(&mut hand, 100), next(&mut hand, 100)), (Some(3), None));
        assert_eq!(hand.due_ms(), Some(800));
        assert_eq!(hand.question(799), None);
        assert_eq!(hand.question(800), Some(vec![asked[1]]));
    }

    #[test]
    fn an_advice_gets_stale() {
        let mut hand = hand(1..=1);
        let asked = hand.question(0).unwrap();
        hand.answered(0, &[(asked[0], PushAdvice::Now)]);
        let kept = hand.next(FRESH_MS).unwrap();
        hand.keep(kept);
        assert_eq!(next(&mut hand, FRESH_MS + 1), None);
        assert_eq!(hand.question(FRESH_MS + 1), Some(asked));
    }

    #[test]
    fn who_has_waited_for_longest_comes_first_whatever_came_between() {
        let mut hand = hand(1..=2);
        let old = hand.question(0).unwrap();
        hand.answered(0, &old.iter().map(|push| (*push, PushAdvice::Now)).collect::<Vec<_>>());
        let failed = hand.next(0).unwrap();
        hand.try_again(FRESH_MS, failed);
        // The provider is given a rest, in which another job comes, and the old advice gets stale.
        hand.take(FRESH_MS - 1, held(3));
        let new = hand.question(FRESH_MS - 1).unwrap();
        hand.answered(FRESH_MS, &[(new[0], PushAdvice::Now)]);
        let kept = hand.next(FRESH_MS + 1).unwrap();
        assert_eq!(kept.tag, 3);
        hand.keep(kept);
        assert_eq!(hand.question(FRESH_MS + 1).as_ref(), Some(&old));
        hand.answered(
            FRESH_MS + 1,
            &old.iter().map(|push| (*push, PushAdvice::Now)).collect::<Vec<_>>(),
        );
        let order = std::iter::from_fn(|| next(&mut hand, FRESH_MS + 1));
        assert_eq!(order.collect::<Vec<_>>(), [1, 2, 3]);
    }

    #[test]
    fn whoever_is_to_wait_for_the_provider_goes_to_the_back() {
        let mut hand = hand(1..=2);
        hand.ask_nobody();
        let probe = hand.next(5).unwrap();
        hand.take(5, probe);
        hand.ask_nobody();
        assert_eq!((next(&mut hand, 5), next(&mut hand, 5)), (Some(2), Some(1)));
    }

    #[test]
    fn what_nobody_answers_for_is_pushed_in_the_end() {
        let mut hand = hand(1..=1);
        let mut now_ms = 0;
        while next(&mut hand, now_ms).is_none() {
            assert!(now_ms <= PATIENCE_MS, "never pushed");
            if hand.question(now_ms).is_some() {
                assert_eq!(hand.answered(now_ms, &[]), []);
            }
            now_ms = hand.due_ms().unwrap_or(now_ms);
        }
        assert_eq!(now_ms, PATIENCE_MS);
    }

    #[test]
    fn an_answer_ends_the_silence() {
        let mut hand = hand(1..=1);
        let asked = hand.question(0).unwrap();
        hand.answered(0, &[]);
        hand.question(AGAIN_MS).unwrap();
        hand.answered(AGAIN_MS, &[(asked[0], PushAdvice::Later { after_ms: 20_000 })]);
        let now_ms = AGAIN_MS + 20_000;
        hand.question(now_ms).unwrap();
        hand.answered(now_ms, &[]);
        assert_eq!((next(&mut hand, now_ms), hand.count()), (None, 1));
    }
}
