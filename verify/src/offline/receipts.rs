//! The cursors of members: as devices send and display them, and as the store keeps them.

use super::book::Book;
use super::members::Membership;
use crate::history::event::{Device, What};
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
                || was_not_reported(book, line, user.0, *conversation, [delivered.0, read.0])
                || (book.header.format >= 2 && device.user == *user)
                || was_detached(book, *device, *conversation, line)
                || falls(book, line)
                || [device.user, *user].iter().any(|u| is_stranger(book, u.0, *conversation))
        }
        What::StoredCursor { conversation, user, delivered, read } => {
            let told = line.min(book.read_begins(*conversation));
            let is_below = book.lines[..told].iter().any(|earlier| {
                matches!(earlier.is, What::ReceiptSeen { conversation: c, user: u, delivered: d,
                    read: r, .. } if (c, u) == (conversation, user) && (d > delivered || r > read))
            });
            read > delivered
                || is_below
                || exceeds(book, user.0, *conversation, delivered.0, line)
                || was_not_reported(book, line, user.0, *conversation, [delivered.0, read.0])
        }
        What::StoredCursorsAll { conversation } => is_one_missing(book, *conversation, line),
        _ => false,
    })
}

/// Whether more was told of a member at a line than its devices had reported then, or within a second.
fn was_not_reported(
    book: &Book<'_>,
    line: usize,
    user: u64,
    conversation: ConversationId,
    told: [u64; 2],
) -> bool {
    let until = book.lines[line].at.saturating_add(1_000_000);
    let mut reported = [0, 0];
    for earlier in book.lines.iter().take_while(|l| l.at <= until) {
        if let What::ReceiptSent { device, conversation: c, delivered, read } = *earlier.is
            && (device.user.0, c) == (user, conversation)
        {
            reported = [reported[0].max(delivered.0), reported[1].max(read.0)];
        }
    }
    book.header.format >= 2 && (told[0] > reported[0] || told[1] > reported[1])
}

/// Whether a device's stream had ended by `detached` in its session, since when its user had certainly left,
/// and nobody had asked for a change.
fn was_detached(
    book: &Book<'_>,
    device: Device,
    conversation: ConversationId,
    line: usize,
) -> bool {
    let stream = book.stream(device, conversation, line);
    let (Some(detached), Some(session)) = (stream.detached, book.session(device, line)) else {
        return false;
    };
    let at = book.lines[detached].at;
    let is_asked = book.lines[..line].iter().any(|l| {
        l.at >= at
            && matches!(*l.is, What::MemberAsked { conversation: c, user, .. }
                if (c, user) == (conversation, device.user))
    });
    book.header.format >= 2
        && session.from <= at
        && !is_asked
        && book.has_left(device.user.0, conversation, line)
}

/// Whether somebody was told of before a line, is a member at the end, and has no stored cursor before it.
fn is_one_missing(book: &Book<'_>, conversation: ConversationId, line: usize) -> bool {
    let earlier = &book.lines[..line];
    // The final read that was complete then.
    let read = earlier.iter().rev().find_map(|l| match *l.is {
        What::StoredAll { conversation: c, first, head, .. } if c == conversation => {
            Some((first.0, head.0))
        }
        _ => None,
    });
    let is_whole = !earlier.iter().any(|l| {
        matches!(*l.is, What::StoredAll { conversation: c, whole: false, .. } if c == conversation)
    });
    let Some((_, head)) = read.filter(|_| is_whole) else { return false };
    book.users().any(|user| {
        let told = earlier.len().min(book.read_begins(conversation));
        let is_told = earlier[..told].iter().any(|l| {
            matches!(*l.is, What::ReceiptSeen { conversation: c, user: u, delivered, .. }
                if (c, u.0) == (conversation, user) && delivered.0 > 0)
        });
        let is_stored = earlier.iter().any(|l| {
            matches!(*l.is, What::StoredCursor { conversation: c, user: u, .. }
                if (c, u.0) == (conversation, user))
        });
        is_told && !is_stored && book.membership(user, conversation, head) == Membership::Member
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
