//! **Nothing appears that nobody sent.** A message, edit or deletion is seen (shown, read or stored)
//! => an earlier S(m) by that author with the same id, conversation and content; and m was not
//! refused for good at its only attempt (unless a dead letter was requeued).
//!
//! A final refusal after a resend says nothing about the first attempt, so it excludes nothing.
//! Streaming: a 32-bit fingerprint of (author, id, content) in the ledger, 32 bytes per send in all.

use super::{Check, about_entry, is_sent};
use crate::ground::ledger::fate;
use crate::ground::{Ground, Step};
use crate::history::event::Event;
use crate::tally::Tally;

#[derive(Default)]
pub(crate) struct Invariant;

impl Check for Invariant {
    fn observe(&mut self, ground: &Ground, step: &Step, event: &Event, tally: &mut Tally) {
        let Some(entry) = super::entry_of(&event.is).filter(|entry| is_sent(entry)) else { return };
        tally.judged += 1;
        let fault = match step.send {
            None => "nobody sent it",
            Some((_, r)) if r.conversation as usize != step.conversation => {
                "it was sent to another conversation"
            }
            Some((_, r)) if r.print != step.print => "it was sent with another content",
            Some((_, r)) if r.is(fate::REFUSED) && !r.is(fate::REQUEUED) => "it was refused",
            Some(_) => return,
        };
        tally.violated(ground, about_entry(step, entry), || {
            format!(
                "message {} of user {} is sequence {} of conversation {}, and {fault}",
                entry.message, entry.author, entry.sequence, entry.conversation
            )
        });
    }
}

#[cfg(test)]
mod tests {
    use crate::history::What;
    use crate::history::builder::Builder;
    use crate::history::event::Said;
    use crate::invariants::tests::{clean, violated};
    use protocol::{ClientMessageId, ConversationId, RejectReason};

    const NAME: &str = "no_phantom_message";

    fn refused(builder: Builder, reason: RejectReason) -> Builder {
        let device = builder.device(1, 1);
        let message = ClientMessageId(builder.last_message(1));
        builder.push(What::Rejected { device, conversation: ConversationId(1), message, reason })
    }

    fn talk() -> Builder {
        Builder::new(2, 1).group(1, &[1, 2]).connect_all()
    }

    #[test]
    fn what_was_sent_may_appear() {
        assert!(clean(NAME, &talk().say(1, 1).say(2, 1).finish()).judged > 4);
    }

    #[test]
    fn another_text_is_a_phantom() {
        let changed = talk().say(1, 1).finish().tampered(|events| {
            for event in events {
                if let What::Shown { entry, .. } = &mut event.is
                    && let Said::Message { hash, .. } = &mut entry.said
                {
                    *hash += 1;
                }
            }
        });
        violated(NAME, &changed);
    }

    #[test]
    fn a_message_without_a_send_is_a_phantom() {
        let unsent = talk().say(1, 1).finish().tampered(|events| {
            events.retain(|e| !matches!(e.is, What::Sent { .. }));
        });
        violated(NAME, &unsent);
    }

    #[test]
    fn a_refused_message_must_not_appear() {
        let refused_once = refused(talk().send(1, 1), RejectReason::NotMember);
        violated(NAME, &refused_once.commit(1).deliver(1).finish());
    }

    #[test]
    fn a_message_that_was_refused_for_now_may_appear() {
        let later = refused(talk().send(1, 1), RejectReason::Unavailable);
        clean(NAME, &later.commit(1).accept(1).deliver(1).finish());
    }

    #[test]
    fn a_refusal_of_a_resend_says_nothing_about_the_first_attempt() {
        let builder = talk().send(1, 1);
        let device = builder.device(1, 1);
        let message = ClientMessageId(builder.last_message(1));
        let conversation = ConversationId(1);
        let resent = builder.push(What::Resent { device, conversation, message });
        clean(NAME, &refused(resent, RejectReason::Unauthorised).commit(1).deliver(1).finish());
    }
}
