//! Changes of membership are not what they should be.

use crate::case::Case;
use crate::kind::{Kind, caught};
use protocol::{Sequence, UserId};
use verify::history::event::{Said, Seen, What};

pub const KINDS: &[Kind] = &[
    caught("a join is answered with another sequence", "accepted_message_survives", |case| {
        let at = case.event(|is| matches!(is, What::MemberChanged { add: true, .. }))?;
        move_change(case, at)
    }),
    caught("a departure is answered with another sequence", "accepted_message_survives", |case| {
        let at = case.event(|is| matches!(is, What::MemberChanged { add: false, .. }))?;
        move_change(case, at)
    }),
    caught("a join is answered as a departure", "accepted_message_survives", |case| {
        let at = case.event(|is| matches!(is, What::MemberChanged { add: true, .. }))?;
        if let What::MemberChanged { add, .. } = case.is(at) {
            *add = false;
        }
        Some(())
    }),
    caught("a change is answered for another user", "accepted_message_survives", |case| {
        let at = case.event(|is| matches!(is, What::MemberChanged { .. }))?;
        if let What::MemberChanged { user, .. } = case.is(at) {
            *user = UserId(user.0 % 4 + 1);
        }
        Some(())
    }),
    caught("a join happens that nobody asked for", "no_phantom_message", |case| {
        unasked(case, true)
    }),
    caught("a departure happens that nobody asked for", "no_phantom_message", |case| {
        unasked(case, false)
    }),
    caught("a departure that was asked for once happens twice", "no_phantom_message", |case| {
        let truth = case.truth;
        let faults =
            truth.all(|is| matches!(is, What::FaultBegan { .. } | What::FaultEnded { .. }));
        // Asked for, and answered, in calm.
        let calm = |at: usize| {
            faults.iter().filter(|fault| **fault < at).count().is_multiple_of(2)
                && !faults.iter().any(|fault| (at..at + 200).contains(fault))
        };
        let at =
            case.event_at(|at, is| matches!(is, What::MemberAsked { add: false, .. }) && calm(at))?;
        let What::MemberAsked { conversation, user, .. } = *truth.is(at) else { return None };
        let (_, last) = truth.stored.range(..=(conversation, Sequence(u64::MAX))).next_back()?;
        let sequence = Sequence(truth.head(conversation) + 1);
        let (message, said) = (protocol::ClientMessageId(0), Said::Leave { user });
        let entry = Seen { sequence, author: user, message, said, ..*last };
        let all = truth
            .all(|is| matches!(is, What::StoredAll { conversation: c, .. } if *c == conversation));
        let all = *all.first()?;
        if let What::StoredAll { head, .. } = case.is(all) {
            *head = sequence;
        }
        case.insert(all - 1, What::Stored { entry });
        Some(())
    }),
];

/// A change is answered with the next sequence.
fn move_change(case: &mut Case<'_>, at: usize) -> Option<()> {
    if let What::MemberChanged { sequence, .. } = case.is(at) {
        *sequence = Sequence(sequence.0 + 1);
    }
    Some(())
}

/// Nobody asked for a change that is seen.
fn unasked(case: &mut Case<'_>, joins: bool) -> Option<()> {
    let asked = |is: &What| matches!(is, What::MemberAsked { add, .. } if *add == joins);
    let first = case.truth.all(|is| matches!(is, What::MemberAsked { .. })).first().copied()?;
    let at = case.event_at(|at, is| at > first && asked(is))?;
    let What::MemberAsked { conversation, user, .. } = *case.truth.is(at) else { return None };
    case.retain(|_, is| {
        !matches!(is, What::MemberAsked { conversation: c, user: u, add }
            if (*c, *u, *add) == (conversation, user, joins))
    });
    Some(())
}
