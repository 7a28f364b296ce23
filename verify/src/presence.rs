//! Who had a conversation's stream when a notification about it was made, and showed the message in the
//! same session: a member whom the cluster should have known to be there.

use crate::history::event::{Event, What};
use crate::invariants::nobody_present_is_pushed::Target;
use crate::state::merge::Slots;
use crate::state::{State, Step};
use crate::tally::Tally;
use std::collections::BTreeMap;

/// Notifications to users who look present that are kept until it is clear whether they were. A sound
/// run has next to none.
const SUSPECTS: usize = 1 << 16;

/// Faults that last so long, with gaps shorter than that, leave a notification without a better answer.
const OUT_OF_REACH_US: (u64, u64) = (10_000_000, 5_000_000);

/// The close code of a device's own goodbye.
const GOODBYE: u16 = 1000;

/// Whether a fault on these nodes may hide from the cluster who is there.
fn may_hide_users(target: &str) -> bool {
    ["gateway", "store", "broker", "notifier"].iter().any(|role| target.contains(role))
}

/// A notification to somebody with a stream.
struct Suspect {
    at: u64,
    device: usize,
    session: u32,
    attached_at: u64,
    shown: bool,
    /// Whether the nodes that know who is there had been out of each other's reach.
    is_excused: bool,
    /// When the message was sent, if that is known and the message is compacted.
    sent_at: Option<u64>,
    /// Whether the session has ended, and had not been dead.
    is_over: bool,
}

impl Suspect {
    /// Whether the stream had begun when the message was sent.
    fn was_present(&self, sent_at: Option<u64>) -> bool {
        self.sent_at.or(sent_at).is_some_and(|sent_at| self.attached_at < sent_at)
    }
}

/// Notifications to users who look present, by target and device.
#[derive(Default)]
pub(crate) struct Presence {
    suspects: BTreeMap<(u32, u32, usize), Suspect>,
    unkept: u64,
}

impl Presence {
    /// A notification was handed over. Clusters of format 1 pushed to whoever was there after a store's
    /// restart.
    pub fn pushed(&mut self, state: &State, (who, sequence): Target) {
        if state.header.format < 2 {
            return;
        }
        let recently = state.now.saturating_sub(state.header.deadlines.stuck_us);
        let is_disturbed =
            || state.run.is_disturbed(may_hide_users, OUT_OF_REACH_US, recently, state.now);
        for number in 0..state.header.devices_per_user {
            let pair = state.pairs.pair_of(who, number);
            let device = state.device_of_pair(pair);
            if !state.is_attached(pair) || state.is_slow(device) {
                continue;
            }
            if self.suspects.len() >= SUSPECTS {
                self.unkept += 1;
                return;
            }
            let slot = state.pairs.pair(pair);
            self.suspects.entry((who, sequence, device)).or_insert(Suspect {
                at: state.now,
                device,
                session: state.devices[device].session,
                attached_at: slot.stream.attached_at,
                shown: slot.shown.contains(sequence),
                is_excused: is_disturbed(),
                sent_at: None,
                is_over: false,
            });
        }
    }

    /// What devices show, and how their sessions end.
    #[inline]
    pub fn observe(&mut self, state: &State, step: &Step, event: &Event) {
        if !self.suspects.is_empty() {
            self.follow(state, step, event);
        }
    }

    fn follow(&mut self, state: &State, step: &Step, event: &Event) {
        let session = state.devices[step.device].session;
        match &event.is {
            What::Closed { code, .. } if state.run.watched_until.is_none() => {
                self.ended(state, step.device, session, *code == GOODBYE);
            }
            // So ends a session whose end nobody saw.
            What::Opened { .. } => self.ended(state, step.device, session - 1, false),
            What::Shown { .. } => {
                if let Some(suspect) =
                    self.suspects.get_mut(&(step.who, step.sequence, step.device))
                {
                    suspect.shown |= suspect.session == session;
                }
            }
            _ => {}
        }
    }

    /// A session ends. One that ends soon was dead to its gateway, which could not know what arrived.
    fn ended(&mut self, state: &State, device: usize, session: u32, by_goodbye: bool) {
        let patience = state.header.deadlines.stuck_us;
        self.suspects.retain(|_, suspect| {
            let is_this =
                (suspect.device, suspect.session) == (device, session) && !suspect.is_over;
            suspect.is_over |= is_this;
            !is_this || by_goodbye || state.now - suspect.at > patience
        });
    }

    /// A conversation is compacted up to a sequence.
    pub fn compact(&mut self, state: &State, conversation: usize, to: u32) {
        let log = &state.logs[conversation];
        for &who in state.pairs.of_conversation(conversation) {
            let suspects = (who, 0, 0)..=(who, to, usize::MAX);
            for (&(_, sequence, _), suspect) in self.suspects.range_mut(suspects) {
                suspect.sent_at = suspect.sent_at.or(log.get(sequence).sent_at());
            }
        }
        // Whoever has it by now has shown it in another session, or had no stream when it was sent.
        self.suspects.retain(|&(who, sequence, _), suspect| {
            state.pairs.members[who as usize].conversation as usize != conversation
                || sequence > to
                || (suspect.shown && suspect.was_present(None))
        });
    }

    /// Those of another part.
    pub fn merge(&mut self, other: Self, slots: &Slots) {
        let theirs = other.suspects.into_iter();
        self.suspects.extend(
            theirs.map(|((who, sequence, device), s)| ((slots.member(who), sequence, device), s)),
        );
        self.unkept += other.unkept;
    }

    /// The notifications to users who were present, and when each was made. What is excused is counted.
    pub fn finish(&self, state: &State, tally: &mut Tally) -> BTreeMap<Target, u64> {
        let (mut present, mut excused) = (BTreeMap::new(), BTreeMap::new());
        for (&(who, sequence, _), suspect) in &self.suspects {
            let member = &state.pairs.members[who as usize];
            let entry = state.logs[member.conversation as usize].get(sequence);
            if suspect.shown && suspect.was_present(entry.sent_at()) {
                let found = if suspect.is_excused { &mut excused } else { &mut present };
                found.entry((who, sequence)).or_insert(suspect.at);
            }
        }
        tally.excuse("nodes out of reach", excused.len() as u64);
        tally.excuse("beyond what can be kept", self.unkept);
        present
    }
}
