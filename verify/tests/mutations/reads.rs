//! Answers to reads, and cursors, are not what they should be.

use crate::case::{Case, device_of, is_message, is_sent};
use crate::kind::{Kind, caught};
use protocol::{ClientMessageId, ConversationId, Epoch, Sequence, UserId};
use verify::history::event::{Device, Said, Seen, What};

pub const KINDS: &[Kind] = &[
    caught("a read names a head that its user had got beyond", "reads_never_go_back", |case| {
        let read = read(case, |read| read.known > 0)?;
        let lower = read.known - 1 - case.draw(read.known.min(3));
        lower_head(case, &read, lower)
    }),
    caught("a read lacks an entry that its user had seen", "reads_never_go_back", |case| {
        let (at, ..) = lacking(case, |_, _| true)?;
        case.remove(at);
        Some(())
    }),
    caught("a read lacks an own message", "own_message_visible", |case| {
        let (at, ..) = lacking(case, |entry, read| {
            entry.author == read.device.user && is_sent(entry) && entry.sequence.0 <= read.own
        })?;
        case.remove(at);
        Some(())
    }),
    caught("a read names a head below an own message", "own_message_visible", |case| {
        let read = read(case, |read| read.own > 0)?;
        let head = read.own - 1;
        lower_head(case, &read, head)
    }),
    caught("a read has no entries although there are some", "reads_never_go_back", |case| {
        let (_, read) = lacking(case, |_, read| read.whole)?;
        case.retain(|n, is| {
            n < read.began
                || n > read.ended
                || !matches!(is, What::Read { device, request, .. }
                    if (*device, *request) == (read.device, read.request))
        });
        Some(())
    }),
    caught("a read has another text", "conversation_order_agrees", |case| {
        let at = case.event(|is| matches!(is, What::Read { entry, .. } if is_message(entry)))?;
        change(case, at, |entry| {
            if let Said::Message { hash, .. } = &mut entry.said {
                *hash ^= 1;
            }
        })
    }),
    caught("a read has a message that nobody sent", "no_phantom_message", |case| {
        let at = case.event(|is| matches!(is, What::Read { entry, .. } if is_sent(entry)))?;
        change(case, at, |entry| entry.message = ClientMessageId(entry.message.0 + 33_000_000))
    }),
    caught("a read has a message under another sequence", "no_duplicate_delivery", |case| {
        let at = case.event(|is| matches!(is, What::Read { entry, .. } if is_sent(entry)))?;
        change(case, at, |entry| entry.sequence = Sequence(entry.sequence.0 + 1))
    }),
    caught("a read has an entry of an epoch that comes later", "one_owner_per_partition", |case| {
        let truth = case.truth;
        let at = case.event(|is| {
            matches!(is, What::Read { entry, .. }
                if entry.sequence.0 < truth.head(entry.conversation))
        })?;
        change(case, at, |entry| entry.epoch = Epoch(entry.epoch.0 + 50))
    }),
    caught("a read has entries for somebody who is no member", "only_members_receive", |case| {
        let at = case.event(|is| matches!(is, What::Read { .. }))?;
        let What::Read { request, entry, .. } = *case.truth.is(at) else { return None };
        let place = (entry.conversation, entry.sequence);
        let strangers: Vec<Device> = case
            .truth
            .devices
            .iter()
            .filter(|d| !case.truth.is_member(d.user, place))
            .copied()
            .collect();
        let device = case.one_of(&strangers)?;
        case.insert(at, What::Read { device, request, entry });
        Some(())
    }),
    caught("a displayed cursor goes back", "receipts_only_rise", |case| {
        let (one, other) = two_receipts(case, |one, other| one != other)?;
        let (first, second) = (case.truth.is(one).clone(), case.truth.is(other).clone());
        (*case.is(one), *case.is(other)) = (second, first);
        Some(())
    }),
    caught("two entries of a page have changed places", "reads_never_go_back", |case| {
        let (one, other) = neighbours(case)?;
        let is = case.is(one).clone();
        let other = std::mem::replace(case.is(other), is);
        *case.is(one) = other;
        Some(())
    }),
    caught("an entry comes twice in a page", "reads_never_go_back", |case| {
        let (one, _) = neighbours(case)?;
        let again = case.truth.is(one).clone();
        case.insert(one, again);
        Some(())
    }),
    caught("a page begins before what was asked for", "reads_never_go_back", |case| {
        let reading = read(case, |_| true)?;
        let of_it = |n: &usize| {
            matches!(case.truth.is(*n), What::Read { device, request, .. }
                if (*device, *request) == (reading.device, reading.request))
        };
        let first = (reading.began..reading.ended).find(of_it)?;
        let What::Read { entry, .. } = *case.truth.is(first) else { return None };
        if let What::ReadBegan { after, .. } = case.is(reading.began) {
            *after = entry.sequence;
        }
        Some(())
    }),
    caught("a page lacks what its reader had not seen", "reads_never_go_back", |case| {
        let truth = case.truth;
        let mut all = Vec::new();
        for reading in readings(case) {
            let of_it = |n: &usize| match *truth.is(*n) {
                What::Read { device, request, entry } => {
                    let place = (entry.conversation, entry.sequence);
                    (device, request) == (reading.device, reading.request)
                        && truth.is_member(device.user, place)
                        && entry.sequence.0 > reading.known.max(reading.own)
                }
                _ => false,
            };
            let beyond: Vec<usize> = (reading.began..reading.ended).filter(of_it).collect();
            all.extend(beyond.split_last().map_or(&[][..], |(_, others)| others));
        }
        let at = case.one_of(&all)?;
        case.remove(at);
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
            let place = (*conversation, Sequence(truth.head(*conversation)));
            truth.is_member(*user, place)
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

/// A read with its whole answer.
#[derive(Clone, Copy)]
struct Reading {
    began: usize,
    ended: usize,
    device: Device,
    request: u32,
    whole: bool,
    /// The highest sequence that its user had shown before.
    known: u64,
    /// The highest own message that had been accepted before.
    own: u64,
}

fn readings(case: &Case<'_>) -> Vec<Reading> {
    let truth = case.truth;
    let mut readings = Vec::new();
    for began in truth.all(|is| matches!(is, What::ReadBegan { .. })) {
        let What::ReadBegan { device, request, conversation, .. } = *truth.is(began) else {
            continue;
        };
        let end = (began..truth.judge).find_map(|n| match *truth.is(n) {
            What::ReadEnded { device: d, request: r, whole, .. } if (d, r) == (device, request) => {
                Some((n, whole))
            }
            _ => None,
        });
        let Some((ended, whole)) = end else { continue };
        let shown = truth.devices.iter().filter(|d| d.user == device.user);
        let known = shown
            .flat_map(|d| truth.shown(*d, conversation))
            .filter(|(at, _)| *at < began)
            .map(|(_, q)| q.0);
        let own = truth
            .accepted
            .iter()
            .filter(|a| (a.device.user, a.place.0) == (device.user, conversation) && a.at < began);
        readings.push(Reading {
            began,
            ended,
            device,
            request,
            whole,
            known: known.max().unwrap_or(0),
            own: own.map(|a| a.place.1.0).max().unwrap_or(0),
        });
    }
    readings
}

fn read(case: &mut Case<'_>, wanted: impl Fn(&Reading) -> bool) -> Option<Reading> {
    let all: Vec<Reading> = readings(case).into_iter().filter(wanted).collect();
    case.one_of(&all)
}

/// Two entries of an answer, one behind the other.
fn neighbours(case: &mut Case<'_>) -> Option<(usize, usize)> {
    let truth = case.truth;
    let mut all = Vec::new();
    for reading in readings(case) {
        let of_it = |n: &usize| {
            matches!(truth.is(*n), What::Read { device, request, .. }
                if (*device, *request) == (reading.device, reading.request))
        };
        let entries: Vec<usize> = (reading.began..reading.ended).filter(of_it).collect();
        all.extend(entries.windows(2).map(|pair| (pair[0], pair[1])));
    }
    case.one_of(&all)
}

fn lower_head(case: &mut Case<'_>, reading: &Reading, to: u64) -> Option<()> {
    if let What::ReadEnded { head, .. } = case.is(reading.ended) {
        *head = Sequence(to);
    }
    Some(())
}

/// An entry of an answer that its user knew of, and that is not the last one of a page.
fn lacking(
    case: &mut Case<'_>,
    wanted: impl Fn(&Seen, &Reading) -> bool,
) -> Option<(usize, Reading)> {
    let mut all = Vec::new();
    for reading in readings(case) {
        let entries: Vec<(usize, Seen)> = (reading.began..reading.ended)
            .filter_map(|n| match *case.truth.is(n) {
                What::Read { device, request, entry }
                    if (device, request) == (reading.device, reading.request) =>
                {
                    Some((n, entry))
                }
                _ => None,
            })
            .collect();
        let last = entries.last().map_or(0, |(n, _)| *n);
        for (n, entry) in &entries {
            let is_covered = reading.whole || *n != last;
            if is_covered
                && entry.sequence.0 <= reading.known.max(reading.own)
                && wanted(entry, &reading)
            {
                all.push((*n, reading));
            }
        }
    }
    case.one_of(&all)
}

fn change(case: &mut Case<'_>, at: usize, change: impl Fn(&mut Seen)) -> Option<()> {
    change(crate::case::entry_mut(case.is(at))?);
    Some(())
}

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
