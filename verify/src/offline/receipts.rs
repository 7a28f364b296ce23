//! The cursors of members: as devices send and display them, and as the store keeps them.

use super::book::Book;
use crate::history::event::What;
use protocol::ConversationId;

pub(super) fn does_a_cursor_lie(book: &Book<'_>) -> bool {
    book.lines.iter().enumerate().any(|(line, said)| match said.is {
        What::ReceiptSent { device, conversation, delivered, read } => {
            let stream = book.stream(*device, *conversation, line);
            read > delivered || (stream.is_known && delivered.0 > stream.last)
        }
        What::ReceiptSeen { device, conversation, user, delivered, read } => {
            read > delivered
                || exceeds(book, user.0, *conversation, delivered.0, line)
                || falls(book, line)
                || [device.user, *user].iter().any(|u| is_stranger(book, u.0, *conversation))
        }
        What::StoredCursor { conversation, user, delivered, read } => {
            let is_below = book.lines[..line].iter().any(|earlier| {
                matches!(earlier.is, What::ReceiptSeen { conversation: c, user: u, delivered: d,
                    read: r, .. } if (c, u) == (conversation, user) && (d > delivered || r > read))
            });
            read > delivered || is_below || exceeds(book, user.0, *conversation, delivered.0, line)
        }
        _ => false,
    })
}

/// Whether what a device displays at a line is less than what it displayed before.
fn falls(book: &Book<'_>, line: usize) -> bool {
    let What::ReceiptSeen { device, conversation, user, delivered, read } = book.lines[line].is
    else {
        return false;
    };
    let before = book.lines[..line].iter().enumerate().rev().find_map(|(number, earlier)| {
        match earlier.is {
            What::ReceiptSeen { device: d, conversation: c, user: u, delivered, read }
                if (d, c, u) == (device, conversation, user) =>
            {
                Some((number, delivered, read))
            }
            _ => None,
        }
    });
    let opened = |from: usize| {
        book.lines[from..line]
            .iter()
            .any(|l| matches!(l.is, What::Opened { device: d, .. } if d == device))
    };
    before.is_some_and(|(number, d, r)| {
        (delivered < d || read < r) && (book.header.format >= 2 || !opened(number))
    })
}

/// Whether more was delivered than any device of the member had shown. Nothing is known of a member
/// without a stream.
fn exceeds(
    book: &Book<'_>,
    user: u64,
    conversation: ConversationId,
    delivered: u64,
    line: usize,
) -> bool {
    let streams =
        book.devices_of(user).into_iter().map(|device| book.stream(device, conversation, line));
    let lasts = streams.filter(|stream| stream.is_known).map(|stream| stream.last);
    lasts.max().is_some_and(|last| delivered > last)
}

/// Whether a user certainly never joined.
fn is_stranger(book: &Book<'_>, user: u64, conversation: ConversationId) -> bool {
    let end = book.lines.len();
    let joined = book.changes(user, conversation, end).iter().any(|change| change.joined);
    !joined && book.final_read(conversation).is_some_and(|read| read.first <= 1)
}
