//! Entries as a history has them.

use crate::body;
use protocol::{Content, Entry};
use verify::history::event::{Said, Seen};

/// What an entry says, with hashes instead of texts.
pub fn said(content: &Content) -> Said {
    match content {
        Content::Message { body, reply_to } => {
            Said::Message { hash: body::hash(body), parent: *reply_to }
        }
        Content::Edit { target, body } => Said::Edit { target: *target, hash: body::hash(body) },
        Content::Delete { target } => Said::Delete { target: *target },
        Content::Join { user } => Said::Join { user: *user },
        Content::Leave { user } => Said::Leave { user: *user },
    }
}

/// An entry that somebody saw.
pub fn seen(entry: &Entry) -> Seen {
    Seen {
        conversation: entry.conversation,
        sequence: entry.sequence,
        epoch: entry.epoch,
        owner: entry.owner,
        author: entry.author,
        message: entry.client_message_id,
        said: said(&entry.content),
    }
}
