//! Whom nobody should have told of an entry, by a notification, and why.

use crate::invariants::nobody_present_is_pushed::Target;
use crate::state::State;
use crate::state::members::Standing;

/// Why nobody should have been told of an entry.
pub(crate) fn fault(
    state: &State,
    (who, sequence): Target,
    pushed_at: u64,
) -> Option<&'static str> {
    let member = &state.pairs.members[who as usize];
    let log = &state.logs[member.conversation as usize];
    let entry = log.get(sequence);
    if entry.author == member.user + 1 && entry.is_message {
        Some("its author")
    } else if entry.seen == 0 && entry.acked == 0 {
        // Only a log that was read whole says that there is no such message, and nothing of what came
        // behind it since.
        let conversation = member.conversation as usize;
        let is_covered = sequence <= log.head
            || state.read_began(conversation).is_some_and(|began| pushed_at < began);
        let is_known = log.whole == Some(true) && is_covered;
        (is_known && !state.is_removed(conversation, sequence))
            .then_some("and there is no such message")
    } else if !entry.is_message {
        Some("and it is no message")
    } else {
        None
    }
}

/// Why nobody should have been told of an entry at a time.
pub(crate) fn premature(state: &State, (who, sequence): Target, at: u64) -> Option<&'static str> {
    let conversation = state.pairs.members[who as usize].conversation as usize;
    let sent_at = state.logs[conversation].get(sequence).sent_at();
    sent_at.is_some_and(|sent_at| at < sent_at).then_some("before it was sent")
}

/// Why this user should not have been told, if the entry is a message.
pub(crate) fn stranger(state: &State, (who, sequence): Target) -> Option<&'static str> {
    let member = &state.pairs.members[who as usize];
    let log = &state.logs[member.conversation as usize];
    let entry = log.get(sequence);
    let is_message = log.is_compacted(sequence) || entry.is_message;
    (is_message && state.standing(who, sequence) == Standing::Outside)
        .then_some("who was no member there")
}
