//! The safety invariants by brute force. Each function is true if the invariant is violated.

use super::facts::{Facts, Where};
use super::words::{is_of, is_same, is_sent};
use crate::history::event::{Device, Said, What};
use protocol::RejectReason;
use protocol::partition::partition_of;

pub(super) fn loses_an_accepted_message(facts: &Facts<'_>) -> bool {
    let lost = facts.first_answers().iter().any(|answer| {
        let (whole, first, _) = facts.final_read(answer.conversation);
        let stored = facts.sightings().find(|(_, _, place, entry)| {
            *place == Where::Stored
                && entry.conversation.0 == answer.conversation
                && entry.sequence.0 == answer.sequence
        });
        whole
            && answer.sequence >= first
            && !stored.is_some_and(|(.., entry)| is_of(entry, &answer.send))
    });
    lost || super::liveness::is_overdue(facts)
}

pub(super) fn shows_a_phantom(facts: &Facts<'_>) -> bool {
    facts.sightings().filter(|(.., entry)| is_sent(entry)).any(|(index, _, _, entry)| {
        facts.send_before(index, entry.author, entry.message).is_none_or(|send| {
            send.conversation != entry.conversation.0
                || !is_of(entry, &send)
                || facts.is_refused(&send, index)
        })
    })
}

pub(super) fn duplicates(facts: &Facts<'_>) -> bool {
    let twice = facts.sightings().any(|(index, _, place, entry)| match place {
        Where::Shown(device) => {
            facts.was_shown(device, entry.conversation.0, entry.sequence.0, index)
        }
        _ => false,
    });
    let sightings: Vec<_> = facts.sightings().filter(|(.., entry)| is_sent(entry)).collect();
    twice
        || facts.sends().iter().any(|send| {
            let mut sequences: Vec<u64> = sightings
                .iter()
                .filter(|(index, _, _, entry)| {
                    facts
                        .send_before(*index, entry.author, entry.message)
                        .is_some_and(|found| found.index == send.index)
                        && entry.conversation.0 == send.conversation
                })
                .map(|(.., entry)| entry.sequence.0)
                .collect();
            sequences.sort_unstable();
            sequences.dedup();
            sequences.len() > 1
        })
}

pub(super) fn disagrees(facts: &Facts<'_>) -> bool {
    let all: Vec<_> = facts.sightings().map(|(.., entry)| entry).collect();
    all.iter().any(|a| {
        all.iter()
            .any(|b| (a.conversation, a.sequence) == (b.conversation, b.sequence) && !is_same(a, b))
    })
}

/// Whether something in a span was owed: the user was a member there, and retention left it.
pub(super) fn is_owed(
    facts: &Facts<'_>,
    (user, conversation): (u64, u64),
    mut span: std::ops::RangeInclusive<u64>,
    excused_to: u64,
) -> bool {
    span.any(|sequence| {
        facts.is_member(user, conversation, sequence) == Some(true)
            && !facts.departs(user, conversation, sequence, excused_to)
            && !facts.is_removed(conversation, sequence)
    })
}

pub(super) fn has_a_gap(facts: &Facts<'_>) -> bool {
    facts.events.iter().enumerate().any(|(index, (_, is))| {
        let (device, conversation, to) = match is {
            What::Shown { device, entry } => {
                (*device, entry.conversation.0, entry.sequence.0.saturating_sub(1))
            }
            What::Attached { device, conversation, from, .. } => (*device, conversation.0, from.0),
            _ => return false,
        };
        let before = facts.stream(device, conversation, index);
        let who = (device.user.0, conversation);
        before.known && !before.left && is_owed(facts, who, before.last + 1..=to, to + 1)
    })
}

pub(super) fn reorders_a_sender(facts: &Facts<'_>) -> bool {
    let end = facts.events.len();
    let placed: Vec<_> = facts
        .sends()
        .into_iter()
        .filter(|send| {
            facts
                .happened(send, end, |is| {
                    matches!(is, What::Rejected { reason, .. }
                        if matches!(reason, RejectReason::RateLimited | RejectReason::Unavailable))
                })
                .is_none()
        })
        .filter_map(|send| {
            let seen = facts.sightings().find(|(index, _, _, entry)| {
                is_sent(entry)
                    && entry.conversation.0 == send.conversation
                    && facts
                        .send_before(*index, entry.author, entry.message)
                        .is_some_and(|found| found.index == send.index)
            });
            let told =
                facts.first_answers().into_iter().find(|answer| answer.send.index == send.index);
            let sequence =
                seen.map(|(.., e)| e.sequence.0).or_else(|| told.map(|answer| answer.sequence))?;
            Some((send, sequence))
        })
        .collect();
    placed.iter().any(|(first, q)| {
        placed.iter().any(|(second, p)| {
            first.device == second.device
                && first.conversation == second.conversation
                && first.id < second.id
                && q > p
        })
    })
}

pub(super) fn shows_a_reply_early(facts: &Facts<'_>) -> bool {
    facts.sightings().any(|(index, _, place, entry)| {
        let Where::Shown(device) = place else { return false };
        let Said::Message { parent: Some(parent), .. } = entry.said else { return false };
        let conversation = entry.conversation.0;
        let base = facts.stream(device, conversation, index + 1).base;
        parent >= entry.sequence
            || (parent.0 > base
                && !facts.was_shown(device, conversation, parent.0, index)
                && is_owed(
                    facts,
                    (device.user.0, conversation),
                    parent.0..=parent.0,
                    entry.sequence.0,
                ))
    })
}

pub(super) fn leaks(facts: &Facts<'_>) -> bool {
    facts.sightings().any(|(_, _, place, entry)| match place {
        Where::Shown(device) | Where::Read(device, _) => {
            facts.is_member(device.user.0, entry.conversation.0, entry.sequence.0) == Some(false)
        }
        Where::Stored => false,
    })
}

pub(super) fn accepts_the_unauthorised(facts: &Facts<'_>) -> bool {
    let outsider = facts.first_answers().iter().any(|answer| {
        let user = answer.send.device.user.0;
        facts.is_member(user, answer.conversation, answer.sequence) == Some(false)
    });
    outsider
        || facts
            .answers()
            .iter()
            .any(|answer| is_late(facts, answer.send.index, answer.send.device))
}

/// Whether a user's token had been revoked too long ago at an event.
fn is_late(facts: &Facts<'_>, index: usize, device: Device) -> bool {
    let (now, _) = facts.events[index];
    let last = facts.events[..index].iter().rev().find(|(_, is)| {
        matches!(is, What::Revoked { user } | What::Granted { user } if *user == device.user)
    });
    last.is_some_and(|(at, is)| {
        matches!(is, What::Revoked { .. }) && now > at + facts.header.deadlines.revocation_us
    })
}

pub(super) fn has_two_owners(facts: &Facts<'_>) -> bool {
    let mut named = Vec::new();
    let mut sequenced = Vec::new();
    for (_, is) in &facts.events {
        let (conversation, sequence, epoch, owner) = match is {
            What::Shown { entry, .. } | What::Read { entry, .. } | What::Stored { entry } => {
                (entry.conversation, entry.sequence, entry.epoch, entry.owner)
            }
            What::Accepted { conversation, sequence, epoch, owner, .. } => {
                (*conversation, *sequence, *epoch, *owner)
            }
            What::Owner { partition, owner, epoch } => {
                named.push((*partition, *epoch, *owner));
                continue;
            }
            _ => continue,
        };
        named.push((partition_of(conversation, facts.header.partitions), epoch, owner));
        sequenced.push((conversation, sequence, epoch));
    }
    let two = named.iter().any(|a| named.iter().any(|b| (a.0, a.1) == (b.0, b.1) && a.2 != b.2));
    two || sequenced.iter().any(|a| sequenced.iter().any(|b| a.0 == b.0 && a.1 <= b.1 && a.2 > b.2))
}

pub(super) fn contradicts_an_answer(facts: &Facts<'_>) -> bool {
    let sightings: Vec<_> = facts.sightings().collect();
    facts.answers().iter().any(|answer| {
        let send = answer.send;
        let earlier = facts
            .first_answers()
            .into_iter()
            .any(|first| first.send.index == send.index && first.sequence != answer.sequence);
        let promise = facts.promise(answer.conversation, answer.sequence);
        let entry_differs = sightings.iter().any(|(index, _, _, entry)| {
            let here =
                entry.conversation.0 == answer.conversation && entry.sequence.0 == answer.sequence;
            let this = is_sent(entry)
                && entry.conversation.0 == send.conversation
                && facts
                    .send_before(*index, entry.author, entry.message)
                    .is_some_and(|found| found.index == send.index);
            (here && !is_of(entry, &send)) || (this && entry.sequence.0 != answer.sequence)
        });
        send.conversation != answer.conversation
            || earlier
            || promise.is_some_and(|first| first.send.index != send.index)
            || entry_differs
    })
}

pub(super) fn overflows(facts: &Facts<'_>) -> bool {
    facts.events.iter().any(
        |(_, is)| matches!(is, What::Gauge { value, limit, .. } if *limit > 0 && value > limit),
    )
}
