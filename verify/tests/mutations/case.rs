//! A sound history, what is true in it, and the draws that decide where it is broken.

use protocol::mix::SplitMix;
use protocol::{ConversationId, Sequence, UserId};
use std::collections::{BTreeMap, BTreeSet};
use verify::history::builder::History;
use verify::history::event::{Device, Event, Phase, Said, Seen, What};

/// A conversation and a sequence.
pub type Position = (ConversationId, Sequence);

/// The first answer that a message was accepted.
#[derive(Clone, Copy, Debug)]
pub struct Acceptance {
    /// Number of the event.
    pub at: usize,
    pub device: Device,
    pub position: Position,
    pub message: u64,
    /// Number of the event with which it was sent.
    pub sent: usize,
}

/// What is true in a sound history.
pub struct Truth {
    pub sound: History,
    pub heal: usize,
    pub settle: usize,
    /// The users are watched up to here.
    pub judge: usize,
    pub accepted: Vec<Acceptance>,
    /// The logs as they are stored.
    pub stored: BTreeMap<Position, Seen>,
    pub devices: Vec<Device>,
    shown: BTreeMap<(Device, ConversationId), Vec<(usize, Sequence)>>,
    shown_positions: BTreeSet<Position>,
    changes: BTreeMap<(UserId, ConversationId), Vec<(u64, bool)>>,
}

impl Truth {
    pub fn new(sound: History) -> Self {
        let phase = |phase| {
            let found = sound.events.iter().position(|event| event.is == What::Phase(phase));
            found.expect("a sound history has all phases")
        };
        let mut stored = BTreeMap::new();
        let mut shown_positions = BTreeSet::new();
        let mut sent = BTreeMap::new();
        let mut accepted: Vec<Acceptance> = Vec::new();
        let mut shown: BTreeMap<_, Vec<_>> = BTreeMap::new();
        let mut changes: BTreeMap<_, Vec<_>> = BTreeMap::new();
        for (at, event) in sound.events.iter().enumerate() {
            match event.is {
                What::Stored { entry } => {
                    stored.insert((entry.conversation, entry.sequence), entry);
                    let change = match entry.said {
                        Said::Join { user } => (user, true),
                        Said::Leave { user } => (user, false),
                        _ => continue,
                    };
                    let of_user = changes.entry((change.0, entry.conversation)).or_default();
                    of_user.push((entry.sequence.0, change.1));
                }
                What::Shown { device, entry } => {
                    let position = (entry.conversation, entry.sequence);
                    shown.entry((device, position.0)).or_default().push((at, position.1));
                    shown_positions.insert(position);
                }
                What::Sent { device, message, .. } => {
                    sent.insert((device, message.0), at);
                }
                What::Accepted { device, conversation, message, sequence, .. } => {
                    let (position, message) = ((conversation, sequence), message.0);
                    if accepted.iter().all(|known| known.position != position) {
                        let sent = sent[&(device, message)];
                        accepted.push(Acceptance { at, device, position, message, sent });
                    }
                }
                _ => {}
            }
        }
        let numbers = 1..=sound.header.devices_per_user;
        let of_user = |user| numbers.clone().map(move |device| device_of(user, device));
        let devices = (1..=u64::from(sound.header.users)).flat_map(of_user).collect();
        let (heal, settle, judge) = (phase(Phase::Heal), phase(Phase::Settle), phase(Phase::Judge));
        Self {
            sound,
            heal,
            settle,
            judge,
            accepted,
            stored,
            devices,
            shown,
            shown_positions,
            changes,
        }
    }

    pub fn is(&self, at: usize) -> &What {
        &self.sound.events[at].is
    }

    pub fn time(&self, at: usize) -> u64 {
        self.sound.events[at].at
    }

    /// The numbers of the events that are so.
    pub fn all(&self, wanted: impl Fn(&What) -> bool) -> Vec<usize> {
        (0..self.sound.events.len()).filter(|at| wanted(self.is(*at))).collect()
    }

    /// Where a device shows a conversation: number of the event, sequence.
    pub fn shown(&self, device: Device, conversation: ConversationId) -> &[(usize, Sequence)] {
        self.shown.get(&(device, conversation)).map_or(&[], Vec::as_slice)
    }

    /// Whether any device shows a position.
    pub fn is_shown(&self, position: Position) -> bool {
        self.shown_positions.contains(&position)
    }

    pub fn conversations(&self) -> impl Iterator<Item = ConversationId> + use<> {
        (1..=u64::from(self.sound.header.conversations)).map(ConversationId)
    }

    pub fn users(&self) -> impl Iterator<Item = UserId> + use<> {
        (1..=u64::from(self.sound.header.users)).map(UserId)
    }

    pub fn head(&self, conversation: ConversationId) -> u64 {
        let log =
            self.stored.range((conversation, Sequence(0))..=(conversation, Sequence(u64::MAX)));
        log.last().map_or(0, |((_, sequence), _)| sequence.0)
    }

    /// Joins and departures of a user: sequence, whether it is a join.
    pub fn changes(&self, user: UserId, conversation: ConversationId) -> &[(u64, bool)] {
        self.changes.get(&(user, conversation)).map_or(&[], Vec::as_slice)
    }

    pub fn is_member(&self, user: UserId, (conversation, sequence): Position) -> bool {
        let changes = self.changes(user, conversation);
        changes.iter().rfind(|(s, _)| *s <= sequence.0).is_some_and(|(_, joined)| *joined)
    }

    /// Whether a user is a member at a position and ever since.
    pub fn stays(&self, user: UserId, position: Position) -> bool {
        self.is_member(user, position)
            && !self
                .changes(user, position.0)
                .iter()
                .any(|(s, joined)| !joined && *s > position.1.0)
    }

    /// When a user's newest join or departure became known.
    fn joined_at(&self, user: UserId, conversation: ConversationId) -> u64 {
        let Some((newest, _)) = self.changes(user, conversation).last().copied() else { return 0 };
        let first = self.sound.events.iter().find(|event| match &event.is {
            What::MemberChanged { conversation: c, user: u, sequence, .. } => {
                (*c, *u, sequence.0) == (conversation, user, newest)
            }
            is => entry_of(is).is_some_and(|entry| {
                (entry.conversation, entry.sequence.0) == (conversation, newest)
            }),
        });
        first.map_or(0, |event| event.at)
    }

    /// For how long a device is connected from an event until the users are last watched, after the heal.
    fn connected(&self, device: Device, since: u64) -> u64 {
        let since = since.max(self.time(self.heal));
        let (mut open, mut connected) = (None, 0);
        for event in &self.sound.events[..self.judge] {
            match event.is {
                What::Opened { device: d, .. } if d == device => open = Some(event.at),
                What::Closed { device: d, .. } if d == device => {
                    connected +=
                        open.take().map_or(0, |from: u64| event.at.saturating_sub(from.max(since)));
                }
                _ => {}
            }
        }
        let end = self.time(self.judge);
        connected + open.map_or(0, |from| end.saturating_sub(from.max(since)))
    }

    /// The line with which the session begins that a device has when the users are last watched.
    pub fn last_session(&self, device: Device) -> Option<usize> {
        let last = self.sound.events[..self.judge].iter().rposition(|event| {
            matches!(event.is, What::Opened { device: d, .. } | What::Closed { device: d, .. } if d == device)
        })?;
        matches!(self.is(last), What::Opened { .. }).then_some(last)
    }

    /// Whether a device has the time in which it must show what is accepted at an event.
    pub fn has_time(&self, device: Device, conversation: ConversationId, accepted: usize) -> bool {
        let since = self.time(accepted).max(self.joined_at(device.user, conversation));
        let deadlines = &self.sound.header.deadlines;
        self.connected(device, since) > deadlines.delivered_us.max(deadlines.stuck_us)
    }

    /// Whether so much time is left after an event, and after the heal.
    pub fn leaves(&self, at: usize, time: u64) -> bool {
        let since = self.time(at).max(self.time(self.heal));
        self.time(self.judge).saturating_sub(since) > time
    }

    /// Whether the scenario makes a user slow.
    pub fn is_slow(&self, user: UserId) -> bool {
        user.0 <= u64::from(self.sound.header.slow_users)
    }

    /// Whether a user should have devices.
    pub fn is_expected(&self, user: UserId) -> bool {
        let header = &self.sound.header;
        user.0 + u64::from(header.offline_users.unwrap_or(0)) <= u64::from(header.users)
            && !self.is_slow(user)
    }
}

pub const fn device_of(user: u64, device: u32) -> Device {
    Device { user: UserId(user), device: protocol::DeviceId(device) }
}

/// A history that is being broken.
pub struct Case<'a> {
    pub truth: &'a Truth,
    pub history: History,
    random: SplitMix,
}

impl<'a> Case<'a> {
    pub fn new(truth: &'a Truth, seed: u64) -> Self {
        Self { truth, history: truth.sound.clone(), random: SplitMix::new(seed) }
    }

    /// A random number below `limit`.
    pub const fn draw(&mut self, limit: u64) -> u64 {
        self.random.next_u64() % limit
    }

    /// One of several, if there is any.
    pub fn one_of<T: Copy>(&mut self, all: &[T]) -> Option<T> {
        (!all.is_empty()).then(|| all[self.draw(all.len() as u64) as usize])
    }

    /// One of the events that are so.
    pub fn event(&mut self, wanted: impl Fn(&What) -> bool) -> Option<usize> {
        self.event_at(|_, is| wanted(is))
    }

    /// One of the events that are so, by number and content: the first behind one that is drawn.
    pub fn event_at(&mut self, wanted: impl Fn(usize, &What) -> bool) -> Option<usize> {
        let (truth, count) = (self.truth, self.truth.sound.events.len());
        let start = self.draw(count as u64) as usize;
        (start..count).chain(0..start).find(|at| wanted(*at, truth.is(*at)))
    }

    /// What an event says, to be changed.
    pub fn is(&mut self, at: usize) -> &mut What {
        &mut self.history.events[at].is
    }

    pub fn remove(&mut self, at: usize) {
        self.history.events.remove(at);
    }

    /// Keeps the events that are so, by number and content.
    pub fn retain(&mut self, keep: impl Fn(usize, &What) -> bool) {
        let mut number = 0;
        self.history.events.retain(|event| {
            number += 1;
            keep(number - 1, &event.is)
        });
    }

    /// Puts something in behind an event, at its time.
    pub fn insert(&mut self, behind: usize, is: What) {
        let at = self.history.events[behind].at;
        self.history.events.insert(behind + 1, Event { at, is });
    }

    /// Puts something in where its time has come.
    pub fn insert_at(&mut self, at: u64, is: What) {
        let behind = self.history.events.partition_point(|event| event.at <= at);
        self.history.events.insert(behind, Event { at, is });
    }

    /// Moves an event to a later time.
    pub fn delay(&mut self, from: usize, by: u64) {
        let event = self.history.events.remove(from);
        self.insert_at(event.at + by, event.is);
    }

    /// Moves an event right behind another one.
    pub fn move_behind(&mut self, from: usize, behind: usize) {
        let event = self.history.events.remove(from);
        let behind = if behind > from { behind - 1 } else { behind };
        self.insert(behind, event.is);
    }

    /// Changes every observation of a position.
    pub fn everywhere(&mut self, position: Position, change: impl Fn(&mut Seen)) {
        for event in &mut self.history.events {
            if let Some(entry) = entry_mut(&mut event.is)
                && (entry.conversation, entry.sequence) == position
            {
                change(entry);
            }
        }
    }
}

/// The entry that an event shows.
pub const fn entry_of(is: &What) -> Option<&Seen> {
    match is {
        What::Shown { entry, .. }
        | What::Received { entry, .. }
        | What::Read { entry, .. }
        | What::Stored { entry } => Some(entry),
        _ => None,
    }
}

pub const fn entry_mut(is: &mut What) -> Option<&mut Seen> {
    match is {
        What::Shown { entry, .. }
        | What::Received { entry, .. }
        | What::Read { entry, .. }
        | What::Stored { entry } => Some(entry),
        _ => None,
    }
}

pub const fn is_message(entry: &Seen) -> bool {
    matches!(entry.said, Said::Message { .. })
}

pub const fn is_sent(entry: &Seen) -> bool {
    !matches!(entry.said, Said::Join { .. } | Said::Leave { .. })
}
