//! Splits a history into parts, as several generators would have recorded it.

use protocol::{ClientMessageId, ConversationId, DeviceId, UserId};
use std::collections::BTreeMap;
use verify::Part;
use verify::history::builder::History;
use verify::history::event::{Event, What};

/// Where each id was used by a user, and on which device.
type Sent = BTreeMap<(UserId, ClientMessageId, DeviceId), ConversationId>;

/// The events of each part.
pub fn split(history: &History, parts: &[Part]) -> Vec<Vec<Event>> {
    let (mut split, mut sent) = (vec![Vec::new(); parts.len()], Sent::new());
    for event in &history.events {
        if let What::Sent { device, conversation, message, .. } = event.is {
            sent.entry((device.user, message, device.device)).or_insert(conversation);
        }
        let of_send = sent_in(&sent, &event.is);
        for (part, events) in parts.iter().zip(&mut split) {
            if of_send.map_or_else(|| part.sees(&event.is), |c| part.has_conversation(c)) {
                events.push(event.clone());
            }
        }
    }
    split
}

/// The conversation of the send that an event is about, whatever conversation it names: who sent it knows.
fn sent_in(sent: &Sent, is: &What) -> Option<ConversationId> {
    let (What::Resent { device, message, .. }
    | What::Accepted { device, message, .. }
    | What::Rejected { device, message, .. }
    | What::Unanswered { device, message, .. }) = is
    else {
        return None;
    };
    let (first, last) = (DeviceId(0), DeviceId(u32::MAX));
    let ids = (device.user, *message, first)..=(device.user, *message, last);
    sent.range(ids).next().map(|(_, conversation)| *conversation)
}
