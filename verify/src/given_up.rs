//! Notifications that a cluster gave up under bounds of its own, and accounts for: those of one member, and
//! those of a message to all of its members. They are counted and not named, so as many are excused.

use crate::history::event::{Shed, What};
use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

/// A (conversation, sequence).
pub(crate) type Message = (usize, u32);

/// How many were given up.
#[derive(Clone, Copy, Default)]
pub(crate) struct GivenUp {
    /// To one member each.
    pushes: u64,
    /// To all members.
    jobs: u64,
}

/// What is excused by it.
pub(crate) struct Excuses {
    messages: BTreeSet<Message>,
    pushes: u64,
}

impl GivenUp {
    /// The next event. A dead letter that gave way may have been a notification's.
    pub fn observe(&mut self, is: &What) {
        match is {
            What::DeadLetter { queue, .. } if queue.starts_with("notify") => self.pushes += 1,
            What::Shed { what: Shed::DeadLetters | Shed::Pushes, count, .. } => {
                self.pushes = self.pushes.saturating_add(*count);
            }
            What::Shed { what: Shed::PushJobs, count, .. } => {
                self.jobs = self.jobs.saturating_add(*count);
            }
            _ => {}
        }
    }

    /// What was given up in another part.
    pub const fn merge(&mut self, other: Self) {
        self.pushes += other.pushes;
        self.jobs += other.jobs;
    }

    /// The excuses for what is missing, each as often as a member misses it: of messages those that are
    /// missing most often. Only so is it certain that more is missing than was given up.
    pub fn excuses<M: Iterator<Item = Message>>(self, missing: impl FnOnce() -> M) -> Excuses {
        let mut times: BTreeMap<Message, u64> = BTreeMap::new();
        if self.jobs > 0 {
            missing().for_each(|message| *times.entry(message).or_default() += 1);
        }
        let mut messages: Vec<(Reverse<u64>, Message)> =
            times.into_iter().map(|(message, times)| (Reverse(times), message)).collect();
        messages.sort_unstable();
        let most = usize::try_from(self.jobs).unwrap_or(usize::MAX);
        let messages = messages.into_iter().take(most).map(|(_, message)| message).collect();
        Excuses { messages, pushes: self.pushes }
    }
}

impl Excuses {
    /// Why it is excused that a member misses a message.
    pub fn take(&mut self, message: Message) -> Option<&'static str> {
        if self.messages.contains(&message) {
            return Some("gave way in a full queue");
        }
        self.pushes = self.pushes.checked_sub(1)?;
        Some("given up one by one")
    }
}
