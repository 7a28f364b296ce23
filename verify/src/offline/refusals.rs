//! Whether what is refused for good is refused with reason.

use super::book::{Book, Send};
use super::members::Membership;
use crate::history::event::{Said, What};
use protocol::{ConversationId, RejectReason};

/// Whoever had an answer to a change of members within this time, and without a fault, asked once.
const ONE_ATTEMPT_US: u64 = 1_000_000;

/// Whether the first end of a send is a refusal that is not true.
pub(super) fn is_refused_wrongly(book: &Book<'_>, send: &Send) -> bool {
    let user = send.device.user.0;
    let Some((line, _)) = book.told(send).into_iter().find(|(_, ended)| *ended) else {
        return false;
    };
    let What::Rejected { conversation, reason, .. } = book.lines[line].is else { return false };
    if *conversation != send.conversation || book.send_of(user, send.id, line) != Some(*send) {
        return false;
    }
    match (reason, send.said) {
        (RejectReason::NotMember, _) => {
            let newest =
                |line| book.changes(user, *conversation, line).last().map(|newest| newest.sequence);
            let departs = |said: &super::book::Line<'_>| {
                matches!(said.is, What::MemberAsked { conversation: c, user: u, add: false }
                    if (*c, u.0) == (*conversation, user))
            };
            is_certain_member(book, user, *conversation, send.line)
                && is_certain_member(book, user, *conversation, line)
                && newest(send.line) == newest(line)
                && !book.lines[send.line..line].iter().any(departs)
        }
        (RejectReason::NotAuthor, Said::Edit { target, .. } | Said::Delete { target }) => {
            book.author(*conversation, target.0, line) == Some(send.device.user)
        }
        (RejectReason::NoSuchMessage, Said::Edit { target, .. } | Said::Delete { target }) => {
            is_there(book, send, target.0) && !is_deleted(book, send, target.0, line)
        }
        (RejectReason::NoSuchMessage, Said::Message { parent: Some(parent), .. }) => {
            is_there(book, send, parent.0)
        }
        (RejectReason::NotAuthor | RejectReason::NoSuchMessage, _) => true,
        _ => false,
    }
}

/// Whether the sender of a message knew a sequence as a message that is certainly stored.
fn is_there(book: &Book<'_>, send: &Send, sequence: u64) -> bool {
    let conversation = send.conversation;
    let is_kept = book.header.retention.is_none() || book.final_read(conversation).is_some();
    is_kept
        && book.is_known_message(conversation, sequence, send.line)
        && book.membership(send.device.user.0, conversation, sequence) == Membership::Member
        && !book.is_removed(conversation, sequence)
}

/// Whether another deletion of a sequence was sent before a line.
fn is_deleted(book: &Book<'_>, send: &Send, sequence: u64, line: usize) -> bool {
    book.lines[..line].iter().enumerate().any(|(number, earlier)| {
        matches!(earlier.is, What::Sent { conversation, said: Said::Delete { target }, .. }
            if (*conversation, target.0) == (send.conversation, sequence) && number != send.line)
    })
}

impl Book<'_> {
    /// Whether a sequence was seen as a message before a line, or its author told.
    pub fn is_known_message(
        &self,
        conversation: ConversationId,
        sequence: u64,
        before: usize,
    ) -> bool {
        let seen = self.observations.iter().filter(|s| s.is_at(conversation, sequence));
        let mut seen = seen.filter(|s| s.line < before);
        let told = self.accepted_as(conversation, sequence).filter(|a| a.line < before);
        seen.any(|s| matches!(s.entry.said, Said::Message { .. }))
            || told.is_some_and(|a| a.send.is_message())
    }

    /// Whether joins (or departures) that were asked for before a line may have been done more often than
    /// that.
    pub fn may_repeat(
        &self,
        user: u64,
        conversation: ConversationId,
        joins: bool,
        before: usize,
    ) -> bool {
        let (mut open, mut since) = (0_i64, 0);
        for (line, said) in self.lines[..before].iter().enumerate() {
            match said.is {
                What::MemberAsked { conversation: c, user: u, add }
                    if (*c, u.0, *add) == (conversation, user, joins) =>
                {
                    if open <= 0 {
                        since = said.at;
                    }
                    open += 1;
                }
                What::MemberChanged { conversation: c, user: u, add, .. }
                    if (*c, u.0, *add) == (conversation, user, joins) =>
                {
                    let is_calm = self.calm_since(line).is_some_and(|calm| calm <= since);
                    if !is_calm || said.at - since > ONE_ATTEMPT_US {
                        return true;
                    }
                    open -= 1;
                }
                _ => {}
            }
        }
        open > 0
    }
}

/// Whether a user is certainly a member when a line comes: nothing that was asked for says otherwise.
fn is_certain_member(
    book: &Book<'_>,
    user: u64,
    conversation: ConversationId,
    line: usize,
) -> bool {
    let asked = |line: &super::book::Line<'_>| {
        matches!(line.is, What::MemberAsked { conversation: c, user: u, add: true }
            if (*c, u.0) == (conversation, user))
    };
    book.lines[..line].iter().any(asked)
        && book.is_member_now(user, conversation, line)
        && !book.may_repeat(user, conversation, false, line)
}
