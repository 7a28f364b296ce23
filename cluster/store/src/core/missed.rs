//! Pushes: what somebody who went has missed, and whether a push is still of use.

use super::absences::Departure;
use super::conversation::Conversation;
use super::fanout::push_job;
use ports::message_store::{Standing, StoreError, StoreView};
use protocol::records::PushJob;
use protocol::{Content, Partition, Sequence};

/// What somebody who went has missed.
#[derive(Debug, Default)]
pub struct Missed {
    /// Pushes, of the newest messages.
    pub jobs: Vec<PushJob>,
    /// Entries before those, of which nothing is pushed: there were too many.
    pub left_out: u64,
}

/// The messages that did not arrive before somebody went: the newest, of `most` entries.
pub fn missed(
    (view, partition): (&dyn StoreView, Partition),
    conversation: Option<&Conversation>,
    departure: &Departure,
    most: u64,
) -> Result<Missed, StoreError> {
    let Departure { conversation: id, user, after, upto } = *departure;
    let member = conversation.and_then(|found| found.joined(user).map(|at| (found, at)));
    let Some((conversation, joined)) = member else { return Ok(Missed::default()) };
    let reported = view.cursor(partition, id, user)?.unwrap_or_default().delivered;
    let upto = upto.unwrap_or(conversation.row.head);
    let newest = Sequence(upto.0.saturating_sub(most));
    // What was there before the user joined is not for the user; neither is the joining itself.
    let arrived = after.max(reported).max(joined);
    let left_out = newest.0.saturating_sub(arrived.0);
    let after = arrived.max(newest);
    if after >= upto {
        return Ok(Missed::default());
    }
    let entries = view.entries(partition, id, after, upto.next(), most as usize)?;
    let job = |entry: &protocol::Entry| match &entry.content {
        Content::Message { body, .. } if entry.author != user => {
            Some(push_job(vec![user], entry, body))
        }
        _ => None,
    };
    Ok(Missed { jobs: entries.iter().filter_map(job).collect(), left_out })
}

/// Whether a message is for a user who has been a member ever since, and has not been shown it.
pub fn is_open(standing: &Standing, sequence: Sequence) -> bool {
    let newest = standing.memberships.last();
    let ever_since = newest.is_some_and(|i| i.left.is_none() && i.joined <= sequence);
    ever_since && standing.cursors.delivered < sequence
}
