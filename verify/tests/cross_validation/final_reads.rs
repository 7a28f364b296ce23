//! What the final reads of a sound cluster find beside the entries.

use crate::operations::CONVERSATIONS;
use protocol::{ConversationId, Sequence};
use std::collections::BTreeMap;
use verify::history::builder::History;
use verify::history::event::{Event, What};

/// The final reads with all stored cursors, as they were reported.
pub fn with_cursors(mut history: History) -> History {
    let mut cursors = BTreeMap::new();
    for event in &history.events {
        if let What::ReceiptSent { device, conversation, delivered, read } = event.is {
            let most = cursors.entry((conversation, device.user)).or_insert((delivered, read));
            *most = (delivered.max(most.0), read.max(most.1));
        }
    }
    let (end, at) = (history.events.len() - 1, history.events.last().expect("the end").at);
    let stored = cursors.into_iter().map(|((conversation, user), (delivered, read))| {
        What::StoredCursor { conversation, user, delivered, read }
    });
    let all =
        (1..=CONVERSATIONS).map(|c| What::StoredCursorsAll { conversation: ConversationId(c) });
    history.events.splice(end..end, stored.chain(all).map(|is| Event { at, is }));
    history
}

/// The store keeps the newest entries only.
pub fn retained(mut history: History, kept: u64) -> History {
    history.header.retention = Some(kept);
    let head = |events: &[Event], wanted: ConversationId| {
        let heads = events.iter().filter_map(|event| match event.is {
            What::StoredAll { conversation, head, .. } if conversation == wanted => Some(head.0),
            _ => None,
        });
        heads.max().unwrap_or(0)
    };
    let heads: Vec<u64> =
        (1..=CONVERSATIONS).map(|c| head(&history.events, ConversationId(c))).collect();
    let first = |c: ConversationId| heads[c.0 as usize - 1].saturating_sub(kept) + 1;
    history.events.retain_mut(|event| match &mut event.is {
        What::Stored { entry } => entry.sequence.0 >= first(entry.conversation),
        What::StoredAll { conversation, first: oldest, .. } => {
            *oldest = Sequence(first(*conversation));
            true
        }
        _ => true,
    });
    history
}
