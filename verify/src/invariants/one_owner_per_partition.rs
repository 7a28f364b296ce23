//! **One owner per partition.** Epochs never fall with rising sequence in a conversation; one epoch of
//! a partition names one owner only, in everything that names both (entries, answers, `owner`); what
//! was invoked at a later time than anything of epoch e was seen in a partition is accepted under e or a
//! later epoch, in whichever of its conversations; and after the phase `judge` began no store node says
//! that it owns a partition under an epoch that is older than one seen before that time.
//!
//! - Judged: epochs named.
//! - Excused: nothing.
//! - Broken by: an owner that goes on accepting in one conversation after its successor was seen in
//!   another of the same partition. Not by: an acceptance under the old epoch of a message that was
//!   invoked before the new one was seen, however late the answer arrives.
//!
//! Streaming: per conversation the range of sequences of each epoch, and per partition the owner of
//! each epoch and when it was first seen: they grow with changes of ownership, not with messages.

use super::Check;
use crate::history::event::{Event, What};
use crate::state::merge::Slots;
use crate::state::recent::About;
use crate::state::{State, Step};
use crate::tally::Tally;
use protocol::partition::partition_of;
use protocol::{ConversationId, Epoch, NodeNumber, Partition};

/// The sequences of one epoch in a conversation.
#[derive(Clone, Copy)]
struct EpochRange {
    epoch: u64,
    low: u32,
    high: u32,
}

/// The owner of one epoch of a partition.
#[derive(Clone, Copy)]
struct Owner {
    epoch: u64,
    node: u16,
    /// When anything of it was first seen.
    seen_at: u64,
    /// When the newest was invoked of what was accepted under it; 0: nothing was.
    invoked_at: u64,
}

#[derive(Default)]
pub(crate) struct Invariant {
    /// Per conversation, by epoch.
    ranges: Vec<Vec<EpochRange>>,
    /// Per partition, by epoch.
    owners: Vec<Vec<Owner>>,
    /// What store nodes said at the end that they own, and when.
    said: Vec<(Partition, Epoch, NodeNumber, u64)>,
    /// Partition of each conversation: its hash is not worked out for every event.
    partitions: Vec<u16>,
}

impl Check for Invariant {
    fn observe(&mut self, state: &State, step: &Step, event: &Event, tally: &mut Tally) {
        let (epoch, owner) = match &event.is {
            What::Shown { entry, .. }
            | What::Received { entry, .. }
            | What::Read { entry, .. }
            | What::Stored { entry } => (entry.epoch, entry.owner),
            What::Accepted { epoch, owner, .. } => (*epoch, *owner),
            What::Owner { partition, owner, epoch } => {
                tally.judged += 1;
                if self.ranges.is_empty() {
                    self.size(state);
                }
                self.owner(state, None, *partition, *epoch, *owner, tally);
                if state.run.judged_at.is_some() {
                    self.said.push((*partition, *epoch, *owner, state.now));
                }
                return;
            }
            _ => return,
        };
        tally.judged += 1;
        if self.ranges.is_empty() {
            self.size(state);
        }
        let partition = Partition(self.partitions[step.conversation]);
        self.owner(state, Some(step), partition, epoch, owner, tally);
        if matches!(event.is, What::Accepted { .. }) {
            self.was_succeeded(state, step, partition, epoch, tally);
        }
        if let Some(other) = self.extend_range(step.conversation, epoch.0, step.sequence) {
            let about = About {
                conversation: Some(step.conversation),
                sequence: Some(step.sequence),
                other: Some(if other.epoch < epoch.0 { other.high } else { other.low }),
                ..About::default()
            };
            tally.violated(state, about, || {
                out_of_order(step.conversation, (step.sequence, epoch.0), other)
            });
        }
    }

    fn merge(&mut self, other: Self, _: &Slots, state: &State, tally: &mut Tally) {
        self.size(state);
        for (partition, owners) in other.owners.into_iter().enumerate() {
            if partition >= self.owners.len() {
                self.owners.resize(partition + 1, Vec::new());
            }
            self.merge_owners(state, partition, &owners, tally);
        }
        for (conversation, ranges) in other.ranges.into_iter().enumerate() {
            if self.ranges[conversation].is_empty() {
                self.ranges[conversation] = ranges;
                continue;
            }
            // An answer named a conversation of another part.
            for EpochRange { epoch, low, high } in ranges {
                for sequence in [low, high] {
                    if let Some(other) = self.extend_range(conversation, epoch, sequence) {
                        let about = About { conversation: Some(conversation), ..About::default() };
                        tally.violated(state, about, || {
                            out_of_order(conversation, (sequence, epoch), other)
                        });
                    }
                }
            }
        }
        self.said.extend(other.said);
    }

    fn finish(&mut self, state: &State, tally: &mut Tally) {
        self.find_old_owners(state, tally);
    }
}

fn out_of_order(conversation: usize, (sequence, epoch): (u32, u64), other: EpochRange) -> String {
    format!(
        "sequence {sequence} of conversation {} is of epoch {epoch}, and epoch {} has {} to {}",
        conversation + 1,
        other.epoch,
        other.low,
        other.high
    )
}

fn two_owners(epoch: u64, partition: usize, one: u16, other: u16) -> String {
    format!("epoch {epoch} of partition {partition} has two owners: store-{one} and store-{other}")
}

/// What was accepted under an old epoch, as two parts show it together.
fn succeeded(partition: usize, old: &Owner, later: &Owner) -> String {
    format!(
        "a message was sent at {:.3} s and accepted under epoch {} of partition {partition}, and store-{} \
         had accepted under epoch {} at {:.3} s",
        old.invoked_at as f64 / 1e6,
        old.epoch,
        later.node,
        later.epoch,
        later.seen_at as f64 / 1e6
    )
}

impl Invariant {
    /// What contradicts what another part saw of a partition's owners.
    fn merge_owners(
        &mut self,
        state: &State,
        partition: usize,
        theirs: &[Owner],
        tally: &mut Tally,
    ) {
        let ours = std::mem::take(&mut self.owners[partition]);
        for (here, there) in [(&*ours, theirs), (theirs, &*ours)] {
            for old in here {
                let later = |owners: &[Owner]| {
                    let is_later = |o: &&Owner| o.epoch > old.epoch && o.seen_at < old.invoked_at;
                    owners.iter().rfind(is_later).copied()
                };
                if let (None, Some(later)) = (later(here), later(there)) {
                    tally.violated(state, About::default(), || succeeded(partition, old, &later));
                }
            }
        }
        let mut all = ours;
        for &theirs in theirs {
            let Some(ours) = all.iter_mut().find(|owner| owner.epoch == theirs.epoch) else {
                all.push(theirs);
                continue;
            };
            if ours.node != theirs.node {
                tally.violated(state, About::default(), || {
                    two_owners(theirs.epoch, partition, ours.node, theirs.node)
                });
            }
            ours.seen_at = ours.seen_at.min(theirs.seen_at);
            ours.invoked_at = ours.invoked_at.max(theirs.invoked_at);
        }
        all.sort_unstable_by_key(|owner| owner.epoch);
        self.owners[partition] = all;
    }

    /// An answer names an epoch whose successor had been seen before the message was invoked.
    fn was_succeeded(
        &mut self,
        state: &State,
        step: &Step,
        partition: Partition,
        epoch: Epoch,
        tally: &mut Tally,
    ) {
        let (Some(open), Some((slot, record))) = (step.answered, step.send) else { return };
        let owners = &mut self.owners[partition.0 as usize];
        if let Some(owner) = owners.iter_mut().rfind(|owner| owner.epoch == epoch.0) {
            owner.invoked_at = owner.invoked_at.max(open.since);
        }
        let is_later = |owner: &&Owner| owner.epoch > epoch.0 && owner.seen_at < open.since;
        let later = owners.iter().rfind(is_later);
        let Some(later) = later else { return };
        let sender = slot.sender as usize;
        let about = About {
            sequence: Some(step.sequence),
            life: Some((later.seen_at, state.now)),
            ..state.about_send(sender, &record)
        };
        tally.violated(state, about, || {
            format!(
                "message {} was sent at {:.3} s and accepted under epoch {epoch} of partition \
                 {partition}, and store-{} had accepted under epoch {} at {:.3} s",
                state.name_of(sender, record.id),
                open.since as f64 / 1e6,
                later.node,
                later.epoch,
                later.seen_at as f64 / 1e6
            )
        });
    }

    /// At the end the owner is the one of the newest epoch.
    fn find_old_owners(&self, state: &State, tally: &mut Tally) {
        let Some(judged_at) = state.run.judged_at else { return };
        for &(partition, epoch, node, at) in &self.said {
            let newest = self.owners[partition.0 as usize].iter().rfind(|o| o.seen_at < judged_at);
            let Some(newest) = newest.filter(|newest| newest.epoch > epoch.0) else { continue };
            tally.violated(state, About { life: Some((at, at)), ..About::default() }, || {
                format!(
                    "at the end store-{node} owns partition {partition} under epoch {epoch}, and epoch \
                     {} of store-{} was seen at {:.3} s",
                    newest.epoch,
                    newest.node,
                    newest.seen_at as f64 / 1e6
                )
            });
        }
    }

    fn size(&mut self, state: &State) {
        let (conversations, partitions) = (state.header.conversations, state.header.partitions);
        self.ranges.resize(conversations as usize, Vec::new());
        if self.owners.len() < partitions as usize {
            self.owners.resize(partitions as usize, Vec::new());
        }
        self.partitions = (1..=u64::from(conversations))
            .map(|c| partition_of(ConversationId(c), partitions.max(1)).0)
            .collect();
    }

    /// Notes a sequence of an epoch; returns an epoch that contradicts it.
    fn extend_range(
        &mut self,
        conversation: usize,
        epoch: u64,
        sequence: u32,
    ) -> Option<EpochRange> {
        let ranges = &mut self.ranges[conversation];
        let at = match ranges.last() {
            Some(last) if last.epoch == epoch => ranges.len() - 1,
            _ => ranges.partition_point(|range| range.epoch < epoch),
        };
        match ranges.get_mut(at) {
            Some(range) if range.epoch == epoch => {
                if (range.low..=range.high).contains(&sequence) {
                    return None;
                }
                range.low = range.low.min(sequence);
                range.high = range.high.max(sequence);
            }
            _ => ranges.insert(at, EpochRange { epoch, low: sequence, high: sequence }),
        }
        let older = at.checked_sub(1).map(|i| ranges[i]).filter(|older| older.high >= sequence);
        older.or_else(|| ranges.get(at + 1).copied().filter(|newer| newer.low <= sequence))
    }

    fn owner(
        &mut self,
        state: &State,
        step: Option<&Step>,
        partition: Partition,
        epoch: Epoch,
        owner: NodeNumber,
        tally: &mut Tally,
    ) {
        if partition.0 as usize >= self.owners.len() {
            self.owners.resize(partition.0 as usize + 1, Vec::new());
        }
        let owners = &mut self.owners[partition.0 as usize];
        let known = match owners.last() {
            Some(last) if last.epoch == epoch.0 => Ok(owners.len() - 1),
            _ => owners.binary_search_by_key(&epoch.0, |known| known.epoch),
        };
        match known {
            Err(at) => {
                let seen_at = state.now;
                owners.insert(at, Owner { epoch: epoch.0, node: owner.0, seen_at, invoked_at: 0 });
            }
            Ok(at) if owners[at].node != owner.0 => {
                let other = owners[at].node;
                let about = About {
                    conversation: step.map(|step| step.conversation),
                    sequence: step.map(|step| step.sequence),
                    ..About::default()
                };
                tally.violated(state, about, || {
                    two_owners(epoch.0, partition.0 as usize, other, owner.0)
                });
            }
            Ok(_) => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::history::What;
    use crate::history::builder::Builder;
    use crate::invariants::tests::{clean, violated};
    use protocol::{Epoch, NodeNumber, Partition};

    const NAME: &str = "one_owner_per_partition";

    fn talk() -> Builder {
        let talk = Builder::new(2, 1).group(1, &[1, 2]).connect_all().say(1, 1).say(2, 1);
        talk.next_epoch().say(1, 1).say(2, 1)
    }

    #[test]
    fn epochs_that_rise_are_clean() {
        assert!(clean(NAME, &talk().finish()).judged > 8);
    }

    #[test]
    fn an_epoch_that_falls_is_noticed() {
        let stale = talk().finish().tampered(|events| {
            for event in events {
                if let What::Stored { entry } = &mut event.is
                    && entry.sequence.0 == 6
                {
                    entry.epoch = Epoch(1);
                    entry.owner = NodeNumber(entry.owner.0 % 3 + 1);
                }
            }
        });
        violated(NAME, &stale);
    }

    #[test]
    fn two_owners_of_one_epoch_are_noticed() {
        let owner = |node| What::Owner {
            partition: Partition(2),
            owner: NodeNumber(node),
            epoch: Epoch(9),
        };
        violated(NAME, &talk().push(owner(1)).push(owner(2)).finish());
        clean(NAME, &talk().push(owner(1)).push(owner(1)).finish());
    }
}
