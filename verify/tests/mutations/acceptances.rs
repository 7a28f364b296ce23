//! Which send is broken: one that was accepted, and what its device and the others saw of it.

use crate::case::{Acceptance, Case, Position, entry_mut};
use protocol::{ClientMessageId, RejectReason, UserId};
use verify::history::event::{Device, Said, Seen, What};

pub fn never_answered(case: &mut Case<'_>) -> Option<()> {
    let a = waiting(case)?;
    case.retain(|_, is| {
        !matches!(is, What::Accepted { device, message, .. } | What::Rejected { device, message, .. }
            if (*device, message.0) == (a.device, a.message))
    });
    Some(())
}

pub fn accepted(case: &mut Case<'_>) -> Option<Acceptance> {
    let all = case.truth.accepted.clone();
    case.one_of(&all)
}

/// Whether the device of a send has the time in which it must hear of it.
pub fn is_waiting(case: &Case<'_>, a: &Acceptance) -> bool {
    case.truth.is_expected(a.device.user) && case.truth.has_time(a.device, a.position.0, a.sent)
}

pub fn waiting(case: &mut Case<'_>) -> Option<Acceptance> {
    let all: Vec<Acceptance> =
        case.truth.accepted.iter().filter(|a| is_waiting(case, a)).copied().collect();
    case.one_of(&all)
}

/// What was accepted at its only attempt, and refused by nobody.
pub fn only_attempt(case: &mut Case<'_>) -> Option<Acceptance> {
    let again = |a: &Acceptance| {
        case.truth.sound.events.iter().any(|event| {
            matches!(event.is, What::Resent { device, message, .. } | What::Rejected { device, message, .. }
                if (device, message.0) == (a.device, a.message))
        })
    };
    let all: Vec<Acceptance> = case.truth.accepted.iter().filter(|a| !again(a)).copied().collect();
    case.one_of(&all)
}

pub fn refuse(
    case: &mut Case<'_>,
    a: Acceptance,
    behind: usize,
    reason: RejectReason,
) -> Option<()> {
    let (device, conversation) = (a.device, a.position.0);
    let message = ClientMessageId(a.message);
    case.insert(behind, What::Rejected { device, conversation, message, reason });
    Some(())
}

/// One of the reasons that decide about an id for ever.
pub fn decision(case: &mut Case<'_>) -> RejectReason {
    let reasons = [
        RejectReason::NotMember,
        RejectReason::NoSuchMessage,
        RejectReason::NotAuthor,
        RejectReason::DeadLettered,
    ];
    reasons[case.draw(4) as usize]
}

pub fn resend(case: &mut Case<'_>, a: Acceptance, behind: usize) {
    let (device, conversation) = (a.device, a.position.0);
    let message = ClientMessageId(a.message);
    case.insert(behind, What::Resent { device, conversation, message });
}

/// Two accepted sends of one device in one conversation, in their order.
pub fn pair(
    case: &mut Case<'_>,
    wanted: impl Fn(&Acceptance, &Acceptance) -> bool,
) -> Option<(Acceptance, Acceptance)> {
    let all = &case.truth.accepted;
    let follows = |one: &Acceptance, other: &Acceptance| {
        (one.device, one.position.0) == (other.device, other.position.0)
            && one.message < other.message
            && one.position.1 < other.position.1
            && wanted(one, other)
    };
    let pairs: Vec<(Acceptance, Acceptance)> = all
        .iter()
        .filter_map(|one| all.iter().find(|other| follows(one, other)).map(|other| (*one, *other)))
        .collect();
    case.one_of(&pairs)
}

/// Two entries are swapped wherever they are seen and told.
pub fn exchange(case: &mut Case<'_>, one: Position, other: Position) {
    let [first, second] = [one, other].map(|position| case.truth.stored[&position]);
    let sequences = [first, second].map(|entry| entry.sequence);
    for event in &mut case.history.events {
        if let Some(entry) = entry_mut(&mut event.is) {
            let position = (entry.conversation, entry.sequence);
            if position == one {
                *entry = Seen {
                    sequence: sequences[0],
                    epoch: entry.epoch,
                    owner: entry.owner,
                    ..second
                };
            } else if position == other {
                *entry = Seen {
                    sequence: sequences[1],
                    epoch: entry.epoch,
                    owner: entry.owner,
                    ..first
                };
            }
        } else if let What::Accepted { device, message, sequence, .. } = &mut event.is {
            if (device.user, *message) == (first.author, first.message) {
                *sequence = sequences[1];
            } else if (device.user, *message) == (second.author, second.message) {
                *sequence = sequences[0];
            }
        }
    }
}

/// An accepted edit or deletion.
pub fn change_of_a_message(case: &mut Case<'_>) -> Option<Acceptance> {
    let changes = |a: &&Acceptance| {
        case.truth
            .stored
            .get(&a.position)
            .is_some_and(|entry| matches!(entry.said, Said::Edit { .. } | Said::Delete { .. }))
    };
    let all: Vec<Acceptance> = case.truth.accepted.iter().filter(changes).copied().collect();
    case.one_of(&all)
}

/// A send becomes another device's, with all that is seen of it.
pub fn give_to(case: &mut Case<'_>, a: Acceptance, other: Device) -> Option<()> {
    let message = ClientMessageId(a.message + 44_000_000);
    for event in &mut case.history.events {
        match &mut event.is {
            What::Sent { device, message: id, .. }
            | What::Resent { device, message: id, .. }
            | What::Accepted { device, message: id, .. }
            | What::Rejected { device, message: id, .. }
                if (*device, id.0) == (a.device, a.message) =>
            {
                (*device, *id) = (other, message);
            }
            is => {
                if let Some(entry) = entry_mut(is)
                    && (entry.conversation, entry.sequence) == a.position
                {
                    (entry.author, entry.message) = (other.user, message);
                }
            }
        }
    }
    Some(())
}

/// When the last fault ended.
pub fn calm_since(case: &Case<'_>) -> u64 {
    let ended = case.truth.all(|is| matches!(is, What::FaultEnded { .. }));
    ended.last().map_or(0, |at| case.truth.time(*at))
}

/// Whether a user was revoked or granted anything in the sound history.
pub fn is_granted(case: &Case<'_>, user: UserId) -> bool {
    let said = |is: &What| matches!(is, What::Revoked { user: u } | What::Granted { user: u } if *u == user);
    !case.truth.all(said).is_empty()
}

/// What was sent so long after the last fault that a token revoked there must not be honoured.
pub fn accepted_late(case: &mut Case<'_>) -> Option<Acceptance> {
    let allowed = case.truth.sound.header.deadlines.revocation_us;
    let calm = calm_since(case);
    let late: Vec<Acceptance> = case
        .truth
        .accepted
        .iter()
        .filter(|a| case.truth.time(a.sent) > calm + allowed + 2)
        .filter(|a| !is_granted(case, a.device.user))
        .copied()
        .collect();
    case.one_of(&late)
}
