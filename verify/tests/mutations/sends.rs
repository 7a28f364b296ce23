//! Sends, their answers and their order are not what they should be.

use crate::acceptances::{
    accepted, accepted_late, calm_since, change_of_a_message, exchange, give_to, is_granted,
    is_waiting, never_answered, only_attempt, pair, refuse, waiting,
};
use crate::case::is_message;
use crate::kind::{Kind, caught};
use crate::observations::rewrite_message;
use protocol::{
    ClientMessageId, ConversationId, Epoch, NodeNumber, RejectReason, Sequence, UserId,
};
use verify::history::event::{Device, Said, Seen, What};

pub const KINDS: &[Kind] = &[
    caught("a send is never answered", "every_message_accounted", never_answered),
    caught("a device waits for word of a send without end", "no_stuck_session", never_answered),
    caught("no send of a device is answered any more", "every_message_accounted", |case| {
        let a = waiting(case)?;
        case.retain(|n, is| {
            n < a.sent
                || !matches!(is, What::Accepted { device, .. } | What::Rejected { device, .. }
                    if *device == a.device)
        });
        Some(())
    }),
    caught(
        "a third of the sends after the heal is never answered",
        "every_message_accounted",
        |case| {
            let (_, heal) = (waiting(case)?, case.truth.heal);
            let third = case.draw(3);
            let lost = |n: usize, message: &ClientMessageId| n > heal && message.0 % 3 == third;
            if !case
                .truth
                .accepted
                .iter()
                .any(|a| a.sent > heal && a.message % 3 == third && is_waiting(case, a))
            {
                return None;
            }
            case.retain(|n, is| {
                !matches!(is, What::Accepted { message, .. } | What::Rejected { message, .. }
                if lost(n, message))
            });
            Some(())
        },
    ),
    caught("an answer names another sequence", "sequence_agrees_with_ack", |case| {
        let at = accepted(case)?.at;
        let by = case.draw(5) + 1;
        if let What::Accepted { sequence, .. } = case.is(at) {
            *sequence = Sequence(sequence.0 + by);
        }
        Some(())
    }),
    caught("a retry is told another sequence", "sequence_agrees_with_ack", |case| {
        let at = accepted(case)?.at;
        let mut again = case.is(at).clone();
        if let What::Accepted { sequence, .. } = &mut again {
            *sequence = Sequence(sequence.0 + 1);
        }
        case.insert(at, again);
        Some(())
    }),
    caught("an answer names another conversation", "sequence_agrees_with_ack", |case| {
        let at = accepted(case)?.at;
        let conversations = u64::from(case.truth.sound.header.conversations);
        if let What::Accepted { conversation, .. } = case.is(at) {
            *conversation = ConversationId(conversation.0 % conversations + 1);
        }
        Some(())
    }),
    caught("two sends are told one sequence", "sequence_agrees_with_ack", |case| {
        let (one, other) = pair(case, |_, _| true)?;
        if let What::Accepted { sequence, .. } = case.is(other.at) {
            *sequence = one.position.1;
        }
        Some(())
    }),
    caught("what nobody sent is accepted", "every_message_accounted", |case| {
        let at = accepted(case)?.at;
        let mut other = case.is(at).clone();
        if let What::Accepted { message, .. } = &mut other {
            *message = ClientMessageId(message.0 + 66_000_000);
        }
        case.insert(at, other);
        Some(())
    }),
    caught("what was accepted is refused for good", "every_message_accounted", |case| {
        let a = only_attempt(case)?;
        let reason = RejectReason::BodySize;
        refuse(case, a, a.at, reason)
    }),
    caught("what was refused for good is accepted", "every_message_accounted", |case| {
        let a = only_attempt(case)?;
        refuse(case, a, a.sent, RejectReason::BodySize)
    }),
    caught("what was refused for good appears", "no_phantom_message", |case| {
        let a = only_attempt(case)?;
        refuse(case, a, a.sent, RejectReason::NotMember)
    }),
    caught("a message appears that was never sent", "no_phantom_message", |case| {
        let sent = accepted(case)?.sent;
        case.remove(sent);
        Some(())
    }),
    caught("a message is accepted that was never sent", "every_message_accounted", |case| {
        let sent = accepted(case)?.sent;
        case.remove(sent);
        Some(())
    }),
    caught("a message appears before it is sent", "no_phantom_message", |case| {
        let a = accepted(case)?;
        let sees = |is: &What| matches!(is, What::Shown { entry, .. } if (entry.conversation, entry.sequence) == a.position);
        let first = (a.sent..case.truth.judge).find(|n| sees(case.truth.is(*n)))?;
        case.move_behind(a.sent, first);
        Some(())
    }),
    caught("another text appears than was sent", "no_phantom_message", |case| {
        let a = accepted(case)?;
        if !case.truth.stored.get(&a.position).is_some_and(is_message) {
            return None;
        }
        if let What::Sent { said: Said::Message { hash, .. }, .. } = case.is(a.sent) {
            *hash ^= 3;
        }
        Some(())
    }),
    caught(
        "a message appears in another conversation than it was sent to",
        "no_phantom_message",
        |case| {
            let a = accepted(case)?;
            let conversations = u64::from(case.truth.sound.header.conversations);
            if let What::Sent { conversation, .. } = case.is(a.sent) {
                *conversation = ConversationId(conversation.0 % conversations + 1);
            }
            Some(())
        },
    ),
    caught(
        "a message appears under another author than its sender",
        "no_phantom_message",
        |case| {
            let a = accepted(case)?;
            let other = UserId(a.device.user.0 % 4 + 1);
            case.everywhere(a.position, |entry| entry.author = other);
            Some(())
        },
    ),
    caught("a later message of a device is sequenced first", "sender_order_kept", |case| {
        let (one, other) = pair(case, |_, _| true)?;
        exchange(case, one.position, other.position);
        Some(())
    }),
    caught("a message is overtaken after a refusal for now", "sender_order_kept", |case| {
        let (one, other) =
            pair(case, |one, other| other.sent > one.sent && other.sent < one.at + 40)?;
        exchange(case, one.position, other.position);
        let (device, conversation) = (one.device, one.position.0);
        let message = ClientMessageId(one.message);
        let reason = RejectReason::Unavailable;
        case.insert(one.sent, What::Rejected { device, conversation, message, reason });
        case.insert(one.sent + 1, What::Resent { device, conversation, message });
        Some(())
    }),
    caught("an answer names an older epoch than was seen", "one_owner_per_partition", |case| {
        let at = accepted(case)?.at;
        if let What::Accepted { epoch, .. } = case.is(at) {
            *epoch = Epoch(0);
        }
        Some(())
    }),
    caught("an answer names another owner of the epoch", "one_owner_per_partition", |case| {
        let at = accepted(case)?.at;
        if let What::Accepted { owner, .. } = case.is(at) {
            *owner = NodeNumber(owner.0 + 7);
        }
        Some(())
    }),
    caught("a dead letter is missing", "every_message_accounted", |case| {
        let letter = case.event(|is| matches!(is, What::DeadLetter { author: Some(_), .. }))?;
        let queues =
            case.truth.all(|is| matches!(is, What::InFlight { queue, .. } if &**queue == "dead"));
        for at in queues {
            if let What::InFlight { messages, .. } = case.is(at) {
                *messages -= 1;
            }
        }
        case.remove(letter);
        Some(())
    }),
    caught("a dead letter has no reason", "every_message_accounted", |case| {
        let letter = case.event(|is| matches!(is, What::DeadLetter { .. }))?;
        if let What::DeadLetter { reason, .. } = case.is(letter) {
            *reason = " ".into();
        }
        Some(())
    }),
    caught("a durable queue is not empty at the end", "every_message_accounted", |case| {
        let queue = format!("inbound.{}", case.draw(4)).into();
        let (end, messages) = (case.truth.sound.events.len() - 2, case.draw(20) + 1);
        case.insert(end, What::InFlight { queue, messages });
        Some(())
    }),
    caught(
        "a message is accepted from somebody who is no member",
        "only_authorised_accepted",
        |case| {
            let a = accepted(case)?;
            let strangers: Vec<Device> = case
                .truth
                .devices
                .iter()
                .filter(|d| !case.truth.is_member(d.user, a.position))
                .copied()
                .collect();
            let stranger = case.one_of(&strangers)?;
            give_to(case, a, stranger)
        },
    ),
    caught("an edit is accepted from somebody else", "only_authorised_accepted", |case| {
        let a = change_of_a_message(case)?;
        let others: Vec<Device> = case
            .truth
            .devices
            .iter()
            .filter(|d| d.user != a.device.user && case.truth.is_member(d.user, a.position))
            .copied()
            .collect();
        let other = case.one_of(&others)?;
        give_to(case, a, other)
    }),
    caught("an edit or a deletion is about what is no message", "edits_converge", |case| {
        let a = change_of_a_message(case)?;
        let entry = case.truth.stored[&a.position];
        // The first entry of a conversation is a join.
        let other = Sequence([1, entry.sequence.0 + 1000, 0][case.draw(3) as usize]);
        rewrite_message(case, &entry, |said| match said {
            Said::Edit { target, .. } | Said::Delete { target } => *target = other,
            _ => {}
        })
    }),
    caught("a message is deleted for the second time", "edits_converge", |case| {
        let stored = &case.truth.stored;
        let pairs: Vec<(Seen, Sequence)> = stored
            .iter()
            .filter_map(|((c, q), entry)| {
                let Said::Delete { target } = entry.said else { return None };
                let next = stored.iter().find(|((d, p), other)| {
                    c == d && p > q && is_message(other) && other.author == entry.author
                })?;
                Some((*next.1, target))
            })
            .collect();
        let (later, deleted) = case.one_of(&pairs)?;
        rewrite_message(case, &later, |said| *said = Said::Delete { target: deleted })
    }),
    caught("an edit changes what another user had written", "only_authorised_accepted", |case| {
        let a = change_of_a_message(case)?;
        let entry = case.truth.stored[&a.position];
        let others: Vec<Sequence> = case
            .truth
            .stored
            .iter()
            .filter(|((c, q), e)| {
                *c == a.position.0 && *q < a.position.1 && is_message(e) && e.author != entry.author
            })
            .map(|((_, q), _)| *q)
            .collect();
        let other = case.one_of(&others)?;
        rewrite_message(case, &entry, |said| match said {
            Said::Edit { target, .. } | Said::Delete { target } => *target = other,
            _ => {}
        })
    }),
    caught(
        "a message is accepted long after its sender's tokens were revoked",
        "only_authorised_accepted",
        |case| {
            let a = accepted_late(case)?;
            let calm = calm_since(case);
            case.insert_at(calm, What::Revoked { user: a.device.user });
            Some(())
        },
    ),
    caught(
        "a message of a stranger is seen, and nobody is told that it is accepted",
        "only_authorised_accepted",
        |case| {
            let a = accepted(case)?;
            let strangers: Vec<Device> = case
                .truth
                .devices
                .iter()
                .filter(|d| !case.truth.is_member(d.user, a.position))
                .copied()
                .collect();
            let stranger = case.one_of(&strangers)?;
            give_to(case, a, stranger)?;
            case.retain(|_, is| {
                !matches!(is, What::Accepted { device, message, .. }
                    if (*device, message.0) == (stranger, a.message + 44_000_000))
            });
            Some(())
        },
    ),
    caught(
        "a message that was sent long after a revocation is seen without an answer",
        "only_authorised_accepted",
        |case| {
            let a = accepted_late(case)?;
            let calm = calm_since(case);
            case.retain(|_, is| {
                !matches!(is, What::Accepted { device, message, .. }
                    if (*device, message.0) == (a.device, a.message))
            });
            case.insert_at(calm, What::Revoked { user: a.device.user });
            Some(())
        },
    ),
    caught(
        "a session begins long after its user's tokens were revoked",
        "only_authorised_accepted",
        |case| {
            let allowed = case.truth.sound.header.deadlines.revocation_us;
            let calm = calm_since(case);
            let users: Vec<UserId> = case.truth.users().filter(|u| !is_granted(case, *u)).collect();
            let user = case.one_of(&users)?;
            case.insert_at(calm, What::Revoked { user });
            let (device, at) = (crate::case::device_of(user.0, 1), calm + allowed + 1);
            let (gateway, incarnation) = (protocol::GatewayId(1), protocol::Incarnation(1));
            let session = protocol::SessionId(7_777);
            case.insert_at(at, What::Opened { device, gateway, incarnation, session });
            Some(())
        },
    ),
    caught(
        "a read is answered long after its user's tokens were revoked",
        "only_authorised_accepted",
        |case| {
            let allowed = case.truth.sound.header.deadlines.revocation_us;
            let calm = calm_since(case);
            let truth = case.truth;
            let granted: Vec<UserId> = truth.users().filter(|u| is_granted(case, *u)).collect();
            let began = case.event_at(|at, is| {
                matches!(is, What::ReadBegan { device, .. } if !granted.contains(&device.user))
                    && truth.time(at) > calm + allowed + 1
                    && at < truth.settle
            });
            let What::ReadBegan { device, .. } = *case.truth.is(began?) else { return None };
            case.insert_at(calm, What::Revoked { user: device.user });
            Some(())
        },
    ),
    caught(
        "a session goes on long after its user's tokens were revoked",
        "only_authorised_accepted",
        |case| {
            let allowed = case.truth.sound.header.deadlines.revocation_us;
            let calm = calm_since(case);
            let users: Vec<UserId> = case.truth.users().filter(|u| !is_granted(case, *u)).collect();
            let served: Vec<(UserId, u64)> = users
                .into_iter()
                .flat_map(|user| {
                    let devices = case.truth.devices.iter().filter(move |d| d.user == user);
                    devices.map(move |d| (*d, user))
                })
                .filter_map(|(device, user)| {
                    let opened = case.truth.time(case.truth.last_session(device)?);
                    let revoked = calm.max(opened + 1);
                    let serves = case.truth.accepted.iter().any(|a| {
                        case.truth.time(a.sent) > revoked + allowed + 1
                            && case
                                .truth
                                .shown(device, a.position.0)
                                .iter()
                                .any(|(_, q)| *q == a.position.1)
                    });
                    serves.then_some((user, revoked))
                })
                .collect();
            let (user, revoked) = case.one_of(&served)?;
            case.insert_at(revoked, What::Revoked { user });
            Some(())
        },
    ),
];
