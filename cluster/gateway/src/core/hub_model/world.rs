//! The surroundings of a hub, as a model: one owner of all conversations, its link, the broker's queue.
//!
//! Calls reach the owner in order; answers, events and deliveries travel on their own and can be
//! late, lost, doubled or overtaken.

use crate::core::Call;
use crate::core::calls::{AttachCall, LookupCall, PublishRef, RangeCall};
use ports::broker::PublishError;
use ports::{CallError, StoreEvent};
use protocol::frames::server::Accepted;
use protocol::records::{Action, Inbound, ToGateway, decode};
use protocol::store_calls::{
    AttachItem, AttachRefusal, AttachedAt, AttachedItem, DetachItem, Head, RangePage, RangeQuery,
    UserConversation,
};
use protocol::{
    ClientMessageId, Content, ConversationId, Entry, Epoch, NodeNumber, Sequence, UserId,
};
use std::collections::{BTreeMap, BTreeSet, VecDeque};

/// Entries in the model's pages: few, so that many are needed.
const PAGE: usize = 4;

/// An answer on its way back.
#[derive(Debug)]
pub enum Answer {
    LookedUp(LookupCall, Result<Vec<UserConversation>, CallError>),
    Attached(AttachCall, Vec<AttachedItem>),
    Ranged(RangeCall, Result<RangePage, CallError>),
    Published(PublishRef, Result<(), PublishError>),
}

/// How the next execution goes wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mishap {
    None,
    /// Not done, and that is known.
    Refused,
    /// Done, and that is not known.
    AnswerLost,
    /// Not done, and that is not known.
    CallLost,
    /// An attachment comes to the wrong node first, and is made again behind what was asked for meanwhile.
    Later,
}

/// A conversation at its owner.
#[derive(Debug, Default)]
pub struct Log {
    pub entries: Vec<Entry>,
    pub removed: u64,
    pub attached: BTreeSet<UserId>,
}

/// See the module.
#[derive(Debug, Default)]
pub struct World {
    pub now_ms: u64,
    pub logs: BTreeMap<ConversationId, Log>,
    pub calls: VecDeque<Call>,
    pub answers: Vec<Answer>,
    pub events: VecDeque<StoreEvent>,
    pub queue: VecDeque<ToGateway>,
    /// What was said to have arrived, to be checked.
    pub detached: Vec<DetachItem>,
    /// Where streams began at the head, by user.
    pub begun: BTreeMap<(ConversationId, UserId), Sequence>,
    /// With new entries, for listeners.
    pub changed: BTreeSet<ConversationId>,
    pub subscribed: bool,
    pub linked: bool,
}

impl Log {
    pub fn head(&self) -> Sequence {
        Sequence(self.entries.len() as u64)
    }

    pub fn entry(&self, sequence: Sequence) -> Option<&Entry> {
        self.entries.get((sequence.0 as usize).checked_sub(1)?)
    }

    /// Member at q iff joined <= q < left.
    pub fn is_member(&self, user: UserId, at: Sequence) -> bool {
        let mut member = false;
        for entry in &self.entries[..(at.0 as usize).min(self.entries.len())] {
            match entry.content {
                Content::Join { user: joined } if joined == user => member = true,
                Content::Leave { user: left } if left == user => member = false,
                _ => {}
            }
        }
        member
    }

    pub fn joined(&self, user: UserId) -> Option<Sequence> {
        let mut joined = None;
        for entry in &self.entries {
            match entry.content {
                Content::Join { user: other } if other == user => joined = Some(entry.sequence),
                Content::Leave { user: left } if left == user => joined = None,
                _ => {}
            }
        }
        joined
    }
}

impl World {
    pub fn append(
        &mut self,
        conversation: ConversationId,
        author: UserId,
        message: ClientMessageId,
        content: Content,
    ) {
        let log = self.logs.entry(conversation).or_default();
        let entry = Entry {
            conversation,
            sequence: log.head().next(),
            epoch: Epoch(1),
            owner: NodeNumber(1),
            author,
            client_message_id: message,
            at_ms: 0,
            content,
        };
        log.entries.push(entry.clone());
        let attached = !log.attached.is_empty();
        if let Content::Leave { user } = entry.content {
            log.attached.remove(&user);
        }
        if let Content::Join { user } = entry.content
            && self.linked
        {
            let joined = entry.sequence;
            self.events.push_back(StoreEvent::Joined(UserConversation {
                user,
                conversation,
                joined,
            }));
        }
        if attached {
            self.changed.insert(conversation);
            self.publish(ToGateway::Entry(entry));
        }
    }

    fn publish(&mut self, record: ToGateway) {
        if self.subscribed {
            self.queue.push_back(record);
        }
    }

    /// The owner's word of how far its logs go.
    pub fn tell_heads(&mut self) {
        let changed = std::mem::take(&mut self.changed).into_iter();
        let heads: Vec<Head> = changed
            .map(|conversation| Head { conversation, sequence: self.logs[&conversation].head() })
            .collect();
        if self.linked && !heads.is_empty() {
            self.events.push_back(StoreEvent::Heads(heads));
        }
    }

    pub fn lose_link(&mut self) {
        if std::mem::replace(&mut self.linked, false) {
            for log in self.logs.values_mut() {
                log.attached.clear();
            }
            self.events.push_back(StoreEvent::Lost(NodeNumber(1)));
        }
    }

    pub fn relink(&mut self) {
        if !std::mem::replace(&mut self.linked, true) {
            self.events.push_back(StoreEvent::Back(NodeNumber(1)));
        }
    }

    pub fn lose_queue(&mut self) {
        self.subscribed = false;
        self.queue.clear();
    }

    /// The next call reaches the owner, or does not.
    pub fn execute(&mut self, mishap: Mishap) {
        let Some(call) = self.calls.pop_front() else { return };
        if mishap == Mishap::Later && matches!(call, Call::Attach(_)) {
            return self.calls.push_back(call);
        }
        let reaches = self.linked && !matches!(mishap, Mishap::Refused | Mishap::CallLost);
        let known = matches!(mishap, Mishap::None | Mishap::Later);
        let error =
            if mishap == Mishap::Refused { CallError::Unavailable } else { CallError::Unknown };
        match call {
            Call::OfUsers(call) => {
                let found = self.of_users(&call.users);
                let answer = if reaches && known { Ok(found) } else { Err(error) };
                self.answers.push(Answer::LookedUp(call, answer));
            }
            Call::Attach(call) => {
                let mut answers = Vec::new();
                if reaches {
                    answers = call.items().iter().map(|item| self.attach(item)).collect();
                }
                if !known {
                    answers.clear();
                }
                self.answers.push(Answer::Attached(call, answers));
            }
            Call::Range(call) => {
                let page = self.range(&call.query);
                let answer = if reaches && known { Ok(page) } else { Err(error) };
                self.answers.push(Answer::Ranged(call, answer));
            }
            Call::Publish(call) => {
                if !matches!(mishap, Mishap::Refused | Mishap::CallLost) {
                    let record = decode(&call.message).expect("our own record");
                    self.sequence(record);
                }
                let confirm = match mishap {
                    Mishap::None | Mishap::Later => Ok(()),
                    Mishap::Refused => Err(PublishError::Full),
                    Mishap::AnswerLost | Mishap::CallLost => Err(PublishError::Unknown),
                };
                self.answers.push(Answer::Published(call.of, confirm));
            }
            Call::Detach(items) => {
                for item in items.iter().filter(|_| self.linked) {
                    let log = self.logs.entry(item.conversation).or_default();
                    log.attached.remove(&item.user);
                }
                self.detached.extend(items);
            }
            Call::Receipts(_) | Call::Typing(..) => {}
        }
    }

    pub fn of_users(&self, users: &[UserId]) -> Vec<UserConversation> {
        let mut found = Vec::new();
        for (conversation, log) in &self.logs {
            for user in users {
                if let Some(joined) = log.joined(*user) {
                    let (user, conversation) = (*user, *conversation);
                    found.push(UserConversation { user, conversation, joined });
                }
            }
        }
        found
    }

    pub fn attach(&mut self, item: &AttachItem) -> AttachedItem {
        let AttachItem { conversation, user, after, again, .. } = *item;
        let log = self.logs.entry(conversation).or_default();
        let outcome = match log.joined(user) {
            None => Err(AttachRefusal::NotMember),
            Some(joined) => {
                log.attached.insert(user);
                let head = log.head();
                let from = after.map_or(head, |after| {
                    Sequence(after.0.max(joined.0 - 1).max(log.removed).min(head.0))
                });
                if after.is_none() && !again {
                    let begun = self.begun.entry((conversation, user)).or_default();
                    *begun = from.max(*begun);
                }
                let entries = log.entries[from.0 as usize..].iter().take(PAGE).cloned().collect();
                Ok(AttachedAt { from, head, entries, epoch: Epoch(1) })
            }
        };
        AttachedItem { conversation, user, outcome }
    }

    pub fn range(&mut self, query: &RangeQuery) -> RangePage {
        let log = self.logs.entry(query.conversation).or_default();
        let entries = log.entries.iter().filter(|entry| {
            entry.sequence > query.after
                && entry.sequence.0 > log.removed
                && query.user.is_none_or(|user| log.is_member(user, entry.sequence))
        });
        RangePage {
            entries: entries.take(PAGE.min(query.limit as usize)).cloned().collect(),
            first: Sequence(log.removed + 1),
            head: log.head(),
        }
    }

    pub fn sequence(&mut self, record: Inbound) {
        let Inbound { from, author, conversation, client_message_id, action } = record;
        let log = self.logs.entry(conversation).or_default();
        let stored = |log: &Log| {
            let mut entries = log.entries.iter();
            entries
                .find(|e| e.author == author && e.client_message_id == client_message_id)
                .cloned()
        };
        if stored(log).is_none() {
            let Action::Send { body, reply_to, .. } = action else { return };
            self.append(
                conversation,
                author,
                client_message_id,
                Content::Message { body, reply_to },
            );
        }
        if let Some(entry) = stored(&self.logs[&conversation]) {
            let Entry { sequence, epoch, owner, .. } = entry;
            let accepted = Accepted { client_message_id, conversation, sequence, epoch, owner };
            self.publish(ToGateway::Accepted(from.session, accepted));
        }
    }
}
