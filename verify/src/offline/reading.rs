//! What the answers to reads lack.

use super::book::{Book, How};
use crate::history::event::{Device, What};
use protocol::ConversationId;

/// A read with its answer.
pub(super) struct Reading {
    began: usize,
    device: Device,
    conversation: ConversationId,
    after: u64,
    head: u64,
    entries: Vec<u64>,
    whole: bool,
}

impl Reading {
    /// Whether each entry lies behind the one before, and the first one behind `after`.
    fn rises(&self) -> bool {
        let before = [self.after].into_iter().chain(self.entries.iter().copied());
        before.zip(&self.entries).all(|(before, entry)| before < *entry)
    }

    /// Whether the answer covers a sequence and has it not.
    fn lacks(&self, sequence: u64) -> bool {
        let last = self.entries.iter().copied().max().unwrap_or(0);
        let to = if self.whole { last.max(self.head) } else { last };
        sequence > self.after && sequence <= to && !self.entries.contains(&sequence)
    }
}

/// What became of a request.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Reply {
    Ended(usize),
    Failed(usize),
    /// The session went, or the same request was made again.
    Lost,
    /// None until the end.
    Missing,
}

impl Book<'_> {
    /// What became of the request that was made at a line.
    pub fn reply(&self, device: Device, request: u32, began: usize) -> Reply {
        for (number, line) in self.lines.iter().enumerate().skip(began + 1) {
            match line.is {
                What::ReadEnded { device: d, request: r, .. } if (*d, *r) == (device, request) => {
                    return Reply::Ended(number);
                }
                What::ReadFailed { device: d, request: r, .. } if (*d, *r) == (device, request) => {
                    return Reply::Failed(number);
                }
                What::ReadBegan { device: d, request: r, .. } if (*d, *r) == (device, request) => {
                    return Reply::Lost;
                }
                What::Opened { device: d, .. } if *d == device => return Reply::Lost,
                What::Closed { device: d, .. } if *d == device && number < self.watched_to() => {
                    return Reply::Lost;
                }
                _ => {}
            }
        }
        Reply::Missing
    }

    fn readings(&self) -> Vec<Reading> {
        let mut readings = Vec::new();
        for (began, line) in self.lines.iter().enumerate() {
            let What::ReadBegan { device, request, conversation, after } = line.is else {
                continue;
            };
            let Reply::Ended(ended) = self.reply(*device, *request, began) else { continue };
            let What::ReadEnded { head, whole, .. } = self.lines[ended].is else { continue };
            let entries = self.observations.iter().filter(|s| {
                s.line > began
                    && s.line < ended
                    && s.how == How::Read(*device, *request)
                    && s.entry.conversation == *conversation
            });
            readings.push(Reading {
                began,
                device: *device,
                conversation: *conversation,
                after: after.0,
                head: head.0,
                entries: entries.map(|s| s.entry.sequence.0).collect(),
                whole: *whole,
            });
        }
        readings
    }

    /// f: the highest sequence that a user has seen, or was told of, before a line.
    fn seen_by(&self, user: u64, conversation: ConversationId, before: usize) -> u64 {
        let seen = (0..).zip(&self.lines[..before]).filter_map(|(number, line)| match line.is {
            What::Shown { device, entry }
            | What::Received { device, entry }
            | What::Read { device, entry, .. }
                if (device.user.0, entry.conversation) == (user, conversation) =>
            {
                Some(entry.sequence.0)
            }
            What::Accepted { device, conversation: c, message, sequence, .. }
                if (device.user.0, *c) == (user, conversation) =>
            {
                let send = self.send_of(user, message.0, number);
                send.is_none_or(|send| send.conversation == *c).then_some(sequence.0)
            }
            What::ReadEnded { device, conversation: c, head, .. }
                if (device.user.0, *c) == (user, conversation) =>
            {
                Some(head.0)
            }
            _ => None,
        });
        seen.max().unwrap_or(0)
    }
}

pub(super) fn is_an_own_message_hidden(book: &Book<'_>) -> bool {
    book.readings().iter().any(|reading| {
        let user = reading.device.user;
        let own = |a: &&super::book::Answer| {
            (a.send.device.user, a.send.conversation) == (user, reading.conversation)
                && a.line < reading.began
        };
        book.acceptances.iter().filter(own).any(|a| {
            reading.head < a.sequence
                || (reading.lacks(a.sequence)
                    && book.is_due(user.0, reading.conversation, a.sequence, 0))
        })
    })
}

pub(super) fn does_a_read_go_back(book: &Book<'_>) -> bool {
    let in_a_read = book.readings().iter().any(|reading| {
        let user = reading.device.user.0;
        let seen = book.seen_by(user, reading.conversation, reading.began);
        let lacks = |q: u64| reading.lacks(q) && book.is_due(user, reading.conversation, q, 0);
        let last = reading.entries.iter().copied().max().unwrap_or(0);
        let first = reading.entries.first().copied().unwrap_or(0);
        // What retention had removed when the page was made may not be known.
        let from = if book.header.retention.is_some() { first } else { 0 };
        reading.head < seen
            || !reading.rises()
            || (1..=seen.max(last)).any(|q| (q <= seen || q > from) && lacks(q))
    });
    let at_the_end = |conversation: ConversationId| {
        let Some(read) = book.final_read(conversation) else { return false };
        let Some(began) = read.began else { return false };
        book.users().any(|user| read.head < book.seen_by(user, conversation, began))
    };
    in_a_read || book.conversations().any(at_the_end)
}
