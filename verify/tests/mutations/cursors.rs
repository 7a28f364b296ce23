//! Cursors are reported, displayed or stored that should not be, or are not.

use crate::case::{Case, device_of};
use crate::kind::{Kind, caught};
use protocol::{ConversationId, Sequence, UserId};
use verify::history::event::What;

pub const KINDS: &[Kind] = &[
    caught("a displayed cursor goes back", "receipts_only_rise", |case| {
        let (one, other) = two_receipts(case, |one, other| one != other)?;
        let (first, second) = (case.truth.is(one).clone(), case.truth.is(other).clone());
        (*case.is(one), *case.is(other)) = (second, first);
        Some(())
    }),
    caught("a displayed cursor falls to the beginning", "receipts_only_rise", |case| {
        let (_, other) = two_receipts(case, |one, _| one.0.0 > 0)?;
        if let What::ReceiptSeen { delivered, read, .. } = case.is(other) {
            (*delivered, *read) = (Sequence(0), Sequence(0));
        }
        Some(())
    }),
    caught("a cursor is displayed that is beyond what was shown", "receipts_only_rise", |case| {
        let at = case.event(|is| matches!(is, What::ReceiptSeen { .. }))?;
        let by = case.draw(30) + 60;
        if let What::ReceiptSeen { delivered, .. } = case.is(at) {
            *delivered = Sequence(delivered.0 + by * 10);
        }
        Some(())
    }),
    caught("more is displayed as read than as delivered", "receipts_only_rise", |case| {
        let at = case.event(|is| matches!(is, What::ReceiptSeen { .. }))?;
        if let What::ReceiptSeen { delivered, read, .. } = case.is(at) {
            *read = Sequence(delivered.0 + 1);
        }
        Some(())
    }),
    caught("a device reports more than it has shown", "receipts_only_rise", |case| {
        let at = case.event(|is| matches!(is, What::ReceiptSent { .. }))?;
        let by = case.draw(30) + 600;
        if let What::ReceiptSent { delivered, .. } = case.is(at) {
            *delivered = Sequence(delivered.0 + by);
        }
        Some(())
    }),
    caught("a device reports more as read than as delivered", "receipts_only_rise", |case| {
        let at = case.event(|is| matches!(is, What::ReceiptSent { .. }))?;
        if let What::ReceiptSent { delivered, read, .. } = case.is(at) {
            *read = Sequence(delivered.0 + 1);
        }
        Some(())
    }),
    caught("a stranger is told of a member's cursors", "receipts_only_rise", |case| {
        let at = case.event(|is| matches!(is, What::ReceiptSeen { .. }))?;
        let mut told = case.truth.is(at).clone();
        let What::ReceiptSeen { device, conversation, .. } = &mut told else { return None };
        let user = stranger(case, *conversation)?;
        *device = device_of(user.0, 1);
        case.insert(at, told);
        Some(())
    }),
    caught("a member is told of a stranger's cursors", "receipts_only_rise", |case| {
        let at = case.event(|is| matches!(is, What::ReceiptSeen { .. }))?;
        let mut told = case.truth.is(at).clone();
        let What::ReceiptSeen { user, conversation, delivered, read, .. } = &mut told else {
            return None;
        };
        (*user, *delivered, *read) = (stranger(case, *conversation)?, Sequence(0), Sequence(0));
        case.insert(at, told);
        Some(())
    }),
    caught("a stored cursor is below what was displayed", "receipts_only_rise", |case| {
        stored_cursor(case, |_, delivered, read| {
            *delivered = Sequence(delivered.0.saturating_sub(1));
            *read = Sequence(read.0.saturating_sub(1).min(delivered.0));
        })
    }),
    caught("a stored cursor is beyond what was shown", "receipts_only_rise", |case| {
        stored_cursor(case, |head, delivered, _| *delivered = Sequence(head + 9))
    }),
    caught("more is told as read than was reported", "receipts_only_rise", |case| {
        case.event(|is| matches!(is, What::ReceiptSeen { delivered, .. } if delivered.0 > 0))?;
        for event in &mut case.history.events {
            match &mut event.is {
                What::ReceiptSent { read, .. } => *read = Sequence(0),
                What::ReceiptSeen { delivered, read, .. }
                | What::StoredCursor { delivered, read, .. } => *read = *delivered,
                _ => {}
            }
        }
        Some(())
    }),
    caught("a cursor that was told is not stored", "receipts_only_rise", |case| {
        let truth = case.truth;
        let is_read = truth.all(|is| matches!(is, What::StoredCursorsAll { .. }));
        is_read.first()?;
        let is_told = |of: &What| {
            let What::StoredCursor { conversation, user, .. } = of else { return false };
            let position = (*conversation, Sequence(truth.head(*conversation)));
            truth.is_member(*user, position)
                && truth.sound.events.iter().any(|event| {
                    matches!(event.is, What::ReceiptSeen { conversation: c, user: u, delivered, .. }
                        if (c, u) == (*conversation, *user) && delivered.0 > 0)
                })
        };
        let at = case.event(is_told)?;
        case.remove(at);
        Some(())
    }),
    caught("a device is told of its own user", "receipts_only_rise", |case| {
        let at = case.event(|is| matches!(is, What::ReceiptSent { .. }))?;
        let What::ReceiptSent { device, conversation, delivered, read } = *case.truth.is(at) else {
            return None;
        };
        let user = device.user;
        case.insert(at, What::ReceiptSeen { device, conversation, user, delivered, read });
        Some(())
    }),
    caught("receipts are told to somebody who has left", "receipts_only_rise", |case| {
        let truth = case.truth;
        let mut all = Vec::new();
        for at in truth.all(|is| matches!(is, What::Detached { .. })) {
            let What::Detached { device, conversation } = *truth.is(at) else { continue };
            let changes = (0..at).rev().find_map(|n| match *truth.is(n) {
                What::MemberAsked { conversation: c, user, add }
                | What::MemberChanged { conversation: c, user, add, .. }
                    if (c, user) == (conversation, device.user) =>
                {
                    Some((n, !add && matches!(truth.is(n), What::MemberChanged { .. })))
                }
                _ => None,
            });
            let told = (0..at).rev().find(|n| {
                matches!(*truth.is(*n), What::ReceiptSeen { device: d, conversation: c, .. }
                    if (d, c) == (device, conversation))
            });
            if let (Some((_, true)), Some(told)) = (changes, told)
                && at < truth.judge
            {
                all.push((at, told));
            }
        }
        let (at, told) = case.one_of(&all)?;
        let again = truth.is(told).clone();
        case.insert(at, again);
        Some(())
    }),
    caught("more is stored as read than as delivered", "receipts_only_rise", |case| {
        stored_cursor(case, |_, delivered, read| *read = Sequence(delivered.0 + 1))
    }),
];

/// Two receipts that one device displays of one member, one behind the other.
fn two_receipts(
    case: &mut Case<'_>,
    wanted: impl Fn((Sequence, Sequence), (Sequence, Sequence)) -> bool,
) -> Option<(usize, usize)> {
    let truth = case.truth;
    let mut all = Vec::new();
    for one in truth.all(|is| matches!(is, What::ReceiptSeen { .. })) {
        let What::ReceiptSeen { device, conversation, user, delivered, read } = *truth.is(one)
        else {
            continue;
        };
        let next = (one + 1..truth.judge).find_map(|n| match *truth.is(n) {
            What::ReceiptSeen { device: d, conversation: c, user: u, delivered, read }
                if (d, c, u) == (device, conversation, user) =>
            {
                Some((n, (delivered, read)))
            }
            _ => None,
        });
        if let Some((other, _)) = next.filter(|(_, cursors)| wanted((delivered, read), *cursors)) {
            all.push((one, other));
        }
    }
    case.one_of(&all)
}

/// A user who never joined a conversation.
fn stranger(case: &mut Case<'_>, conversation: ConversationId) -> Option<UserId> {
    let all: Vec<UserId> =
        case.truth.users().filter(|u| case.truth.changes(*u, conversation).is_empty()).collect();
    case.one_of(&all)
}

/// Changes a stored cursor of somebody whose cursors are displayed as high as they are stored; the
/// change is given the head of the conversation.
fn stored_cursor(
    case: &mut Case<'_>,
    change: impl Fn(u64, &mut Sequence, &mut Sequence),
) -> Option<()> {
    let truth = case.truth;
    let is_told = |of: &What| {
        let What::StoredCursor { conversation, user, delivered, .. } = of else { return false };
        truth.sound.events.iter().any(|event| {
            matches!(event.is, What::ReceiptSeen { conversation: c, user: u, delivered: d, .. }
                if (c, u, d) == (*conversation, *user, *delivered) && d.0 > 0)
        })
    };
    let at = case.event(is_told)?;
    let What::StoredCursor { conversation, .. } = *truth.is(at) else { return None };
    let head = truth.head(conversation);
    if let What::StoredCursor { delivered, read, .. } = case.is(at) {
        change(head, delivered, read);
    }
    Some(())
}
