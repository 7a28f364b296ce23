//! **Edits converge.** Let v(d, t) be the sequence of the edit or deletion of message t that device d
//! showed last. It never falls; nothing follows a deletion but deletions; and v(d, t) = V, the highest
//! sequence of an edit or deletion of t that was seen anywhere, on every device that must see V, before
//! it has been connected for more than `delivered_us` since max(V first seen, H, its user's last join).
//!
//! In the log nothing at all follows the deletion of a message (not judged in a history of format 1).
//! And what an edit or a deletion changes, or a reply answers, is a message before it.
//!
//! - A target that nobody saw as a message is judged where the log was read whole and has it, and
//!   retention left it.
//! - d must see V as defined by `accepted_message_survives`. "First seen" is by anybody, in the final read
//!   at the latest.
//! - Judged: edits and deletions shown, and at the end the newest version of each edited message on each
//!   device that had the time.
//! - Excused: what is shown again after compaction, and targets that were compacted before.
//! - Broken by: an edit that is shown after a later one; a device that never shows the last one. Not by:
//!   an edit that is shown after a deletion of another message.
//!
//! Streaming: one small record per edited message and per (device, edited message); messages that
//! nobody edits cost nothing, nor do those whose newest version is compacted; of these 65,536 deletions are
//! remembered.

use super::Check;
use crate::history::event::{Event, Said, Seen, What};
use crate::state::merge::Slots;
use crate::state::recent::About;
use crate::state::{State, Step, short};
use crate::tally::Tally;
use std::collections::BTreeMap;

/// The newest version of an edited message.
#[derive(Clone, Copy)]
struct Newest {
    sequence: u32,
    first_seen_at: u64,
    /// The first deletion; 0: none was seen.
    deleted_at: u32,
}

/// What a device has applied.
#[derive(Clone, Copy, Default)]
struct Applied {
    version: u32,
    deleted: bool,
}

/// Targets that are kept until the end: in a sound run next to none.
const MOST_TARGETS: usize = 1 << 16;

/// Compacted deletions that are remembered.
const MOST_DELETED: usize = 1 << 16;

#[derive(Default)]
pub(crate) struct Invariant {
    /// By (conversation, target).
    newest: BTreeMap<(usize, u32), Newest>,
    /// By (device and conversation, target).
    applied: BTreeMap<(u32, u32), Applied>,
    /// What is about something that nobody has seen as a message yet: conversation, sequence, target.
    targets: Vec<(usize, u32, u32)>,
    /// Where a deletion is that is compacted, by (conversation, target).
    deleted: BTreeMap<(usize, u32), u32>,
}

impl Check for Invariant {
    fn observe(&mut self, state: &State, step: &Step, event: &Event, tally: &mut Tally) {
        let Some(entry) = super::entry_of(&event.is) else { return };
        self.is_about_a_message(state, step, entry, tally);
        let (target, deletes) = match entry.said {
            Said::Edit { target, .. } => (short(target), false),
            Said::Delete { target } => (short(target), true),
            _ => return,
        };
        if step.is_compacted {
            tally.compacted(u64::from(matches!(event.is, What::Shown { .. })));
            return;
        }
        let newest = self.newest.entry((step.conversation, target)).or_insert(Newest {
            sequence: 0,
            first_seen_at: 0,
            deleted_at: 0,
        });
        if step.sequence > newest.sequence {
            (newest.sequence, newest.first_seen_at) = (step.sequence, state.now);
        }
        if deletes && (newest.deleted_at == 0 || step.sequence < newest.deleted_at) {
            newest.deleted_at = step.sequence;
        }
        let compacted = self.deleted.get(&(step.conversation, target)).copied();
        let deleted_at = compacted.unwrap_or(newest.deleted_at);
        let is_new = step.log.seen != step.fingerprint && state.header.format >= 2;
        if is_new && deleted_at > 0 && newest.sequence > deleted_at {
            let mut about = super::about_entry(step, entry);
            about.other = Some(deleted_at);
            tally.violated(state, about, || {
                format!(
                    "message {target} of conversation {} was deleted by {deleted_at} and changed by {}",
                    entry.conversation, newest.sequence
                )
            });
        }
        if !matches!(event.is, What::Shown { .. }) {
            return;
        }
        tally.judged += 1;
        let applied = self.applied.entry((step.pair, target)).or_default();
        if let Some(&at) = self.deleted.get(&(step.conversation, target)) {
            applied.deleted |= state.pairs.pair(step.pair).shown.contains(at);
        }
        let fault = if step.sequence < applied.version {
            "an older one than it had"
        } else if applied.deleted && !deletes {
            "after its deletion"
        } else {
            ""
        };
        if !fault.is_empty() {
            let mut about = super::about_entry(step, entry);
            about.other = Some(applied.version);
            tally.violated(state, about, || {
                format!(
                    "{} applied version {} of message {target} of conversation {}, {fault}",
                    state.device_name(step.device),
                    entry.sequence,
                    entry.conversation
                )
            });
        }
        *applied = Applied { version: step.sequence, deleted: applied.deleted || deletes };
    }

    fn compact(&mut self, state: &State, conversation: usize, to: u32, _: &mut Tally) {
        // Whoever must have the newest version has shown it.
        let of_conversation = (conversation, 0)..=(conversation, u32::MAX);
        let compacted: Vec<(u32, u32)> = self
            .newest
            .range(of_conversation)
            .filter(|(_, newest)| newest.sequence <= to)
            .map(|(&(_, target), newest)| (target, newest.sequence))
            .collect();
        for (target, sequence) in compacted {
            self.newest.remove(&(conversation, target));
            for &who in state.pairs.of_conversation(conversation) {
                for device in 0..state.header.devices_per_user {
                    let pair = state.pairs.pair_of(who, device);
                    let applied = self.applied.remove(&(pair, target));
                    if applied.is_some_and(|applied| applied.deleted) {
                        self.deleted.insert((conversation, target), sequence);
                    }
                }
            }
        }
        while self.deleted.len() > MOST_DELETED {
            self.deleted.pop_first();
        }
    }

    fn merge(&mut self, other: Self, slots: &Slots, _: &State, _: &mut Tally) {
        self.newest.extend(other.newest);
        let applied = other.applied.into_iter();
        self.applied.extend(applied.map(|((pair, target), a)| ((slots.pair(pair), target), a)));
        self.targets.extend(other.targets);
        self.targets.truncate(MOST_TARGETS);
    }

    fn finish(&mut self, state: &State, tally: &mut Tally) {
        self.find_no_messages(state, tally);
        if self.newest.is_empty() {
            return;
        }
        let allowed = state.header.deadlines.delivered_us;
        for (number, pair) in state.pairs.iter() {
            let who = number / state.header.devices_per_user;
            let device = state.device_of_pair(number);
            if state.is_slow(device) {
                continue;
            }
            let member = &state.pairs.members[who as usize];
            let conversation = member.conversation as usize;
            let of_conversation = (conversation, 0)..=(conversation, u32::MAX);
            for (&(_, target), newest) in self.newest.range(of_conversation) {
                let since = newest.first_seen_at.max(member.changed_at);
                if newest.sequence <= pair.stream.base
                    || state.waited(device, since).is_none_or(|waited| waited <= allowed)
                    || !state.is_owed(who, newest.sequence)
                {
                    continue;
                }
                tally.judged += 1;
                let version = self.applied.get(&(number, target)).map_or(0, |a| a.version);
                if version != newest.sequence {
                    let about = About {
                        device: Some(device),
                        conversation: Some(conversation),
                        sequence: Some(newest.sequence),
                        other: Some(version),
                        ..About::default()
                    };
                    tally.late(state, about, || {
                        format!(
                            "{} ends with version {version} of message {target} of conversation \
                             {}, and the newest is {}",
                            state.device_name(device),
                            conversation + 1,
                            newest.sequence
                        )
                    });
                }
            }
        }
    }
}

impl Invariant {
    /// What an edit, a deletion or a reply is about comes before it, and is a message by the end.
    fn is_about_a_message(&mut self, state: &State, step: &Step, entry: &Seen, tally: &mut Tally) {
        let (Said::Edit { target, .. }
        | Said::Delete { target }
        | Said::Message { parent: Some(target), .. }) = entry.said
        else {
            return;
        };
        let (target, log) = (short(target), &state.logs[step.conversation]);
        let is_before = (1..step.sequence).contains(&target);
        if step.is_compacted || (is_before && log.is_compacted(target)) {
            tally.compacted(u64::from(!is_before || !log.get(target).is_message));
        } else if !is_before {
            tally.violated(state, super::about_entry(step, entry), || {
                format!(
                    "sequence {} of conversation {} is about {target}, which does not come before it",
                    entry.sequence, entry.conversation
                )
            });
        } else if !log.get(target).is_message
            && step.log.seen != step.fingerprint
            && self.targets.len() < MOST_TARGETS
        {
            self.targets.push((step.conversation, step.sequence, target));
        }
    }

    fn find_no_messages(&self, state: &State, tally: &mut Tally) {
        for &(conversation, sequence, target) in &self.targets {
            let log = &state.logs[conversation];
            let is_stored = log.known_from(target).is_some_and(|first| first <= target);
            if log.is_compacted(target) {
                tally.compacted(1);
            } else if is_stored && !log.get(target).is_message {
                let about = About {
                    conversation: Some(conversation),
                    sequence: Some(sequence),
                    other: Some(target),
                    ..About::default()
                };
                tally.violated(state, about, || {
                    let conversation = conversation + 1;
                    format!("sequence {sequence} of conversation {conversation} is about {target}, which is no message")
                });
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::history::What;
    use crate::history::builder::Builder;
    use crate::history::event::Said;
    use crate::invariants::tests::{clean, violated};
    use protocol::Sequence;

    const NAME: &str = "edits_converge";

    const fn edit(hash: u64) -> Said {
        Said::Edit { target: Sequence(3), hash }
    }

    fn talk() -> Builder {
        Builder::new(2, 1).group(1, &[1, 2]).connect_all().say(1, 1)
    }

    #[test]
    fn edits_in_their_order_are_clean() {
        let edited = talk().say_said(1, 1, edit(1)).say_said(1, 1, edit(2)).say_said(
            1,
            1,
            Said::Delete { target: Sequence(3) },
        );
        assert_eq!(clean(NAME, &edited.finish()).judged, 6 + 2);
    }

    #[test]
    fn an_older_edit_that_arrives_last_is_noticed() {
        let twice = talk()
            .send_said(1, 1, 1, |_| edit(1))
            .commit(1)
            .accept(1)
            .send_said(1, 1, 1, |_| edit(2))
            .commit(1)
            .accept(1)
            .deliver_to(1, 1, 1);
        violated(NAME, &twice.show(2, 1, 1, 5).show(2, 1, 1, 4).finish());
    }

    #[test]
    fn a_device_that_missed_the_last_edit_is_noticed() {
        let missed = talk().say_said(1, 1, edit(1)).finish().tampered(|events| {
            events.retain(|e| {
                !matches!(&e.is, What::Shown { device, entry }
                    if device.user.0 == 2 && entry.sequence.0 == 4)
            });
        });
        violated(NAME, &missed);
    }

    #[test]
    fn a_deleted_message_must_not_come_back() {
        let back =
            talk().say_said(1, 1, Said::Delete { target: Sequence(3) }).say_said(1, 1, edit(1));
        violated(NAME, &back.finish());
    }

    #[test]
    fn what_is_no_message_is_neither_changed_nor_answered() {
        let about = |target: u64| {
            [
                Said::Edit { target: Sequence(target), hash: 7 },
                Said::Delete { target: Sequence(target) },
                Said::Message { hash: 7, parent: Some(Sequence(target)) },
            ]
        };
        for said in [1, 4, 9, 0].into_iter().flat_map(about) {
            violated(NAME, &talk().say_said(1, 1, said).finish());
        }
        let unread = |target| {
            talk().say_said(1, 1, about(target)[0]).finish().tampered(|events| {
                events.retain(|e| !matches!(e.is, What::Stored { .. } | What::StoredAll { .. }));
            })
        };
        clean(NAME, &unread(1));
        violated(NAME, &unread(9));
        let mut removed = talk().say_said(1, 1, about(1)[0]).finish().tampered(|events| {
            for event in events {
                if let What::StoredAll { first, .. } = &mut event.is {
                    *first = Sequence(2);
                }
            }
        });
        removed.header.retention = Some(3);
        clean(NAME, &removed);
    }

    #[test]
    fn nothing_follows_a_deletion_in_the_log() {
        let delete = || Said::Delete { target: Sequence(3) };
        let twice = || talk().say_said(1, 1, delete()).say_said(1, 1, delete()).finish();
        violated(NAME, &twice());
        let mut old = twice();
        old.header.format = 1;
        clean(NAME, &old);
        clean(NAME, &talk().say_said(1, 1, edit(1)).say_said(1, 1, delete()).finish());
    }
}
