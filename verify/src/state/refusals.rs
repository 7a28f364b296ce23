//! What a refusal for good says, and what must be known to contradict it.

use super::devices::Certain;
use super::ledger::{Record, status};
use super::{State, Step, short};
use crate::history::event::Said;
use protocol::RejectReason;

/// Whether a refusal is its owner's decision about the id, which stands for ever, also at a retry
/// (docs/protocol.md, "send, edit, delete").
pub(crate) const fn decides(reason: RejectReason) -> bool {
    matches!(
        reason,
        RejectReason::NotMember
            | RejectReason::NoSuchMessage
            | RejectReason::NotAuthor
            | RejectReason::DeadLettered
    )
}

impl State {
    /// Whether a final refusal of a send excludes that it is ever accepted: at the only attempt, or by
    /// a decision. (In histories of format 1 clusters may have forgotten their decisions.)
    pub const fn excludes(&self, reason: RejectReason, record: &Record) -> bool {
        !record.is(status::RESENT) || (decides(reason) && self.header.format >= 2)
    }

    /// What is certain of a send when it is invoked.
    pub(super) fn certain(&self, step: &Step, said: &Said) -> Certain {
        let target = match said {
            Said::Edit { target, .. } | Said::Delete { target } => Some(short(*target)),
            Said::Message { parent, .. } => parent.map(short),
            Said::Join { .. } | Said::Leave { .. } => None,
        };
        Certain {
            member: self.pairs.members[step.who as usize].certain_member(),
            target,
            is_message: target.is_some_and(|at| self.logs[step.conversation].get(at).is_message),
            changes: matches!(said, Said::Edit { .. } | Said::Delete { .. }),
            deletes: matches!(said, Said::Delete { .. }),
        }
    }
}
