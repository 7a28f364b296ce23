//! What the person behind a device does of its own accord, where users come and go: puts the device away
//! and takes it up again, and replies to what is shown, after a while.
//!
//! A state machine: it is told what happens and what time it is, and says what to do.

use protocol::{ConversationId, Sequence};
use std::collections::BTreeMap;
use std::time::Duration;
use tokio::time::Instant;

/// Before a device that cannot be put away yet is looked at again.
const LOOK_AGAIN: Duration = Duration::from_millis(100);
/// Replies that a person has in mind at once: whoever comes back to thousands of messages does not reply
/// to all of them.
const REPLIES_MAX: usize = 32;

/// One person with one device.
#[derive(Debug)]
pub struct Visitor {
    place: Place,
    /// When the device is taken up for good.
    back_at: Option<Instant>,
    replies: BTreeMap<(Instant, ConversationId, Sequence), u32>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    There,
    /// As soon as nothing is under way any more.
    Going(Instant),
    Away,
}

/// What a person does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Move {
    /// Puts the device away.
    PutAway,
    /// Takes it up again.
    TakeUp,
    /// Replies to a message of a conversation with so many bytes, since that time.
    Reply(ConversationId, Sequence, u32, Instant),
}

impl Visitor {
    /// A person who is there.
    pub const fn new() -> Self {
        Self { place: Place::There, back_at: None, replies: BTreeMap::new() }
    }

    /// The device is taken up for good at a time.
    pub const fn comes_back(&mut self, at: Instant) {
        self.back_at = Some(at);
    }

    /// The person leaves at a time, or when everything that was sent is answered. Replies in mind are
    /// forgotten.
    pub fn goes(&mut self, at: Instant) {
        if self.place != Place::Away {
            self.place = Place::Going(at);
            self.replies.clear();
        }
    }

    /// The person comes; whether the device was away.
    pub fn comes(&mut self) -> bool {
        std::mem::replace(&mut self.place, Place::There) == Place::Away
    }

    /// Has a reply in mind.
    pub fn will_reply(&mut self, at: Instant, to: (ConversationId, Sequence), size: u32) {
        if self.place == Place::There && self.replies.len() < REPLIES_MAX {
            self.replies.insert((at, to.0, to.1), size);
        }
    }

    /// When there is something to do.
    pub fn due(&self) -> Option<Instant> {
        match self.place {
            Place::There => self.replies.first_key_value().map(|((at, ..), _)| *at),
            Place::Going(at) => Some(at),
            Place::Away => self.back_at,
        }
    }

    /// What is due. `may_go`: the device has a session, and nothing is unanswered.
    pub fn next(&mut self, now: Instant, may_go: bool) -> Option<Move> {
        if self.due().is_none_or(|due| due > now) {
            return None;
        }
        match self.place {
            Place::There => {
                let ((at, conversation, sequence), size) = self.replies.pop_first()?;
                Some(Move::Reply(conversation, sequence, size, at))
            }
            Place::Going(_) if may_go => {
                self.place = Place::Away;
                Some(Move::PutAway)
            }
            Place::Going(_) => {
                self.place = Place::Going(now + LOOK_AGAIN);
                None
            }
            Place::Away => {
                self.place = Place::There;
                Some(Move::TakeUp)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TO: (ConversationId, Sequence) = (ConversationId(3), Sequence(7));

    #[tokio::test(start_paused = true)]
    async fn a_device_is_put_away_when_nothing_is_under_way() {
        let (mut visitor, began) = (Visitor::new(), Instant::now());
        let after = |ms| began + Duration::from_millis(ms);
        assert_eq!((visitor.due(), visitor.next(after(0), true)), (None, None));
        visitor.goes(after(5));
        assert_eq!(visitor.next(after(4), true), None);
        assert_eq!(visitor.next(after(5), false), None);
        assert_eq!(visitor.due(), Some(after(105)));
        assert_eq!(visitor.next(after(105), true), Some(Move::PutAway));
        assert_eq!(visitor.due(), None, "it is away, and nobody said until when");
        assert!(visitor.comes());
        assert!(!visitor.comes(), "it is there");
    }

    #[tokio::test(start_paused = true)]
    async fn whoever_comes_before_leaving_stays() {
        let (mut visitor, began) = (Visitor::new(), Instant::now());
        visitor.goes(began);
        assert!(!visitor.comes());
        assert_eq!(visitor.next(began, true), None);
    }

    #[tokio::test(start_paused = true)]
    async fn everybody_comes_back_in_the_end() {
        let (mut visitor, began) = (Visitor::new(), Instant::now());
        let end = began + Duration::from_secs(9);
        visitor.comes_back(end);
        assert_eq!(visitor.next(end, true), None, "it never went");
        visitor.goes(began);
        assert_eq!(visitor.next(began, true), Some(Move::PutAway));
        assert_eq!(visitor.due(), Some(end));
        assert_eq!(visitor.next(end, false), Some(Move::TakeUp));
        assert!(!visitor.comes());
    }

    #[tokio::test(start_paused = true)]
    async fn replies_come_in_their_time_unless_the_person_leaves() {
        let (mut visitor, began) = (Visitor::new(), Instant::now());
        let after = |ms| began + Duration::from_millis(ms);
        let other = (ConversationId(1), Sequence(9));
        visitor.will_reply(after(30), TO, 50);
        visitor.will_reply(after(20), other, 60);
        assert_eq!(visitor.next(after(19), true), None);
        assert_eq!(
            visitor.next(after(40), true),
            Some(Move::Reply(other.0, other.1, 60, after(20)))
        );
        assert_eq!(visitor.next(after(40), true), Some(Move::Reply(TO.0, TO.1, 50, after(30))));
        visitor.will_reply(after(50), TO, 50);
        visitor.goes(after(60));
        assert_eq!(visitor.next(after(55), true), None, "forgotten");
        visitor.will_reply(after(58), TO, 50);
        assert_eq!(visitor.next(after(60), true), Some(Move::PutAway));
        for sequence in 0..100 {
            visitor.comes();
            visitor.will_reply(after(70), (TO.0, Sequence(sequence)), 50);
        }
        assert_eq!(visitor.replies.len(), REPLIES_MAX);
    }
}
