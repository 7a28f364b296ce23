//! What follows from the owners' answers to attachments.
//!
//! The answer to a session's first attachment decides where its stream begins; if it is open what is
//! for the session between its cursor and there, the pages of its backlog decide.

use super::stream::Follow;
use super::subscriber::{Behind, Expelled, Phase};
use super::{PATIENCE_MS, Streams};
use crate::core::calls::{AttachCall, AttachWish};
use crate::core::effects::Effects;
use crate::core::outbound::Outlet;
use crate::core::timers::{RETRY_MS, Timer};
use protocol::frames::server::Attached;
use protocol::store_calls::{AttachRefusal, AttachedAt};
use protocol::{ConversationId, ServerFrame, SessionId, UserId};

/// What may be added to the time before a failed attachment is tried again, milliseconds.
const MORE_RETRY_MS: u64 = 4_000;

/// An answered call.
#[derive(Clone, Copy, Debug)]
pub struct Batch {
    number: u64,
    /// Entries behind the answers may have been lost while they were on their way.
    is_doubtful: bool,
    /// When what was not answered is asked for again.
    again_ms: u64,
}

impl Streams {
    /// A call was answered; `attached` is told of every item.
    pub fn answered<O: Outlet>(&mut self, out: &Effects<O>, call: &AttachCall) -> Batch {
        // While an owner is away, what waits for it is asked for the less often the more it is.
        let more_ms = (out.timers.len() as u64 / 20).min(MORE_RETRY_MS);
        Batch {
            number: call.number,
            is_doubtful: self.attachments.answered(call),
            again_ms: out.now_ms + RETRY_MS + more_ms,
        }
    }

    /// What the owner said of one item; `None`: nothing, or that it could not.
    pub fn attached<O: Outlet>(
        &mut self,
        out: &mut Effects<O>,
        batch: Batch,
        AttachWish { item, session }: AttachWish,
        outcome: Option<Result<AttachedAt, AttachRefusal>>,
    ) {
        let (conversation, user) = (item.conversation, item.user);
        match (outcome, session) {
            (Some(outcome), Some(id)) => {
                self.attached_session(out, id, conversation, (batch.number, outcome));
                if batch.is_doubtful {
                    self.refresh(conversation, user);
                }
            }
            (Some(outcome), None) => {
                self.refreshed(out, conversation, user, (batch.number, outcome));
            }
            (None, Some(id)) => out.timers.set(batch.again_ms, Timer::Attach(id, conversation)),
            (None, None) => out.timers.set(batch.again_ms, Timer::Refresh(conversation, user)),
        }
    }

    /// Asks again for an attachment that was not answered.
    pub fn attach_again(&mut self, id: SessionId, conversation: ConversationId) {
        let stream = self.by_conversation.get(&conversation);
        let Some(subscriber) = stream.and_then(|stream| stream.subscriber(id)) else { return };
        let after = match subscriber.phase {
            Phase::Attaching { behind, .. } => behind.sequence(),
            Phase::SubscribingLate => None,
            Phase::BacklogFirst | Phase::Streaming => return,
        };
        self.attachments.wish(id, subscriber.user, conversation, after);
    }

    fn attached_session<O: Outlet>(
        &mut self,
        out: &mut Effects<O>,
        id: SessionId,
        conversation: ConversationId,
        (number, outcome): (u64, Result<AttachedAt, AttachRefusal>),
    ) {
        let Some(stream) = self.by_conversation.get_mut(&conversation) else { return };
        let Some(subscriber) = stream.subscriber_mut(id) else { return };
        let (late, behind, again) = match subscriber.phase {
            Phase::Attaching { behind, again } => (false, behind, again),
            Phase::SubscribingLate => (true, Behind::Cursor(None), None),
            Phase::BacklogFirst | Phase::Streaming => return,
        };
        let at = match (outcome, again) {
            (Ok(at), _) => at,
            // The answer is from before the user joined.
            (Err(AttachRefusal::NotMember), Some(joined)) => {
                let behind = match behind {
                    Behind::Cursor(Some(_)) => behind,
                    Behind::Cursor(None) | Behind::Joining(_) => Behind::Joining(joined),
                };
                subscriber.phase = Phase::Attaching { behind, again: None };
                let (user, after) = (subscriber.user, behind.sequence());
                return self.attachments.wish(id, user, conversation, after);
            }
            (Err(AttachRefusal::NotMember), None) => {
                if let Behind::Cursor(Some(at)) = behind
                    && let Some(reader) = self.readers.get_mut(id)
                {
                    reader.goes_on_behind(conversation, at);
                }
                return self.leave_quietly(id, conversation);
            }
        };
        subscriber.phase = Phase::Streaming;
        subscriber.attached_by = number;
        let mut follow = Vec::new();
        if late {
            // What was stored since the last page is behind its position, and nobody will notice.
            subscriber.at = at.head;
            subscriber.arrived.get_or_insert(at.head);
            stream.begin(at.head, out, &mut follow);
        } else if let Behind::Cursor(Some(after)) = behind
            && after < at.from
        {
            // The user joined later, or again, or retention removed something: what is for this
            // session between its cursor and there, only a page can tell.
            subscriber.at = after;
            stream.begin(at.head, out, &mut follow);
            follow.push(Follow::CatchUp { session: id });
        } else {
            let from = at.from.min(at.head);
            subscriber.at = from;
            // A cursor beyond the head is not from here.
            subscriber.arrived = Some(subscriber.arrived.map_or(from, |arrived| arrived.min(from)));
            subscriber.told = true;
            let attached = Attached { conversation, from, head: at.head };
            out.say(id, ServerFrame::Attached(attached));
            stream.begin(at.head, out, &mut follow);
            stream.feed(id, at.entries, from.next(), out, &mut follow);
        }
        if stream.is_behind() {
            out.timers.set(out.now_ms + PATIENCE_MS, Timer::Repair(conversation));
        }
        self.follow(out, conversation, follow);
    }

    /// An attachment was made again, at the owner's head.
    fn refreshed<O: Outlet>(
        &mut self,
        out: &mut Effects<O>,
        conversation: ConversationId,
        user: UserId,
        (number, outcome): (u64, Result<AttachedAt, AttachRefusal>),
    ) {
        let Some(stream) = self.by_conversation.get_mut(&conversation) else { return };
        match outcome {
            Ok(at) => {
                let mut follow = Vec::new();
                stream.begin(at.head, out, &mut follow);
                if stream.is_behind() {
                    follow.push(Follow::Repair);
                }
                self.follow(out, conversation, follow);
            }
            Err(AttachRefusal::NotMember) => {
                // The user left meanwhile. The stream will come to that entry; if it does not,
                // the subscription ends when the stream is complete.
                for subscriber in
                    stream.subscribers.iter_mut().filter(|subscriber| subscriber.user == user)
                {
                    // An attachment that was made later knows better.
                    if subscriber.phase == Phase::Streaming && subscriber.attached_by < number {
                        subscriber.expelled = Expelled::Said;
                    }
                }
                self.repair(out, conversation);
            }
        }
    }
}
