//! Who had a conversation's stream when a notification about it was made, and showed the message in the
//! same session: a member whom the cluster should have known to be there.

use crate::ground::{Ground, Step};
use crate::history::event::{Event, What};
use crate::invariants::nobody_present_is_pushed::Target;
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
    /// When the message was sent, if that is known and the message is settled.
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
    pub fn pushed(&mut self, ground: &Ground, (who, sequence): Target) {
        if ground.header.format < 2 {
            return;
        }
        let recently = ground.now.saturating_sub(ground.header.deadlines.stuck_us);
        let is_disturbed =
            || ground.run.is_disturbed(may_hide_users, OUT_OF_REACH_US, recently, ground.now);
        for number in 0..ground.header.devices_per_user {
            let pair = ground.pairs.pair_of(who, number);
            let device = ground.device_of_pair(pair);
            if !ground.is_attached(pair) || ground.is_slow(device) {
                continue;
            }
            if self.suspects.len() >= SUSPECTS {
                self.unkept += 1;
                return;
            }
            let state = ground.pairs.pair(pair);
            self.suspects.entry((who, sequence, device)).or_insert(Suspect {
                at: ground.now,
                device,
                session: ground.devices[device].session,
                attached_at: state.stream.attached_at,
                shown: state.shown.contains(sequence),
                is_excused: is_disturbed(),
                sent_at: None,
                is_over: false,
            });
        }
    }

    /// What devices show, and how their sessions end.
    pub fn observe(&mut self, ground: &Ground, step: &Step, event: &Event) {
        if self.suspects.is_empty() {
            return;
        }
        let session = ground.devices[step.device].session;
        match &event.is {
            What::Closed { code, .. } if ground.run.watched_until.is_none() => {
                self.ended(ground, step.device, session, *code == GOODBYE);
            }
            // So ends a session whose end nobody saw.
            What::Opened { .. } => self.ended(ground, step.device, session - 1, false),
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
    fn ended(&mut self, ground: &Ground, device: usize, session: u32, by_goodbye: bool) {
        let patience = ground.header.deadlines.stuck_us;
        self.suspects.retain(|_, suspect| {
            let is_this =
                (suspect.device, suspect.session) == (device, session) && !suspect.is_over;
            suspect.is_over |= is_this;
            !is_this || by_goodbye || ground.now - suspect.at > patience
        });
    }

    /// A conversation is settled up to a sequence.
    pub fn settle(&mut self, ground: &Ground, conversation: usize, to: u32) {
        let log = &ground.logs[conversation];
        for &who in ground.pairs.of_conversation(conversation) {
            let suspects = (who, 0, 0)..=(who, to, usize::MAX);
            for (&(_, sequence, _), suspect) in self.suspects.range_mut(suspects) {
                suspect.sent_at = suspect.sent_at.or(log.get(sequence).sent_at());
            }
        }
        // Whoever has it by now has shown it in another session, or had no stream when it was sent.
        self.suspects.retain(|&(who, sequence, _), suspect| {
            ground.pairs.whos[who as usize].conversation as usize != conversation
                || sequence > to
                || (suspect.shown && suspect.was_present(None))
        });
    }

    /// The notifications to users who were present, and when each was made. What is excused is counted.
    pub fn finish(&self, ground: &Ground, tally: &mut Tally) -> BTreeMap<Target, u64> {
        let (mut present, mut excused) = (BTreeMap::new(), BTreeMap::new());
        for (&(who, sequence, _), suspect) in &self.suspects {
            let state = &ground.pairs.whos[who as usize];
            let entry = ground.logs[state.conversation as usize].get(sequence);
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
