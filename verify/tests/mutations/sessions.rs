//! Devices that get no session, no stream, or nothing in it.

use crate::case::Case;
use crate::kind::{Kind, allowed, caught};
use protocol::{ConversationId, GatewayId, Incarnation, Sequence, SessionId};
use verify::history::event::{Device, Phase, What};

pub const KINDS: &[Kind] = &[
    caught("a device never connects", "no_stuck_session", |case| {
        let device = device(case, |_, _| true)?;
        case.retain(|_, is| is.device() != Some(device));
        Some(())
    }),
    caught("a device connects much too late", "no_stuck_session", |case| {
        let device = device(case, |_, _| true)?;
        let late =
            case.truth.time(case.truth.heal) + case.truth.sound.header.deadlines.stuck_us + 9;
        if late >= case.truth.time(case.truth.judge) {
            return None;
        }
        case.retain(|_, is| is.device() != Some(device));
        case.insert_at(late, opened(device, 1));
        Some(())
    }),
    caught("a device says goodbye and never comes back", "no_stuck_session", |case| {
        ends(case, 1_000)
    }),
    caught("a device loses its session and never comes back", "no_stuck_session", |case| {
        ends(case, 0)
    }),
    caught("a device is closed with an error and never comes back", "no_stuck_session", |case| {
        ends(case, 4_411)
    }),
    caught(
        "a client is told that it has broken the protocol",
        "no_session_closed_wrongly",
        |case| {
            let code = [1002, 1009, 4400, 4402, 4408][case.draw(5) as usize];
            is_told(case, code)
        },
    ),
    allowed(
        "a session ends for what no history says",
        "when a token runs out and how fast a device reads is not known",
        |case| {
            let code = [4401, 4409, 4410, 4411, 4429, 4500, 4501, 4503][case.draw(8) as usize];
            is_told(case, code)
        },
    ),
    caught("a device never gets a session again", "no_stuck_session", |case| {
        let device = device(case, |_, _| true)?;
        let at = early(case)?;
        silence(case, device, at);
        case.insert_at(case.truth.time(at), What::Closed { device, code: 0 });
        let (mut time, until) = (case.truth.time(at), case.truth.time(case.truth.judge));
        while time + 1_000_000 < until {
            time += 1_000_000;
            case.insert_at(time, What::ConnectFailed { device });
        }
        Some(())
    }),
    caught("a device gets no stream of one conversation", "no_stuck_session", |case| {
        let (device, conversation, opened) = stream(case)?;
        case.retain(|n, is| {
            let here = streamed_in(is) == Some(conversation) && is.device() == Some(device);
            n < opened || !here || !matches!(is, What::Attached { .. } | What::Shown { .. })
        });
        Some(())
    }),
    caught("a conversation is attached to nobody", "no_stuck_session", |case| {
        let (_, conversation, _) = stream(case)?;
        case.retain(|_, is| {
            streamed_in(is) != Some(conversation)
                || !matches!(is, What::Attached { .. } | What::Shown { .. } | What::Detached { .. })
        });
        Some(())
    }),
    caught("a device attaches nothing at all", "no_stuck_session", |case| {
        let (device, _, opened) = stream(case)?;
        case.retain(|n, is| {
            n < opened
                || is.device() != Some(device)
                || !matches!(is, What::Attached { .. } | What::Shown { .. } | What::Detached { .. })
        });
        Some(())
    }),
    caught("a stream begins again and again and shows nothing", "delivered_after_heal", |case| {
        let (device, conversation, from) = waits_for_entries(case)?;
        let began = case.truth.time(case.truth.heal);
        hide(case, device, conversation);
        repeat(case, began, |_| {
            vec![What::Attached {
                device,
                conversation,
                from: Sequence(from),
                head: Sequence(from + 5),
            }]
        });
        Some(())
    }),
    caught(
        "a device loses its session again and again and shows nothing",
        "delivered_after_heal",
        |case| {
            let (device, conversation, from) = waits_for_entries(case)?;
            let began = case.truth.time(case.truth.heal);
            hide(case, device, conversation);
            repeat(case, began, |number| {
                vec![
                    What::Closed { device, code: 0 },
                    opened(device, 900_000 + number),
                    What::Attached {
                        device,
                        conversation,
                        from: Sequence(from),
                        head: Sequence(from + 5),
                    },
                ]
            });
            Some(())
        },
    ),
    caught("a session is silent to its end", "no_stuck_session", |case| {
        let (device, ..) = waits_for_entries(case)?;
        let heal = case.truth.heal;
        if case.truth.last_session(device)? > heal {
            return None;
        }
        silence(case, device, heal);
        Some(())
    }),
    caught("a read is never answered", "no_stuck_session", |case| {
        let (began, device, request) = read(case)?;
        case.retain(|n, is| {
            n <= began
                || !matches!(is, What::Read { device: d, request: r, .. }
                    | What::ReadEnded { device: d, request: r, .. }
                    | What::ReadFailed { device: d, request: r, .. } if (*d, *r) == (device, request))
        });
        Some(())
    }),
    caught("a read is asked for and never answered", "no_stuck_session", |case| {
        let (device, conversation, _) = waits_for_entries(case)?;
        let at = early(case)?;
        let opened = case.truth.last_session(device)?;
        let time = case.truth.time(at.max(opened));
        let left = case.truth.time(case.truth.judge).saturating_sub(time);
        if left <= case.truth.sound.header.deadlines.stuck_us + 1_000 {
            return None;
        }
        let (request, after) = (4_000_000, Sequence(0));
        case.insert_at(time, What::ReadBegan { device, request, conversation, after });
        Some(())
    }),
    caught("the stream of a member who came back never begins", "no_stuck_session", |case| {
        let all: Vec<(usize, Device, ConversationId)> = case
            .truth
            .all(|is| matches!(is, What::Attached { .. }))
            .into_iter()
            .filter_map(|at| match *case.truth.is(at) {
                What::Attached { device, conversation, .. }
                    if comes_back(case, at, device, conversation) =>
                {
                    Some((at, device, conversation))
                }
                _ => None,
            })
            .collect();
        let (at, device, conversation) = case.one_of(&all)?;
        case.retain(|n, is| {
            let here = streamed_in(is) == Some(conversation) && is.device() == Some(device);
            n < at || !here || !matches!(is, What::Attached { .. } | What::Shown { .. })
        });
        Some(())
    }),
    caught("a stream begins anew too far ahead", "no_gap_in_sequence", |case| {
        let all: Vec<usize> = case
            .truth
            .all(|is| matches!(is, What::Attached { .. }))
            .into_iter()
            .filter(|at| skips(case, *at))
            .collect();
        let at = case.one_of(&all)?;
        if let What::Attached { from, .. } = case.is(at) {
            *from = Sequence(from.0 + 1);
        }
        Some(())
    }),
];

/// One of the devices of users who should be there.
fn device(case: &mut Case<'_>, wanted: impl Fn(&Case<'_>, Device) -> bool) -> Option<Device> {
    let all: Vec<Device> = case
        .truth
        .devices
        .iter()
        .filter(|d| case.truth.is_expected(d.user) && wanted(case, **d))
        .copied()
        .collect();
    case.one_of(&all)
}

/// An event after which whatever waits has waited too long in the end.
fn early(case: &mut Case<'_>) -> Option<usize> {
    let (stuck, truth) = (case.truth.sound.header.deadlines.stuck_us, case.truth);
    let connects = truth.all(|is| *is == What::Phase(Phase::Load)).first().copied()?;
    case.event_at(|at, _| at >= connects && at < truth.judge && truth.leaves(at, stuck + 1_000))
}

fn opened(device: Device, session: u64) -> What {
    let (gateway, incarnation) = (GatewayId(1), Incarnation(1));
    What::Opened { device, gateway, incarnation, session: SessionId(session) }
}

/// Takes away whatever a device does behind an event.
fn silence(case: &mut Case<'_>, device: Device, behind: usize) {
    case.retain(|n, is| n <= behind || is.device() != Some(device));
}

/// A session ends with a code, and nothing follows.
fn ends(case: &mut Case<'_>, code: u16) -> Option<()> {
    let at = early(case)?;
    let device = device(case, |_, _| true)?;
    silence(case, device, at);
    case.insert_at(case.truth.time(at), What::Closed { device, code });
    Some(())
}

/// A connection that was lost without a word is closed with a code instead.
fn is_told(case: &mut Case<'_>, with: u16) -> Option<()> {
    let at = case.event(|is| matches!(is, What::Closed { code: 0, .. }))?;
    if let What::Closed { code, .. } = case.is(at) {
        *code = with;
    }
    Some(())
}

/// The conversation of a stream that an event is about.
const fn streamed_in(is: &What) -> Option<ConversationId> {
    match is {
        What::Shown { entry, .. } | What::Received { entry, .. } => Some(entry.conversation),
        What::Attached { conversation, .. } | What::Detached { conversation, .. } => {
            Some(*conversation)
        }
        _ => None,
    }
}

/// A stream of a device's last session, whose user stays a member, with the time to miss it: device,
/// conversation, the beginning of the session.
fn stream(case: &mut Case<'_>) -> Option<(Device, ConversationId, usize)> {
    let truth = case.truth;
    let all: Vec<(Device, ConversationId, usize)> = truth
        .devices
        .iter()
        .filter(|device| truth.is_expected(device.user))
        .filter_map(|device| Some((*device, truth.last_session(*device)?)))
        .flat_map(|(device, opened)| truth.conversations().map(move |c| (device, c, opened)))
        .filter(|(device, c, opened)| {
            let last = truth.changes(device.user, *c).last().copied();
            let joined = last.filter(|(_, joined)| *joined);
            joined.is_some_and(|(q, _)| {
                let joined_by = truth.all(|is| {
                    matches!(is, What::MemberChanged { conversation, user, sequence, .. }
                        if (*conversation, *user, sequence.0) == (*c, device.user, q))
                });
                let since = joined_by.first().copied().unwrap_or(0).max(*opened);
                truth.leaves(since, truth.sound.header.deadlines.stuck_us + 1_000)
            })
        })
        .collect();
    case.one_of(&all)
}

/// A device and a conversation of which it must show something after the heal, and how far it has got
/// until then.
fn waits_for_entries(case: &mut Case<'_>) -> Option<(Device, ConversationId, u64)> {
    let truth = case.truth;
    let all: Vec<(Device, ConversationId, u64)> = truth
        .devices
        .iter()
        .filter(|device| truth.is_expected(device.user))
        .flat_map(|device| truth.conversations().map(|c| (*device, c)))
        .filter_map(|(device, c)| {
            let opened = truth.last_session(device)?;
            let shown = truth.shown(device, c);
            let began = shown.iter().rfind(|(at, _)| *at < truth.heal)?;
            let is_due = truth.accepted.iter().any(|a| {
                a.position.0 == c
                    && a.at > truth.heal
                    && truth.stays(device.user, a.position)
                    && truth.has_time(device, c, a.at)
            });
            (is_due && opened < truth.heal).then_some((device, c, began.1.0))
        })
        .collect();
    case.one_of(&all)
}

/// A device shows nothing of a conversation after the heal.
fn hide(case: &mut Case<'_>, device: Device, conversation: ConversationId) {
    let heal = case.truth.heal;
    case.retain(|n, is| {
        n < heal
            || is.device() != Some(device)
            || !matches!(is, What::Shown { entry, .. } if entry.conversation == conversation)
    });
}

/// Something happens every second until the users are last watched.
fn repeat(case: &mut Case<'_>, from: u64, what: impl Fn(u64) -> Vec<What>) {
    let until = case.truth.time(case.truth.judge);
    for (number, time) in (from..until - 1_000_000).step_by(1_000_000).enumerate().skip(1) {
        for is in what(number as u64) {
            case.insert_at(time, is);
        }
    }
}

/// A read whose answer could be missed: its beginning, device and number.
fn read(case: &mut Case<'_>) -> Option<(usize, Device, u32)> {
    let truth = case.truth;
    let all: Vec<(usize, Device, u32)> = truth
        .all(|is| matches!(is, What::ReadBegan { .. }))
        .into_iter()
        .filter_map(|at| match *truth.is(at) {
            What::ReadBegan { device, request, .. }
                if truth.is_expected(device.user)
                    && truth.last_session(device).is_some_and(|opened| opened < at)
                    && truth.leaves(at, truth.sound.header.deadlines.stuck_us + 1_000) =>
            {
                Some((at, device, request))
            }
            _ => None,
        })
        .collect();
    case.one_of(&all)
}

/// Whether a stream begins within its device's last session because the user came back, and stays.
fn comes_back(case: &Case<'_>, at: usize, device: Device, conversation: ConversationId) -> bool {
    let truth = case.truth;
    let rejoins = truth.changes(device.user, conversation);
    let left = (0..at).any(|n| {
        matches!(*truth.is(n), What::Detached { device: d, conversation: c }
            if (d, c) == (device, conversation))
    });
    let again = (at + 1..truth.judge).any(|n| {
        matches!(*truth.is(n), What::Attached { device: d, conversation: c, .. }
            | What::Detached { device: d, conversation: c } if (d, c) == (device, conversation))
    });
    left && !again
        && truth.is_expected(device.user)
        && rejoins.last().is_some_and(|(_, joined)| *joined)
        && truth.last_session(device).is_some_and(|opened| opened < at)
        && truth.leaves(at, truth.sound.header.deadlines.stuck_us + 1_000)
}

/// Whether a stream that begins at an event goes on where its device had got to, and something that is
/// owed to it follows.
fn skips(case: &Case<'_>, at: usize) -> bool {
    let truth = case.truth;
    let What::Attached { device, conversation, from, .. } = *truth.is(at) else { return false };
    let before = (0..at).rev().find_map(|n| match *truth.is(n) {
        What::Shown { device: d, entry } if (d, entry.conversation) == (device, conversation) => {
            Some(entry.sequence)
        }
        What::Attached { device: d, conversation: c, from, .. }
            if (d, c) == (device, conversation) =>
        {
            Some(from)
        }
        What::Detached { device: d, conversation: c } if (d, c) == (device, conversation) => {
            Some(Sequence(u64::MAX))
        }
        _ => None,
    });
    before == Some(from)
        && truth.stays(device.user, (conversation, Sequence(from.0 + 1)))
        && truth.stored.contains_key(&(conversation, Sequence(from.0 + 1)))
}
