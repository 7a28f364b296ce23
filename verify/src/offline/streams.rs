//! What the streams of a device show, one entry after the other: gaps, and replies before their parents.

use super::book::{Book, How};
use super::fields::{conversation_of, device_of};
use super::members::Membership;
use crate::history::event::{Device, Said, What};
use protocol::ConversationId;

/// A device's stream of a conversation, as it is just before a line.
#[derive(Clone, Copy, Default)]
pub(super) struct Stream {
    /// Whether one ever began, or anything was shown.
    pub is_known: bool,
    /// Behind which the first one began, or its head if that was less.
    pub base: u64,
    /// Behind which the present one began, or the last one.
    pub from: u64,
    /// How far the device has got.
    pub last: u64,
    /// The highest sequence that arrived in the present stream, or behind which it began.
    pub arrived: u64,
    /// The line with which the present stream began.
    pub began: Option<usize>,
    /// The line with which the last one ended by `detached`, if none has begun since.
    pub detached: Option<usize>,
}

impl Book<'_> {
    /// A device's stream of a conversation just before a line.
    pub fn stream(&self, device: Device, conversation: ConversationId, line: usize) -> Stream {
        let mut stream = Stream::default();
        let mut is_connected = false;
        for (number, earlier) in self.lines[..line].iter().enumerate() {
            if device_of(earlier.is) != Some(device) {
                continue;
            }
            let is_closed = matches!(earlier.is, What::Closed { .. }) && number < self.watched_to();
            let is_opened = matches!(earlier.is, What::Opened { .. });
            if is_closed || is_opened {
                (stream.began, is_connected) = (None, is_opened);
            }
            if conversation_of(earlier.is) != Some(conversation) {
                continue;
            }
            match earlier.is {
                What::Attached { from, head, .. } => {
                    if !stream.is_known || stream.detached.is_some() {
                        stream.base = stream.base.max(from.0.min(head.0));
                    }
                    stream.from = from.0;
                    stream.is_known = true;
                    stream.last = stream.last.max(from.0);
                    stream.arrived = from.0;
                    (stream.began, stream.detached) = (is_connected.then_some(number), None);
                }
                What::Detached { .. } => (stream.began, stream.detached) = (None, Some(number)),
                What::Shown { entry, .. } => {
                    if !stream.is_known {
                        stream.base = entry.sequence.0.saturating_sub(1);
                    }
                    stream.is_known = true;
                    stream.last = stream.last.max(entry.sequence.0);
                    stream.arrived = stream.arrived.max(entry.sequence.0);
                }
                What::Received { entry, .. } => {
                    stream.arrived = stream.arrived.max(entry.sequence.0);
                }
                _ => {}
            }
        }
        stream
    }

    /// Whether a device showed a sequence before a line.
    pub fn was_shown(
        &self,
        device: Device,
        conversation: ConversationId,
        sequence: u64,
        before: usize,
    ) -> bool {
        self.observations.iter().any(|s| {
            s.line < before && s.how == How::Shown(device) && s.is_at(conversation, sequence)
        })
    }
}

pub(super) fn is_something_left_out(book: &Book<'_>) -> bool {
    let jumps = |line: usize| match book.lines[line].is {
        What::Shown { device, entry } => {
            does_jump(book, *device, entry.conversation, line, entry.sequence.0.saturating_sub(1))
        }
        What::Attached { device, conversation, from, head } => {
            (from > head && book.header.format >= 2)
                || does_jump(book, *device, *conversation, line, from.0)
                || does_skip(book, *device, *conversation, line, from.0)
        }
        What::Detached { device, conversation } => {
            ends_too_early(book, *device, *conversation, line)
        }
        _ => false,
    };
    (0..book.lines.len()).any(jumps) || book.conversations().any(|c| has_holes(book, c))
}

/// Whether a device that goes on behind `to` leaves out something that it should have shown.
fn does_jump(
    book: &Book<'_>,
    device: Device,
    conversation: ConversationId,
    line: usize,
    to: u64,
) -> bool {
    let stream = book.stream(device, conversation, line);
    stream.is_known
        && stream.detached.is_none()
        && (stream.last + 1..=to).any(|q| book.is_due(device.user.0, conversation, q, to + 1))
}

/// Whether the first stream of a device begins behind something, from the first message on, to which no
/// device of the user has got.
fn does_skip(
    book: &Book<'_>,
    device: Device,
    conversation: ConversationId,
    line: usize,
    from: u64,
) -> bool {
    let stream = book.stream(device, conversation, line);
    if book.header.format < 2 || (stream.is_known && stream.detached.is_none()) {
        return false;
    }
    let user = device.user.0;
    let devices = book.devices_of(user).into_iter();
    let reached = devices.map(|device| book.stream(device, conversation, line).last).max();
    (reached.unwrap_or(0) + 1..=from)
        .find(|q| book.was_message(conversation, *q, line) == Some(true))
        .is_some_and(|first| (first..=from).any(|q| book.is_due(user, conversation, q, from + 1)))
}

/// Whether a stream ends before all has been shown that lies before the departure.
fn ends_too_early(
    book: &Book<'_>,
    device: Device,
    conversation: ConversationId,
    line: usize,
) -> bool {
    let stream = book.stream(device, conversation, line);
    let user = device.user.0;
    let changes = book.changes(user, conversation, book.lines.len());
    let departure = changes.iter().find(|c| !c.joined && c.sequence > stream.last);
    stream.began.is_some()
        && departure.is_some_and(|departure| {
            (stream.last + 1..departure.sequence).any(|q| {
                book.membership(user, conversation, q) == Membership::Member
                    && !book.is_removed(conversation, q)
            })
        })
}

/// Whether a log that was read whole lacks a sequence.
fn has_holes(book: &Book<'_>, conversation: ConversationId) -> bool {
    let Some(read) = book.final_read(conversation) else { return false };
    let is_stored = |sequence| {
        book.observations.iter().any(|s| s.how == How::Stored && s.is_at(conversation, sequence))
    };
    (1..=read.head).any(|q| !is_stored(q) && !book.is_removed(conversation, q))
}

pub(super) fn is_a_reply_too_early(book: &Book<'_>) -> bool {
    book.observations.iter().any(|observation| {
        let How::Shown(device) = observation.how else { return false };
        let Said::Message { parent: Some(parent), .. } = observation.entry.said else {
            return false;
        };
        let (conversation, line) = (observation.entry.conversation, observation.line);
        let (parent, sequence) = (parent.0, observation.entry.sequence.0);
        parent >= sequence
            || (parent > book.stream(device, conversation, line + 1).base
                && !book.was_shown(device, conversation, parent, line)
                && book.is_due(device.user.0, conversation, parent, sequence))
    })
}
