//! The invariants about reads, edits and receipts by brute force. True: violated.

use super::facts::{Facts, Where};
use super::safety::is_owed;
use crate::history::event::{Device, Said, What};

/// A read that was completed.
struct WholeRead {
    began: usize,
    ended: usize,
    device: Device,
    conversation: u64,
    after: u64,
    head: u64,
    whole: bool,
    entries: Vec<u64>,
}

impl WholeRead {
    fn misses(&self, sequence: u64) -> bool {
        let last = self.entries.iter().copied().max().unwrap_or(0);
        let covered = if self.whole { last.max(self.head) } else { last };
        sequence > self.after && sequence <= covered && !self.entries.contains(&sequence)
    }
}

fn reads(facts: &Facts<'_>) -> Vec<WholeRead> {
    let mut reads = Vec::new();
    for (ended, (_, is)) in facts.events.iter().enumerate() {
        let What::ReadEnded { device, request, conversation, head, whole } = is else { continue };
        let mut entries = Vec::new();
        for (began, (_, earlier)) in facts.events[..ended].iter().enumerate().rev() {
            match earlier {
                What::Opened { device: d, .. } | What::Closed { device: d, .. } if d == device => {
                    break;
                }
                What::ReadEnded { device: d, request: r, .. } if d == device && r == request => {
                    break;
                }
                What::Read { device: d, request: r, entry } if d == device && r == request => {
                    entries.push(entry.sequence.0);
                }
                What::ReadBegan { device: d, request: r, after, .. }
                    if d == device && r == request =>
                {
                    reads.push(WholeRead {
                        began,
                        ended,
                        device: *device,
                        conversation: conversation.0,
                        after: after.0,
                        head: head.0,
                        whole: *whole,
                        entries,
                    });
                    break;
                }
                _ => {}
            }
        }
    }
    reads
}

pub(super) fn hides_an_own_message(facts: &Facts<'_>) -> bool {
    let answers = facts.answers();
    reads(facts).iter().any(|read| {
        let user = read.device.user;
        let own = |index: usize| {
            answers
                .iter()
                .filter(|a| a.send.device.user == user && a.conversation == read.conversation)
                .filter(move |a| a.index < index)
        };
        let highest = own(read.began).map(|a| a.sequence).max().unwrap_or(0);
        let since: Vec<u64> =
            own(read.ended).filter(|a| a.index > read.began).map(|a| a.sequence).collect();
        let missing = facts
            .first_answers()
            .iter()
            .filter(|a| {
                a.send.device.user == user
                    && a.conversation == read.conversation
                    && a.index < read.ended
            })
            .any(|a| {
                a.sequence <= highest
                    && read.misses(a.sequence)
                    && !since.contains(&a.sequence)
                    && is_owed(facts, (user.0, a.conversation), a.sequence..=a.sequence, 0)
            });
        highest > 0 && (read.head < highest || missing)
    })
}

/// The highest sequence that a user had seen or was told of before an event.
fn floor(facts: &Facts<'_>, user: u64, conversation: u64, before: usize) -> u64 {
    let answers = facts.answers();
    let told = answers
        .iter()
        .filter(|a| {
            a.index < before && a.send.device.user.0 == user && a.conversation == conversation
        })
        .map(|a| a.sequence);
    let seen = facts.events[..before].iter().filter_map(|(_, is)| match is {
        What::Shown { device, entry } | What::Read { device, entry, .. }
            if device.user.0 == user && entry.conversation.0 == conversation =>
        {
            Some(entry.sequence.0)
        }
        What::ReadEnded { device, conversation: c, head, .. }
            if device.user.0 == user && c.0 == conversation =>
        {
            Some(head.0)
        }
        _ => None,
    });
    told.chain(seen).max().unwrap_or(0)
}

pub(super) fn goes_back(facts: &Facts<'_>) -> bool {
    let in_a_read = reads(facts).iter().any(|read| {
        let user = read.device.user.0;
        let floor = floor(facts, user, read.conversation, read.began);
        read.head < floor
            || (1..=floor).any(|sequence| {
                read.misses(sequence)
                    && is_owed(facts, (user, read.conversation), sequence..=sequence, 0)
            })
    });
    in_a_read
        || facts.users().any(|user| {
            facts.conversations().any(|conversation| {
                let (whole, _, head) = facts.final_read(conversation);
                whole && head < floor(facts, user, conversation, facts.events.len())
            })
        })
}

const fn target_of(said: &Said) -> Option<(u64, bool)> {
    match said {
        Said::Edit { target, .. } => Some((target.0, false)),
        Said::Delete { target } => Some((target.0, true)),
        _ => None,
    }
}

pub(super) fn leaves_versions_apart(facts: &Facts<'_>) -> bool {
    let edits: Vec<_> = facts
        .sightings()
        .filter_map(|(index, at, place, entry)| {
            let (target, deletes) = target_of(&entry.said)?;
            Some((index, at, place, entry.conversation.0, target, entry.sequence.0, deletes))
        })
        .collect();
    let fell = edits.iter().any(|&(index, _, place, conversation, target, sequence, deletes)| {
        matches!(place, Where::Shown(_)) && {
            let before: Vec<_> = edits
                .iter()
                .filter(|e| e.0 < index && (e.2, e.3, e.4) == (place, conversation, target))
                .collect();
            before.last().is_some_and(|e| sequence < e.5)
                || (before.iter().any(|e| e.6) && !deletes)
        }
    });
    let (Some(ended), Some(healed)) = (facts.ended(), facts.healed()) else { return fell };
    let apart = edits.iter().any(|&(_, _, _, conversation, target, ..)| {
        let same = || edits.iter().filter(|e| (e.3, e.4) == (conversation, target));
        let newest = same().map(|e| e.5).max().unwrap_or(0);
        let first_seen = same().find(|e| e.5 == newest).map_or(0, |e| e.1);
        facts.devices().into_iter().any(|device| {
            let stream = facts.stream(device, conversation, facts.events.len());
            let due = first_seen.max(healed).max(stream.attached_at)
                + facts.header.deadlines.delivered_us;
            let version = same().rfind(|e| e.2 == Where::Shown(device)).map_or(0, |e| e.5);
            stream.known
                && facts.is_attached(device, conversation)
                && newest > stream.base
                && due <= ended
                && !facts.is_removed(conversation, newest)
                && facts.is_member(device.user.0, conversation, newest) == Some(true)
                && !facts.departs(device.user.0, conversation, newest, u64::MAX)
                && version != newest
        })
    });
    fell || apart
}

pub(super) fn lowers_a_receipt(facts: &Facts<'_>) -> bool {
    facts.events.iter().enumerate().any(|(index, (_, is))| match is {
        What::ReceiptSent { device, conversation, delivered, read } => {
            let stream = facts.stream(*device, conversation.0, index);
            read > delivered || (stream.known && delivered.0 > stream.last)
        }
        What::ReceiptSeen { device, conversation, user, delivered, read } => {
            let same_session =
                facts.events[..index].iter().enumerate().rev().find_map(|(earlier, (_, was))| {
                    match was {
                        What::ReceiptSeen {
                            device: d,
                            conversation: c,
                            user: u,
                            delivered,
                            read,
                        } if (d, c, u) == (device, conversation, user) => {
                            Some((facts.device(*d, earlier).session, *delivered, *read))
                        }
                        _ => None,
                    }
                });
            let session = facts.device(*device, index).session;
            let fell =
                same_session.is_some_and(|(s, d, r)| s == session && (*delivered < d || *read < r));
            read > delivered || fell || exceeds(facts, user.0, conversation.0, delivered.0, index)
        }
        What::StoredCursor { conversation, user, delivered, read } => {
            let told = facts.events[..index].iter().any(|(_, was)| {
                matches!(was, What::ReceiptSeen {
                    conversation: c, user: u, delivered: d, read: r, ..
                } if (c, u) == (conversation, user)
                    // What exceeded its bounds was not noted as told.
                    && (d > delivered || r > read))
            });
            read > delivered || told || exceeds(facts, user.0, conversation.0, delivered.0, index)
        }
        _ => false,
    })
}

/// Whether more was delivered than any device of the member had shown.
fn exceeds(facts: &Facts<'_>, user: u64, conversation: u64, delivered: u64, before: usize) -> bool {
    let lasts = facts
        .devices()
        .into_iter()
        .filter(|device| device.user.0 == user)
        .map(|device| facts.stream(device, conversation, before))
        .filter(|stream| stream.known)
        .map(|stream| stream.last);
    lasts.max().is_some_and(|last| delivered > last)
}
