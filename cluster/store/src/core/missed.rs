//! Pushes: what somebody who went has missed, and whether a push is still of use.

use super::absences::Departure;
use super::conversation::Conversation;
use super::fanout::push_job;
use ports::message_store::Standing;
use protocol::records::PushJob;
use protocol::{Content, Entry, Sequence, UserId};

/// What somebody who went has missed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Missed {
    /// The messages to push are behind this one,
    pub after: Sequence,
    /// and this is the last of them.
    pub upto: Sequence,
    /// Entries before those, of which nothing is pushed: there were too many.
    pub left_out: u64,
}

/// The messages that did not arrive before somebody went: the newest, of `most` entries. `reported`: what the
/// user's devices have told.
pub fn missed(
    conversation: Option<&Conversation>,
    departure: &Departure,
    reported: Sequence,
    most: u64,
) -> Option<Missed> {
    let conversation = conversation?;
    let joined = conversation.joined(departure.user)?;
    let upto = departure.upto.unwrap_or(conversation.row.head);
    let newest = Sequence(upto.0.saturating_sub(most));
    // What was there before the user joined is not for the user; neither is the joining itself.
    let arrived = departure.after.max(reported).max(joined);
    let after = arrived.max(newest);
    let left_out = newest.0.saturating_sub(arrived.0);
    (after < upto).then_some(Missed { after, upto, left_out })
}

/// The pushes of missed entries.
pub fn jobs(user: UserId, entries: &[Entry]) -> impl Iterator<Item = PushJob> {
    entries.iter().filter_map(move |entry| match &entry.content {
        Content::Message { body, .. } if entry.author != user => {
            Some(push_job(vec![user], entry, body))
        }
        _ => None,
    })
}

/// Whether a message is for a user who has been a member ever since, and has not been shown it.
pub fn is_open(standing: &Standing, sequence: Sequence) -> bool {
    let newest = standing.memberships.last();
    let ever_since = newest.is_some_and(|i| i.left.is_none() && i.joined <= sequence);
    ever_since && standing.cursors.delivered < sequence
}
