//! One session's sends that are not decided yet, and what must not overtake them.

use super::steps::Traced;
use bytes::Bytes;
use protocol::{ClientMessageId, ConversationId};
use std::collections::VecDeque;

/// How long later messages wait at least for one that was refused for now, milliseconds: twice the time
/// after which a client gives a silent connection up and comes again with the refused one. With slower
/// heartbeats it is longer.
pub const HELD_BACK_MS: u64 = 25_000;

/// Room for so many messages is kept when a burst is over.
const PENDING_KEPT: usize = 8;

/// So many refused messages are remembered. A client that follows the rules has fewer on the wire.
const REFUSED_MAX: usize = 1_024;

/// So many traced messages are remembered, for those that come again.
const TRACED_MAX: usize = 64;

/// Names a message of one session.
pub type Key = (ConversationId, ClientMessageId);

/// A publication that may have to be made again.
#[derive(Clone, Debug)]
pub struct Pending {
    /// Which message.
    pub key: Key,
    /// The record.
    pub record: Bytes,
    /// Since when its sender waits for word, microseconds.
    pub since_us: u64,
    /// The session was told the answer to an earlier copy before this one came: its sender may be done with
    /// it, and never send it again.
    pub is_answered: bool,
    /// How far it has got.
    pub progress: Progress,
    /// How often it was published.
    pub tries: u32,
    /// When it was, the last time.
    pub published_ms: u64,
    /// How often something was lost before it was published.
    pub losses: u64,
    /// If it is traced.
    pub traced: Option<Box<Traced>>,
}

/// How far a publication has got.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Progress {
    /// An earlier one of the same conversation is not confirmed yet.
    Waiting,
    /// The broker was asked.
    Asked,
    /// The broker did not say; to be asked again at this time.
    Unknown(u64),
    /// The broker has it; if the owner has not answered by this time, it is published again.
    Confirmed(u64),
}

/// A message that was refused for now and is not decided.
#[derive(Clone, Copy, Debug)]
struct HeldBack {
    key: Key,
    /// Until when the others of its conversation wait for it.
    until_ms: u64,
}

/// See the module.
#[derive(Debug)]
pub struct Sender {
    /// Not decided yet, oldest first.
    pub pending: Vec<Pending>,
    /// Decided last, the newest at the end.
    decided: VecDeque<ClientMessageId>,
    /// When the last one was.
    decided_ms: u64,
    /// In the order in which they were sent: the first of a conversation must come again before any other.
    /// If it is decided after all, by a copy that the broker had, the second must: what is on the wire
    /// behind them was sent before their sender knew.
    held_back: Vec<HeldBack>,
    held_back_ms: u64,
    /// Traced messages whose first steps were told, or will be, the newest at the end.
    traced: VecDeque<Key>,
}

impl Pending {
    /// Not published yet.
    pub const fn new(
        since_us: u64,
        key: Key,
        record: Bytes,
        is_answered: bool,
        traced: Option<Box<Traced>>,
    ) -> Self {
        Self {
            key,
            record,
            since_us,
            is_answered,
            progress: Progress::Waiting,
            tries: 0,
            published_ms: 0,
            losses: 0,
            traced,
        }
    }
}

impl Sender {
    /// Nothing sent so far, by a client that gives a connection up after so much silence.
    pub fn new(idle_timeout_ms: u64) -> Self {
        Self {
            pending: Vec::new(),
            decided: VecDeque::new(),
            decided_ms: 0,
            held_back: Vec::new(),
            held_back_ms: (2 * idle_timeout_ms).max(HELD_BACK_MS),
            traced: VecDeque::new(),
        }
    }

    /// A message that is not decided yet.
    pub fn find(&self, key: Key) -> Option<&Pending> {
        self.pending.iter().find(|pending| pending.key == key)
    }

    /// A message that is not decided yet, to change.
    pub fn find_mut(&mut self, key: Key) -> Option<&mut Pending> {
        self.pending.iter_mut().find(|pending| pending.key == key)
    }

    /// The oldest message of a conversation that waits, if none before it is unconfirmed.
    pub fn next(&mut self, conversation: ConversationId) -> Option<&mut Pending> {
        let mut of = self.pending.iter_mut().filter(|pending| pending.key.0 == conversation);
        of.find(|pending| !matches!(pending.progress, Progress::Confirmed(_)))
            .filter(|pending| pending.progress == Progress::Waiting)
    }

    /// Whether no message that was refused for now must come before this one; otherwise it is to be refused
    /// as well. If it comes now, it no longer holds others back, and they come again behind it.
    pub fn is_next(&mut self, now_ms: u64, key: Key) -> bool {
        let of = |held: &&HeldBack| held.key.0 == key.0;
        let Some(&first) = self.held_back.iter().find(of) else { return true };
        if first.key != key && now_ms < first.until_ms {
            self.hold_back(now_ms, key, 0);
            return false;
        }
        self.held_back.retain(|held| held.key.0 != key.0);
        true
    }

    /// Later messages of a conversation must not overtake this one.
    pub fn hold_back(&mut self, now_ms: u64, key: Key, wait_ms: u32) {
        let is_known = self.held_back.iter().any(|held| held.key == key);
        // Of one that has its answer the sender may be done with it, and never send it again.
        if !is_known && !self.is_decided(key.1) && self.held_back.len() < REFUSED_MAX {
            let until_ms = now_ms + self.held_back_ms + u64::from(wait_ms);
            self.held_back.push(HeldBack { key, until_ms });
        }
    }

    /// Takes out a message and those of its conversation behind it, also what the broker has already: the
    /// sender starts again at the first of them, and they hold later ones back. One that has its answer
    /// goes alone, and holds nobody back.
    pub fn withdraw(&mut self, now_ms: u64, key: Key, wait_ms: u32) -> Vec<Pending> {
        let Some(first) = self.pending.iter().position(|pending| pending.key == key) else {
            return Vec::new();
        };
        if self.pending[first].is_answered {
            return vec![self.pending.remove(first)];
        }
        let goes = |pending: &mut Pending| pending.key.0 == key.0;
        let withdrawn: Vec<Pending> = self.pending.extract_if(first.., goes).collect();
        // They came before whatever was refused meanwhile.
        let until_ms = now_ms + self.held_back_ms + u64::from(wait_ms);
        let held = |pending: &Pending| {
            (!pending.is_answered).then_some(HeldBack { key: pending.key, until_ms })
        };
        self.held_back.retain(|held| withdrawn.iter().all(|pending| pending.key != held.key));
        self.held_back.splice(0..0, withdrawn.iter().filter_map(held));
        withdrawn
    }

    /// Whether a traced message comes for the first time, as far as is remembered.
    pub fn is_traced_first(&mut self, key: Key) -> bool {
        if self.traced.contains(&key) {
            return false;
        }
        if self.traced.len() == TRACED_MAX {
            self.traced.pop_front();
        }
        self.traced.push_back(key);
        true
    }

    /// Whether a message was decided lately.
    pub fn is_decided(&self, message: ClientMessageId) -> bool {
        self.decided.contains(&message)
    }

    /// The answers to everything that was confirmed may be lost: they are overdue now.
    pub fn expect_nothing(&mut self, now_ms: u64) {
        for pending in &mut self.pending {
            if let Progress::Confirmed(at_ms) = &mut pending.progress {
                *at_ms = now_ms;
            }
        }
    }

    /// The owner has decided on a message, which is no longer waited for. So many decided ones are
    /// remembered.
    pub fn decided(&mut self, now_ms: u64, key: Key, remembered: usize) -> Option<Pending> {
        let place = self.pending.iter().position(|pending| pending.key == key);
        let decided = place.map(|place| self.pending.remove(place));
        if self.pending.is_empty() {
            self.pending.shrink_to(PENDING_KEPT);
        }
        self.held_back.retain(|held| held.key != key);
        self.decided_ms = now_ms;
        self.decided.push_back(key.1);
        if self.decided.len() > remembered {
            self.decided.pop_front();
        }
        decided
    }

    /// Whether nothing here matters any more. What is over is forgotten after a while.
    pub fn is_idle(&mut self, now_ms: u64) -> bool {
        if self.held_back.iter().all(|held| now_ms >= held.until_ms) {
            self.held_back = Vec::new();
        }
        if now_ms >= self.decided_ms + self.held_back_ms {
            self.decided = VecDeque::new();
        }
        self.pending.is_empty() && self.decided.is_empty() && self.held_back.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(conversation: u64, message: u64) -> Key {
        (ConversationId(conversation), ClientMessageId(message))
    }

    fn sender(messages: &[Key]) -> Sender {
        let mut sender = Sender::new(12_500);
        sender
            .pending
            .extend(messages.iter().map(|key| Pending::new(0, *key, Bytes::new(), false, None)));
        sender
    }

    #[test]
    fn one_message_of_a_conversation_is_unconfirmed_at_a_time() {
        let mut sender = sender(&[key(1, 1), key(1, 2), key(2, 3)]);
        let conversation = ConversationId(1);
        let first = sender.next(conversation).unwrap();
        assert_eq!(first.key, key(1, 1));
        first.progress = Progress::Asked;
        assert!(sender.next(conversation).is_none());
        assert_eq!(sender.next(ConversationId(2)).unwrap().key, key(2, 3));
        sender.find_mut(key(1, 1)).unwrap().progress = Progress::Unknown(9);
        assert!(sender.next(conversation).is_none());
        sender.find_mut(key(1, 1)).unwrap().progress = Progress::Confirmed(9);
        assert_eq!(sender.next(conversation).unwrap().key, key(1, 2));
    }

    #[test]
    fn a_refused_message_takes_those_behind_it_along_and_holds_later_ones_back() {
        let mut sender = sender(&[key(1, 1), key(1, 2), key(2, 3), key(1, 4)]);
        for confirmed in [key(1, 1), key(1, 2)] {
            sender.find_mut(confirmed).unwrap().progress = Progress::Confirmed(0);
        }
        let withdrawn = sender.withdraw(0, key(1, 1), 500);
        assert!(withdrawn.into_iter().map(|pending| pending.key.1.0).eq([1, 2, 4]));
        assert!(!sender.is_next(0, key(1, 5)));
        assert!(sender.is_next(0, key(2, 5)), "in another conversation");
        assert!(sender.is_next(0, key(1, 1)));
        assert!(sender.is_next(0, key(1, 5)), "the first one has come");
    }

    #[test]
    fn if_a_refused_message_is_decided_the_next_refused_one_comes_first() {
        let mut sender = sender(&[key(1, 2), key(1, 3)]);
        sender.hold_back(0, key(1, 4), 500);
        sender.withdraw(0, key(1, 2), 500);
        assert!(!sender.is_next(0, key(1, 5)), "refused too, before it is known that 2 is decided");
        for decided in [2, 4] {
            sender.decided(0, key(1, decided), 9);
        }
        assert!(!sender.is_next(0, key(1, 6)), "3 has not come again");
        assert!(!sender.is_next(0, key(1, 5)), "3 has not come again");
        sender.decided(0, key(1, 3), 9);
        assert!(!sender.is_next(0, key(1, 6)), "5 has not come again");
        assert!(sender.is_next(0, key(1, 5)));
        assert!(sender.is_next(0, key(1, 6)));
    }

    #[test]
    fn nothing_is_held_back_for_ever() {
        let mut sender = Sender::new(12_500);
        sender.hold_back(0, key(1, 1), 500);
        sender.hold_back(9, key(1, 3), 500);
        assert!(!sender.is_next(HELD_BACK_MS + 499, key(1, 2)));
        assert!(sender.is_next(HELD_BACK_MS + 500, key(1, 2)));
        assert!(sender.is_next(HELD_BACK_MS + 500, key(1, 4)), "nobody waits for 3 alone");
        // What was sent on a connection that stalls arrives as late as its client lets it.
        let mut patient = Sender::new(300_000);
        patient.hold_back(0, key(1, 1), 500);
        assert!(!patient.is_next(600_499, key(1, 2)) && patient.is_next(600_500, key(1, 2)));
    }

    #[test]
    fn a_decided_message_is_remembered_for_a_while() {
        let mut sender = sender(&[key(1, 1)]);
        assert!(!sender.is_idle(0));
        sender.decided(10, key(1, 1), 1);
        sender.hold_back(10, key(1, 1), 500);
        assert!(sender.is_next(10, key(1, 2)));
        assert!(!sender.is_idle(10 + HELD_BACK_MS - 1));
        assert!(sender.is_idle(10 + HELD_BACK_MS));
        sender.decided(0, key(1, 2), 1);
        sender.decided(0, key(1, 3), 1);
        sender.hold_back(0, key(1, 2), 500);
        assert!(!sender.is_next(0, key(1, 3)), "only the last one is remembered");
    }
}
