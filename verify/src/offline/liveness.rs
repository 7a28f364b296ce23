//! The liveness invariants by brute force. True: violated.

use super::facts::Facts;
use super::words::is_final;
use crate::history::event::{Phase, What};

/// Whether an attached device never showed something that was due before the end.
pub(super) fn is_overdue(facts: &Facts<'_>) -> bool {
    let (Some(healed), Some(ended)) = (facts.healed(), facts.ended()) else { return false };
    let end = facts.events.len();
    facts.devices().into_iter().any(|device| {
        facts.conversations().any(|conversation| {
            let attached_at = facts.stream(device, conversation, end).attached_at;
            let allowed = facts.header.deadlines.delivered_us;
            facts.is_attached(device, conversation)
                && facts
                    .owed(device, conversation)
                    .iter()
                    .any(|(_, at)| (*at).max(healed).max(attached_at) + allowed <= ended)
        })
    })
}

pub(super) fn delivers_too_late(facts: &Facts<'_>) -> bool {
    let healed_index = facts.events.iter().position(|(_, is)| **is == What::Phase(Phase::Heal));
    let Some(healed_index) = healed_index else { return false };
    let healed = facts.events[healed_index].0;
    let late = facts.events.iter().enumerate().skip(healed_index).any(|(index, (now, is))| {
        let What::Shown { device, entry } = is else { return false };
        let (conversation, sequence) = (entry.conversation.0, entry.sequence.0);
        let Some(promise) = facts.promise(conversation, sequence).filter(|p| p.index < index)
        else {
            return false;
        };
        let attached_at = facts.stream(*device, conversation, index).attached_at;
        let due = promise.at.max(healed).max(attached_at) + facts.header.deadlines.delivered_us;
        *now > due && !facts.was_shown(*device, conversation, sequence, index)
    });
    late || is_overdue(facts)
}

/// Sends of a device that had no answer before an event: the first answer closes a send.
pub(super) fn is_open(facts: &Facts<'_>, send: &super::facts::Send, before: usize) -> bool {
    (send.index + 1..before).all(|index| {
        let is = facts.events[index].1;
        let answers = match is {
            What::Unanswered { .. } => !facts.is_settling(index),
            is => matches!(is, What::Accepted { .. }) || is_final(is),
        };
        let (What::Accepted { device, message, .. }
        | What::Rejected { device, message, .. }
        | What::Unanswered { device, message, .. }) = is
        else {
            return true;
        };
        !(answers && *device == send.device && message.0 == send.id)
    })
}

pub(super) fn is_stuck(facts: &Facts<'_>) -> bool {
    let healed_index = facts.events.iter().position(|(_, is)| **is == What::Phase(Phase::Heal));
    let Some(healed_index) = healed_index else { return false };
    let healed = facts.events[healed_index].0;
    let too_long =
        |from: u64, to: u64| to.saturating_sub(from.max(healed)) > facts.header.deadlines.stuck_us;
    let sends = facts.sends();
    let while_running =
        facts.events.iter().enumerate().skip(healed_index + 1).any(|(index, (now, is))| match is {
            What::Shown { device, entry } => {
                let (conversation, sequence) = (entry.conversation.0, entry.sequence.0);
                let promise = facts.promise(conversation, sequence).filter(|p| p.index < index);
                let progress = facts.device(*device, index).progress_at;
                promise.is_some_and(|p| too_long(p.at.max(progress), *now))
                    && !facts.was_shown(*device, conversation, sequence, index)
            }
            What::Accepted { device, message, .. } | What::Rejected { device, message, .. } => {
                let final_answer = matches!(is, What::Accepted { .. }) || is_final(is);
                let progress = facts.device(*device, index).progress_at;
                let send = sends
                    .iter()
                    .find(|s| s.index < index && s.device == *device && s.id == message.0);
                final_answer
                    && send.is_some_and(|send| {
                        is_open(facts, send, index) && too_long(send.at.max(progress), *now)
                    })
            }
            What::Opened { device, .. } => {
                facts.device(*device, index).down_since.is_some_and(|down| too_long(down, *now))
            }
            _ => false,
        });
    while_running || is_stuck_at_the_end(facts, too_long)
}

fn is_stuck_at_the_end(facts: &Facts<'_>, too_long: impl Fn(u64, u64) -> bool) -> bool {
    let Some(ended) = facts.ended() else { return false };
    let end = facts.events.len();
    let sends = facts.sends();
    facts.devices().into_iter().any(|device| {
        let then = facts.device(device, end);
        let unanswered = || {
            sends.iter().any(|send| {
                send.device == device
                    && is_open(facts, send, end)
                    && too_long(send.at.max(then.progress_at), ended)
            })
        };
        let unseen = || {
            facts.conversations().any(|conversation| {
                let stream = facts.stream(device, conversation, end);
                stream.known
                    && !stream.left
                    && facts.may_be_member_now(device.user.0, conversation)
                    && facts
                        .owed(device, conversation)
                        .iter()
                        .any(|(_, at)| too_long((*at).max(then.progress_at), ended))
            })
        };
        then.down_since.is_some_and(|down| too_long(down, ended))
            || (then.open && (unanswered() || unseen()))
    })
}

pub(super) fn leaves_a_send_open(facts: &Facts<'_>) -> bool {
    let end = facts.events.len();
    let sends = facts.sends();
    let contradiction = facts.events.iter().enumerate().any(|(index, (_, is))| match is {
        What::Accepted { device, message, .. } => facts
            .send_before(index, device.user, *message)
            .is_none_or(|send| facts.is_refused(&send, index)),
        What::Rejected { device, message, .. } if is_final(is) => {
            facts.send_before(index, device.user, *message).is_some_and(|send| {
                let before =
                    |wanted: fn(&What) -> bool| facts.happened(&send, index, wanted).is_some();
                before(|is| matches!(is, What::Accepted { .. }))
                    && !before(|is| matches!(is, What::Resent { .. }))
            })
        }
        What::DeadLetter { reason, .. } => reason.trim().is_empty(),
        What::InFlight { queue, messages } => {
            *messages > 0 && &**queue != "dead" && !queue.starts_with("gateway")
        }
        _ => false,
    });
    let unreadable = facts
        .events
        .iter()
        .filter(|(_, is)| {
            matches!(is, What::DeadLetter { author, message, .. }
                if author.is_none() || message.is_none())
        })
        .count();
    let is_letter = |is: &What| matches!(is, What::DeadLetter { .. });
    let letters = facts.events.iter().filter(|(_, is)| is_letter(is)).count() as u64;
    let reported = facts.events.iter().filter_map(|(_, is)| match is {
        What::InFlight { queue, messages } if &**queue == "dead" => Some(*messages),
        _ => None,
    });
    let listed = reported.max().is_some_and(|reported| letters >= reported);
    let missing = sends
        .iter()
        .filter(|send| {
            let did = |wanted: fn(&What) -> bool| facts.happened(send, end, wanted).is_some();
            did(|is| {
                matches!(is, What::Rejected { reason, .. }
                    if *reason == protocol::RejectReason::DeadLettered)
            }) && !did(|is| matches!(is, What::DeadLetter { .. } | What::Requeued { .. }))
        })
        .count();
    contradiction
        || (facts.is_judging(end) && listed && missing > unreadable)
        || sends.iter().any(|send| is_unaccounted(facts, send))
}

fn is_unaccounted(facts: &Facts<'_>, send: &super::facts::Send) -> bool {
    let (Some(healed), Some(ended)) = (facts.healed(), facts.ended()) else { return false };
    let end = facts.events.len();
    let device = facts.device(send.device, end);
    let due = send.at.max(healed).max(device.opened_at) + facts.header.deadlines.stuck_us;
    let settled = facts.happened(send, end, |is| {
        matches!(is, What::Accepted { .. } | What::DeadLetter { .. }) || is_final(is)
    });
    device.open && due < ended && settled.is_none() && is_open(facts, send, end)
}
