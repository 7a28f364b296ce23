//! An entry is seen: on a device, in a read, in the store.

use super::fingerprint::fingerprint;
use super::ledger::status;
use super::members::Learned;
use super::{State, Step, short};
use crate::history::event::{Said, Seen};

/// Where an entry was seen.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Observation {
    Shown,
    Received,
    Read(u32),
    Stored,
}

impl State {
    /// Takes an entry in.
    pub(super) fn entry(&mut self, step: &mut Step, entry: &Seen, observation: Observation) {
        let at = short(entry.sequence);
        step.sequence = at;
        step.fingerprint = fingerprint(entry.author, entry.message, &entry.said);
        step.log = self.logs[step.conversation].get(at);
        let is_stored = observation == Observation::Stored;
        let log = &mut self.logs[step.conversation];
        step.is_compacted = !log.see(at, step.fingerprint, entry, is_stored, self.now);
        step.sample = log.compacted.samples.get(at).filter(|_| step.is_compacted);
        if let Said::Edit { target, .. } | Said::Delete { target } = entry.said {
            step.target = log.get(short(target));
            step.is_old_target = log.is_compacted(short(target));
        }
        if observation != Observation::Stored
            && let Some(user) = self.user_of(step.who)
        {
            self.raise_log_floor(step.conversation, at, user);
        }
        let learned = if is_stored { Learned::Store } else { Learned::Sight };
        self.said(step, entry, learned);
        self.seen(step, at, observation);
    }

    /// What the entry says: a change of membership, or what became of a send.
    fn said(&mut self, step: &mut Step, entry: &Seen, learned: Learned) {
        let at = step.sequence;
        match entry.said {
            Said::Join { user } => {
                self.member_changed(entry.conversation, user, true, at, learned);
            }
            Said::Leave { user } => {
                self.member_changed(entry.conversation, user, false, at, learned);
            }
            Said::Message { .. } | Said::Edit { .. } | Said::Delete { .. } => {
                self.mark(step, entry.author, entry.message, 0);
                if let Some((slot, before)) = step.send
                    && before.seen != at
                    && before.conversation as usize == step.conversation
                {
                    let record = self.ledger.get_mut(slot);
                    if before.seen == 0 {
                        record.seen = at;
                    } else {
                        record.status |= status::TWICE;
                    }
                }
            }
        }
    }

    /// Where it was seen.
    fn seen(&mut self, step: &mut Step, at: u32, observation: Observation) {
        match observation {
            Observation::Shown => {
                self.progress(step);
                let pair = self.pairs.pair_mut(step.pair);
                step.was_shown = pair.shown.contains(at);
                pair.shown.insert(at);
                if !pair.stream.known {
                    (pair.stream.known, pair.stream.base) = (true, at.saturating_sub(1));
                }
                pair.stream.last = pair.stream.last.max(at);
                self.raise_floor(step.who, at);
            }
            Observation::Read(request) => {
                let read = &mut self.pairs.members[step.who as usize].read;
                step.was_read = read.contains(at);
                read.insert(at);
                self.raise_floor(step.who, at);
                // What another conversation has fills no hole in this one.
                if let Some(read) = self.reads.get(step.device, request)
                    && read.conversation as usize == step.conversation
                {
                    read.take(at);
                }
            }
            Observation::Received => {
                self.progress(step);
                self.raise_floor(step.who, at);
            }
            Observation::Stored => {}
        }
    }
}
