//! An event as a step of a diagram: its words, and between whom it is.
//!
//! What a client sends begins at a moment that is recorded, and what it gets ends at one. When a node
//! handled it is not in the history, so those ends of the arrows have no moment.

use super::super::lines::Line;
use super::lane::Lane;
use verify::history::Header;
use verify::history::event::{Said, Seen, What};

/// What is drawn of a step.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Course {
    /// A client sends: the moment is that of the beginning.
    Sent(Lane, Lane),
    /// A client gets something: the moment is that of the end.
    Got(Lane, Lane),
    /// Something happens in one place.
    Point(Lane),
    /// A fault begins: the number of its band.
    Began(usize),
    /// It ends.
    Ended(usize),
}

impl Course {
    /// Who takes part.
    pub(crate) fn nodes(&self) -> impl Iterator<Item = &Lane> {
        let (one, other) = match self {
            Self::Sent(from, to) | Self::Got(from, to) => (Some(from), Some(to)),
            Self::Point(lane) => (Some(lane), None),
            Self::Began(_) | Self::Ended(_) => (None, None),
        };
        one.into_iter().chain(other)
    }
}

/// The words and the course of an event; `None`: there is nothing to draw.
pub(super) fn of(header: &Header, event: &What, lines: &[Line]) -> Option<(String, Course)> {
    of_messages(header, event, lines).or_else(|| of_devices(event)).or_else(|| of_others(event))
}

/// What became of a message.
fn of_messages(header: &Header, event: &What, lines: &[Line]) -> Option<(String, Course)> {
    let got = |entry: &Seen, to: Lane| Course::Got(Lane::store(entry.owner), to);
    Some(match event {
        What::Sent { device, message, said, .. } => {
            let kind = match said {
                Said::Edit { target, .. } => format!(", an edit of {target},"),
                Said::Delete { target } => format!(", a deletion of {target},"),
                _ => String::new(),
            };
            let name = header.message_name(device.user.0, message.0);
            let to = sequenced_by(lines, (device.user.0, message.0));
            (format!("{name}{kind} is sent"), Course::Sent(Lane::device(*device), to))
        }
        What::Resent { device, message, .. } => {
            let name = header.message_name(device.user.0, message.0);
            let to = sequenced_by(lines, (device.user.0, message.0));
            (format!("{name} is sent again"), Course::Sent(Lane::device(*device), to))
        }
        What::Accepted { device, message, sequence, owner, .. } => {
            let name = header.message_name(device.user.0, message.0);
            let course = Course::Got(Lane::store(*owner), Lane::device(*device));
            (format!("{name} is accepted as sequence {sequence}"), course)
        }
        What::Rejected { device, message, reason, .. } => {
            let name = header.message_name(device.user.0, message.0);
            let from = sequenced_by(lines, (device.user.0, message.0));
            let reason = serde_json::to_value(reason).unwrap_or_default();
            let reason = reason.as_str().unwrap_or("no reason");
            (format!("{name} is refused: {reason}"), Course::Got(from, Lane::device(*device)))
        }
        What::Unanswered { device, message, .. } => {
            let name = header.message_name(device.user.0, message.0);
            (format!("{name} has no answer"), Course::Point(Lane::device(*device)))
        }
        What::Shown { device, entry } => {
            let what = format!("{}/{} shows {}", device.user, device.device, named(header, entry));
            (what, got(entry, Lane::device(*device)))
        }
        What::Received { device, entry } => {
            let (user, device_id) = (device.user, device.device);
            let what = format!("{user}/{device_id} gets {}", named(header, entry));
            (what, got(entry, Lane::device(*device)))
        }
        What::Read { device, entry, .. } => {
            let what = format!("{}/{} reads {}", device.user, device.device, named(header, entry));
            (what, got(entry, Lane::device(*device)))
        }
        What::Stored { entry } => {
            (format!("the final read has {}", named(header, entry)), got(entry, Lane::final_read()))
        }
        _ => return None,
    })
}

/// What a device does by itself.
fn of_devices(event: &What) -> Option<(String, Course)> {
    let (what, device) = match event {
        What::Opened { device, gateway, .. } => {
            let course =
                Course::Sent(Lane::device(*device), Lane::node(&format!("gateway-{gateway}")));
            return Some((format!("{}/{} opens a session", device.user, device.device), course));
        }
        What::Closed { device, code: 0 } => ("loses its connection".to_owned(), device),
        What::Closed { device, code } => (format!("has a session no more ({code})"), device),
        What::ConnectFailed { device } => ("cannot connect".to_owned(), device),
        What::Back { device } => ("is taken up again".to_owned(), device),
        What::Attached { device, from, head, .. } => {
            (format!("is attached behind {from}, the head is {head}"), device)
        }
        What::Detached { device, .. } => ("is detached".to_owned(), device),
        What::ReadBegan { device, after, .. } => (format!("reads behind {after}"), device),
        What::ReadEnded { device, head, .. } => (format!("has read; the head is {head}"), device),
        What::ReadFailed { device, .. } => ("cannot read".to_owned(), device),
        What::ReceiptSent { device, delivered, read, .. } => {
            (format!("reports its cursors {delivered} and {read}"), device)
        }
        What::ReceiptSeen { device, user, delivered, read, .. } => {
            (format!("shows cursors of user {user}: {delivered} and {read}"), device)
        }
        _ => return None,
    };
    let what = format!("{}/{} {what}", device.user, device.device);
    Some((what, Course::Point(Lane::device(*device))))
}

/// What happens to users, nodes and the final reads.
fn of_others(event: &What) -> Option<(String, Course)> {
    let (what, lane) = match event {
        What::MemberAsked { user, add, .. } => {
            let what = if *add { "is to be a member" } else { "is to be no member" };
            (format!("user {user} {what}"), Lane::user(*user))
        }
        What::MemberChanged { user, add, sequence, .. } => {
            let what = if *add { "is a member from" } else { "is no member from" };
            (format!("user {user} {what} {sequence} on"), Lane::user(*user))
        }
        What::Pushed { user, sequence, taken, .. } => {
            let outcome = if *taken { "is notified of" } else { "is not yet notified of" };
            (format!("user {user} {outcome} {sequence}"), Lane::user(*user))
        }
        What::Revoked { user } => {
            (format!("the token of user {user} is revoked"), Lane::user(*user))
        }
        What::Granted { user } => (format!("user {user} has a new token"), Lane::user(*user)),
        What::Owner { partition, owner, epoch } => (
            format!("store-{owner} owns partition {partition}, epoch {epoch}"),
            Lane::store(*owner),
        ),
        What::NodePanicked { node, .. } => (format!("{node} panics"), Lane::node(node)),
        What::NodeStarted { node } => (format!("{node} starts"), Lane::node(node)),
        What::NodeEnded { node, .. } => (format!("{node} ends"), Lane::node(node)),
        What::Gauge { node, name, value, limit } => {
            (format!("{node}: {name} is {value}, of {limit}"), Lane::node(node))
        }
        What::DeadLetter { queue, .. } => (format!("a dead letter of {queue}"), Lane::final_read()),
        What::StoredAll { head, .. } => {
            (format!("the final read ends at {head}"), Lane::final_read())
        }
        What::StoredCursor { user, delivered, read, .. } => {
            let what = format!("stored cursors of user {user}: {delivered} and {read}");
            (what, Lane::final_read())
        }
        _ => return None,
    };
    Some((what, Course::Point(lane)))
}

/// An entry by its place and its content.
fn named(header: &Header, entry: &Seen) -> String {
    let sequence = entry.sequence;
    match entry.said {
        Said::Join { user } => format!("{sequence}, the join of user {user}"),
        Said::Leave { user } => format!("{sequence}, the departure of user {user}"),
        _ => format!("{sequence}, {}", header.message_name(entry.author.0, entry.message.0)),
    }
}

/// The store that gave a message its sequence, if the evidence says which.
fn sequenced_by(lines: &[Line], message: (u64, u64)) -> Lane {
    let mut by = lines.iter().filter(|line| of_message(&line.event.is) == Some(message));
    by.find_map(|line| answered_by(&line.event.is)).unwrap_or_else(Lane::cluster)
}

/// The store that an event names.
pub(super) fn answered_by(event: &What) -> Option<Lane> {
    match event {
        What::Accepted { owner, .. } => Some(Lane::store(*owner)),
        other => entry_of(other).map(|entry| Lane::store(entry.owner)),
    }
}

/// The author and the id of the message that an event is about; changes of membership have none.
pub(super) fn of_message(event: &What) -> Option<(u64, u64)> {
    let message = match event {
        What::Sent { device, message, .. }
        | What::Resent { device, message, .. }
        | What::Accepted { device, message, .. }
        | What::Rejected { device, message, .. }
        | What::Unanswered { device, message, .. } => Some((device.user.0, message.0)),
        other => entry_of(other).map(|entry| (entry.author.0, entry.message.0)),
    };
    message.filter(|(_, id)| *id != 0)
}

/// The sequence that an event gives a message.
pub(super) fn sequence_of(event: &What) -> Option<u64> {
    match event {
        What::Accepted { sequence, .. } => Some(sequence.0),
        other => entry_of(other).map(|entry| entry.sequence.0),
    }
}

/// The entry that an event shows.
pub(super) const fn entry_of(event: &What) -> Option<&Seen> {
    match event {
        What::Shown { entry, .. }
        | What::Received { entry, .. }
        | What::Read { entry, .. }
        | What::Stored { entry } => Some(entry),
        _ => None,
    }
}
