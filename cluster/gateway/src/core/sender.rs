//! One session's sends that are not decided yet, and what must not overtake them.

use bytes::Bytes;
use protocol::{ClientMessageId, ConversationId};
use std::collections::VecDeque;

/// How long later messages wait for one that was refused for now, milliseconds: twice the time after
/// which a client gives a silent connection up and comes again with the refused one.
pub const HELD_BACK_MS: u64 = 25_000;

/// Room for so many messages is kept when a burst is over.
const PENDING_KEPT: usize = 8;

/// Names a message of one session.
pub type Key = (ConversationId, ClientMessageId);

/// A publication that may have to be made again.
#[derive(Clone, Debug)]
pub struct Pending {
    /// Which message.
    pub key: Key,
    /// The record.
    pub record: Bytes,
    /// Since when its sender waits for word.
    pub since_ms: u64,
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

/// A message that was refused for now.
#[derive(Clone, Copy, Debug)]
struct HeldBack {
    /// It must come again first.
    key: Key,
    /// Until when the others of its conversation wait for it.
    until_ms: u64,
}

/// See the module.
#[derive(Debug, Default)]
pub struct Sender {
    /// Not decided yet, oldest first.
    pub pending: Vec<Pending>,
    /// Decided last, the newest at the end.
    decided: VecDeque<ClientMessageId>,
    /// When the last one was.
    decided_ms: u64,
    held_back: Vec<HeldBack>,
}

impl Pending {
    /// Not published yet.
    pub const fn new(since_ms: u64, key: Key, record: Bytes, is_answered: bool) -> Self {
        Self {
            key,
            record,
            since_ms,
            is_answered,
            progress: Progress::Waiting,
            tries: 0,
            published_ms: 0,
            losses: 0,
        }
    }
}

impl Sender {
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

    /// Whether no message that was refused for now must come before this one. If it comes now, it no
    /// longer holds others back.
    pub fn is_next(&mut self, now_ms: u64, key: Key) -> bool {
        let Some(index) = self.held_back.iter().position(|held| held.key.0 == key.0) else {
            return true;
        };
        let held = self.held_back[index];
        if held.key != key && now_ms < held.until_ms {
            return false;
        }
        self.held_back.swap_remove(index);
        true
    }

    /// Later messages of a conversation must not overtake this one. `earliest`: nor must the one that
    /// holds them back already, which came later. Whether this one holds them back now.
    pub fn hold_back(&mut self, now_ms: u64, key: Key, wait_ms: u32, earliest: bool) -> bool {
        if self.is_decided(key.1) {
            // Another copy of it has its answer: the sender may be done with it, and never send it again.
            return false;
        }
        let until_ms = now_ms + HELD_BACK_MS + u64::from(wait_ms);
        let hold = HeldBack { key, until_ms };
        match self.held_back.iter_mut().find(|held| held.key.0 == key.0) {
            None => self.held_back.push(hold),
            Some(later) if earliest => *later = hold,
            Some(_) => return false,
        }
        true
    }

    /// Takes out a message and those of its conversation behind it, also what the broker has already: the
    /// sender starts again at the first of them. One that has its answer goes alone.
    pub fn withdraw(&mut self, key: Key) -> Vec<Pending> {
        let Some(first) = self.pending.iter().position(|pending| pending.key == key) else {
            return Vec::new();
        };
        if self.pending[first].is_answered {
            return vec![self.pending.remove(first)];
        }
        let goes = |pending: &mut Pending| pending.key.0 == key.0;
        self.pending.extract_if(first.., goes).collect()
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

    /// The owner has decided on a message. So many decided ones are remembered.
    pub fn decided(&mut self, now_ms: u64, key: Key, remembered: usize) {
        self.pending.retain(|pending| pending.key != key);
        if self.pending.is_empty() {
            self.pending.shrink_to(PENDING_KEPT);
        }
        self.held_back.retain(|held| held.key != key);
        self.decided_ms = now_ms;
        self.decided.push_back(key.1);
        if self.decided.len() > remembered {
            self.decided.pop_front();
        }
    }

    /// Whether nothing here matters any more. What is over is forgotten after a while.
    pub fn is_idle(&mut self, now_ms: u64) -> bool {
        self.held_back.retain(|held| now_ms < held.until_ms);
        if now_ms >= self.decided_ms + HELD_BACK_MS {
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
        let mut sender = Sender::default();
        sender
            .pending
            .extend(messages.iter().map(|key| Pending::new(0, *key, Bytes::new(), false)));
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
        let withdrawn = sender.withdraw(key(1, 1)).into_iter().map(|pending| pending.key.1.0);
        assert!(withdrawn.eq([1, 2, 4]));
        assert!(sender.hold_back(0, key(1, 1), 500, true));
        assert!(!sender.is_next(0, key(1, 5)));
        assert!(sender.is_next(0, key(2, 5)), "in another conversation");
        assert!(sender.is_next(0, key(1, 1)));
        assert!(sender.is_next(0, key(1, 5)), "the first one has come");
    }

    #[test]
    fn nothing_is_held_back_for_ever() {
        let mut sender = Sender::default();
        assert!(sender.hold_back(0, key(1, 1), 500, false));
        assert!(!sender.hold_back(0, key(1, 2), 500, false), "1 holds the others back already");
        assert!(!sender.is_next(HELD_BACK_MS + 499, key(1, 2)));
        assert!(sender.is_next(HELD_BACK_MS + 500, key(1, 2)));
    }

    #[test]
    fn a_decided_message_is_remembered_for_a_while() {
        let mut sender = sender(&[key(1, 1)]);
        assert!(!sender.is_idle(0));
        sender.decided(10, key(1, 1), 1);
        assert!(!sender.hold_back(10, key(1, 1), 500, false));
        assert!(!sender.is_idle(10 + HELD_BACK_MS - 1));
        assert!(sender.is_idle(10 + HELD_BACK_MS));
        sender.decided(0, key(1, 2), 1);
        sender.decided(0, key(1, 3), 1);
        assert!(sender.hold_back(0, key(1, 2), 500, false), "only the last one is remembered");
    }
}
