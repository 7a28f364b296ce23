//! Questions about a history that are answered by reading all of it.

use crate::history::event::{Device, Event, Header, Phase, Said, Seen, What};
use protocol::{ClientMessageId, ConversationId, UserId};

use super::words::{is_final, is_in_range, names};

/// A history in memory.
pub(super) struct Facts<'a> {
    pub header: &'a Header,
    /// Time and what happened; events that name what the header does not have are left out.
    pub events: Vec<(u64, &'a What)>,
}

/// Where an entry was seen.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Where {
    Shown(Device),
    Read(Device, u32),
    Stored,
}

/// A first invocation.
#[derive(Clone, Copy)]
pub(super) struct Send {
    pub index: usize,
    pub at: u64,
    pub device: Device,
    pub conversation: u64,
    pub id: u64,
    pub said: Said,
    pub intended: u64,
}

/// An answer "accepted" to something that had been sent.
#[derive(Clone, Copy)]
pub(super) struct Answer {
    pub index: usize,
    pub at: u64,
    pub conversation: u64,
    pub sequence: u64,
    pub send: Send,
}

impl<'a> Facts<'a> {
    pub fn new(header: &'a Header, events: &'a [Event]) -> Self {
        let mut now = 0;
        let in_range = events.iter().filter_map(|event| {
            now = now.max(event.at);
            is_in_range(header, &event.is).then_some((now, &event.is))
        });
        Self { header, events: in_range.collect() }
    }

    pub fn conversations(&self) -> impl Iterator<Item = u64> + use<> {
        1..=u64::from(self.header.conversations)
    }

    pub fn users(&self) -> impl Iterator<Item = u64> + use<> {
        1..=u64::from(self.header.users)
    }

    pub fn devices(&self) -> Vec<Device> {
        let of_user = |user| {
            (1..=self.header.devices_per_user).map(move |device| Device {
                user: UserId(user),
                device: protocol::DeviceId(device),
            })
        };
        self.users().flat_map(of_user).collect()
    }

    pub fn healed(&self) -> Option<u64> {
        self.events.iter().find(|(_, is)| **is == What::Phase(Phase::Heal)).map(|(at, _)| *at)
    }

    pub fn ended(&self) -> Option<u64> {
        self.events.iter().rfind(|(_, is)| **is == What::Phase(Phase::End)).map(|(at, _)| *at)
    }

    pub fn is_settling(&self, index: usize) -> bool {
        self.events[..index]
            .iter()
            .any(|(_, is)| matches!(is, What::Phase(Phase::Settle | Phase::Judge | Phase::End)))
    }

    pub fn is_judging(&self, index: usize) -> bool {
        self.events[..index]
            .iter()
            .any(|(_, is)| matches!(is, What::Phase(Phase::Judge | Phase::End)))
    }

    /// Every sighting of an entry: index, time, where, what.
    pub fn sightings(&self) -> impl Iterator<Item = (usize, u64, Where, &'a Seen)> + '_ {
        self.events.iter().enumerate().filter_map(|(index, (at, is))| match is {
            What::Shown { device, entry } => Some((index, *at, Where::Shown(*device), entry)),
            What::Read { device, request, entry } => {
                Some((index, *at, Where::Read(*device, *request), entry))
            }
            What::Stored { entry } => Some((index, *at, Where::Stored, entry)),
            _ => None,
        })
    }

    /// Every send, the first of each device and id.
    pub fn sends(&self) -> Vec<Send> {
        let mut sends: Vec<Send> = Vec::new();
        for (index, (at, is)) in self.events.iter().enumerate() {
            if let What::Sent { device, conversation, message, said, intended } = is
                && !sends.iter().any(|s| s.device == *device && s.id == message.0)
            {
                sends.push(Send {
                    index,
                    at: *at,
                    device: *device,
                    conversation: conversation.0,
                    id: message.0,
                    said: *said,
                    intended: *intended,
                });
            }
        }
        sends
    }

    /// The send of an author and id before an event; the lowest device if there are several.
    pub fn send_before(
        &self,
        index: usize,
        author: UserId,
        message: ClientMessageId,
    ) -> Option<Send> {
        self.sends()
            .into_iter()
            .filter(|s| s.index < index && s.device.user == author && s.id == message.0)
            .min_by_key(|s| s.device)
    }

    /// Every answer "accepted" to something that had been sent.
    pub fn answers(&self) -> Vec<Answer> {
        let answers = self.events.iter().enumerate().filter_map(|(index, (at, is))| match is {
            What::Accepted { device, conversation, message, sequence, .. } => {
                let send = self.send_before(index, device.user, *message)?;
                let (conversation, sequence) = (conversation.0, sequence.0);
                Some(Answer { index, at: *at, conversation, sequence, send })
            }
            _ => None,
        });
        answers.collect()
    }

    /// The first answer to each send that names its conversation.
    pub fn first_answers(&self) -> Vec<Answer> {
        let mut first: Vec<Answer> = Vec::new();
        for answer in self.answers().into_iter().filter(|a| a.conversation == a.send.conversation) {
            if !first.iter().any(|other| other.send.index == answer.send.index) {
                first.push(answer);
            }
        }
        first
    }

    /// What was promised first for a sequence.
    pub fn promise(&self, conversation: u64, sequence: u64) -> Option<Answer> {
        self.answers().into_iter().find(|a| {
            a.send.conversation == conversation
                && a.conversation == conversation
                && a.sequence == sequence
        })
    }

    /// Whether a send was answered or marked in some way before an event.
    pub fn happened(
        &self,
        send: &Send,
        before: usize,
        is: impl Fn(&What) -> bool,
    ) -> Option<usize> {
        (send.index + 1..before).find(|&index| {
            let what = self.events[index].1;
            names(what, send.device.user, send.id) && is(what)
        })
    }

    /// Whether a send was refused for good at its only attempt, before an event, and not put back.
    pub fn is_refused(&self, send: &Send, before: usize) -> bool {
        let requeued = self.happened(send, before, |is| matches!(is, What::Requeued { .. }));
        let refused = (send.index + 1..before).any(|index| {
            names(self.events[index].1, send.device.user, send.id)
                && is_final(self.events[index].1)
                && self.happened(send, index, |is| matches!(is, What::Resent { .. })).is_none()
        });
        refused && requeued.is_none()
    }

    /// Whether the final read of a conversation got everything; first and newest sequence.
    pub fn final_read(&self, conversation: u64) -> (bool, u64, u64) {
        let mut result: Option<(bool, u64, u64)> = None;
        for (_, is) in &self.events {
            if let What::StoredAll { conversation: c, first, head, whole } = is
                && c.0 == conversation
            {
                let whole_before = result.is_none_or(|(whole, ..)| whole);
                result = Some((whole_before && *whole, first.0, head.0));
            }
        }
        result.unwrap_or((false, 0, 0))
    }

    pub fn is_removed(&self, conversation: u64, sequence: u64) -> bool {
        sequence < self.final_read(conversation).1
    }

    /// Whether a user is a member at a sequence; `None`: it cannot be known, as a change may lie there
    /// that neither the final read nor an answer tells of.
    pub fn is_member(&self, user: u64, conversation: u64, sequence: u64) -> Option<bool> {
        let changes = self.changes(user, conversation);
        let before = changes.iter().filter(|(s, _)| *s <= sequence).max_by_key(|(s, _)| *s);
        let after = changes.iter().filter(|(s, _)| *s > sequence).min_by_key(|(s, _)| *s);
        let (whole, first, _) = self.final_read(conversation);
        match (before, after) {
            (Some((s, joined)), _) if whole && first <= s + 1 => Some(*joined),
            (Some((_, joined)), Some((_, next))) if joined == next => None,
            (Some((_, joined)), _) => {
                (!self.is_unsettled(user, conversation, !joined)).then_some(*joined)
            }
            (None, Some((_, false))) if whole && first <= sequence + 1 => Some(true),
            (None, _) if whole && first <= 1 => Some(false),
            (None, Some((_, true))) => {
                let settled = |add| !self.is_unsettled(user, conversation, add);
                let told = self.events.iter().any(|(_, is)| {
                    matches!(is, What::MemberChanged { conversation: c, user: u, .. }
                        if (c.0, u.0) == (conversation, user))
                });
                (told && settled(true) && settled(false)).then_some(false)
            }
            (None, _) => None,
        }
    }

    /// Whether a join or departure was asked for more often than it was answered.
    fn is_unsettled(&self, user: u64, conversation: u64, add: bool) -> bool {
        let this = (ConversationId(conversation), UserId(user), add);
        let count = |wanted: &dyn Fn(&What) -> bool| {
            self.events.iter().filter(|(_, is)| wanted(is)).count()
        };
        let asked = count(&|is| {
            matches!(is, What::MemberAsked { conversation, user, add }
                if (*conversation, *user, *add) == this)
        });
        let answered = count(&|is| {
            matches!(is, What::MemberChanged { conversation, user, add, .. }
                if (*conversation, *user, *add) == this)
        });
        asked > answered
    }

    pub fn may_be_member_now(&self, user: u64, conversation: u64) -> bool {
        let changes = self.changes(user, conversation);
        changes.iter().max_by_key(|(s, _)| *s).is_none_or(|(_, joined)| *joined)
    }

    /// Whether a user departed behind a sequence, up to another one.
    pub fn departs(&self, user: u64, conversation: u64, behind: u64, up_to: u64) -> bool {
        self.changes(user, conversation)
            .iter()
            .any(|(s, joined)| !joined && *s > behind && *s <= up_to)
    }

    fn changes(&self, user: u64, conversation: u64) -> Vec<(u64, bool)> {
        let mut changes: Vec<(u64, bool)> = Vec::new();
        for (_, is) in &self.events {
            let (c, sequence, who, joined) = match is {
                What::MemberChanged { conversation, user, add, sequence } => {
                    (conversation.0, sequence.0, user.0, *add)
                }
                What::Shown { entry, .. } | What::Read { entry, .. } | What::Stored { entry } => {
                    match entry.said {
                        Said::Join { user } => {
                            (entry.conversation.0, entry.sequence.0, user.0, true)
                        }
                        Said::Leave { user } => {
                            (entry.conversation.0, entry.sequence.0, user.0, false)
                        }
                        _ => continue,
                    }
                }
                _ => continue,
            };
            let known = changes.iter().any(|(s, _)| *s == sequence);
            if c == conversation && who == user && !known {
                changes.push((sequence, joined));
            }
        }
        changes
    }

    /// Whether a device is attached at the end.
    pub fn is_attached(&self, device: Device, conversation: u64) -> bool {
        let end = self.events.len();
        let then = self.device(device, end);
        then.open && self.stream(device, conversation, end).session == then.session
    }

    /// Everything accepted that a device with a stream has not shown and that is owed to it: with
    /// the time of the acceptance.
    pub fn owed(&self, device: Device, conversation: u64) -> Vec<(u64, u64)> {
        let end = self.events.len();
        let stream = self.stream(device, conversation, end);
        let mut owed: Vec<(u64, u64)> = Vec::new();
        for answer in self.answers() {
            let sequence = answer.sequence;
            if stream.known
                && answer.conversation == conversation
                && answer.send.conversation == conversation
                && sequence > stream.base
                && !owed.iter().any(|(s, _)| *s == sequence)
                && !self.was_shown(device, conversation, sequence, end)
                && !self.is_removed(conversation, sequence)
                && self.is_member(device.user.0, conversation, sequence) == Some(true)
                && !self.departs(device.user.0, conversation, sequence, u64::MAX)
            {
                owed.push((sequence, answer.at));
            }
        }
        owed
    }
}
