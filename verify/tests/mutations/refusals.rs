//! Sends are refused that should not be, or although it was decided otherwise.

use crate::acceptances::{accepted, decision, refuse, resend, waiting};
use crate::case::{Case, is_message};
use crate::kind::{Kind, caught};
use protocol::{ClientMessageId, ConversationId, RejectReason, Sequence, UserId};
use verify::history::event::{Said, What};

pub const KINDS: &[Kind] = &[
    caught(
        "a send that was refused for its token does not come again",
        "every_message_accounted",
        |case| {
            let a = waiting(case)?;
            case.retain(|_, is| {
                !matches!(is, What::Accepted { device, message, .. }
                    | What::Rejected { device, message, .. }
                    | What::Resent { device, message, .. }
                    if (*device, message.0) == (a.device, a.message))
            });
            let sent = |is: &What| {
                matches!(is, What::Sent { device, message, .. }
                    if (*device, message.0) == (a.device, a.message))
            };
            let at = case.history.events.iter().position(|event| sent(&event.is))?;
            refuse(case, a, at, RejectReason::Unauthorised)
        },
    ),
    caught(
        "what was accepted is refused at a retry, by a decision",
        "every_message_accounted",
        |case| {
            let a = accepted(case)?;
            resend(case, a, a.at);
            {
                let reason = decision(case);
                refuse(case, a, a.at + 1, reason)
            }
        },
    ),
    caught(
        "what was refused at a retry, by a decision, is accepted",
        "every_message_accounted",
        |case| {
            let a = accepted(case)?;
            resend(case, a, a.sent);
            {
                let reason = decision(case);
                refuse(case, a, a.sent + 1, reason)
            }
        },
    ),
    caught("what was refused at a retry, by a decision, appears", "no_phantom_message", |case| {
        let a = accepted(case)?;
        case.retain(|_, is| {
            !matches!(is, What::Accepted { device, message, .. }
                if (*device, message.0) == (a.device, a.message))
        });
        let end = case.history.events.len() - 2;
        resend(case, a, end);
        {
            let reason = decision(case);
            refuse(case, a, end + 1, reason)
        }
    }),
    caught("a member is refused as a stranger", "every_message_accounted", |case| {
        let user = case.truth.users().collect::<Vec<_>>();
        let user = case.one_of(&user)?;
        refused_anew(case, user, RejectReason::NotMember, |case, conversation| {
            let is_steady = matches!(case.truth.changes(user, conversation), [(_, true)]);
            is_steady.then_some(Said::Message { hash: 71, parent: None })
        })
    }),
    caught(
        "an edit by the author is refused as somebody else's",
        "every_message_accounted",
        |case| {
            let a = accepted(case)?;
            refused_anew(case, a.device.user, RejectReason::NotAuthor, |case, conversation| {
                let target = known_message(case, conversation, a.device.user)?;
                Some(Said::Edit { target, hash: 72 })
            })
        },
    ),
    caught("a reply to a message that was shown is refused", "every_message_accounted", |case| {
        let a = accepted(case)?;
        refused_anew(case, a.device.user, RejectReason::NoSuchMessage, |case, conversation| {
            let parent = known_message(case, conversation, a.device.user)?;
            Some(Said::Message { hash: 73, parent: Some(parent) })
        })
    }),
    caught(
        "a message that answers nothing is refused for what it answers",
        "every_message_accounted",
        |case| {
            let a = accepted(case)?;
            refused_anew(case, a.device.user, RejectReason::NoSuchMessage, |_, _| {
                Some(Said::Message { hash: 74, parent: None })
            })
        },
    ),
];

/// A user sends something more before the load ends, and it is refused for good.
fn refused_anew(
    case: &mut Case<'_>,
    user: UserId,
    reason: RejectReason,
    said: impl Fn(&mut Case<'_>, ConversationId) -> Option<Said>,
) -> Option<()> {
    let device = crate::case::device_of(user.0, 1);
    let conversations: Vec<ConversationId> = case.truth.conversations().collect();
    let (conversation, said) = conversations
        .into_iter()
        .find_map(|conversation| said(case, conversation).map(|said| (conversation, said)))?;
    let (message, at) = (ClientMessageId(77_000_000), case.truth.settle - 1);
    let intended = case.truth.time(at);
    case.insert(at, What::Sent { device, conversation, message, said, intended });
    case.insert(at + 1, What::Rejected { device, conversation, message, reason });
    Some(())
}

/// A stored message of a user.
fn known_message(
    case: &Case<'_>,
    conversation: ConversationId,
    author: UserId,
) -> Option<Sequence> {
    let mut all = case.truth.stored.iter();
    let (position, _) = all.find(|(position, entry)| {
        position.0 == conversation && is_message(entry) && entry.author == author
    })?;
    Some(position.1)
}
