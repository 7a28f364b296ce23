//! Whom nobody should have told of an entry, by a notification, and why.

use crate::ground::Ground;
use crate::ground::members::Standing;
use crate::invariants::nobody_present_is_pushed::Target;

/// Why nobody should have been told of an entry.
pub(crate) fn fault(
    ground: &Ground,
    (who, sequence): Target,
    pushed_at: u64,
) -> Option<&'static str> {
    let state = &ground.pairs.whos[who as usize];
    let log = &ground.logs[state.conversation as usize];
    let entry = log.get(sequence);
    if entry.author == state.user + 1 && entry.is_message {
        Some("its author")
    } else if entry.seen == 0 && entry.acked == 0 {
        // Only a log that was read whole says that there is no such message, and nothing of what came
        // behind it since.
        let conversation = state.conversation as usize;
        let is_covered = sequence <= log.head
            || ground.read_began(conversation).is_some_and(|began| pushed_at < began);
        let is_known = log.whole == Some(true) && is_covered;
        (is_known && !ground.is_removed(conversation, sequence))
            .then_some("and there is no such message")
    } else if !entry.is_message {
        Some("and it is no message")
    } else {
        None
    }
}

/// Why nobody should have been told of an entry at a time.
pub(crate) fn premature(ground: &Ground, (who, sequence): Target, at: u64) -> Option<&'static str> {
    let conversation = ground.pairs.whos[who as usize].conversation as usize;
    let sent_at = ground.logs[conversation].get(sequence).sent_at();
    sent_at.is_some_and(|sent_at| at < sent_at).then_some("before it was sent")
}

/// Why this user should not have been told, if the entry is a message.
pub(crate) fn stranger(ground: &Ground, (who, sequence): Target) -> Option<&'static str> {
    let state = &ground.pairs.whos[who as usize];
    let log = &ground.logs[state.conversation as usize];
    let entry = log.get(sequence);
    let is_message = log.is_settled(sequence) || entry.is_message;
    (is_message && ground.standing(who, sequence) == Standing::Outside)
        .then_some("who was no member there")
}
