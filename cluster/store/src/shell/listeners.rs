//! Who listens on which gateway, who has just gone, and what they are told in passing.

use super::input::{AttachCall, SubscriptionEvent};
use super::round::AttachAnswer;
use crate::config::StoreConfig;
use crate::core::absences::{self, Absences, Departure, TAKEOVER_MS};
use crate::core::attachments::{Attachments, Begins, GatewayLife, LinkId, Loss, PresenceChange};
use crate::core::fanout;
use crate::wire::{Answer, FromStore};
use link::LinkSender;
use ports::broker::FanoutMessage;
use protocol::design::DeadSession;
use protocol::partition::partition_of;
use protocol::store_calls::{DetachItem, PushAdvice, PushRef, UserConversation};
use protocol::{ConversationId, Partition, UserId};
use std::collections::BTreeMap;
use tokio::time::Instant;

/// Heads in one message.
const HEADS_MOST: usize = 4_096;

/// The listeners of a node.
pub struct Listeners {
    partitions_total: u16,
    is_pushed: bool,
    notices: usize,
    /// Who has what attached.
    pub attachments: Attachments,
    /// Who has just gone.
    pub absences: Absences,
    /// Presence and typing notices that wait to be published.
    pub ephemeral: Vec<FanoutMessage>,
    /// The links of announced gateways.
    links: BTreeMap<LinkId, LinkSender<FromStore>>,
    /// Since when this life of the owner decides.
    began: Instant,
    /// Since when each partition is owned.
    owned_since_ms: BTreeMap<Partition, u64>,
}

impl Listeners {
    /// Nobody listens.
    pub fn new(config: &StoreConfig) -> Self {
        Self {
            partitions_total: config.partitions_total,
            is_pushed: config.design.dead_session == DeadSession::Pushed,
            notices: config.limits.presence_notices,
            attachments: Attachments::default(),
            absences: Absences::new(config.limits.absences),
            ephemeral: Vec::new(),
            links: BTreeMap::new(),
            began: Instant::now(),
            owned_since_ms: BTreeMap::new(),
        }
    }

    /// Milliseconds since this life of the owner decides.
    pub fn now_ms(&self) -> u64 {
        self.began.elapsed().as_millis() as u64
    }

    /// The instant of a time in milliseconds.
    pub fn at(&self, ms: u64) -> Instant {
        self.began + std::time::Duration::from_millis(ms)
    }

    /// A partition is owned from now on.
    pub fn own(&mut self, partition: Partition) {
        let now_ms = self.now_ms();
        self.owned_since_ms.entry(partition).or_insert(now_ms);
    }

    /// A partition is somebody else's: whoever listens to it here would hear nothing.
    pub fn disown(&mut self, partition: Partition) {
        let total = self.partitions_total;
        let is_lost = |conversation| partition_of(conversation, total) == partition;
        self.owned_since_ms.remove(&partition);
        self.attachments.end(is_lost);
        self.absences.forget(is_lost);
    }

    /// Whatever touches the attachments, except attaching.
    pub fn event(&mut self, event: SubscriptionEvent) {
        match event {
            SubscriptionEvent::Linked(link, life, sender, known) => {
                let losses = self.attachments.announce(link, life);
                self.links.retain(|link, _| self.attachments.is_linked(*link));
                self.links.insert(link, sender);
                self.lost(&losses);
                // Its server may be gone.
                let _ = known.send(());
            }
            SubscriptionEvent::Unlinked(link) => {
                self.links.remove(&link);
                let losses = self.attachments.lose(link);
                self.lost(&losses);
            }
            SubscriptionEvent::Detach(link, items) => {
                for item in items {
                    if let Some(change) = self.detach(link, item) {
                        self.tell(change);
                    }
                }
            }
            SubscriptionEvent::Pushes(pushes, reply) => {
                let advice = pushes.into_iter().map(|(push, is_open)| self.advice(push, is_open));
                reply.send(Answer::Pushes(advice.collect()));
            }
            SubscriptionEvent::Typing(link, conversation, user) => {
                // Attached implies member, so nothing has to be read.
                if self.attachments.is_attached(link, conversation, user) {
                    self.ephemeral.extend(fanout::typing(conversation, user, &self.attachments));
                }
            }
            SubscriptionEvent::Attach(_) => unreachable!("an attach is taken by a round"),
        }
    }

    /// Registers the attachments of an answer and sends it (step 2 of the owner's order). A link that was
    /// lost, or never announced, gets an empty answer and no attachments; so do the listeners of a
    /// partition that was given up meanwhile. A watcher is told of so many members that are online:
    /// presence is best effort.
    pub fn register(&mut self, answer: AttachAnswer) {
        let AttachAnswer { call: AttachCall { link, items, reply }, mut answers } = answer;
        answers.retain(|answer| {
            let home = partition_of(answer.conversation, self.partitions_total);
            self.owned_since_ms.contains_key(&home)
        });
        let Some(life) = self.attachments.life(link) else {
            reply.send(Answer::Attached(Vec::new()));
            return;
        };
        // Some items may be missing among the answers; otherwise the two are in one order.
        let mut asked = items.iter();
        for answered in &answers {
            let (conversation, user) = (answered.conversation, answered.user);
            let item = asked.find(|item| (item.conversation, item.user) == (conversation, user));
            let (Some(item), Ok(at)) = (item, &answered.outcome) else { continue };
            let begins = Begins { from: at.from, head: at.head };
            let change = self.attachments.attach(link, conversation, user, item.presence, begins);
            self.absences.came(life, conversation, user);
            if let Some(change) = change {
                self.tell(change);
            }
            if item.presence {
                let (who, most) = ((link, conversation, user), self.notices);
                self.ephemeral.extend(fanout::present(who, &self.attachments, most));
            }
        }
        reply.send(Answer::Attached(answers));
    }

    /// Tells gateways how far the logs go that have grown.
    pub fn tell_heads(&mut self) {
        for (link, heads) in self.attachments.take_heads() {
            let Some(sender) = self.links.get(&link) else { continue };
            for heads in heads.chunks(HEADS_MOST) {
                // A lost link is noticed by its own task.
                let _ = sender.send(&FromStore::Heads(heads.to_vec()));
            }
        }
    }

    /// Tells every gateway of a new member.
    pub fn joined(&self, joined: Vec<UserConversation>) {
        if joined.is_empty() {
            return;
        }
        let joined = FromStore::Joined(joined);
        for sender in self.links.values() {
            // A lost link is noticed by its own task.
            let _ = sender.send(&joined);
        }
    }

    /// Users who were removed. Should they be members again at once, their gateways may hear of both late.
    pub fn expelled(&mut self, expelled: Vec<(GatewayLife, ConversationId, UserId)>) {
        let until_ms = self.now_ms() + absences::LINK_MS;
        for (life, conversation, user) in expelled {
            self.went((life, until_ms), conversation, user, None);
        }
    }

    /// Users of a link that is lost: their gateway attaches them again, or they go to another one. What
    /// arrived there, nobody says any more: since the streams began, only their cursors.
    fn lost(&mut self, losses: &[Loss]) {
        let until_ms = self.now_ms() + absences::LINK_MS;
        for Loss { life, conversation, user, change } in losses {
            let departure = change.map(|change| Departure::of(change, change.since));
            self.went((*life, until_ms), *conversation, *user, departure);
        }
        for change in losses.iter().filter_map(|loss| loss.change) {
            self.tell(change);
        }
    }

    /// A gateway has no session of a user any more. It says so again when it comes back to an owner
    /// that may not have heard of it.
    fn detach(&mut self, link: LinkId, item: DetachItem) -> Option<PresenceChange> {
        let DetachItem { conversation, user, arrived } = item;
        let life = self.attachments.life(link)?;
        let change = self.attachments.detach(link, conversation, user);
        if !self.attachments.is_online(conversation, user) {
            // A session that went before its first answer has got nothing from where its stream began.
            let departure = match (change, arrived) {
                (Some(change), after) => Some(Departure::of(change, after.unwrap_or(change.since))),
                (None, Some(after)) => Some(Departure { conversation, user, after, upto: None }),
                (None, None) => None,
            };
            let until_ms = self.now_ms() + absences::SESSION_MS;
            if change.is_some() || departure.is_some() {
                self.went((life, until_ms), conversation, user, departure);
            }
        }
        change
    }

    fn went(
        &mut self,
        until: (GatewayLife, u64),
        conversation: ConversationId,
        user: UserId,
        departure: Option<Departure>,
    ) {
        let departure = departure.filter(|_| self.is_pushed);
        self.absences.went(until, conversation, user, departure);
    }

    /// Who has the conversation attached is shown the message; if the connection turns out to be dead,
    /// that is a departure.
    fn advice(&self, push: PushRef, is_open: bool) -> PushAdvice {
        let PushRef { user, conversation, .. } = push;
        if !is_open || self.attachments.is_online(conversation, user) {
            return PushAdvice::Never;
        }
        let home = partition_of(conversation, self.partitions_total);
        let Some(since_ms) = self.owned_since_ms.get(&home).copied() else {
            // Given up since the question came in: the next owner knows who is there.
            return PushAdvice::Later { after_ms: TAKEOVER_MS as u32 };
        };
        self.absences.advice((since_ms, self.now_ms()), conversation, user)
    }

    /// Tells the watchers of somebody who came or went.
    fn tell(&mut self, change: PresenceChange) {
        self.ephemeral.extend(fanout::presence(change, &self.attachments));
    }
}
