//! What is compacted leaves, so that the memory of the judge does not grow with the length of a run.
//!
//! A log is compacted up to r, the highest sequence that is `keep` or more behind its end and up to which
//! every entry q is this:
//!
//! - it was seen by somebody, always as the same entry, and if it is a send, its author was told q;
//! - whoever is owed q has it: every device that has a stream of the conversation has shown it, and of
//!   a member without such a device a read has it, a notification of it was taken, or none is due
//!   (no message, or the member's own).
//!
//! What is not compacted stops r: in a sound run little is kept, in a broken one the evidence is. Two
//! kinds of entries are kept aside instead (`LogEntry::stays`). Of the others a sum of fingerprints
//! stays, and the final read must come to the same; and the fingerprint of one in eight or more (`samples`). A send is forgotten when its sequence is
//! compacted. Nothing is compacted any more once the final read of a conversation began.
//!
//! What is lost: another content at a compacted sequence that is no sample, if it appears in a repetition or a read
//! (not in the final read); these are counted in the claims concerned. They do not make a verdict unknown: all
//! who were owed the entry had been judged when they saw it first.

use super::State;
use super::conversations::LogEntry;
use super::intervals::Intervals;
use super::ledger::{Record, status};
use crate::history::event::Header;
use std::ops::Range;

/// How many entries of a log and sends of a device stay in any case. When there are twice as many, it
/// is time to compact.
pub(crate) struct Keep {
    entries: u32,
    records: usize,
}

/// Entries of all logs, and sends of all devices, that stay in any case: 32 MiB each.
const ALL: u32 = 1 << 20;

impl Keep {
    /// For a header; `entries`: so many, as a test wants it.
    pub fn new(header: &Header, entries: Option<u32>) -> Self {
        let devices = header.users.saturating_mul(header.devices_per_user);
        let records = entries.unwrap_or_else(|| (ALL / devices.max(1)).clamp(16, 256));
        let entries =
            entries.unwrap_or_else(|| (ALL / header.conversations.max(1)).clamp(64, 4_096));
        // What retention may have removed is missing in the sum.
        let retained = header.retention.map_or(0, |kept| u32::try_from(kept).unwrap_or(u32::MAX));
        Self { entries: entries.max(retained), records: records as usize }
    }
}

impl State {
    /// Whether it may be time to compact something of a conversation.
    pub fn is_due(&self, conversation: usize) -> bool {
        let log = &self.logs[conversation];
        log.live() as u64 > 2 * u64::from(self.keep.entries) && log.live() > log.compact_from
    }

    /// Up to where a conversation can be compacted now, if that is more than before.
    pub fn compacts_to(&mut self, conversation: usize) -> Option<u32> {
        let log = &mut self.logs[conversation];
        // Not again for every event, if something does not compact.
        log.compact_from = log.live() + self.keep.entries as usize;
        if log.is_read || self.run.judged_at.is_some() {
            return None;
        }
        let log = &self.logs[conversation];
        let low = log.compacted_to() + 1;
        let end = log.reach().saturating_sub(self.keep.entries);
        let mut high = (low..=end)
            .find(|&sequence| !is_agreed(&log.get(sequence)))
            .map_or(end, |first| first - 1);
        for &who in self.pairs.of_conversation(conversation) {
            let member = &self.pairs.members[who as usize];
            if high < low || member.is_gone(low) {
                continue;
            }
            high = self.missing(who, low..high + 1).map_or(high, |first| first - 1);
        }
        (high >= low).then_some(high)
    }

    /// The first sequence of a range that somebody is owed and does not have.
    fn missing(&self, who: u32, range: Range<u32>) -> Option<u32> {
        let (low, high) = (range.start, range.end - 1);
        let member = &self.pairs.members[who as usize];
        let log = &self.logs[member.conversation as usize];
        let is_owed = |sequence| member.is_in(sequence) && !member.departs(sequence, u32::MAX);
        let pairs = (0..self.header.devices_per_user).map(|device| self.pairs.pair_of(who, device));
        let pairs = pairs.map(|pair| self.pairs.pair(pair)).filter(|pair| pair.stream.known);
        let unshown = pairs
            .clone()
            .filter_map(|pair| pair.shown.first_hole(low.max(pair.stream.base + 1), high, is_owed));
        let is_unknown = |sequence| {
            let entry = log.get(sequence);
            entry.is_message
                && entry.author != member.user + 1
                && is_owed(sequence)
                && !member.read.contains(sequence)
                && !member.pushed.contains(sequence)
                && !pairs.clone().any(|pair| pair.shown.contains(sequence))
        };
        // One of the sets has next to everything.
        let fullest = pairs.clone().map(|pair| &pair.shown).next().unwrap_or(&member.pushed);
        unshown.chain(fullest.first_hole(low, high, is_unknown)).min()
    }

    /// The log is compacted up to a sequence.
    pub fn compact(&mut self, conversation: usize, to: u32) {
        let members = self.pairs.of_conversation(conversation).to_vec();
        for who in members {
            let forgets = self.is_inside(who, &self.pairs.members[who as usize].read, to);
            let member = &mut self.pairs.members[who as usize];
            // Nobody asks for these any more.
            member.pushed.forget(to);
            if forgets {
                member.read.forget(to);
            }
        }
        let log = &mut self.logs[conversation];
        log.compact(to);
        log.compact_from = 0;
    }

    /// Whether all that a user has received up to a compacted sequence lies inside of the own membership:
    /// then nobody asks for it any more.
    pub fn is_inside(&self, who: u32, received: &Intervals, to: u32) -> bool {
        let member = &self.pairs.members[who as usize];
        let is_inside = |(low, high): (u32, u32)| {
            low > to || (member.is_in(low) && !member.departs(low, high.min(to)))
        };
        received.all().into_iter().all(is_inside)
    }

    /// The compacted sends of a device that is due, in the order of their ids.
    pub fn compactable_records(&self, sender: usize) -> Vec<Record> {
        let records = self.ledger.of_sender(sender);
        let old = &records[..records.len() - self.keep.records.min(records.len())];
        old.iter().filter(|record| self.is_compacted(sender, record)).copied().collect()
    }

    /// Whether a device has so many sends that it may be time to compact some.
    pub fn are_sends_due(&self, sender: usize) -> bool {
        // Sends that do not compact stay: it is tried once for each so many further ones.
        let sends = self.ledger.of_sender(sender).len();
        sends >= 2 * self.keep.records && sends.is_multiple_of(self.keep.records.max(1))
    }

    fn is_compacted(&self, sender: usize, record: &Record) -> bool {
        const OTHERWISE: u32 = status::FINAL | status::LETTER | status::REQUEUED | status::TWICE;
        let user = sender as u32 / self.header.devices_per_user;
        record.acked != 0
            && record.acked == record.seen
            && record.is(status::ACCEPTED)
            && !record.is(OTHERWISE)
            && self.logs[record.conversation as usize].is_compacted(record.acked)
            && self
                .pairs
                .find(user, record.conversation)
                .is_some_and(|who| self.pairs.members[who as usize].is_in(record.acked))
    }
}

/// Whether everybody who saw an entry, or was told of it, agrees on it.
const fn is_agreed(entry: &LogEntry) -> bool {
    if entry.stays() {
        return !entry.disputed;
    }
    let is_told = if entry.is_change { entry.acked == 0 } else { entry.acked == entry.seen };
    entry.seen != 0 && !entry.disputed && is_told && entry.stored == 0
}

#[cfg(test)]
mod tests {
    use crate::history::builder::{Builder, History};
    use crate::history::event::{Event, Said, What};
    use crate::history::soak::{self, Soak};
    use crate::invariants::CATALOGUE;
    use crate::verdict::Finding;
    use crate::{Judge, JudgeOptions, Judgement, Verdict};
    use std::cell::RefCell;
    use std::rc::Rc;

    const KEEP: u32 = 4;

    fn judge_of(header: &crate::history::Header) -> Judge {
        let may_be_idle = CATALOGUE.iter().map(|claim| claim.name.to_owned()).collect();
        Judge::new(header, JudgeOptions { may_be_idle, evidence_max: 1, keep: Some(KEEP) })
    }

    fn judge(history: &History) -> Judgement {
        let mut judge = judge_of(&history.header);
        history.events.iter().for_each(|event| judge.observe(event));
        judge.finish()
    }

    fn violated(history: &History) -> Vec<String> {
        let violated = |finding: &Finding| finding.verdict == Verdict::Violated;
        let findings = judge(history).findings;
        findings.into_iter().filter(violated).map(|finding| finding.invariant).collect()
    }

    /// Thirty messages that everybody has.
    fn talk() -> Builder {
        let talk = Builder::new(3, 1).group(1, &[1, 2, 3]).connect_all();
        (0..30).fold(talk, |talk, nth| talk.say(nth % 3 + 1, 1))
    }

    #[test]
    fn little_is_kept_of_a_sound_run_of_any_length() {
        let judge = Rc::new(RefCell::new(judge_of(&soak::header())));
        let observer = Rc::clone(&judge);
        let mut soak = Soak::begin(move |event| observer.borrow_mut().observe(&event));
        for _ in 0..20 {
            (0..2_000).for_each(|_| soak.say());
            let judge = judge.borrow();
            let most = judge.state.logs.iter().map(super::super::conversations::Log::live).max();
            assert!(most <= Some(3 * KEEP as usize), "{most:?} entries");
            let sends: usize =
                judge.state.ledger.by_sender().map(|(_, records)| records.len()).sum();
            assert!(sends <= judge.state.devices.len() * 16, "{sends} sends");
            let members = &judge.state.pairs.members;
            let spans =
                members.iter().map(|who| who.pushed.all().len() + who.read.all().len()).max();
            assert!(spans <= Some(3), "{spans:?} spans");
        }
        soak.end();
        let judge = Rc::into_inner(judge).expect("the observer is gone").into_inner();
        let judgement = judge.finish();
        assert_eq!(judgement.verdict, Verdict::Valid, "{judgement:#?}");
        let names: Vec<_> = judgement.findings.iter().filter(|f| f.judged == 0).collect();
        assert!(names.len() <= 8, "{names:#?}");
    }

    #[test]
    fn what_somebody_misses_is_kept() {
        let away = talk().lose(3, 1);
        let history = (0..60).fold(away, |talk, nth| talk.say(nth % 2 + 1, 1)).finish();
        let mut judge = judge_of(&history.header);
        let load = history.events.iter().position(|e| matches!(e.is, What::StoredBegan { .. }));
        let load = load.expect("there is a final read");
        history.events[..load].iter().for_each(|event| judge.observe(event));
        let log = &judge.state.logs[0];
        assert!(log.compacted_to() <= 33 && log.compacted_to() >= 20, "{}", log.compacted_to());
        assert!(log.live() >= 60);
    }

    /// The final read as it is, with one entry of the compacted ones changed.
    fn stored(change: impl Fn(&mut Vec<Event>, usize)) -> Vec<String> {
        let mut history = talk().finish();
        let at = |event: &Event| match &event.is {
            What::Stored { entry } => entry.sequence.0 == 8,
            _ => false,
        };
        let at = history.events.iter().position(at).expect("it is stored");
        change(&mut history.events, at);
        violated(&history)
    }

    #[test]
    fn the_final_read_of_what_is_compacted_is_compared() {
        assert_eq!(stored(|_, _| {}), Vec::<String>::new());
        let lost = stored(|events, at| drop(events.remove(at)));
        assert_eq!(lost, ["accepted_message_survives", "no_gap_in_sequence"]);
        let other = stored(|events, at| {
            if let What::Stored { entry } = &mut events[at].is {
                entry.said = Said::Message { hash: 77, parent: None };
            }
        });
        assert_eq!(other, ["accepted_message_survives", "conversation_order_agrees"]);
        let swapped = stored(|events, at| {
            let [one, other] = [events[at].clone(), events[at + 1].clone()];
            if let (What::Stored { entry: a }, What::Stored { entry: b }) =
                (&mut events[at].is, &one.is)
                && let What::Stored { entry: next } = &other.is
            {
                (*a, a.sequence) = (*next, b.sequence);
            }
        });
        assert_eq!(swapped, ["accepted_message_survives", "conversation_order_agrees"]);
    }

    #[test]
    fn a_message_that_was_first_seen_elsewhere_is_not_called_lost() {
        let run = talk().send(1, 1).commit(1).accept(1);
        let (device, mut elsewhere) = (run.device(2, 1), run.log(1)[run.head(1) as usize - 1]);
        elsewhere.sequence.0 += 1;
        let run = run.push(What::Shown { device, entry: elsewhere }).deliver_to(1, 1, 1);
        let shown = run.show(2, 1, 1, 34).deliver_to(3, 1, 1);
        let history = (0..30).fold(shown, |run, nth| run.say(nth % 3 + 1, 1)).finish();
        let found = violated(&history);
        assert!(found.contains(&"no_duplicate_delivery".to_owned()), "{found:?}");
        assert!(!found.contains(&"accepted_message_survives".to_owned()), "{found:?}");
    }

    #[test]
    fn a_compacted_message_that_comes_again_is_noticed() {
        let mut talk = talk();
        let entry = talk.log(1)[8];
        talk = talk.say(1, 1);
        let mut again = entry;
        again.sequence.0 = talk.head(1) + 1;
        let device = talk.device(2, 1);
        let history = talk.push(What::Shown { device, entry: again }).finish();
        assert!(violated(&history).contains(&"no_duplicate_delivery".to_owned()));
    }
}
