//! Texts that say who sent them, so that a check needs no map of messages.
//!
//! A text is `user.counter.conversation.parent.epoch` in decimal, a space, and letters up to the
//! wanted size. The counter is the client message id; parent 0 stands for none; the epoch is the
//! sequence of the newest join or departure that the sender's device had shown.

use protocol::{ClientMessageId, ConversationId, Sequence, UserId};
use xxhash_rust::xxh3::xxh3_64;

/// What a text says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Body {
    /// The author.
    pub user: UserId,
    /// The author's id of the message (or of the edit).
    pub counter: ClientMessageId,
    /// Where it was sent to.
    pub conversation: ConversationId,
    /// The message that it answers or edits.
    pub parent: Option<Sequence>,
    /// What the author knew of the membership.
    pub epoch: Sequence,
}

const LETTERS: &str = "the quick brown fox jumps over the lazy dog, and the dog sleeps on. ";

impl Body {
    /// The text, of `size` bytes or as long as what it says.
    pub fn text(&self, size: usize) -> String {
        let parent = self.parent.unwrap_or_default();
        let mut text = format!(
            "{}.{}.{}.{parent}.{} ",
            self.user, self.counter, self.conversation, self.epoch
        );
        while text.len() < size {
            let missing = size - text.len();
            text.push_str(&LETTERS[..missing.min(LETTERS.len())]);
        }
        text
    }

    /// What a text says; `None` for texts that were not made here.
    pub fn parse(text: &str) -> Option<Self> {
        let (head, _) = text.split_once(' ')?;
        let mut numbers = head.split('.').map(|number| number.parse::<u64>().ok());
        let mut next = || numbers.next().flatten();
        let body = Self {
            user: UserId(next()?),
            counter: ClientMessageId(next()?),
            conversation: ConversationId(next()?),
            parent: Some(Sequence(next()?)).filter(|parent| *parent != Sequence::START),
            epoch: Sequence(next()?),
        };
        numbers.next().is_none().then_some(body)
    }
}

/// The hash that stands for a text in a history.
pub fn hash(text: &str) -> u64 {
    xxh3_64(text.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_text_says_what_was_put_into_it(
            user in 1_u64..=u64::MAX, counter in 1_u64..1 << 53, conversation: u64,
            parent in proptest::option::of(1_u64..), epoch: u64, size in 0_usize..5_000,
        ) {
            let body = Body {
                user: UserId(user),
                counter: ClientMessageId(counter),
                conversation: ConversationId(conversation),
                parent: parent.map(Sequence),
                epoch: Sequence(epoch),
            };
            let text = body.text(size);
            prop_assert_eq!(Body::parse(&text), Some(body));
            prop_assert!(text.len() == size || text.len() > size && text.ends_with(' '));
        }

        #[test]
        fn any_text_can_be_looked_at(text: String) {
            let _ = Body::parse(&text);
        }
    }

    #[test]
    fn other_texts_say_nothing() {
        for text in ["", "hello", "1.2.3.4 x", "1.2.3.4.5.6 x", "1.2.x.4.5 y", "1.2.3.4.5"] {
            assert_eq!(Body::parse(text), None, "{text}");
        }
    }
}
