//! What can be broken in a history.

use crate::operations::{CONVERSATIONS, DEVICES, USERS};
use proptest::prelude::*;
use protocol::{
    ClientMessageId, ConversationId, DeviceId, Epoch, NodeNumber, Partition, RejectReason,
    Sequence, UserId,
};
use verify::history::event::{Device, Event, Outcome, Said, Seen, Shed, What};

/// Something that breaks a history. Numbers are taken modulo what there is.
#[derive(Clone, Debug)]
pub enum Breakage {
    Drop(usize),
    DropKind(usize),
    Duplicate(usize, usize),
    Swap(usize, usize),
    Reorder(usize, usize),
    Number(usize, u64, u8),
    Late(usize, u64),
    /// An event happens on another device, or is about another user.
    Elsewhere(usize, u64, u32),
    /// Something is put in behind an event.
    Insert(usize, u8, u64),
    /// All of a device's events behind one, or a user's notifications, are gone.
    Silence(usize, u64, u32),
}

pub fn breakage() -> impl Strategy<Value = Breakage> {
    let at = || 0_usize..10_000;
    prop_oneof![
        4 => at().prop_map(Breakage::Drop),
        1 => at().prop_map(Breakage::DropKind),
        3 => (at(), at()).prop_map(|(a, b)| Breakage::Duplicate(a, b)),
        2 => (at(), at()).prop_map(|(a, b)| Breakage::Swap(a, b)),
        3 => (at(), 1_usize..12).prop_map(|(a, b)| Breakage::Reorder(a, b)),
        8 => (at(), 0_u64..12, 0_u8..8).prop_map(|(a, n, which)| Breakage::Number(a, n, which)),
        2 => (at(), 100_000_u64..3_000_000).prop_map(|(a, us)| Breakage::Late(a, us)),
        2 => (at(), 1..=USERS + 1, 1..=DEVICES).prop_map(|(a, u, d)| Breakage::Elsewhere(a, u, d)),
        4 => (at(), 0_u8..17, 0_u64..12).prop_map(|(a, kind, n)| Breakage::Insert(a, kind, n)),
        1 => (at(), 1..=USERS, 1..=DEVICES).prop_map(|(a, u, d)| Breakage::Silence(a, u, d)),
    ]
}

/// Everything but the phases may be broken: without these nothing is judged alike.
pub fn apply(events: &mut Vec<Event>, breakage: &Breakage) {
    let length = events.len();
    let fixed = |event: &Event| matches!(event.is, What::Phase(_));
    match *breakage {
        Breakage::Drop(at) => {
            if !fixed(&events[at % length]) {
                events.remove(at % length);
            }
        }
        Breakage::DropKind(at) => {
            let kind = std::mem::discriminant(&events[at % length].is);
            if !fixed(&events[at % length]) {
                events.retain(|event| std::mem::discriminant(&event.is) != kind);
            }
        }
        Breakage::Duplicate(from, to) => {
            let (is, at) = (events[from % length].is.clone(), events[to % length].at);
            if !matches!(is, What::Phase(_)) {
                events.insert(to % length + 1, Event { at, is });
            }
        }
        Breakage::Swap(a, b) => swap(events, a % length, b % length),
        Breakage::Reorder(at, by) => swap(events, at % length, (at + by) % length),
        Breakage::Number(at, number, which) => change(&mut events[at % length].is, number, which),
        Breakage::Elsewhere(at, user, device) => {
            let there = Device { user: UserId(user), device: DeviceId(device) };
            elsewhere(&mut events[at % length].is, there);
        }
        Breakage::Insert(at, kind, number) => {
            let at = at % length;
            if let Some(is) = inserted(&events[at].is, kind, number) {
                events.insert(at + 1, Event { at: events[at].at, is });
            }
        }
        Breakage::Silence(at, user, device) => {
            let silent = Device { user: UserId(user), device: DeviceId(device) };
            let mut number = 0;
            events.retain(|event| {
                number += 1;
                number <= at % length || event.is.device() != Some(silent)
            });
        }
        Breakage::Late(at, us) => {
            for event in &mut events[at % length..] {
                event.at += us;
            }
        }
    }
}

fn swap(events: &mut [Event], a: usize, b: usize) {
    let movable = |event: &Event| !matches!(event.is, What::Phase(_));
    if movable(&events[a]) && movable(&events[b]) {
        let first = events[a].is.clone();
        events[a].is = std::mem::replace(&mut events[b].is, first);
    }
}

fn elsewhere(is: &mut What, there: Device) {
    match is {
        What::Opened { device, .. }
        | What::Closed { device, .. }
        | What::ConnectFailed { device }
        | What::Back { device }
        | What::Attached { device, .. }
        | What::Detached { device, .. }
        | What::Resent { device, .. }
        | What::Accepted { device, .. }
        | What::Rejected { device, .. }
        | What::Unanswered { device, .. }
        | What::Shown { device, .. }
        | What::Received { device, .. }
        | What::ReadBegan { device, .. }
        | What::Read { device, .. }
        | What::ReadEnded { device, .. }
        | What::ReadFailed { device, .. }
        | What::ReceiptSent { device, .. }
        | What::ReceiptSeen { device, .. } => *device = there,
        What::Pushed { user, .. }
        | What::MemberAsked { user, .. }
        | What::MemberChanged { user, .. }
        | What::Revoked { user }
        | What::Granted { user } => *user = there.user,
        _ => {}
    }
}

/// Something that may follow an event.
fn inserted(is: &What, kind: u8, number: u64) -> Option<What> {
    let device = Device { user: UserId(number % USERS + 1), device: DeviceId(1) };
    let conversation = ConversationId(number % CONVERSATIONS + 1);
    let (user, request) = (device.user, number as u32);
    let message = ClientMessageId(number);
    Some(match kind {
        0 => What::NodePanicked { node: "n".into(), message: "m".into(), place: "p".into() },
        1 if number.is_multiple_of(3) => What::Shed {
            node: "broker-1".into(),
            what: [Shed::PushJobs, Shed::Pushes, Shed::DeadLetters][number as usize / 3 % 3],
            count: number % 5,
        },
        1 if number.is_multiple_of(2) => What::Attacked {
            attack: "no_token".into(),
            due: [401, 403, 4401, 4408][number as usize / 2 % 4],
            outcome: match number / 8 % 7 {
                0 => Outcome::Admitted,
                1 => Outcome::Held,
                2 => Outcome::Lost,
                kind => Outcome::Answered([401, 4401, 503, 4408][kind as usize - 3]),
            },
            took_us: number % 3 * 10_000_000,
        },
        1 => What::GeneratorLimited { limit: "EMFILE".into(), times: 1 },
        2 => What::Stopped { why: "SIGTERM".into() },
        3 => What::Closed { device, code: [0, 1000, 4400, 4410, 4411][number as usize % 5] },
        4 => What::ConnectFailed { device },
        5 => What::Detached { device, conversation },
        6 => What::ReadBegan { device, request, conversation, after: Sequence(number / 3) },
        7 => What::Revoked { user },
        8 => What::Resent { device, conversation, message },
        9 => What::Unanswered { device, conversation, message },
        10 => What::Pushed {
            user: UserId(number % (USERS + 1) + 1),
            conversation,
            sequence: Sequence(number + 1),
            key: number / 4,
            taken: !number.is_multiple_of(3),
        },
        11 => What::Owner {
            partition: Partition(number as u16 % 4),
            owner: NodeNumber(number as u16 % 3 + 1),
            epoch: Epoch(number % 3),
        },
        12 if number.is_multiple_of(4) => What::StoredCursorsAll { conversation },
        12 => What::StoredCursor {
            conversation,
            user,
            delivered: Sequence(number),
            read: Sequence(number / 2),
        },
        13..=15 => What::Rejected { device, conversation, message, reason: reason(number) },
        _ => match is {
            What::Shown { entry, .. } | What::Stored { entry } | What::Read { entry, .. } => {
                What::Received { device, entry: *entry }
            }
            _ => return None,
        },
    })
}

const fn reason(number: u64) -> RejectReason {
    match number % 6 {
        0 => RejectReason::NotMember,
        1 => RejectReason::NotAuthor,
        2 | 3 => RejectReason::NoSuchMessage,
        4 => RejectReason::BodySize,
        _ => RejectReason::DeadLettered,
    }
}

fn change_entry(entry: &mut Seen, number: u64, which: u8) {
    match which {
        0 => entry.sequence = Sequence(number + 1),
        1 => entry.epoch = Epoch(number % 3),
        2 => entry.owner = NodeNumber(number as u16 % 3 + 1),
        3 => entry.author = UserId(number % 5),
        4 => entry.message = ClientMessageId(number),
        5 => entry.conversation = ConversationId(number % CONVERSATIONS + 1),
        _ => match &mut entry.said {
            Said::Message { hash, parent } if which == 6 => {
                (*hash, *parent) = (number, number.checked_sub(3).map(Sequence));
            }
            Said::Message { hash, .. } | Said::Edit { hash, .. } => *hash ^= 1,
            Said::Delete { target } => *target = Sequence(number),
            Said::Join { user } | Said::Leave { user } => *user = UserId(number % USERS + 1),
        },
    }
}

fn change_send(is: &mut What, number: u64, which: u8) {
    let What::Sent { conversation, message, said, intended, .. } = is else { return };
    match which {
        0 => *conversation = ConversationId(number % CONVERSATIONS + 1),
        // 0 is no id of a send.
        1 => *message = ClientMessageId(number + 1),
        2 => *said = Said::Message { hash: number, parent: number.checked_sub(3).map(Sequence) },
        3 => *said = Said::Edit { target: Sequence(number), hash: number },
        4 => *said = Said::Delete { target: Sequence(number) },
        _ => *intended = intended.saturating_sub(number * 100_000),
    }
}

/// A message is refused instead of accepted.
fn refuse(is: &mut What, number: u64) {
    if let What::Accepted { device, conversation, message, .. } = *is {
        *is = What::Rejected { device, conversation, message, reason: reason(number) };
    }
}

fn change(is: &mut What, number: u64, which: u8) {
    match is {
        What::Sent { .. } => change_send(is, number, which),
        What::Shown { entry, .. }
        | What::Received { entry, .. }
        | What::Read { entry, .. }
        | What::Stored { entry } => change_entry(entry, number, which),
        What::Pushed { sequence, key, taken, conversation, .. } => match which {
            0..=2 => *sequence = Sequence(number),
            3 | 4 => *key = number,
            5 => *conversation = ConversationId(number % CONVERSATIONS + 1),
            _ => *taken = !*taken,
        },
        What::Unanswered { message, .. } | What::Resent { message, .. } => {
            *message = ClientMessageId(number);
        }
        What::FaultEnded { fault, .. } | What::FaultBegan { fault, .. } => *fault = number as u32,
        What::ReadFailed { request, .. } => *request = number as u32,
        What::Owner { epoch, .. } => *epoch = Epoch(number % 4),
        What::StoredBegan { conversation } => {
            *conversation = ConversationId(number % CONVERSATIONS + 1);
        }
        What::Accepted { sequence, epoch, owner, conversation, message, .. } => match which {
            0..=2 => *sequence = Sequence(number + 1),
            3 => *epoch = Epoch(number % 3),
            4 => *owner = NodeNumber(number as u16 % 3 + 1),
            5 => *conversation = ConversationId(number % CONVERSATIONS + 1),
            6 => *message = ClientMessageId(number),
            _ => refuse(is, number),
        },
        What::Rejected { reason, message, .. } => match which {
            0..=3 => *message = ClientMessageId(number),
            4 => *reason = RejectReason::Unavailable,
            5 => *reason = RejectReason::Unauthorised,
            _ => *reason = self::reason(number),
        },
        What::Attached { from, .. } => *from = Sequence(number),
        What::ReadBegan { after, .. } => *after = Sequence(number),
        What::ReadEnded { head, whole, .. } => match which {
            0..=4 => *head = Sequence(number),
            _ => *whole = !*whole,
        },
        What::StoredAll { first, head, whole, .. } => match which {
            0..=2 => *first = Sequence(number),
            3..=5 => *head = Sequence(number),
            _ => *whole = false,
        },
        What::MemberChanged { sequence, add, .. } => match which {
            0..=4 => *sequence = Sequence(number + 1),
            _ => *add = !*add,
        },
        What::ReceiptSeen { delivered, read, .. } | What::ReceiptSent { delivered, read, .. } => {
            match which {
                0..=3 => *delivered = Sequence(number),
                _ => *read = Sequence(number),
            }
        }
        What::Closed { code, .. } => *code = [1000, 1000, 4402, 4410][which as usize % 4],
        What::DeadLetter { author, reason, .. } => match which {
            0..=3 => *author = None,
            _ => *reason = "".into(),
        },
        What::Gauge { value, .. } => *value = number + 20,
        What::InFlight { messages, .. } => *messages = number,
        _ => {}
    }
}
