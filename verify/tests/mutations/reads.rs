//! Answers to reads are not what they should be.

use crate::case::{Case, is_message, is_sent};
use crate::kind::{Kind, caught};
use protocol::{ClientMessageId, Epoch, Sequence};
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
        let position = (entry.conversation, entry.sequence);
        let strangers: Vec<Device> = case
            .truth
            .devices
            .iter()
            .filter(|d| !case.truth.is_member(d.user, position))
            .copied()
            .collect();
        let device = case.one_of(&strangers)?;
        case.insert(at, What::Read { device, request, entry });
        Some(())
    }),
    caught("two entries of a page have been swapped", "reads_never_go_back", |case| {
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
                    let position = (entry.conversation, entry.sequence);
                    (device, request) == (reading.device, reading.request)
                        && truth.is_member(device.user, position)
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
        let own = truth.accepted.iter().filter(|a| {
            (a.device.user, a.position.0) == (device.user, conversation) && a.at < began
        });
        readings.push(Reading {
            began,
            ended,
            device,
            request,
            whole,
            known: known.max().unwrap_or(0),
            own: own.map(|a| a.position.1.0).max().unwrap_or(0),
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
