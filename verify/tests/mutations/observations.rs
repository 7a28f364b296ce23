//! Which observation of an entry is broken: where it stands, and what follows it.

use crate::case::Case;
use protocol::{ConversationId, Sequence};
use verify::history::event::{Device, Said, Seen, What};

pub type Shown = (usize, Device, Seen);

/// One of the showings that are so.
pub fn shown(
    case: &mut Case<'_>,
    wanted: impl Fn(&Case<'_>, Device, &Seen, usize) -> bool,
) -> Option<Shown> {
    let count = case.truth.judge;
    let start = case.draw(count as u64) as usize;
    (start..count).chain(0..start).find_map(|at| match *case.truth.is(at) {
        What::Shown { device, entry } if wanted(case, device, &entry, at) => {
            Some((at, device, entry))
        }
        _ => None,
    })
}

/// A showing of an accepted entry that its device must see, and has the time for.
pub fn owed(
    case: &mut Case<'_>,
    wanted: impl Fn(&Case<'_>, Device, &Seen, usize) -> bool,
) -> Option<Shown> {
    shown(case, |case, device, entry, at| {
        let position = (entry.conversation, entry.sequence);
        let accepted = case.truth.accepted.iter().find(|a| a.position == position);
        wanted(case, device, entry, at)
            && case.truth.is_expected(device.user)
            && case.truth.stays(device.user, position)
            && accepted.is_some_and(|a| case.truth.has_time(device, entry.conversation, a.at))
    })
}

pub fn last_owed(case: &mut Case<'_>) -> Option<Shown> {
    owed(case, |_, _, _, _| true)
}

pub fn stops_showing(case: &mut Case<'_>) -> Option<()> {
    let (at, device, entry) = last_owed(case)?;
    case.retain(|n, is| {
        n < at
            || !matches!(is, What::Shown { device: d, entry: e }
                if (*d, e.conversation) == (device, entry.conversation))
    });
    Some(())
}

pub const fn entry_offset(is: &What) -> u64 {
    match is {
        What::Shown { entry, .. } => entry.sequence.0,
        _ => 0,
    }
}

pub const fn before(entry: &Seen) -> (ConversationId, Sequence) {
    (entry.conversation, Sequence(entry.sequence.0 - 1))
}

/// Two showings, one behind the other, of one conversation on one device.
pub fn neighbours(
    case: &mut Case<'_>,
    wanted: impl Fn(&Seen, &Seen) -> bool,
) -> Option<(usize, usize)> {
    let (at, device, entry) = shown(case, |case, device, entry, at| {
        next_shown(case, device, entry, at).is_some_and(|(_, next)| {
            next.sequence.0 == entry.sequence.0 + 1
                && wanted(entry, &next)
                && case.truth.stays(device.user, (entry.conversation, entry.sequence))
        })
    })?;
    next_shown(case, device, &entry, at).map(|(next, _)| (at, next))
}

/// The next entry of a conversation that a device shows in the same session.
pub fn next_shown(
    case: &Case<'_>,
    device: Device,
    entry: &Seen,
    at: usize,
) -> Option<(usize, Seen)> {
    let until = next_session_change(case, device, at).unwrap_or(case.truth.judge);
    (at + 1..until).find_map(|n| match *case.truth.is(n) {
        What::Shown { device: d, entry: e }
            if (d, e.conversation) == (device, entry.conversation) =>
        {
            Some((n, e))
        }
        _ => None,
    })
}

pub fn next_session_change(case: &Case<'_>, device: Device, at: usize) -> Option<usize> {
    (at + 1..case.truth.judge).find(|n| {
        matches!(case.truth.is(*n),
            What::Opened { device: d, .. } | What::Closed { device: d, .. } if *d == device)
    })
}

/// Two showings of versions of one message on one device.
pub fn versions(case: &mut Case<'_>) -> Option<(usize, usize)> {
    let target = |said: &Said| match said {
        Said::Edit { target, .. } | Said::Delete { target } => Some(*target),
        _ => None,
    };
    let later = |case: &Case<'_>, device: Device, entry: &Seen, at: usize| {
        (at + 1..case.truth.judge).find(|n| match case.truth.is(*n) {
            What::Shown { device: d, entry: e } => {
                (*d, e.conversation) == (device, entry.conversation)
                    && target(&e.said) == target(&entry.said)
            }
            _ => false,
        })
    };
    let (at, device, entry) = shown(case, |case, device, entry, at| {
        target(&entry.said).is_some() && later(case, device, entry, at).is_some()
    })?;
    later(case, device, &entry, at).map(|other| (at, other))
}

/// An entry behind the departure of a device's user, and an event after both.
pub fn after_departure(case: &mut Case<'_>) -> Option<Shown> {
    let (at, _, entry) = shown(case, |case, device, entry, _| {
        case.truth.devices.iter().any(|d| d.user != device.user && has_left(case, *d, entry))
    })?;
    let left: Vec<Device> =
        case.truth.devices.iter().filter(|d| has_left(case, **d, &entry)).copied().collect();
    case.one_of(&left).map(|device| (at, device, entry))
}

pub fn has_left(case: &Case<'_>, device: Device, entry: &Seen) -> bool {
    let changes = case.truth.changes(device.user, entry.conversation);
    let last = changes.iter().rfind(|(q, _)| *q <= entry.sequence.0);
    last.is_some_and(|(_, joined)| !joined)
}

/// Changes what one device shows.
pub fn change(case: &mut Case<'_>, at: usize, change: impl Fn(&mut Seen)) -> Option<()> {
    change(crate::case::entry_mut(case.is(at))?);
    Some(())
}

/// Changes a message wherever it is sent and seen.
pub fn rewrite_message(
    case: &mut Case<'_>,
    entry: &Seen,
    change: impl Fn(&mut Said),
) -> Option<()> {
    case.everywhere((entry.conversation, entry.sequence), |seen| change(&mut seen.said));
    for event in &mut case.history.events {
        if let What::Sent { device, message, said, .. } = &mut event.is
            && (device.user, *message) == (entry.author, entry.message)
        {
            change(said);
        }
    }
    Some(())
}
