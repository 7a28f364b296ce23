//! A history with numbered lines, and the words of the definitions in it: sends, answers, observations.

use super::fields::is_in_range;
use crate::history::event::{Device, Event, Header, Phase, Said, Seen, Shed, What};
use protocol::{ConversationId, Epoch};

/// A whole history.
pub(super) struct Book<'a> {
    pub header: &'a Header,
    pub lines: Vec<Line<'a>>,
    /// S: every send, edit and deletion; of two with one id on a device only the first.
    pub sends: Vec<Send>,
    /// Every answer "accepted" to a send, in the conversation of the send.
    pub answers: Vec<Answer>,
    /// A: the first of these answers to each send.
    pub acceptances: Vec<Answer>,
    pub observations: Vec<Observation<'a>>,
}

/// One event. Its number is its index in `Book::lines`.
#[derive(Clone, Copy)]
pub(super) struct Line<'a> {
    /// Time that goes back stands still.
    pub at: u64,
    pub is: &'a What,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct Send {
    pub line: usize,
    pub at: u64,
    pub device: Device,
    pub conversation: ConversationId,
    pub id: u64,
    pub said: Said,
    pub intended: u64,
}

impl Send {
    /// Whether an entry is what this send became.
    pub fn is(&self, entry: &Seen) -> bool {
        (entry.author, entry.message.0, entry.said) == (self.device.user, self.id, self.said)
    }

    pub const fn is_message(&self) -> bool {
        matches!(self.said, Said::Message { .. })
    }
}

#[derive(Clone, Copy)]
pub(super) struct Answer {
    pub line: usize,
    pub at: u64,
    pub sequence: u64,
    pub epoch: Epoch,
    pub send: Send,
}

/// How an entry was seen.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum How {
    Shown(Device),
    Received(Device),
    Read(Device, u32),
    Stored,
}

#[derive(Clone, Copy)]
pub(super) struct Observation<'a> {
    pub line: usize,
    pub at: u64,
    pub how: How,
    pub entry: &'a Seen,
}

impl Observation<'_> {
    pub const fn is_sent(&self) -> bool {
        !matches!(self.entry.said, Said::Join { .. } | Said::Leave { .. })
    }

    pub fn is_at(&self, conversation: ConversationId, sequence: u64) -> bool {
        (self.entry.conversation, self.entry.sequence.0) == (conversation, sequence)
    }
}

impl<'a> Book<'a> {
    /// Lines that name what the header does not have are no part of it.
    pub fn new(header: &'a Header, events: &'a [Event]) -> Self {
        let mut now = 0;
        let mut lines = Vec::new();
        for event in events {
            now = event.at.max(now);
            if is_in_range(header, &event.is) {
                lines.push(Line { at: now, is: &event.is });
            }
        }
        let mut book = Self {
            header,
            lines,
            sends: Vec::new(),
            answers: Vec::new(),
            acceptances: Vec::new(),
            observations: Vec::new(),
        };
        book.find_sends();
        book.find_answers();
        book.find_observations();
        book
    }

    fn find_sends(&mut self) {
        for (line, Line { at, is }) in self.lines.iter().enumerate() {
            let What::Sent { device, conversation, message, said, intended } = is else { continue };
            if self.sends.iter().any(|send| (send.device, send.id) == (*device, message.0)) {
                continue;
            }
            self.sends.push(Send {
                line,
                at: *at,
                device: *device,
                conversation: *conversation,
                id: message.0,
                said: *said,
                intended: *intended,
            });
        }
    }

    fn find_answers(&mut self) {
        for (line, Line { at, is }) in self.lines.iter().enumerate() {
            let What::Accepted { device, conversation, message, sequence, epoch, .. } = is else {
                continue;
            };
            let send = self.send_of(device.user.0, message.0, line);
            let Some(send) = send.filter(|send| send.conversation == *conversation) else {
                continue;
            };
            let answer = Answer { line, at: *at, sequence: sequence.0, epoch: *epoch, send };
            if !self.answers.iter().any(|earlier| earlier.send == send) {
                self.acceptances.push(answer);
            }
            self.answers.push(answer);
        }
    }

    fn find_observations(&mut self) {
        for (line, Line { at, is }) in self.lines.iter().enumerate() {
            let (how, entry) = match is {
                What::Shown { device, entry } => (How::Shown(*device), entry),
                What::Received { device, entry } => (How::Received(*device), entry),
                What::Read { device, request, entry } => (How::Read(*device, *request), entry),
                What::Stored { entry } => (How::Stored, entry),
                _ => continue,
            };
            self.observations.push(Observation { line, at: *at, how, entry });
        }
    }

    /// The message of an author and id, if it was sent before a line.
    pub fn send_of(&self, author: u64, id: u64, before: usize) -> Option<Send> {
        let sent = |send: &&Send| (send.device.user.0, send.id) == (author, id);
        let sent = self.sends.iter().filter(sent).filter(|send| send.line < before);
        sent.min_by_key(|send| send.device).copied()
    }

    /// The message that an observation shows, if it was sent before, to this conversation.
    pub fn sent_as(&self, observation: &Observation<'_>) -> Option<Send> {
        let entry = observation.entry;
        let send = self.send_of(entry.author.0, entry.message.0, observation.line)?;
        (observation.is_sent() && send.conversation == entry.conversation).then_some(send)
    }

    /// The first acceptance of a message as this sequence.
    pub fn accepted_as(&self, conversation: ConversationId, sequence: u64) -> Option<&Answer> {
        self.acceptances
            .iter()
            .find(|a| (a.send.conversation, a.sequence) == (conversation, sequence))
    }

    /// K: when a sequence became known before a line.
    pub fn known(&self, conversation: ConversationId, sequence: u64, before: usize) -> Option<u64> {
        let accepted = self.accepted_as(conversation, sequence).filter(|a| a.line < before);
        if accepted.is_some() || self.header.format < 2 {
            return accepted.map(|a| a.at);
        }
        let knows = |is: &What| match is {
            What::MemberChanged { conversation: c, sequence: s, .. } => {
                (*c, s.0) == (conversation, sequence)
            }
            What::Shown { entry, .. }
            | What::Received { entry, .. }
            | What::Read { entry, .. }
            | What::Stored { entry } => {
                (entry.conversation, entry.sequence.0) == (conversation, sequence)
            }
            _ => false,
        };
        self.lines[..before].iter().find(|line| knows(line.is)).map(|line| line.at)
    }

    /// Every sequence that was accepted, answered or seen.
    pub fn positions(&self) -> Vec<(ConversationId, u64)> {
        let told = self.acceptances.iter().map(|a| (a.send.conversation, a.sequence));
        let seen = self.observations.iter().map(|s| (s.entry.conversation, s.entry.sequence.0));
        let answered = self.lines.iter().filter_map(|line| match line.is {
            What::MemberChanged { conversation, sequence, .. } => Some((*conversation, sequence.0)),
            _ => None,
        });
        let mut positions: Vec<_> = told.chain(seen).chain(answered).collect();
        positions.sort_unstable();
        positions.dedup();
        positions
    }

    /// Whether any line is so.
    pub fn any(&self, wanted: impl Fn(&What) -> bool) -> bool {
        self.first(wanted).is_some()
    }

    /// The first line that is so.
    pub fn first(&self, wanted: impl Fn(&What) -> bool) -> Option<usize> {
        self.lines.iter().position(|line| wanted(line.is))
    }

    /// The line with which a phase begins, the first time.
    pub fn phase(&self, phase: Phase) -> Option<usize> {
        self.first(|is| *is == What::Phase(phase))
    }

    /// The line behind which the users are watched no more.
    pub fn watched_to(&self) -> usize {
        self.first(is_last).unwrap_or(self.lines.len().saturating_sub(1))
    }

    /// Whether the users are watched at a line.
    pub fn is_watched(&self, line: usize) -> bool {
        !self.lines[..line].iter().any(|l| is_last(l.is))
    }

    /// W: when the users were last watched.
    pub fn watched_until(&self) -> u64 {
        self.lines.get(self.watched_to()).map_or(0, |line| line.at)
    }

    /// How much of this gave way.
    pub fn shed(&self, of: Shed) -> u64 {
        let counts = self.lines.iter().filter_map(|line| match line.is {
            What::Shed { what, count, .. } if *what == of => Some(*count),
            _ => None,
        });
        counts.sum()
    }

    /// Whether the load generator met a limit of its own: then nothing that is late is a violation.
    pub fn is_generator_limited(&self) -> bool {
        self.any(|is| matches!(is, What::GeneratorLimited { .. }))
    }

    pub fn conversations(&self) -> impl Iterator<Item = ConversationId> + use<> {
        (1..=u64::from(self.header.conversations)).map(ConversationId)
    }

    pub fn users(&self) -> impl Iterator<Item = u64> + use<> {
        1..=u64::from(self.header.users)
    }

    pub fn devices(&self) -> Vec<Device> {
        self.users().flat_map(|user| self.devices_of(user)).collect()
    }

    pub fn devices_of(&self, user: u64) -> Vec<Device> {
        let device =
            |device| Device { user: protocol::UserId(user), device: protocol::DeviceId(device) };
        (1..=self.header.devices_per_user).map(device).collect()
    }

    /// Whether the scenario makes a user slow.
    pub fn is_slow(&self, user: u64) -> bool {
        user <= u64::from(self.header.slow_users)
    }
}

/// Whether nothing is watched behind an event.
const fn is_last(is: &What) -> bool {
    matches!(is, What::Stopped { .. } | What::Phase(Phase::Judge | Phase::End))
}
