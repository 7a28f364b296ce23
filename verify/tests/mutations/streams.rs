//! Streams begin or end where they should not, or go on.

use crate::kind::{Kind, caught};
use protocol::{ConversationId, Sequence};
use verify::history::event::{Device, What};

pub const KINDS: &[Kind] = &[
    caught("a stream begins beyond its head", "no_gap_in_sequence", |case| {
        let at = case.event(|is| matches!(is, What::Attached { .. }))?;
        let by = case.draw(9) + 1;
        if let What::Attached { from, head, .. } = case.is(at) {
            *from = Sequence(head.0 + by);
        }
        Some(())
    }),
    caught("a stream begins again further back in its session", "no_duplicate_delivery", |case| {
        let at = case.event(|is| matches!(is, What::Shown { .. }))?;
        let What::Shown { device, entry } = *case.truth.is(at) else { return None };
        let (conversation, head) = (entry.conversation, entry.sequence);
        let from = Sequence(head.0 - 1);
        case.insert(at, What::Attached { device, conversation, from, head });
        Some(())
    }),
    caught("a stream ends and nobody has asked for a departure", "no_phantom_message", |case| {
        let all: Vec<usize> = case
            .truth
            .all(|is| matches!(is, What::Shown { .. }))
            .into_iter()
            .filter(|at| match *case.truth.is(*at) {
                What::Shown { device, entry } => {
                    let changes = case.truth.changes(device.user, entry.conversation);
                    *at < case.truth.judge && changes.iter().all(|(_, joined)| *joined)
                }
                _ => false,
            })
            .collect();
        let at = case.one_of(&all)?;
        let What::Shown { device, entry } = *case.truth.is(at) else { return None };
        case.insert(at, What::Detached { device, conversation: entry.conversation });
        Some(())
    }),
    caught("a departure is told to no device of whoever left", "no_stuck_session", |case| {
        let truth = case.truth;
        let stuck = truth.sound.header.deadlines.stuck_us + 1_000;
        let all: Vec<(Device, ConversationId)> = truth
            .all(|is| matches!(is, What::Detached { .. }))
            .into_iter()
            .filter_map(|at| match *truth.is(at) {
                What::Detached { device, conversation } => {
                    let left = truth.changes(device.user, conversation).last()?;
                    let stays = truth.last_session(device).is_some_and(|opened| opened < at);
                    (!left.1 && stays && truth.leaves(at, stuck)).then_some((device, conversation))
                }
                _ => None,
            })
            .collect();
        let (device, conversation) = case.one_of(&all)?;
        case.retain(|_, is| *is != What::Detached { device, conversation });
        Some(())
    }),
];
