//! What must be on devices and in the store.

use super::book::{Book, How};
use crate::history::event::{Device, Phase, Said, What};
use protocol::ConversationId;

impl Book<'_> {
    /// Whether a device must see a sequence in the end, if it is connected for long enough.
    pub fn must_see(&self, device: Device, conversation: ConversationId, sequence: u64) -> bool {
        let stream = self.stream(device, conversation, self.lines.len());
        !self.is_slow(device.user.0)
            && stream.is_known
            && sequence > stream.base
            && self.is_due(device.user.0, conversation, sequence, u64::MAX)
    }

    /// Whether a device was connected for more than `delivered_us` since a time.
    pub fn is_overdue(&self, device: Device, since: u64, line: usize) -> bool {
        let connected = self.connected_since(device, since, line);
        connected.is_some_and(|time| time > self.header.deadlines.delivered_us)
    }

    /// Whether a device that must see a known sequence, and had the time, never showed it.
    fn is_never_shown(&self, device: Device) -> bool {
        let end = self.lines.len();
        self.positions().into_iter().any(|(conversation, sequence)| {
            let Some(known) = self.known(conversation, sequence, end) else { return false };
            let joined_at = self.joined_at(device.user.0, conversation, end);
            !self.was_shown(device, conversation, sequence, end)
                && self.is_overdue(device, known.max(joined_at), end)
                && self.must_see(device, conversation, sequence)
        })
    }
}

pub(super) fn is_something_lost(book: &Book<'_>) -> bool {
    let is_never_shown = || book.devices().into_iter().any(|device| book.is_never_shown(device));
    is_a_message_lost(book)
        || is_a_change_lost(book)
        || (!book.is_generator_limited() && is_never_shown())
}

fn is_a_message_lost(book: &Book<'_>) -> bool {
    book.acceptances.iter().any(|a| {
        let conversation = a.send.conversation;
        let stored = book
            .observations
            .iter()
            .find(|s| s.how == How::Stored && s.is_at(conversation, a.sequence));
        is_before_read(book, conversation, a.at)
            && !book.is_removed(conversation, a.sequence)
            && !stored.is_some_and(|s| a.send.is(s.entry))
    })
}

fn is_a_change_lost(book: &Book<'_>) -> bool {
    book.lines.iter().any(|line| {
        let What::MemberChanged { conversation, user, add, sequence } = line.is else {
            return false;
        };
        let said = if *add { Said::Join { user: *user } } else { Said::Leave { user: *user } };
        let is_stored = book.observations.iter().any(|s| {
            s.how == How::Stored && s.is_at(*conversation, sequence.0) && s.entry.said == said
        });
        is_before_read(book, *conversation, line.at)
            && !book.is_removed(*conversation, sequence.0)
            && !is_stored
    })
}

/// Whether something happened before the final read of a conversation, and it got everything.
fn is_before_read(book: &Book<'_>, conversation: ConversationId, at: u64) -> bool {
    let began = book.final_read(conversation).and_then(|read| read.began);
    began.is_some_and(|began| at < book.lines[began].at)
}

pub(super) fn is_something_late(book: &Book<'_>) -> bool {
    let Some(healed) = book.phase(Phase::Heal) else { return false };
    let late = book.observations.iter().filter(|s| s.line > healed).any(|s| {
        let How::Shown(device) = s.how else { return false };
        let (conversation, sequence) = (s.entry.conversation, s.entry.sequence.0);
        let known = book.known(conversation, sequence, s.line);
        !book.is_slow(device.user.0)
            && !book.was_shown(device, conversation, sequence, s.line)
            && !book.had_departed(device.user.0, conversation, sequence, s.line)
            && known.is_some_and(|known| {
                let joined_at = book.joined_at(device.user.0, conversation, s.line);
                book.is_overdue(device, known.max(joined_at), s.line)
            })
    });
    let never = book.devices().into_iter().any(|device| book.is_never_shown(device));
    !book.is_generator_limited() && (late || never)
}
