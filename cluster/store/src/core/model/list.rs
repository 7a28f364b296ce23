//! The model: a list of entries per conversation, searched from its end for every question.

use super::{Step, UNKNOWN_FORMAT, action};
use ports::conversations::Refusal;
use protocol::records::Action;
use protocol::{
    ClientMessageId, Content, ConversationId, Entry, Epoch, NodeNumber, RejectReason, Sequence,
    UserId,
};
use std::collections::{BTreeMap, BTreeSet};

#[derive(Clone, Debug, Default)]
pub struct Model {
    pub conversations: BTreeMap<u64, Log>,
    /// (author, id) -> (conversation, what was decided first)
    decided: BTreeMap<(u64, u64), (u64, Decision)>,
}

/// (sequence, epoch), or why not.
type Decision = Result<(u64, u64), RejectReason>;

#[derive(Clone, Debug)]
pub struct Log {
    direct: bool,
    founders: BTreeSet<u64>,
    pub entries: Vec<Entry>,
    pub removed: u64,
    pub cursors: BTreeMap<u64, (u64, u64)>,
}

/// What the model expects to be told.
#[derive(Debug, PartialEq, Eq)]
pub enum Told {
    Accepted(u64, u64),
    Rejected(RejectReason),
    Head(u64),
    Changed(u64),
    Refused(Refusal),
    Nothing,
}

impl Log {
    /// By reading the log: was the user a member at its end?
    pub fn is_member(&self, user: u64) -> bool {
        self.last_change(user).is_some_and(|(joined, _)| joined)
    }

    /// By reading the log: was the user a member at this sequence, and at every later one?
    pub fn is_member_since(&self, user: u64, sequence: u64) -> bool {
        self.last_change(user).is_some_and(|(joined, at)| joined && at <= sequence)
    }

    fn last_change(&self, user: u64) -> Option<(bool, u64)> {
        self.entries.iter().rev().find_map(|entry| match entry.content {
            Content::Join { user: who } if who.0 == user => Some((true, entry.sequence.0)),
            Content::Leave { user: who } if who.0 == user => Some((false, entry.sequence.0)),
            _ => None,
        })
    }

    fn members(&self) -> usize {
        (1..5).filter(|user| self.is_member(*user)).count()
    }

    fn push(
        &mut self,
        conversation: u64,
        author: u64,
        id: u64,
        epoch: u64,
        content: Content,
    ) -> u64 {
        let sequence = self.entries.len() as u64 + 1;
        self.entries.push(Entry {
            conversation: ConversationId(conversation),
            sequence: Sequence(sequence),
            epoch: Epoch(epoch),
            owner: NodeNumber(1),
            author: UserId(author),
            client_message_id: ClientMessageId(id),
            at_ms: 0,
            content,
        });
        sequence
    }

    fn message(&self, target: u64) -> Result<&Entry, RejectReason> {
        let entry = self.entries.iter().find(|entry| entry.sequence.0 == target);
        entry
            .filter(|entry| entry.sequence.0 > self.removed)
            .filter(|entry| matches!(entry.content, Content::Message { .. }))
            .ok_or(RejectReason::NoSuchMessage)
    }

    /// By reading the log: may the user edit or delete this message at its end?
    fn changeable(&self, target: u64, user: u64) -> Result<(), RejectReason> {
        if self.message(target)?.author.0 != user {
            return Err(RejectReason::NotAuthor);
        }
        let deletes = |entry: &Entry| matches!(entry.content, Content::Delete { target: of } if of.0 == target);
        if self.entries.iter().any(deletes) { Err(RejectReason::NoSuchMessage) } else { Ok(()) }
    }
}

impl Model {
    pub fn apply(&mut self, step: &Step, epoch: u64) -> Told {
        if let Some((user, conversation, id, action)) = action(step) {
            return match self.decide(user, conversation, id, action, epoch) {
                Ok((sequence, epoch)) => Told::Accepted(sequence, epoch),
                Err(reason) => Told::Rejected(reason),
            };
        }
        match step.clone() {
            Step::Create { conversation, direct, members } => {
                self.create(conversation, direct, &members, epoch)
            }
            Step::Change { conversation, by, user, add } => {
                self.change(conversation, by, user, add, epoch)
            }
            Step::Receipt { conversation, user, delivered, read } => {
                if let Some(log) = self.conversations.get_mut(&conversation)
                    && log.is_member(user)
                {
                    let delivered = delivered.min(log.entries.len() as u64);
                    let cursor = log.cursors.entry(user).or_default();
                    *cursor = (cursor.0.max(delivered), cursor.1.max(read.min(delivered)));
                }
                Told::Nothing
            }
            Step::Retain { conversation, keep } => {
                if let Some(log) = self.conversations.get_mut(&conversation) {
                    log.removed = log.removed.max((log.entries.len() as u64).saturating_sub(keep));
                }
                Told::Nothing
            }
            Step::Send { .. } | Step::Poison { .. } | Step::Edit { .. } | Step::Delete { .. } => {
                Told::Nothing
            }
        }
    }

    fn decide(
        &mut self,
        user: u64,
        conversation: u64,
        id: u64,
        action: Action,
        epoch: u64,
    ) -> Decision {
        let is_poison = matches!(action, Action::Send { format: UNKNOWN_FORMAT, .. });
        match self.decided.get(&(user, id)) {
            Some((of, decision)) if *of == conversation => return *decision,
            Some(_) => return Err(RejectReason::BadMessageId),
            None if id == 0 && is_poison => return Err(RejectReason::DeadLettered),
            None if id == 0 => return Err(RejectReason::BadMessageId),
            None => {}
        }
        let decision = if is_poison {
            Err(RejectReason::DeadLettered)
        } else {
            self.sequence(user, conversation, id, action, epoch)
        };
        self.decided.insert((user, id), (conversation, decision));
        decision
    }

    fn sequence(
        &mut self,
        user: u64,
        conversation: u64,
        id: u64,
        action: Action,
        epoch: u64,
    ) -> Decision {
        let log = self.conversations.get_mut(&conversation).ok_or(RejectReason::NotMember)?;
        if !log.is_member(user) {
            return Err(RejectReason::NotMember);
        }
        let content = match action {
            Action::Send { body, reply_to, .. } => {
                if body.is_empty() || body.len() > protocol::limits::MAX_BODY_BYTES {
                    return Err(RejectReason::BodySize);
                }
                if let Some(target) = reply_to {
                    log.message(target.0)?;
                }
                Content::Message { body, reply_to }
            }
            Action::Edit { target, body } => {
                log.changeable(target.0, user)?;
                Content::Edit { target, body }
            }
            Action::Delete { target } => {
                log.changeable(target.0, user)?;
                Content::Delete { target }
            }
        };
        let sequence = log.push(conversation, user, id, epoch, content);
        Ok((sequence, epoch))
    }

    fn create(&mut self, conversation: u64, direct: bool, members: &[u64], epoch: u64) -> Told {
        let founders: BTreeSet<u64> = members.iter().copied().collect();
        if let Some(log) = self.conversations.get(&conversation) {
            return if log.direct == direct && log.founders == founders {
                Told::Head(log.entries.len() as u64)
            } else {
                Told::Refused(Refusal::Conflict)
            };
        }
        if founders.is_empty() || (direct && founders.len() != 2) {
            return Told::Refused(Refusal::MembershipFixed);
        }
        let mut log =
            Log { direct, founders, entries: Vec::new(), removed: 0, cursors: BTreeMap::new() };
        for user in members {
            if !log.is_member(*user) {
                log.push(conversation, 1, 0, epoch, Content::Join { user: UserId(*user) });
            }
        }
        let head = log.entries.len() as u64;
        self.conversations.insert(conversation, log);
        Told::Head(head)
    }

    fn change(
        &mut self,
        conversation: u64,
        by: Option<u64>,
        user: u64,
        add: bool,
        epoch: u64,
    ) -> Told {
        let Some(log) = self.conversations.get_mut(&conversation) else {
            return Told::Refused(Refusal::NoSuchConversation);
        };
        if let Some(by) = by
            && !log.is_member(by)
        {
            return match log.last_change(by) {
                None => Told::Refused(Refusal::NoSuchConversation),
                Some((_, left)) if by == user && !add => Told::Changed(left),
                Some(_) => Told::Refused(Refusal::NotMember),
            };
        }
        if log.direct {
            return Told::Refused(Refusal::MembershipFixed);
        }
        match log.last_change(user) {
            Some((joined, at)) if joined == add => Told::Changed(at),
            None if !add => Told::Refused(Refusal::NotMember),
            _ => {
                assert!(log.members() <= 4);
                let content = if add {
                    Content::Join { user: UserId(user) }
                } else {
                    Content::Leave { user: UserId(user) }
                };
                Told::Changed(log.push(conversation, by.unwrap_or(user), 0, epoch, content))
            }
        }
    }
}
