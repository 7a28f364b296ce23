//! How far members have got. Cursors only rise (unless the design says otherwise), and
//! `read <= delivered <= head` always holds.

use super::command::Effect;
use super::conversation::Conversation;
use super::step::Step;
use ports::message_store::Cursors;
use protocol::design;
use protocol::frames::server::Receipts;
use protocol::store_calls::ReceiptItem;

/// Applies a member's report; anybody else's is ignored.
pub fn apply(step: &mut Step<'_>, conversation: Option<&mut Conversation>, item: ReceiptItem) {
    let ReceiptItem { conversation: id, user, .. } = item;
    let Some(conversation) = conversation else { return };
    if conversation.joined(user).is_none() {
        return;
    }
    let old = step.overlay.cursor(id, user);
    let delivered = item.delivered.min(conversation.row.head);
    let reported = Cursors { delivered, read: item.read.min(delivered) };
    let new = match step.choices.receipts {
        design::Receipts::Maximum => Cursors {
            delivered: old.delivered.max(reported.delivered),
            read: old.read.max(reported.read),
        },
        design::Receipts::Overwrite => reported,
    };
    if new != old {
        step.overlay.batch.cursors.insert((id, user), new);
        let Cursors { delivered, read } = new;
        let receipts = Receipts { conversation: id, user, delivered, read };
        let members = u32::try_from(conversation.members().len()).unwrap_or(u32::MAX);
        step.effects.push(Effect::Receipts(receipts, members));
    }
}
