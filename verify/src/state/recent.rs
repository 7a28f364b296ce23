//! The newest events, for evidence: one ring of all, threaded per device and per conversation.
//!
//! Keeping an event costs one copy into memory that is written in order; each device and each
//! conversation adds 8 bytes, not a ring of its own.

use super::State;
use super::run::SHORTLY_US;
use crate::history::event::{Device, Event, Seen, What};
use crate::verdict::Evidence;
use protocol::{ConversationId, Sequence};
use std::collections::BTreeMap;

/// Events in the ring: at about 130 bytes each it stays within 9 MiB. A simulated run of a minute fits, so that what
/// is judged at its end still finds the beginning; a larger one takes the judge longer to fill.
const RING: usize = 1 << 16;
/// How far back a search goes along one thread.
const MOST_STEPS: usize = 20_000;
/// Lines of evidence, at most.
const MOST_LINES: usize = 12;
/// Of all who were shown the same, at most: more of them only crowd out what differs.
const MOST_ALIKE: usize = 2;

struct Kept {
    event: Event,
    /// Number of the previous event of the same device, and of the same conversation; 0: none.
    before_on_device: u64,
    before_in_conversation: u64,
}

/// The ring. Events are numbered from 1.
pub(crate) struct Recent {
    ring: Vec<Kept>,
    events: u64,
}

/// What a violation is about: which of the recent events belong to its evidence.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct About {
    /// Slot of a device: its sessions and streams are part of the evidence.
    pub device: Option<usize>,
    /// Index of a conversation.
    pub conversation: Option<usize>,
    /// A sequence of the conversation.
    pub sequence: Option<u32>,
    /// A second one.
    pub other: Option<u32>,
    /// A message: its author and id. With the id alone it would be other users' messages as well.
    pub message: Option<(u64, u64)>,
    /// From when to when it went wrong, if that was not now.
    pub life: Option<(u64, u64)>,
}

impl About {
    /// When it went wrong.
    pub fn at(&self, now: u64) -> u64 {
        self.life.map_or(now, |(_, at)| at)
    }
}

impl Recent {
    pub fn new() -> Self {
        Self { ring: Vec::with_capacity(RING), events: 0 }
    }

    /// The events, oldest first.
    fn in_order(mut self) -> impl Iterator<Item = Event> {
        if self.ring.len() == RING {
            self.ring.rotate_left(self.events as usize % RING);
        }
        self.ring.into_iter().map(|kept| kept.event)
    }

    fn get(&self, number: u64) -> Option<&Kept> {
        if number == 0 || number + RING as u64 <= self.events {
            return None;
        }
        self.ring.get((number - 1) as usize % RING)
    }
}

impl State {
    /// Of the newest events of this and another part the newest, with new threads.
    pub fn merge_recent(&mut self, other: &mut Self) {
        let empty = || Recent { ring: Vec::new(), events: RING as u64 };
        let [ours, theirs] =
            [&mut self.recent, &mut other.recent].map(|recent| std::mem::replace(recent, empty()));
        let theirs = theirs.in_order().filter(|event| other.part.judges(&event.is));
        let mut events: Vec<Event> = ours.in_order().chain(theirs).collect();
        events.sort_by_key(|event| event.at);
        // A number that is no longer in the ring says that a conversation was named at all.
        for (mine, theirs) in self.logs.iter_mut().zip(&other.logs) {
            mine.recent = u64::from(mine.recent.max(theirs.recent) > 0);
        }
        self.devices.iter_mut().for_each(|device| device.recent = 0);
        for event in &events[events.len().saturating_sub(RING)..] {
            let (device, conversation) = event.is.subject();
            let device = device.map(|device| self.device_slot(device));
            self.keep(event, device, conversation.map(|index| index.0 as usize - 1));
        }
    }

    /// Keeps an event; `device` and `conversation` are its slots, if it has any.
    pub fn keep(&mut self, event: &Event, device: Option<usize>, conversation: Option<usize>) {
        self.recent.events += 1;
        let number = self.recent.events;
        let thread = |newest: &mut u64| std::mem::replace(newest, number);
        let before_on_device = device.map_or(0, |slot| thread(&mut self.devices[slot].recent));
        let before_in_conversation =
            conversation.map_or(0, |index| thread(&mut self.logs[index].recent));
        let kept = Kept { event: event.clone(), before_on_device, before_in_conversation };
        let at = (number - 1) as usize % RING;
        if at < self.recent.ring.len() {
            self.recent.ring[at] = kept;
        } else {
            self.recent.ring.push(kept);
        }
    }

    /// The evidence for a violation that shows now.
    pub fn evidence(&self, what: String, about: About) -> Evidence {
        let mut numbers = Vec::new();
        if let Some(slot) = about.device {
            self.walk(self.devices[slot].recent, |kept| kept.before_on_device, about, &mut numbers);
        }
        if let Some(index) = about.conversation {
            let newest = self.logs[index].recent;
            self.walk(newest, |kept| kept.before_in_conversation, about, &mut numbers);
        }
        numbers.sort_unstable();
        numbers.dedup();
        // What the message's own device sent and was told is what an accusation rests on: it stays, and of
        // the others the newest.
        let mut spare = numbers.len().saturating_sub(MOST_LINES);
        numbers.retain(|&number| {
            let kept = self.recent.get(number);
            let leaves = spare > 0 && !kept.is_some_and(|kept| is_own(&kept.event, about));
            spare -= usize::from(leaves);
            !leaves
        });
        let history = numbers
            .iter()
            .filter_map(|&number| self.recent.get(number))
            .map(|kept| serde_json::to_string(&kept.event).expect("events have string keys only"))
            .collect();
        let at = about.at(self.now);
        let from = about.life.map_or(at, |(from, _)| from);
        // What took something away that was there may have begun a moment later.
        let to = if about.life.is_some() { at.saturating_add(SHORTLY_US) } else { at };
        Evidence { at, what, faults: self.run.faults_around(from, to), history }
    }

    fn walk(
        &self,
        newest: u64,
        before: impl Fn(&Kept) -> u64,
        about: About,
        numbers: &mut Vec<u64>,
    ) {
        let (mut number, mut found) = (newest, 0);
        let mut alike = BTreeMap::new();
        for _ in 0..MOST_STEPS {
            let Some(kept) = self.recent.get(number) else { return };
            let is_own = is_own(&kept.event, about);
            if (found < MOST_LINES || is_own)
                && self.belongs(&kept.event, about)
                && !self.is_repetition(&kept.event, about, &mut alike)
            {
                numbers.push(number);
                found += usize::from(!is_own);
            }
            // Without a message there is nothing of its own to look for.
            if found == MOST_LINES && about.message.is_none() && about.sequence.is_none() {
                return;
            }
            number = before(kept);
        }
    }

    /// Whether enough other devices were shown the same.
    fn is_repetition(&self, event: &Event, about: About, alike: &mut Alike) -> bool {
        let (What::Shown { device, entry }
        | What::Received { device, entry }
        | What::Read { device, entry, .. }) = &event.is
        else {
            return false;
        };
        if about.device == Some(self.device_slot(*device)) {
            return false;
        }
        let others = alike.entry((entry.sequence, entry.author.0, entry.message.0)).or_default();
        *others += 1;
        *others > MOST_ALIKE
    }

    fn belongs(&self, event: &Event, about: About) -> bool {
        let mentions = Mentions::of(&event.is);
        let same_conversation = mentions
            .conversation
            .is_none_or(|c| about.conversation.is_none_or(|index| c.0 as usize == index + 1));
        if !same_conversation {
            return false;
        }
        let same_device = about.device.is_some_and(|slot| {
            mentions.device.is_some_and(|device| self.device_slot(device) == slot)
        });
        let life = matches!(
            event.is,
            What::Opened { .. }
                | What::Closed { .. }
                | What::ConnectFailed { .. }
                | What::Back { .. }
                | What::Attached { .. }
                | What::Detached { .. }
        );
        if life {
            return same_device;
        }
        let pointed =
            |wanted: Option<u32>| wanted.is_some() && mentions.sequence.map(super::short) == wanted;
        let named = about.message.is_some() && mentions.message == about.message;
        // A message's own lines are its author's; what others say at its sequence belongs to it, too.
        pointed(about.sequence)
            || pointed(about.other)
            || named
            || (about.sequence.is_none() && about.message.is_none())
    }
}

/// How often an entry was shown: by sequence, author and message.
type Alike = BTreeMap<(Sequence, u64, u64), usize>;

/// Whether an event is of the message that a violation is about: its sends, and what its device was told. If
/// only the sequence is known, it is the answer that names this.
fn is_own(event: &Event, about: About) -> bool {
    match event.is {
        What::Accepted { conversation, sequence, .. } if about.message.is_none() => {
            about.sequence == Some(super::short(sequence))
                && about.conversation.is_some_and(|index| conversation.0 as usize == index + 1)
        }
        What::Sent { device, message, .. }
        | What::Accepted { device, message, .. }
        | What::Rejected { device, message, .. } => {
            about.message == Some((device.user.0, message.0))
        }
        _ => false,
    }
}

/// What an event mentions.
#[derive(Default)]
struct Mentions {
    device: Option<Device>,
    conversation: Option<ConversationId>,
    sequence: Option<Sequence>,
    /// Author and id.
    message: Option<(u64, u64)>,
}

impl Mentions {
    fn of(what: &What) -> Self {
        let entry = |device: Option<Device>, entry: &Seen| Self {
            device,
            conversation: Some(entry.conversation),
            sequence: Some(entry.sequence),
            message: Some((entry.author.0, entry.message.0)),
        };
        match what {
            What::Shown { device, entry: seen }
            | What::Received { device, entry: seen }
            | What::Read { device, entry: seen, .. } => entry(Some(*device), seen),
            What::Stored { entry: seen } => entry(None, seen),
            What::Accepted { device, conversation, message, sequence, .. } => Self {
                device: Some(*device),
                conversation: Some(*conversation),
                sequence: Some(*sequence),
                message: Some((device.user.0, message.0)),
            },
            What::Sent { device, conversation, message, .. }
            | What::Resent { device, conversation, message }
            | What::Rejected { device, conversation, message, .. }
            | What::Unanswered { device, conversation, message } => Self {
                device: Some(*device),
                conversation: Some(*conversation),
                message: Some((device.user.0, message.0)),
                sequence: None,
            },
            What::MemberChanged { conversation, sequence, .. }
            | What::Pushed { conversation, sequence, .. } => Self {
                conversation: Some(*conversation),
                sequence: Some(*sequence),
                ..Self::default()
            },
            What::Attached { device, conversation, .. }
            | What::Detached { device, conversation } => {
                Self { device: Some(*device), conversation: Some(*conversation), ..Self::default() }
            }
            other => {
                let (device, conversation) = other.subject();
                Self { device, conversation, ..Self::default() }
            }
        }
    }
}
