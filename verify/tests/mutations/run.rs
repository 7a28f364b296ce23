//! The run and the cluster's nodes are not what they should be.

use crate::case::{Acceptance, Case};
use crate::kind::{Kind, allowed, caught};
use protocol::partition::partition_of;
use protocol::{ClientMessageId, Epoch, NodeNumber, Partition};
use verify::history::event::{Outcome, Phase, What};

pub const KINDS: &[Kind] = &[
    caught("a node panics", "no_node_panics", |case| {
        let at = case.event_at(|at, _| at > 0)?;
        let (node, message) = ("store-1".into(), "a sequence fell".into());
        case.insert(at, What::NodePanicked { node, message, place: "log.rs:7".into() });
        Some(())
    }),
    caught("a node panics while a fault is active", "no_node_panics", |case| {
        let at = case.event(|is| matches!(is, What::FaultBegan { .. }))?;
        let (node, message) = ("broker-1".into(), "index out of bounds".into());
        case.insert(at, What::NodePanicked { node, message, place: "queue.rs:7".into() });
        Some(())
    }),
    caught("a stranger gets in", "strangers_are_refused", |case| {
        attack(case, 4401, Outcome::Admitted)
    }),
    caught("a stranger is answered with another code", "strangers_are_refused", |case| {
        attack(case, 4401, Outcome::Answered(4400))
    }),
    allowed(
        "strangers are refused, or have no answer",
        "what nobody has answered says nothing, and a token may have run out",
        |case| {
            attack(case, 403, Outcome::Answered(401))?;
            attack(case, 4408, Outcome::Answered(4408))?;
            attack(case, 401, Outcome::Answered(503))?;
            attack(case, 1009, Outcome::Lost)
        },
    ),
    allowed(
        "a stranger waits while a fault is active",
        "what comes late meets a gateway that has given up",
        |case| {
            let at = case.event(|is| matches!(is, What::FaultBegan { .. }))?;
            for outcome in [Outcome::Answered(4408), Outcome::Held] {
                let (attack, due, took_us) = ("no_token".into(), 4401, 1);
                case.insert(at + 1, What::Attacked { attack, due, outcome, took_us });
            }
            Some(())
        },
    ),
    caught("a queue exceeds its limit", "queues_stay_bounded", |case| {
        let at = case.event(|is| matches!(is, What::Gauge { limit: 1.., .. }))?;
        if let What::Gauge { value, limit, .. } = case.is(at) {
            *value = *limit + 1;
        }
        Some(())
    }),
    caught("two nodes own a partition under one epoch", "one_owner_per_partition", |case| {
        let a = accepted(case)?;
        let (partition, epoch, owner) = owner_of(case, &a)?;
        case.insert(a.at, What::Owner { partition, owner: NodeNumber(owner.0 + 1), epoch });
        Some(())
    }),
    caught("the owner at the end is an old one", "one_owner_per_partition", |case| {
        let a = accepted(case)?;
        let (partition, epoch, owner) = owner_of(case, &a)?;
        let epoch = Epoch(epoch.0.checked_sub(1)?);
        let end = case.truth.sound.events.len() - 2;
        case.insert(end, What::Owner { partition, owner, epoch });
        Some(())
    }),
    caught("an old owner accepts in another conversation", "one_owner_per_partition", |case| {
        let (first, second) =
            succession(case, |first, second| first.position.0 != second.position.0)?;
        raise(case, &first, &second)
    }),
    caught("an old owner accepts in the same conversation", "one_owner_per_partition", |case| {
        let (first, second) =
            succession(case, |first, second| first.position.0 == second.position.0)?;
        raise(case, &first, &second)
    }),
    caught("sends are accepted much later after the recovery", "recovers_to_baseline", |case| {
        let late = recovered(case)?;
        for a in late.iter().rev() {
            case.delay(a.at, 4_000_000);
        }
        Some(())
    }),
    caught(
        "a third of the sends has no answer after the recovery",
        "recovers_to_baseline",
        |case| {
            let lost: Vec<_> = recovered(case)?.iter().map(|a| (a.device, a.message)).collect();
            let third = case.draw(3);
            case.retain(|_, is| {
                !matches!(is, What::Accepted { device, message, .. }
                if message.0 % 3 == third && lost.contains(&(*device, message.0)))
            });
            Some(())
        },
    ),
    caught("entries are shown much later after the recovery", "recovers_to_baseline", |case| {
        let positions: Vec<_> = recovered(case)?.iter().map(|a| a.position).collect();
        let late = case.truth.all(|is| {
            matches!(is, What::Shown { entry, .. }
                if positions.contains(&(entry.conversation, entry.sequence)))
        });
        for at in late.into_iter().rev() {
            case.delay(at, 4_000_000);
        }
        Some(())
    }),
    caught("every send is sent again after the recovery", "recovers_to_baseline", |case| {
        for a in recovered(case)?.iter().rev() {
            let message = ClientMessageId(a.message);
            let (device, conversation) = (a.device, a.position.0);
            case.insert(a.sent, What::Resent { device, conversation, message });
        }
        Some(())
    }),
    caught("devices connect again and again after the recovery", "recovers_to_baseline", |case| {
        recovered(case)?;
        let (from, until) = (recovered_at(case), case.truth.time(case.truth.settle));
        let devices = case.truth.devices.clone();
        let attempts = u64::from(case.truth.sound.header.users) * 20;
        for number in 0..attempts {
            let device = devices[number as usize % devices.len()];
            let at = from + 1 + (until - from - 2) * number / attempts;
            case.insert_at(at, What::ConnectFailed { device });
        }
        Some(())
    }),
];

fn accepted(case: &mut Case<'_>) -> Option<Acceptance> {
    let all = case.truth.accepted.clone();
    case.one_of(&all)
}

/// The partition, epoch and owner that an answer names.
fn owner_of(case: &Case<'_>, a: &Acceptance) -> Option<(Partition, Epoch, NodeNumber)> {
    let What::Accepted { epoch, owner, .. } = *case.truth.is(a.at) else { return None };
    Some((partition_of(a.position.0, case.truth.sound.header.partitions), epoch, owner))
}

/// Somebody attacks.
fn attack(case: &mut Case<'_>, due: u16, outcome: Outcome) -> Option<()> {
    let at = case.event_at(|at, _| at > 0)?;
    case.insert(at, What::Attacked { attack: "no_token".into(), due, outcome, took_us: 1_000 });
    Some(())
}

/// Two acceptances of one partition, the second of them sent after the first one's answer.
fn succession(
    case: &mut Case<'_>,
    wanted: impl Fn(&Acceptance, &Acceptance) -> bool,
) -> Option<(Acceptance, Acceptance)> {
    let partitions = case.truth.sound.header.partitions;
    let partition = |a: &Acceptance| partition_of(a.position.0, partitions);
    let all = &case.truth.accepted;
    let follows = |first: &Acceptance, second: &Acceptance| {
        partition(first) == partition(second)
            && case.truth.time(first.at) < case.truth.time(second.sent)
            && wanted(first, second)
    };
    let pairs: Vec<_> = all
        .iter()
        .filter_map(|one| all.iter().find(|two| follows(one, two)).map(|two| (*one, *two)))
        .collect();
    case.one_of(&pairs)
}

/// The first acceptance was under an epoch of its own that came after all others.
fn raise(case: &mut Case<'_>, first: &Acceptance, _: &Acceptance) -> Option<()> {
    let position = first.position;
    case.everywhere(position, |entry| {
        (entry.epoch, entry.owner) = (Epoch(entry.epoch.0 + 40), NodeNumber(3));
    });
    if let What::Accepted { epoch, owner, .. } = case.is(first.at) {
        (*epoch, *owner) = (Epoch(epoch.0 + 40), NodeNumber(3));
    }
    Some(())
}

fn recovered_at(case: &Case<'_>) -> u64 {
    case.truth.time(case.truth.heal) + case.truth.sound.header.deadlines.recovered_us
}

/// What was intended and accepted after the recovery, if the claim has enough of it to judge: a third more than
/// it asks for, since it leaves out what waited by the scenario's wish.
fn recovered(case: &Case<'_>) -> Option<Vec<Acceptance>> {
    let truth = case.truth;
    let intended = |a: &Acceptance| match truth.is(a.sent) {
        What::Sent { intended, .. } => *intended,
        _ => 0,
    };
    let load_ended = truth.time(truth.settle);
    let after: Vec<Acceptance> = truth
        .accepted
        .iter()
        .filter(|a| (recovered_at(case) + 1..=load_ended).contains(&intended(a)))
        .copied()
        .collect();
    let load = truth.all(|is| *is == What::Phase(Phase::Load)).first().copied()?;
    let fault = truth.all(|is| matches!(is, What::FaultBegan { .. })).first().copied()?;
    let before = truth.accepted.iter().filter(|a| a.at < fault && a.sent > load).count();
    let judged = truth.sound.events[load..].iter().any(|event| event.is.device().is_some());
    (judged && before >= 27 && after.len() >= 27).then_some(after)
}
