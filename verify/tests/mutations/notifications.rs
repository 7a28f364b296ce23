//! Notifications are missing, or should not be.

use crate::case::{Case, Position, is_message};
use crate::kind::{Kind, caught};
use protocol::{ConversationId, Sequence, UserId};
use verify::history::event::{Device, Phase, Said, Seen, Shed, What};

pub const KINDS: &[Kind] = &[
    caught("no notification is handed to the provider", "away_member_is_pushed", |case| {
        missed(case)?;
        case.retain(|_, is| !matches!(is, What::Pushed { .. }));
        Some(())
    }),
    caught("a user who is away is not notified of a message", "away_member_is_pushed", |case| {
        let (user, (c, q)) = missed(case)?;
        case.retain(|_, is| {
            !matches!(is, What::Pushed { user: u, conversation, sequence, .. }
                if (*u, *conversation, *sequence) == (user, c, q))
        });
        Some(())
    }),
    caught("a user who is away is notified of nothing", "away_member_is_pushed", |case| {
        let (user, _) = missed(case)?;
        case.retain(|_, is| !matches!(is, What::Pushed { user: u, .. } if *u == user));
        Some(())
    }),
    caught("a user who is away is notified too late", "away_member_is_pushed", |case| {
        let (user, (c, q)) = missed(case)?;
        let truth = case.truth;
        let is_it = |is: &What| {
            matches!(is, What::Pushed { user: u, conversation, sequence, taken: true, .. }
                if (*u, *conversation, *sequence) == (user, c, q))
        };
        let pushed = truth.is(*truth.all(is_it).first()?).clone();
        let accepted = truth.accepted.iter().find(|a| a.position == (c, q))?;
        let deadlines = truth.sound.header.deadlines;
        let allowed = deadlines.pushed_us.unwrap_or(deadlines.stuck_us);
        let since = truth.time(accepted.at).max(truth.time(truth.heal));
        case.retain(|_, is| !is_it(is));
        case.insert_at(since + allowed + 1, pushed);
        Some(())
    }),
    caught("the provider takes no notification", "away_member_is_pushed", |case| {
        missed(case)?;
        for event in &mut case.history.events {
            if let What::Pushed { taken, .. } = &mut event.is {
                *taken = false;
            }
        }
        Some(())
    }),
    caught("more notifications are missing than gave way", "away_member_is_pushed", |case| {
        let (_, first) = missed(case)?;
        let others: Vec<_> = all_missed(case).into_iter().filter(|(_, at)| *at != first).collect();
        let (_, second) = case.one_of(&others)?;
        gave_way(case, 1);
        forget_notifications(case, first);
        forget_notifications(case, second);
        Some(())
    }),
    caught("a device swallows messages and nobody is notified", "away_member_is_pushed", |case| {
        let pushed = case.truth.sound.header.deadlines;
        let allowed = pushed.pushed_us.unwrap_or(pushed.stuck_us);
        let all: Vec<(UserId, Position)> = case
            .truth
            .accepted
            .iter()
            .filter(|a| case.truth.stored.get(&a.position).is_some_and(is_message))
            .filter(|a| case.truth.leaves(a.at, allowed + 1))
            .flat_map(|a| case.truth.users().map(|user| (user, a.device.user, a.position)))
            .filter(|(user, author, position)| user != author && case.truth.stays(*user, *position))
            .map(|(user, _, position)| (user, position))
            .collect();
        let (user, (c, q)) = case.one_of(&all)?;
        case.retain(|_, is| match is {
            What::Shown { device, entry } | What::Read { device, entry, .. } => {
                (device.user, entry.conversation, entry.sequence) != (user, c, q)
            }
            What::Pushed { user: u, conversation, sequence, .. } => {
                (*u, *conversation, *sequence) != (user, c, q)
            }
            _ => true,
        });
        Some(())
    }),
    caught("a notification comes five times", "nobody_present_is_pushed", |case| {
        let at = taken(case)?;
        let again = case.truth.is(at).clone();
        let faults = case.truth.all(|is| matches!(is, What::FaultBegan { .. })).len();
        // As often as faults may have lost its answer, and four times more.
        for _ in 0..4 + 5 * faults {
            case.insert(at, again.clone());
        }
        Some(())
    }),
    caught("a notification comes again without a cause", "nobody_present_is_pushed", |case| {
        let truth = case.truth;
        let patience = truth.sound.header.deadlines.stuck_us;
        let ended = truth.all(|is| matches!(is, What::FaultEnded { .. }));
        let calm = ended.last().map_or(0, |at| truth.time(*at));
        let at = case.event_at(|at, is| {
            matches!(is, What::Pushed { taken: true, .. }) && truth.time(at) > calm + patience + 1
        })?;
        let again = case.truth.is(at).clone();
        case.insert(at, again);
        Some(())
    }),
    caught(
        "a notification is about a message that there is not",
        "nobody_present_is_pushed",
        |case| {
            let at = taken(case)?;
            let What::Pushed { conversation, .. } = *case.truth.is(at) else { return None };
            let beyond = case.truth.head(conversation) + 1 + case.draw(20);
            change_push(case, at, |_, _, sequence, _| *sequence = Sequence(beyond))
        },
    ),
    caught("a notification is about the beginning of time", "nobody_present_is_pushed", |case| {
        let at = taken(case)?;
        change_push(case, at, |_, _, sequence, _| *sequence = Sequence(0))
    }),
    caught("a notification is about a join", "nobody_present_is_pushed", |case| {
        about(case, |entry| matches!(entry.said, Said::Join { .. } | Said::Leave { .. }))
    }),
    caught("a notification is about an edit", "nobody_present_is_pushed", |case| {
        about(case, |entry| matches!(entry.said, Said::Edit { .. } | Said::Delete { .. }))
    }),
    caught("a stranger is notified", "nobody_present_is_pushed", |case| {
        let at = taken(case)?;
        let What::Pushed { conversation, sequence, .. } = *case.truth.is(at) else { return None };
        let position = (conversation, sequence);
        let strangers: Vec<UserId> =
            case.truth.users().filter(|u| !case.truth.is_member(*u, position)).collect();
        let user = case.one_of(&strangers)?;
        insert_push(case, at, user, position, 9)
    }),
    caught(
        "a user is notified of another conversation's message",
        "nobody_present_is_pushed",
        |case| {
            let at = taken(case)?;
            let What::Pushed { user, .. } = *case.truth.is(at) else { return None };
            let others: Vec<ConversationId> = case
                .truth
                .conversations()
                .filter(|c| case.truth.changes(user, *c).is_empty())
                .collect();
            let other = case.one_of(&others)?;
            change_push(case, at, |_, conversation, sequence, _| {
                (*conversation, *sequence) = (other, Sequence(1));
            })
        },
    ),
    caught("the author is notified", "nobody_present_is_pushed", |case| {
        let at = taken(case)?;
        let What::Pushed { conversation, sequence, .. } = *case.truth.is(at) else { return None };
        let author = case.truth.stored.get(&(conversation, sequence))?.author;
        change_push(case, at, |user, _, _, _| *user = author)
    }),
    caught("a user who has left is notified", "nobody_present_is_pushed", |case| {
        let left: Vec<(UserId, Position)> = case
            .truth
            .stored
            .iter()
            .filter(|(_, entry)| is_message(entry))
            .flat_map(|(position, _)| case.truth.users().map(|user| (user, *position)))
            .filter(|(user, position)| {
                let changes = case.truth.changes(*user, position.0);
                let last = changes.iter().rfind(|(q, _)| *q <= position.1.0);
                last.is_some_and(|(_, joined)| !joined)
            })
            .collect();
        let (user, position) = case.one_of(&left)?;
        let at = case.truth.accepted.iter().find(|a| a.position == position)?.at;
        insert_push(case, at, user, position, 9)
    }),
    caught(
        "somebody who has the stream all the time is notified",
        "nobody_present_is_pushed",
        |case| {
            let (at, device, position) = present(case)?;
            insert_push(case, at, device.user, position, 9)
        },
    ),
    caught("a retry has another idempotency key", "nobody_present_is_pushed", |case| {
        let at = taken(case)?;
        let What::Pushed { user, conversation, sequence, key, .. } = *case.truth.is(at) else {
            return None;
        };
        let retry = What::Pushed { user, conversation, sequence, key: key ^ 1, taken: false };
        case.insert(at, retry);
        Some(())
    }),
    caught("all notifications have one idempotency key", "nobody_present_is_pushed", |case| {
        let all = case.truth.all(|is| matches!(is, What::Pushed { .. }));
        for &at in &all {
            change_push(case, at, |_, _, _, key| *key = 9)?;
        }
        (all.len() > 1).then_some(())
    }),
    caught(
        "a notification is handed over before its message",
        "nobody_present_is_pushed",
        |case| {
            let truth = case.truth;
            let at = taken(case)?;
            let What::Pushed { conversation, sequence, .. } = *truth.is(at) else { return None };
            let accepted =
                truth.accepted.iter().find(|a| a.position == (conversation, sequence))?;
            let load = truth.all(|is| *is == What::Phase(Phase::Load)).first().copied()?;
            let told = truth.is(at).clone();
            (truth.time(load) < truth.time(accepted.sent)).then(|| case.insert(load, told))
        },
    ),
];

fn taken(case: &mut Case<'_>) -> Option<usize> {
    case.event(|is| matches!(is, What::Pushed { taken: true, .. }))
}

/// Nobody is notified of a message, of which somebody was told in no other way.
pub fn forget_notifications(case: &mut Case<'_>, (c, q): Position) {
    case.retain(|_, is| {
        !matches!(is, What::Pushed { conversation, sequence, .. } if (*conversation, *sequence) == (c, q))
    });
}

pub fn gave_way(case: &mut Case<'_>, count: u64) {
    let (node, what) = ("broker-1".into(), Shed::PushJobs);
    case.insert(case.truth.heal, What::Shed { node, what, count });
}

/// A message of which a user was told by a notification, and not otherwise.
pub fn missed(case: &mut Case<'_>) -> Option<(UserId, Position)> {
    let all = all_missed(case);
    case.one_of(&all)
}

fn all_missed(case: &Case<'_>) -> Vec<(UserId, Position)> {
    let truth = case.truth;
    let deadlines = truth.sound.header.deadlines;
    let allowed = deadlines.pushed_us.unwrap_or(deadlines.stuck_us);
    let letters =
        truth.all(|is| matches!(is, What::DeadLetter { queue, .. } if queue.starts_with("notify")));
    let sees = |user: UserId, position: Position| {
        truth.sound.events.iter().any(|event| match event.is {
            What::Shown { device, entry } | What::Read { device, entry, .. } => {
                device.user == user && (entry.conversation, entry.sequence) == position
            }
            _ => false,
        })
    };
    let all = truth
        .all(|is| matches!(is, What::Pushed { taken: true, .. }))
        .into_iter()
        .filter_map(|at| match *truth.is(at) {
            What::Pushed { user, conversation, sequence, .. } => {
                Some((user, (conversation, sequence)))
            }
            _ => None,
        })
        .filter(|(user, position)| {
            let accepted = truth.accepted.iter().find(|a| a.position == *position);
            truth.stays(*user, *position)
                && !sees(*user, *position)
                && accepted.is_some_and(|a| truth.leaves(a.at, allowed))
        })
        .collect();
    if letters.is_empty() { all } else { Vec::new() }
}

fn change_push(
    case: &mut Case<'_>,
    at: usize,
    change: impl Fn(&mut UserId, &mut ConversationId, &mut Sequence, &mut u64),
) -> Option<()> {
    if let What::Pushed { user, conversation, sequence, key, .. } = case.is(at) {
        change(user, conversation, sequence, key);
    }
    Some(())
}

fn insert_push(
    case: &mut Case<'_>,
    behind: usize,
    user: UserId,
    (conversation, sequence): Position,
    key: u64,
) -> Option<()> {
    case.insert(behind, What::Pushed { user, conversation, sequence, key, taken: true });
    Some(())
}

/// A member who is away is notified of an entry that is no message.
fn about(case: &mut Case<'_>, wanted: impl Fn(&Seen) -> bool) -> Option<()> {
    let at = taken(case)?;
    let positions: Vec<Position> = case
        .truth
        .stored
        .iter()
        .filter(|(_, e)| wanted(e))
        .map(|(position, _)| *position)
        .collect();
    let (conversation, sequence) = case.one_of(&positions)?;
    change_push(case, at, |_, c, s, _| (*c, *s) = (conversation, sequence))
}

/// A message that a device shows in a session that has had the stream since before it was sent: an event
/// behind the showing, the device, the message.
fn present(case: &mut Case<'_>) -> Option<(usize, Device, Position)> {
    let truth = case.truth;
    let mut all = Vec::new();
    for a in &truth.accepted {
        if !truth.stored.get(&a.position).is_some_and(is_message) {
            continue;
        }
        for device in truth.devices.iter().filter(|d| d.user != a.device.user) {
            let shown = truth.shown(*device, a.position.0);
            let Some((shown, _)) = shown.iter().copied().find(|(_, q)| *q == a.position.1) else {
                continue;
            };
            let began = (0..shown).rev().find(|n| match *truth.is(*n) {
                What::Attached { device: d, conversation, .. } => {
                    (d, conversation) == (*device, a.position.0)
                }
                What::Opened { device: d, .. } | What::Closed { device: d, .. } => d == *device,
                _ => false,
            });
            let attached = began.filter(|n| {
                matches!(truth.is(*n), What::Attached { .. }) && truth.time(*n) < truth.time(a.sent)
            });
            if attached.is_some() && shown > a.at && lives_on(case, *device, shown) {
                all.push((shown, *device, a.position));
            }
        }
    }
    case.one_of(&all)
}

/// Whether the session that a device has at an event lasts until its gateway must have noticed that it was
/// dead.
fn lives_on(case: &Case<'_>, device: Device, at: usize) -> bool {
    let truth = case.truth;
    let until = truth.time(at) + truth.sound.header.deadlines.stuck_us;
    let ended = (at..truth.judge).find(|n| {
        matches!(*truth.is(*n), What::Closed { device: d, .. } | What::Opened { device: d, .. }
            if d == device)
    });
    ended.is_none_or(|n| truth.time(n) > until) && !truth.is_slow(device.user)
}
