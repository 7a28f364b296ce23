//! Devices show what they should not, or do not show what they should.

use crate::case::{is_message, is_sent};
use crate::kind::{Kind, caught};
use crate::observations::{
    after_departure, before, change, entry_offset, last_owed, neighbours, next_session_change,
    owed, rewrite_message, shown, stops_showing, versions,
};
use protocol::{ClientMessageId, ConversationId, Epoch, NodeNumber, Sequence, UserId};
use verify::history::event::{Device, Said, Seen, What};

pub const KINDS: &[Kind] = &[
    caught("a device leaves an entry out", "no_gap_in_sequence", |case| {
        let (at, ..) = shown(case, |case, device, entry, _| {
            let next = Sequence(entry.sequence.0 + 1);
            let shows =
                |s| case.truth.shown(device, entry.conversation).iter().any(|(_, q)| *q == s);
            case.truth.is_member(device.user, (entry.conversation, next)) && shows(next)
        })?;
        case.remove(at);
        Some(())
    }),
    caught(
        "a device shows nothing any more of a conversation",
        "delivered_after_heal",
        stops_showing,
    ),
    caught(
        "a device that was connected never shows the rest",
        "accepted_message_survives",
        stops_showing,
    ),
    caught("a join is shown to nobody", "delivered_after_heal", |case| {
        let truth = case.truth;
        let mut all = Vec::new();
        for at in truth.all(|is| matches!(is, What::MemberChanged { add: true, .. })) {
            let What::MemberChanged { conversation, sequence, .. } = *truth.is(at) else {
                continue;
            };
            let position = (conversation, sequence);
            let shows = |device: &Device| {
                truth.shown(*device, conversation).iter().any(|(_, q)| *q == sequence)
                    && !truth.is_slow(device.user)
                    && truth.stays(device.user, position)
                    && truth.has_time(*device, conversation, at)
            };
            if truth.devices.iter().any(shows) {
                all.push(position);
            }
        }
        let position = case.one_of(&all)?;
        case.retain(|_, is| match is {
            What::Shown { entry, .. } | What::Received { entry, .. } | What::Read { entry, .. } => {
                (entry.conversation, entry.sequence) != position
            }
            _ => true,
        });
        Some(())
    }),
    caught("a device shows nothing at all any more", "delivered_after_heal", |case| {
        let (at, device, _) = last_owed(case)?;
        case.retain(|n, is| n < at || !matches!(is, What::Shown { device: d, .. } if *d == device));
        Some(())
    }),
    caught("nobody shows anything any more", "delivered_after_heal", |case| {
        let (at, ..) = last_owed(case)?;
        case.retain(|n, is| n < at || !matches!(is, What::Shown { .. }));
        Some(())
    }),
    caught("no device ever shows an accepted entry", "delivered_after_heal", |case| {
        let (_, _, entry) = last_owed(case)?;
        let position = (entry.conversation, entry.sequence);
        case.retain(|_, is| {
            !matches!(is, What::Shown { entry, .. } if (entry.conversation, entry.sequence) == position)
        });
        Some(())
    }),
    caught("an entry is shown later than it may be", "delivered_after_heal", |case| {
        let (at, device, entry) = last_owed(case)?;
        let (heal, time) = (case.truth.time(case.truth.heal), case.truth.time(at));
        let by = case.truth.sound.header.deadlines.delivered_us + 1_000;
        let until = time.max(heal) + by;
        if case.truth.last_session(device)? > at || until >= case.truth.time(case.truth.judge) {
            return None;
        }
        let later: Vec<usize> = case
            .truth
            .shown(device, entry.conversation)
            .iter()
            .map(|(n, _)| *n)
            .filter(|n| *n >= at)
            .collect();
        for n in later.into_iter().rev() {
            let event = case.history.events.remove(n);
            case.insert_at(until + entry_offset(&event.is), event.is);
        }
        Some(())
    }),
    caught("an entry is shown twice", "no_duplicate_delivery", |case| {
        let (at, ..) = shown(case, |_, _, _, _| true)?;
        let again = case.is(at).clone();
        case.insert(at, again);
        Some(())
    }),
    caught("an entry is shown again much later", "no_duplicate_delivery", |case| {
        let (at, ..) = shown(case, |_, _, _, _| true)?;
        let again = case.is(at).clone();
        let time = case.truth.time(at) + case.draw(5_000_000);
        let last = case.truth.time(case.truth.judge) - 1;
        case.insert_at(time.min(last), again);
        Some(())
    }),
    caught("two entries are shown in the wrong order", "no_gap_in_sequence", |case| {
        let (one, other) = neighbours(case, |_, _| true)?;
        case.move_behind(one, other);
        Some(())
    }),
    caught("a reply is shown before its parent", "reply_after_parent", |case| {
        let (at, device, entry) = shown(case, |case, device, entry, at| {
            let Said::Message { parent: Some(parent), .. } = entry.said else { return false };
            let shown = case.truth.shown(device, entry.conversation);
            case.truth.stays(device.user, (entry.conversation, parent))
                && shown.iter().any(|(n, q)| *n < at && *q == parent)
        })?;
        let Said::Message { parent: Some(parent), .. } = entry.said else { return None };
        let shown = case.truth.shown(device, entry.conversation);
        let (before, _) = shown.iter().copied().find(|(_, q)| *q == parent)?;
        case.move_behind(before, at);
        Some(())
    }),
    caught("a reply names a parent that comes later", "reply_after_parent", |case| {
        let (_, _, entry) = shown(case, |_, _, entry, _| {
            matches!(entry.said, Said::Message { parent: Some(_), .. })
        })?;
        let later = Sequence(entry.sequence.0 + case.draw(4));
        rewrite_message(case, &entry, |said| {
            if let Said::Message { parent, .. } = said {
                *parent = Some(later);
            }
        })
    }),
    caught("a device shows another text", "conversation_order_agrees", |case| {
        let (at, ..) = shown(case, |_, _, entry, _| is_message(entry))?;
        change(case, at, |entry| {
            if let Said::Message { hash, .. } = &mut entry.said {
                *hash ^= 1;
            }
        })
    }),
    caught("a device shows a text that nobody wrote", "no_phantom_message", |case| {
        let (at, ..) = shown(case, |_, _, entry, _| is_message(entry))?;
        change(case, at, |entry| {
            if let Said::Message { hash, .. } = &mut entry.said {
                *hash = hash.wrapping_add(9);
            }
        })
    }),
    caught("a device shows another author", "no_phantom_message", |case| {
        let (at, ..) = shown(case, |_, _, entry, _| is_sent(entry))?;
        change(case, at, |entry| entry.author = UserId(entry.author.0 % 4 + 1))
    }),
    caught("a device shows a message that nobody sent", "no_phantom_message", |case| {
        let (at, ..) = shown(case, |_, _, entry, _| is_sent(entry))?;
        change(case, at, |entry| entry.message = ClientMessageId(entry.message.0 + 55_000_000))
    }),
    caught("a device shows an entry of another conversation", "no_phantom_message", |case| {
        let (at, ..) = shown(case, |_, _, entry, _| is_sent(entry))?;
        let conversations = u64::from(case.truth.sound.header.conversations);
        change(case, at, |entry| {
            entry.conversation = ConversationId(entry.conversation.0 % conversations + 1);
        })
    }),
    caught("a device shows a message under another sequence", "no_duplicate_delivery", |case| {
        let (at, ..) = shown(case, |_, _, entry, _| is_sent(entry))?;
        change(case, at, |entry| entry.sequence = Sequence(entry.sequence.0 + 1))
    }),
    caught(
        "a device shows an entry of a sequence that its sender was not told",
        "sequence_agrees_with_ack",
        |case| {
            let accepted: Vec<_> = case.truth.accepted.iter().map(|a| a.position).collect();
            let (at, ..) = shown(case, |_, _, entry, _| {
                accepted.contains(&(entry.conversation, entry.sequence))
            })?;
            change(case, at, |entry| entry.sequence = Sequence(entry.sequence.0 + 1))
        },
    ),
    caught("a stranger shows an entry", "only_members_receive", |case| {
        let (at, _, entry) = shown(case, |_, _, _, _| true)?;
        let position = (entry.conversation, entry.sequence);
        let strangers: Vec<Device> = case
            .truth
            .devices
            .iter()
            .filter(|d| !case.truth.is_member(d.user, position))
            .copied()
            .collect();
        let device = case.one_of(&strangers)?;
        case.insert(at, What::Shown { device, entry });
        Some(())
    }),
    caught("a device shows what came after its user had left", "only_members_receive", |case| {
        let (at, device, entry) = after_departure(case)?;
        case.insert(at, What::Shown { device, entry });
        Some(())
    }),
    caught("a device is sent what came after its user had left", "only_members_receive", |case| {
        let (at, device, entry) = after_departure(case)?;
        case.insert(at, What::Received { device, entry });
        Some(())
    }),
    caught("a device shows what was before its user joined", "only_members_receive", |case| {
        let (at, device, entry) = shown(case, |case, device, entry, _| {
            entry.said == Said::Join { user: device.user }
                && entry.sequence.0 > 1
                && !case.truth.is_member(device.user, before(entry))
        })?;
        let earlier = *case.truth.stored.get(&before(&entry))?;
        case.insert(at - 1, What::Shown { device, entry: earlier });
        Some(())
    }),
    caught("everything before a departure is dropped", "no_gap_in_sequence", |case| {
        let (at, device, entry) = shown(case, |case, device, entry, at| {
            let departure = case
                .truth
                .changes(device.user, entry.conversation)
                .iter()
                .find(|(q, joined)| !joined && *q > entry.sequence.0);
            let ends = |(n, is): (usize, &What)| {
                n > at
                    && matches!(is, What::Detached { device: d, conversation }
                        if (*d, *conversation) == (device, entry.conversation))
            };
            departure.is_some()
                && entry.said != Said::Join { user: device.user }
                && case.truth.is_member(device.user, (entry.conversation, entry.sequence))
                && next_session_change(case, device, at)
                    .is_none_or(|n| (at..n).any(|m| ends((m, case.truth.is(m)))))
                && (at..case.truth.judge).any(|m| ends((m, case.truth.is(m))))
        })?;
        let until = (at..case.truth.judge).find(|n| {
            matches!(case.truth.is(*n), What::Detached { device: d, conversation }
                if (*d, *conversation) == (device, entry.conversation))
        })?;
        case.retain(|n, is| {
            n < at
                || n > until
                || !matches!(is, What::Shown { device: d, entry: e }
                    if (*d, e.conversation) == (device, entry.conversation))
        });
        Some(())
    }),
    caught("a device shows a later epoch than its neighbours", "one_owner_per_partition", |case| {
        let (at, ..) = shown(case, |case, _, entry, _| {
            entry.sequence.0 < case.truth.head(entry.conversation)
        })?;
        change(case, at, |entry| entry.epoch = Epoch(entry.epoch.0 + 50))
    }),
    caught("a device shows another owner of the epoch", "one_owner_per_partition", |case| {
        let (at, ..) = shown(case, |_, _, _, _| true)?;
        change(case, at, |entry| entry.owner = NodeNumber(entry.owner.0 + 7))
    }),
    caught(
        "an entry of another content arrives at a shown sequence",
        "conversation_order_agrees",
        |case| {
            let (at, device, entry) = shown(case, |_, _, entry, _| is_message(entry))?;
            let said = Said::Message { hash: 4_711, parent: None };
            case.insert(at, What::Received { device, entry: Seen { said, ..entry } });
            Some(())
        },
    ),
    caught("an entry arrives a second time in its stream", "no_duplicate_delivery", |case| {
        let (at, device, entry) = shown(case, |_, _, _, _| true)?;
        case.insert(at, What::Received { device, entry });
        Some(())
    }),
    caught("an entry arrives that lies behind what has arrived", "no_duplicate_delivery", |case| {
        let (one, other) = neighbours(case, |_, _| true)?;
        let What::Shown { device, entry } = *case.truth.is(one) else { return None };
        case.insert(other, What::Received { device, entry });
        Some(())
    }),
    caught("an entry that nobody sent arrives at a shown sequence", "no_phantom_message", |case| {
        let (at, device, entry) = shown(case, |_, _, entry, _| is_sent(entry))?;
        let message = ClientMessageId(entry.message.0 + 55_000_000);
        case.insert(at, What::Received { device, entry: Seen { message, ..entry } });
        Some(())
    }),
    caught("an entry arrives again, under another owner", "one_owner_per_partition", |case| {
        let (at, device, entry) = shown(case, |_, _, _, _| true)?;
        let owner = NodeNumber(entry.owner.0 + 7);
        case.insert(at, What::Received { device, entry: Seen { owner, ..entry } });
        Some(())
    }),
    caught("a device shows an older version after a newer one", "edits_converge", |case| {
        let (one, other) = versions(case)?;
        case.move_behind(one, other);
        Some(())
    }),
    caught("an edit is shown after the deletion of its message", "edits_converge", |case| {
        let (at, device, entry) = shown(case, |case, _, entry, _| {
            matches!(entry.said, Said::Delete { .. })
                && entry.sequence.0 < case.truth.head(entry.conversation)
        })?;
        let Said::Delete { target } = entry.said else { return None };
        let said = Said::Edit { target, hash: 5 };
        let sequence = Sequence(entry.sequence.0 + 1);
        case.insert(at, What::Shown { device, entry: Seen { said, sequence, ..entry } });
        Some(())
    }),
    caught("a device never shows the newest version", "edits_converge", |case| {
        let (at, device, entry) = owed(case, |_, _, entry, _| {
            matches!(entry.said, Said::Edit { .. } | Said::Delete { .. })
        })?;
        case.retain(|n, is| {
            n < at
                || !matches!(is, What::Shown { device: d, entry: e }
                    if (*d, e.conversation) == (device, entry.conversation))
        });
        Some(())
    }),
];
