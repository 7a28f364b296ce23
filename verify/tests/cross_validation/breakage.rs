//! What can be broken in a history.

use crate::deeds::{CONVERSATIONS, USERS};
use proptest::prelude::*;
use protocol::{
    ClientMessageId, ConversationId, Epoch, NodeNumber, RejectReason, Sequence, UserId,
};
use verify::history::event::{Event, Said, Seen, What};

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

fn change(is: &mut What, number: u64, which: u8) {
    match is {
        What::Shown { entry, .. } | What::Read { entry, .. } | What::Stored { entry } => {
            change_entry(entry, number, which);
        }
        What::Accepted { sequence, epoch, owner, conversation, message, .. } => match which {
            0..=2 => *sequence = Sequence(number + 1),
            3 => *epoch = Epoch(number % 3),
            4 => *owner = NodeNumber(number as u16 % 3 + 1),
            5 => *conversation = ConversationId(number % CONVERSATIONS + 1),
            _ => *message = ClientMessageId(number),
        },
        What::Rejected { reason, message, .. } => match which {
            0..=3 => *message = ClientMessageId(number),
            4 => *reason = RejectReason::Unavailable,
            _ => *reason = RejectReason::DeadLettered,
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
        What::Closed { code, .. } => *code = if which < 4 { 1000 } else { 4410 },
        What::DeadLetter { author, reason, .. } => match which {
            0..=3 => *author = None,
            _ => *reason = "".into(),
        },
        What::Gauge { value, .. } => *value = number + 15,
        What::InFlight { messages, .. } => *messages = number,
        _ => {}
    }
}
