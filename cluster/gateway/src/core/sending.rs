//! Sends, edits and deletions: limits, publication, answers.
//!
//! Per session and conversation one publication is unconfirmed at a time, and a message that was
//! refused for now holds back the later ones: so a sender's messages are sequenced in the order in
//! which they were sent, whatever is lost or refused on the way.

use super::calls::{Call, Pending, Progress, PublishCall, PublishRef};
use super::hub::{Hub, Now};
use super::session::HeldBack;
use super::timers::Timer;
use bytes::Bytes;
use ports::TokenError;
use ports::broker::{Publication, PublishError, Queue};
use protocol::design::Tokens;
use protocol::frames::server::Rejected;
use protocol::ids::MAX_CLIENT_CHOSEN_ID;
use protocol::partition::partition_of;
use protocol::records::{Action, Inbound, encode};
use protocol::{
    ClientFrame, ClientMessageId, CloseCode, ConversationId, RejectReason, ServerFrame, SessionId,
    limits,
};

/// How long later messages wait for one that was refused for now, milliseconds: twice the time after
/// which a client gives a silent connection up and comes again with the refused one.
pub const HELD_BACK_MS: u64 = 25_000;
/// When a sender is to try again if the cluster could not take a message, milliseconds.
const RETRY_AFTER_MS: u32 = 500;
/// Before a publication whose fate is unknown is published again, milliseconds.
const UNKNOWN_RETRY_MS: u64 = 300;
/// Attempts at a publication whose fate is unknown: about a minute.
const UNKNOWN_TRIES: u32 = 200;
/// How long an owner may take to answer before the message is published again, milliseconds; longer
/// than it takes an owner to give a poisonous message up.
const ANSWER_MS: u64 = 15_000;

/// The conversation and id of a frame that has them.
pub fn named(frame: &ClientFrame) -> Option<(ConversationId, ClientMessageId)> {
    match frame {
        ClientFrame::Send(send) => Some((send.conversation, send.client_message_id)),
        ClientFrame::Edit(edit) => Some((edit.conversation, edit.client_message_id)),
        ClientFrame::Delete(delete) => Some((delete.conversation, delete.client_message_id)),
        _ => None,
    }
}

impl Hub {
    /// A send, edit or deletion.
    pub(super) fn send(&mut self, now: Now, id: SessionId, frame: ClientFrame) {
        let Some((conversation, message)) = named(&frame) else { return };
        if self.token_fails(now, id) {
            self.refuse(id, conversation, message, RejectReason::Unauthorised, 0);
            return self.close(now, id, CloseCode::Unauthenticated);
        }
        if let Some(reason) = flaw(&frame) {
            return self.refuse(id, conversation, message, reason, 0);
        }
        let Some(session) = self.outlets.sessions.get_mut(id) else { return };
        if session.pending.iter().any(|p| p.message == message && p.conversation == conversation) {
            // The same again; its answer is on the way.
            return;
        }
        let user = session.user;
        let held = session.held_back.iter().position(|held| held.conversation == conversation);
        if let Some(index) = held {
            let held = session.held_back[index];
            if held.message != message && now.ms < held.until_ms {
                let wait = RETRY_AFTER_MS;
                return self.refuse(id, conversation, message, RejectReason::Unavailable, wait);
            }
            session.held_back.swap_remove(index);
        }
        if session.pending.len() >= self.config.limits.unanswered {
            return self.refuse_for_now(now, id, conversation, message, true, RETRY_AFTER_MS);
        }
        let limits = self.config.limits;
        let Some(known) = self.users.get_mut(&user) else { return };
        if let Err(wait) = known.sends.take(now.ms, limits.rate_per_second, limits.rate_burst) {
            if self.strike(now, id) {
                self.refuse_for_now(now, id, conversation, message, true, wait);
            }
            return;
        }
        let from = self.session_ref(id);
        let Some(action) = action(frame) else { return };
        let record =
            Inbound { from, author: user, conversation, client_message_id: message, action };
        let record: Bytes = encode(&record);
        let progress = Progress::Waiting;
        let Some(session) = self.outlets.sessions.get_mut(id) else { return };
        session.strikes = 0;
        session.pending.push(Pending {
            conversation,
            message,
            record,
            progress,
            tries: 0,
            losses: 0,
        });
        self.publish_next(id, conversation);
    }

    /// Whether the session's token is no longer honoured.
    pub(super) fn token_fails(&self, now: Now, id: SessionId) -> bool {
        if self.config.design.tokens == Tokens::HelloOnly {
            return false;
        }
        let session = self.outlets.sessions.get(id);
        session.and_then(|session| session.claims.as_deref()).is_some_and(|claims| {
            match self.tokens.still_valid(claims, now.wall_ms) {
                Ok(()) | Err(TokenError::NotReady) => false,
                Err(TokenError::Invalid | TokenError::Expired | TokenError::Revoked) => true,
            }
        })
    }

    fn refuse(
        &mut self,
        id: SessionId,
        conversation: ConversationId,
        client_message_id: ClientMessageId,
        reason: RejectReason,
        retry_after_ms: u32,
    ) {
        self.counts.rejections += 1;
        let rejected = Rejected { client_message_id, conversation, reason, retry_after_ms };
        self.outlets.say(id, ServerFrame::Rejected(rejected));
    }

    /// Refuses a message that may come again, and holds back later ones until it does.
    pub(super) fn refuse_for_now(
        &mut self,
        now: Now,
        id: SessionId,
        conversation: ConversationId,
        message: ClientMessageId,
        limited: bool,
        retry_after_ms: u32,
    ) {
        self.hold_back(now, id, conversation, message, retry_after_ms, false);
        let reason = if limited { RejectReason::RateLimited } else { RejectReason::Unavailable };
        self.refuse(id, conversation, message, reason, retry_after_ms.max(1));
    }

    /// Later messages of a conversation must not overtake this one. `earliest`: nor must the one that
    /// holds them back already, which came later. Whether this one holds them back now.
    fn hold_back(
        &mut self,
        now: Now,
        id: SessionId,
        conversation: ConversationId,
        message: ClientMessageId,
        retry_after_ms: u32,
        earliest: bool,
    ) -> bool {
        let Some(session) = self.outlets.sessions.get_mut(id) else { return false };
        if session.answered.contains(&message) {
            // Another copy of it has its answer: the sender may be done with it, and never send it again.
            return false;
        }
        let until_ms = now.ms + HELD_BACK_MS + u64::from(retry_after_ms);
        let hold = HeldBack { conversation, message, until_ms };
        match session.held_back.iter_mut().find(|held| held.conversation == conversation) {
            None => session.held_back.push(hold),
            Some(later) if earliest => *later = hold,
            Some(_) => return false,
        }
        true
    }

    /// Publishes the oldest message of a conversation that waits, if none before it is unconfirmed.
    fn publish_next(&mut self, id: SessionId, conversation: ConversationId) {
        let partition = partition_of(conversation, self.config.partitions);
        let Some(session) = self.outlets.sessions.get_mut(id) else { return };
        for pending in session.pending.iter_mut().filter(|p| p.conversation == conversation) {
            match pending.progress {
                Progress::Confirmed(_) => {}
                Progress::Asked | Progress::Unknown(_) => return,
                Progress::Waiting => {
                    pending.progress = Progress::Asked;
                    pending.tries += 1;
                    pending.losses = self.losses;
                    let of = PublishRef { session: id, conversation, message: pending.message };
                    let to = Queue::Inbound(partition).into();
                    let publication = Publication { to, message: pending.record.clone() };
                    self.calls.push_back(Call::Publish(PublishCall { of, publication }));
                    return;
                }
            }
        }
    }

    /// The broker's word on a publication.
    pub fn published(&mut self, now: Now, of: PublishRef, result: Result<(), PublishError>) {
        let PublishRef { session: id, conversation, message } = of;
        let Some(session) = self.outlets.sessions.get_mut(id) else { return };
        let pending = session
            .pending
            .iter_mut()
            .find(|p| p.conversation == conversation && p.message == message);
        if let Some(pending) = pending
            && pending.progress == Progress::Asked
        {
            let backoff = ANSWER_MS << (pending.tries - 1).min(4);
            match result {
                // Its answer may have been lost before its confirm came.
                Ok(()) if pending.losses != self.losses => {
                    pending.progress = Progress::Confirmed(now.ms);
                }
                Ok(()) => pending.progress = Progress::Confirmed(now.ms + backoff),
                Err(PublishError::Full | PublishError::Unroutable) if pending.tries == 1 => {
                    self.refuse_from(now, id, conversation, message);
                }
                // Of a later attempt even a clear refusal says nothing: an earlier one may have been
                // stored.
                Err(_) if pending.tries < UNKNOWN_TRIES => {
                    pending.progress = Progress::Unknown(now.ms + UNKNOWN_RETRY_MS);
                    self.timers.set(now.ms + UNKNOWN_RETRY_MS, Timer::Publish(id));
                }
                // Nobody may claim to know its fate: the client learns it when it connects again and
                // sends the message again.
                Err(_) => self.close(now, id, CloseCode::Unavailable),
            }
        }
        self.publish_next(id, conversation);
        self.settle(now);
    }

    /// A message was certainly not stored: it and those behind it are refused for now.
    fn refuse_from(
        &mut self,
        now: Now,
        id: SessionId,
        conversation: ConversationId,
        message: ClientMessageId,
    ) {
        let Some(session) = self.outlets.sessions.get_mut(id) else { return };
        let mut refused = Vec::new();
        session.pending.retain(|pending| {
            let goes = pending.conversation == conversation
                && (pending.message == message || pending.progress == Progress::Waiting);
            if goes {
                refused.push(pending.message);
            }
            !goes
        });
        // What waited for an answer came before whatever was refused meanwhile.
        let mut held = false;
        for message in refused {
            if !held {
                held = self.hold_back(now, id, conversation, message, RETRY_AFTER_MS, true);
            }
            self.refuse(id, conversation, message, RejectReason::Unavailable, RETRY_AFTER_MS);
        }
    }

    /// Publishes again what is due.
    pub(super) fn publish_due(&mut self, now: Now, id: SessionId) {
        let partitions = self.config.partitions;
        let Some(session) = self.outlets.sessions.get_mut(id) else { return };
        for pending in &mut session.pending {
            let due = match pending.progress {
                Progress::Unknown(at_ms) => {
                    if at_ms <= now.ms {
                        pending.progress = Progress::Asked;
                    }
                    at_ms <= now.ms
                }
                Progress::Confirmed(at_ms) => {
                    if at_ms <= now.ms {
                        // It stays confirmed: those behind it need not wait for this copy.
                        let next_ms = now.ms + (ANSWER_MS << pending.tries.min(4));
                        pending.progress = Progress::Confirmed(next_ms);
                    }
                    at_ms <= now.ms
                }
                Progress::Waiting | Progress::Asked => false,
            };
            if due {
                pending.tries += 1;
                pending.losses = self.losses;
                let conversation = pending.conversation;
                let of = PublishRef { session: id, conversation, message: pending.message };
                let to = Queue::Inbound(partition_of(conversation, partitions)).into();
                let publication = Publication { to, message: pending.record.clone() };
                self.calls.push_back(Call::Publish(PublishCall { of, publication }));
            }
        }
    }

    /// The owner has answered.
    pub(super) fn answered(
        &mut self,
        now: Now,
        id: SessionId,
        conversation: ConversationId,
        message: ClientMessageId,
    ) {
        let Some(session) = self.outlets.sessions.get_mut(id) else { return };
        session.pending.retain(|p| p.message != message || p.conversation != conversation);
        session.held_back.retain(|h| h.message != message || h.conversation != conversation);
        session.answered_ms = now.ms;
        session.answered.push_back(message);
        if session.answered.len() > self.config.limits.answered {
            session.answered.pop_front();
        }
        if session.pending.is_empty() {
            session.pending = Vec::new();
        }
        self.publish_next(id, conversation);
    }

    /// The owner did not take a message.
    pub(super) fn rejected(&mut self, now: Now, id: SessionId, rejected: Rejected) {
        let Rejected { conversation, client_message_id: message, .. } = rejected;
        if rejected.reason.is_final() {
            self.answered(now, id, conversation, message);
            self.counts.rejections += 1;
            return self.outlets.say(id, ServerFrame::Rejected(rejected));
        }
        self.refuse_from(now, id, conversation, message);
    }
}

/// Why a frame can never be accepted, as far as a gateway can tell.
fn flaw(frame: &ClientFrame) -> Option<RejectReason> {
    let (_, ClientMessageId(id)) = named(frame)?;
    if id == 0 || id > MAX_CLIENT_CHOSEN_ID {
        return Some(RejectReason::BadMessageId);
    }
    let body = match frame {
        ClientFrame::Send(send) => &send.body,
        ClientFrame::Edit(edit) => &edit.body,
        _ => return None,
    };
    (body.is_empty() || body.len() > limits::MAX_BODY_BYTES).then_some(RejectReason::BodySize)
}

fn action(frame: ClientFrame) -> Option<Action> {
    match frame {
        ClientFrame::Send(send) => {
            Some(Action::Send { body: send.body, reply_to: send.reply_to, format: send.format })
        }
        ClientFrame::Edit(edit) => Some(Action::Edit { target: edit.target, body: edit.body }),
        ClientFrame::Delete(delete) => Some(Action::Delete { target: delete.target }),
        _ => None,
    }
}
