//! Sends that their owner refuses, with reason.

use crate::operations::rejected;
use protocol::{ClientMessageId, ConversationId, RejectReason, Sequence};
use verify::history::builder::Builder;
use verify::history::event::{Said, What};

/// A send that its owner refuses, with reason.
pub fn unfit(run: Builder, u: u64, c: u64, n: u64) -> Builder {
    let edit = |target| Said::Edit { target: Sequence(target), hash: n };
    let refused =
        |run: Builder, said: Said, reason| rejected(run.send_said(u, 1, c, |_| said), u, c, reason);
    if !run.is_member(u, c) {
        return refused(run, edit(n), RejectReason::NotMember);
    }
    let log = run.log(c);
    let deleted = log.iter().find_map(|entry| match entry.said {
        Said::Delete { target } if entry.author.0 == u => Some(target.0),
        _ => None,
    });
    let other = log
        .iter()
        .find(|entry| matches!(entry.said, Said::Message { .. }) && entry.author.0 != u)
        .map(|entry| entry.sequence.0);
    match (n % 5, deleted, other) {
        (0, Some(target), _) => refused(run, edit(target), RejectReason::NoSuchMessage),
        (1, Some(target), _) => {
            let again = Said::Delete { target: Sequence(target) };
            refused(run, again, RejectReason::NoSuchMessage)
        }
        (2, _, Some(target)) => refused(run, edit(target), RejectReason::NotAuthor),
        (3, ..) => refused(run, edit(1), RejectReason::NoSuchMessage),
        _ => {
            let parent = Some(Sequence(run.head(c) + 1 + n % 2));
            let reply = Said::Message { hash: n, parent };
            let run = refused(run, reply, RejectReason::NoSuchMessage);
            let (device, message) = (run.device(u, 1), ClientMessageId(run.last_message(u)));
            let conversation = ConversationId(c);
            let again = run.push(What::Resent { device, conversation, message });
            rejected(again, u, c, RejectReason::NoSuchMessage)
        }
    }
}
