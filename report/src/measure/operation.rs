//! What the measurements tell apart: the kinds of operation.

use verify::history::event::Said;

/// A kind of operation whose latency is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Operation {
    /// A new message that answers none.
    Send,
    /// A message that answers another.
    Reply,
    /// A new text for a message.
    Edit,
    /// A withdrawal of a message.
    Delete,
}

impl Operation {
    /// All of them, by their number.
    pub(crate) const ALL: [Self; 4] = [Self::Send, Self::Reply, Self::Edit, Self::Delete];

    /// What was said; `None`: a change of members.
    pub(crate) const fn of(said: &Said) -> Option<Self> {
        match said {
            Said::Message { parent: None, .. } => Some(Self::Send),
            Said::Message { parent: Some(_), .. } => Some(Self::Reply),
            Said::Edit { .. } => Some(Self::Edit),
            Said::Delete { .. } => Some(Self::Delete),
            Said::Join { .. } | Said::Leave { .. } => None,
        }
    }
}
