//! Sends, edits and deletions: rates, publication, what the owners say of them.
//!
//! Per session and conversation one publication is unconfirmed at a time, and a message that was
//! refused for now holds back the later ones: so a sender's messages are sequenced in the order in
//! which they were sent, whatever is lost or refused on the way.

mod frame;
#[cfg(test)]
mod order;
mod rates;
#[cfg(test)]
mod tests;

use super::calls::{Call, PublishCall, PublishRef};
use super::config::HubConfig;
use super::effects::Effects;
use super::outbound::Outlet;
use super::sender::{Key, Pending, Progress, Sender};
use super::slab::Slots;
use super::timers::Timer;
use bytes::Bytes;
pub use frame::named;
use frame::{action, flaw};
use ports::broker::PublishError;
use protocol::frames::server::{Accepted, Rejected};
use protocol::partition::partition_of;
use protocol::records::{Inbound, SessionRef, encode};
use protocol::trace::Sampler;
use protocol::{
    ClientFrame, ConversationId, Partition, RejectReason, ServerFrame, SessionId, UserId,
};
use rates::Rates;
use std::collections::BTreeMap;

/// When a sender is to try again if the cluster could not take a message, milliseconds.
const RETRY_AFTER_MS: u32 = 500;
/// Before a publication whose outcome is unknown is published again, milliseconds.
const UNKNOWN_RETRY_MS: u64 = 300;
/// How long a sender waits for word at most, milliseconds: then the broker or the owner is away or full.
pub const UNANSWERED_MS: u64 = 10_000;
/// How long such a partition counts as one without answers, milliseconds: senders are refused again before.
const WITHOUT_ANSWERS_MS: u64 = 30_000;
/// How long an owner may take to answer before the message is published again, milliseconds. Fan-out may
/// lose an answer without anybody noticing, so this bounds how long its sender waits for word; a copy
/// costs the owner a lookup.
const ANSWER_MS: u64 = 4_000;
/// The same after the first copy: an owner that is slow for all does not get one of everything each time.
const ANSWER_AGAIN_MS: u64 = 8_000;
/// Shortest time between two rounds in which what is not answered is published again, milliseconds.
const AGAIN_EVERY_MS: u64 = 1_000;

/// What became of a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sent {
    /// It is on its way.
    Taken,
    /// Its sender knows, or will.
    Handled,
    /// The user sends too much: there will be room in so many milliseconds. To be refused by whoever
    /// knows whether the session may go on.
    TooMany(u32),
}

/// See the module.
#[derive(Debug)]
pub struct Sends {
    config: HubConfig,
    /// Which messages are traced.
    pub sampler: Sampler,
    senders: Slots<Box<Sender>>,
    /// What users may send.
    pub rates: Rates,
    /// How often something was lost on the way from the owners.
    losses: u64,
    /// When what was confirmed and not answered is published again.
    again_ms: Option<u64>,
    /// When partitions left a sender without an answer, if they have not given one since.
    without_answers: BTreeMap<Partition, u64>,
}

impl Sends {
    /// Nobody has sent anything.
    pub fn new(config: &HubConfig) -> Self {
        Self {
            config: *config,
            sampler: Sampler::OFF,
            senders: Slots::default(),
            rates: Rates::new(&config.limits),
            losses: 0,
            again_ms: None,
            without_answers: BTreeMap::new(),
        }
    }

    /// A send, edit or deletion.
    pub fn send<O: Outlet>(
        &mut self,
        out: &mut Effects<O>,
        id: SessionId,
        user: UserId,
        frame: ClientFrame,
    ) -> Sent {
        let Some(key @ (conversation, message)) = named(&frame) else { return Sent::Handled };
        if let Some(reason) = flaw(&frame) {
            refuse(out, id, key, reason, 0);
            return Sent::Handled;
        }
        if let Some(sender) = self.senders.get_mut(id) {
            if sender.find(key).is_some() {
                self.asked_again(out, id, user, key);
                return Sent::Handled;
            }
            if !sender.is_next(out.now_ms, key) {
                refuse(out, id, key, RejectReason::Unavailable, RETRY_AFTER_MS);
                return Sent::Handled;
            }
            if sender.pending.len() >= self.config.limits.unanswered {
                self.refuse_for_now(out, id, key, RETRY_AFTER_MS);
                return Sent::Handled;
            }
        }
        if let Err(wait_ms) = self.rates.take(out.now_ms, user) {
            return Sent::TooMany(wait_ms);
        }
        let HubConfig { gateway, incarnation, .. } = self.config;
        let from = SessionRef { gateway, incarnation, session: id };
        let Some(action) = action(frame) else { return Sent::Handled };
        let record =
            Inbound { from, author: user, conversation, client_message_id: message, action };
        let (sampler, sender) = (self.sampler, self.sender(id));
        let traced = out.traced(&sampler, &record, sender);
        let record: Bytes = encode(&record);
        let is_answered = sender.is_decided(message);
        sender.pending.push(Pending::new(out.now_us, key, record, is_answered, traced));
        self.publish_next(out, id, conversation);
        Sent::Taken
    }

    /// The client sends again what is not decided yet. Usually the answer is on its way; but if it was
    /// lost, nobody else may ever notice.
    fn asked_again<O: Outlet>(
        &mut self,
        out: &mut Effects<O>,
        id: SessionId,
        user: UserId,
        key: Key,
    ) {
        let (now_ms, losses) = (out.now_ms, self.losses);
        let is_due = |pending: &&mut Pending| {
            let is_confirmed = matches!(pending.progress, Progress::Confirmed(_));
            is_confirmed && now_ms >= pending.published_ms + AGAIN_EVERY_MS
        };
        let sender = self.senders.get_mut(id);
        let pending = sender.and_then(|sender| sender.find_mut(key)).filter(is_due);
        let Some(pending) = pending else { return };
        if self.rates.take(now_ms, user).is_ok() {
            pending.progress = Progress::Confirmed(now_ms + ANSWER_AGAIN_MS);
            publish(out, id, pending, self.config.partitions, losses);
        }
    }

    fn sender(&mut self, id: SessionId) -> &mut Sender {
        if self.senders.get(id).is_none() {
            self.senders.set(id, Box::new(Sender::new(self.config.idle_timeout_ms)));
        }
        self.senders.get_mut(id).expect("it was just put in")
    }

    /// Refuses a message of which there are too many, and holds back later ones until it comes again.
    pub fn refuse_for_now<O: Outlet>(
        &mut self,
        out: &mut Effects<O>,
        id: SessionId,
        key: Key,
        retry_after_ms: u32,
    ) {
        self.sender(id).hold_back(out.now_ms, key, retry_after_ms);
        refuse(out, id, key, RejectReason::RateLimited, retry_after_ms.max(1));
    }

    /// Publishes the oldest message of a conversation that waits, if none before it is unconfirmed.
    fn publish_next<O: Outlet>(
        &mut self,
        out: &mut Effects<O>,
        id: SessionId,
        conversation: ConversationId,
    ) {
        let Some(sender) = self.senders.get_mut(id) else { return };
        if let Some(pending) = sender.next(conversation) {
            pending.progress = Progress::Asked;
            publish(out, id, pending, self.config.partitions, self.losses);
        }
    }

    /// The broker's word on a publication.
    pub fn published<O: Outlet>(
        &mut self,
        out: &mut Effects<O>,
        of: PublishRef,
        result: Result<(), PublishError>,
    ) {
        let PublishRef { session: id, conversation, message } = of;
        let losses = self.losses;
        let Some(sender) = self.senders.get_mut(id) else { return };
        if let Some(pending) = sender.find_mut((conversation, message))
            && pending.progress == Progress::Asked
        {
            let patience = if pending.tries == 1 { ANSWER_MS } else { ANSWER_AGAIN_MS };
            out.published(pending, partition_of(conversation, self.config.partitions), result);
            match result {
                // Its answer may have been lost before its confirm came.
                Ok(()) if pending.losses != losses => {
                    pending.progress = Progress::Confirmed(out.now_ms);
                }
                Ok(()) => pending.progress = Progress::Confirmed(out.now_ms + patience),
                Err(PublishError::Full) if pending.tries == 1 => {
                    self.refuse_from(out, id, (conversation, message));
                }
                // Of a later attempt even a clear refusal says nothing: an earlier one may have been
                // stored.
                Err(_) => {
                    pending.progress = Progress::Unknown(out.now_ms + UNKNOWN_RETRY_MS);
                    out.timers.set(out.now_ms + UNKNOWN_RETRY_MS, Timer::Publish(id));
                }
            }
        }
        self.publish_next(out, id, conversation);
    }

    /// A message was not decided: it and those behind it are refused for now. How many.
    fn refuse_from<O: Outlet>(&mut self, out: &mut Effects<O>, id: SessionId, key: Key) -> usize {
        let Some(sender) = self.senders.get_mut(id) else { return 0 };
        let withdrawn = sender.withdraw(out.now_ms, key, RETRY_AFTER_MS);
        for pending in &withdrawn {
            out.decided([pending], Some(RejectReason::Unavailable));
            refuse(out, id, pending.key, RejectReason::Unavailable, RETRY_AFTER_MS);
        }
        withdrawn.len()
    }

    /// Publishes again what is due.
    pub fn publish_due<O: Outlet>(&mut self, out: &mut Effects<O>, id: SessionId) {
        let Some(sender) = self.senders.get_mut(id) else { return };
        for pending in &mut sender.pending {
            match pending.progress {
                Progress::Unknown(at_ms) if at_ms <= out.now_ms => {
                    pending.progress = Progress::Asked;
                }
                Progress::Confirmed(at_ms) if at_ms <= out.now_ms => {
                    // It stays confirmed: those behind it need not wait for this copy.
                    pending.progress = Progress::Confirmed(out.now_ms + ANSWER_AGAIN_MS);
                }
                _ => continue,
            }
            publish(out, id, pending, self.config.partitions, self.losses);
        }
    }

    /// Some of what owners sent was lost, answers perhaps. Under overload this happens again and again,
    /// and one round covers all of it.
    pub fn lost_some(&mut self, now_ms: u64) {
        self.losses += 1;
        self.again_ms.get_or_insert(now_ms + AGAIN_EVERY_MS);
    }

    /// Time passes.
    pub fn tick<O: Outlet>(&mut self, out: &mut Effects<O>) {
        if self.again_ms.is_some_and(|due| due <= out.now_ms) {
            self.publish_all_again(out);
        }
    }

    /// What was confirmed and not answered is published again.
    pub fn publish_all_again<O: Outlet>(&mut self, out: &mut Effects<O>) {
        self.losses += 1;
        self.again_ms = None;
        let waiting = self.senders.iter().filter(|(_, sender)| !sender.pending.is_empty());
        let waiting: Vec<SessionId> = waiting.map(|(id, _)| id).collect();
        for id in waiting {
            self.sender(id).expect_nothing(out.now_ms);
            self.publish_due(out, id);
        }
    }

    /// The owner has accepted a message.
    pub fn accepted<O: Outlet>(&mut self, out: &mut Effects<O>, id: SessionId, it: Accepted) {
        self.decided(out, id, (it.conversation, it.client_message_id), None);
        out.say(id, ServerFrame::Accepted(it));
    }

    /// The owner did not take a message.
    pub fn rejected<O: Outlet>(&mut self, out: &mut Effects<O>, id: SessionId, it: Rejected) {
        let key = (it.conversation, it.client_message_id);
        if !it.reason.is_final() {
            self.refuse_from(out, id, key);
            return;
        }
        self.decided(out, id, key, Some(it.reason));
        out.counts.rejections += 1;
        out.say(id, ServerFrame::Rejected(it));
    }

    fn decided<O: Outlet>(
        &mut self,
        out: &mut Effects<O>,
        id: SessionId,
        key: Key,
        refused: Option<RejectReason>,
    ) {
        if !self.without_answers.is_empty() {
            self.without_answers.remove(&partition_of(key.0, self.config.partitions));
        }
        if let Some(sender) = self.senders.get_mut(id) {
            let decided = sender.decided(out.now_ms, key, self.config.limits.answered);
            out.decided(&decided, refused);
            self.publish_next(out, id, key.0);
        }
    }

    /// Looks at a session now and then: publishes again what is due, forgets what is over. Whether it is to
    /// be looked at again soon.
    pub fn look_at<O: Outlet>(&mut self, out: &mut Effects<O>, id: SessionId) -> bool {
        let Some(sender) = self.senders.get_mut(id) else { return false };
        if sender.is_idle(out.now_ms) {
            self.senders.remove(id);
            return false;
        }
        let overdue = |pending: &&Pending| out.now_ms >= pending.since_us / 1_000 + UNANSWERED_MS;
        let overdue: Vec<Key> = sender.pending.iter().filter(overdue).map(|it| it.key).collect();
        for key in overdue {
            let refused = self.refuse_from(out, id, key);
            out.counts.unanswered += refused as u64;
            let partition = partition_of(key.0, self.config.partitions);
            self.without_answers.insert(partition, out.now_ms);
            // One that has its answer goes alone.
            self.publish_next(out, id, key.0);
        }
        self.publish_due(out, id);
        true
    }

    /// Partitions that left senders without an answer lately, and have not given one since.
    pub fn without_answers(&mut self, now_ms: u64) -> Vec<Partition> {
        self.without_answers.retain(|_, at_ms| now_ms < *at_ms + WITHOUT_ANSWERS_MS);
        self.without_answers.keys().copied().collect()
    }

    /// A session is gone: its sender never hears from here what becomes of its messages.
    pub fn close<O: Outlet>(&mut self, out: &mut Effects<O>, id: SessionId) {
        let gone = self.senders.remove(id);
        gone.iter().flat_map(|sender| &sender.pending).for_each(|pending| out.untold(pending));
    }

    /// A user has no session any more.
    pub fn user_gone<O: Outlet>(&mut self, out: &mut Effects<O>, user: UserId) {
        if let Some(full_ms) = self.rates.full_in_ms(out.now_ms, user) {
            out.timers.set(out.now_ms + full_ms, Timer::Forget(user));
        }
    }
}

fn publish<O: Outlet>(
    out: &mut Effects<O>,
    id: SessionId,
    pending: &mut Pending,
    partitions: u16,
    losses: u64,
) {
    pending.tries += 1;
    pending.published_ms = out.now_ms;
    pending.losses = losses;
    pending.traced.iter_mut().for_each(|traced| traced.publish(out.now_us));
    let (conversation, message) = pending.key;
    let of = PublishRef { session: id, conversation, message };
    let partition = partition_of(conversation, partitions);
    let message = pending.record.clone();
    out.calls.push_back(Call::Publish(PublishCall { of, partition, message }));
}

/// Refuses a message.
pub fn refuse<O: Outlet>(
    out: &mut Effects<O>,
    id: SessionId,
    (conversation, client_message_id): Key,
    reason: RejectReason,
    retry_after_ms: u32,
) {
    out.counts.rejections += 1;
    let rejected = Rejected { client_message_id, conversation, reason, retry_after_ms };
    out.say(id, ServerFrame::Rejected(rejected));
}
