//! What a sound history can lack: a run that is cut off, final reads that got no answer.

use crate::operations::CONVERSATIONS;
use proptest::prelude::*;
use protocol::Sequence;
use verify::history::event::{Event, What};

/// Something that is missing. Numbers are taken modulo what there is.
#[derive(Clone, Debug)]
pub enum Lack {
    /// Everything behind an event.
    End(usize),
    /// The final reads of one conversation.
    Conversation(u64),
    /// All final reads.
    FinalReads,
    /// What follows the first few entries of a conversation's final read, which then failed.
    Pages(u64, usize),
    /// Whether the final reads got everything.
    Totals,
    /// The stored cursors.
    Cursors,
    /// An answer to a change of members.
    Change(usize),
    /// The list of dead letters behind the first few.
    Letters(usize),
    /// How full the queues were.
    Queues,
}

pub fn lack() -> impl Strategy<Value = Lack> {
    prop_oneof![
        3 => (0_usize..10_000).prop_map(Lack::End),
        2 => (1..=CONVERSATIONS).prop_map(Lack::Conversation),
        3 => Just(Lack::FinalReads),
        2 => (1..=CONVERSATIONS, 0_usize..8).prop_map(|(c, n)| Lack::Pages(c, n)),
        1 => Just(Lack::Totals),
        1 => Just(Lack::Cursors),
        1 => (0_usize..20).prop_map(Lack::Change),
        1 => (0_usize..3).prop_map(Lack::Letters),
        1 => Just(Lack::Queues),
    ]
}

/// Takes it away. Answers are only missing where the log is: otherwise the log shows the change.
pub fn take(events: &mut Vec<Event>, lack: &Lack) {
    match *lack {
        Lack::End(at) => events.truncate(at % events.len() + 1),
        Lack::Conversation(wanted) => events.retain(|event| match &event.is {
            What::Stored { entry } => entry.conversation.0 != wanted,
            What::StoredAll { conversation, .. }
            | What::StoredCursor { conversation, .. }
            | What::StoredCursorsAll { conversation } => conversation.0 != wanted,
            _ => true,
        }),
        Lack::FinalReads => events.retain(|event| !is_final_read(&event.is)),
        Lack::Pages(wanted, keep) => cut(events, wanted, keep),
        Lack::Totals => events.retain(|event| !matches!(event.is, What::StoredAll { .. })),
        Lack::Cursors => events.retain(|event| {
            !matches!(event.is, What::StoredCursor { .. } | What::StoredCursorsAll { .. })
        }),
        Lack::Change(number) => {
            let changes = |event: &Event| matches!(event.is, What::MemberChanged { .. });
            let count = events.iter().filter(|event| changes(event)).count();
            let mut seen = 0;
            events.retain(|event| {
                seen += usize::from(changes(event));
                !(changes(event) && seen == number % count.max(1) + 1)
            });
        }
        Lack::Letters(keep) => {
            let mut seen = 0;
            events.retain(|event| {
                let letter = matches!(event.is, What::DeadLetter { .. });
                seen += usize::from(letter);
                !letter || seen <= keep
            });
        }
        Lack::Queues => events.retain(|event| !matches!(event.is, What::InFlight { .. })),
    }
}

const fn is_final_read(is: &What) -> bool {
    matches!(
        is,
        What::Stored { .. }
            | What::StoredAll { .. }
            | What::StoredCursor { .. }
            | What::StoredCursorsAll { .. }
    )
}

/// A read that failed after some entries says so, and knows the first and the newest one only if it
/// got a page.
fn cut(events: &mut Vec<Event>, wanted: u64, keep: usize) {
    let mut seen = 0;
    events.retain_mut(|event| match &mut event.is {
        What::Stored { entry } if entry.conversation.0 == wanted => {
            seen += 1;
            seen <= keep
        }
        What::StoredAll { conversation, first, head, whole } if conversation.0 == wanted => {
            *whole = false;
            if keep == 0 {
                (*first, *head) = (Sequence::START, Sequence::START);
            }
            true
        }
        _ => true,
    });
}
