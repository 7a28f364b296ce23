//! Which events of an evidence a reader needs, and which of them is the violation.

use super::super::lines::{Line, names_its_moment, promise};
use super::step::{entry_of, of_message};
use std::collections::BTreeSet;
use verify::history::event::{Device, What};
use verify::verdict::Evidence;

/// More than that nobody follows.
const STEPS_MAX: usize = 8;

/// Sessions and streams of a device that began longer before the message have nothing to do with it.
const RELATED_US: u64 = 1_000_000;

/// The events, in their order; whether it is the one that shows the violation.
pub(super) fn chosen<'a>(shown: &Evidence, lines: &'a [Line]) -> Vec<(&'a Line, bool)> {
    let violation = violation(shown, lines);
    let of = |line: Option<&Line>| line.and_then(|line| of_message(&line.event.is));
    let about = About {
        subject: subject(shown, lines),
        other: of(violation),
        device: violation.and_then(|line| line.event.is.device()),
    };
    let mut seen = BTreeSet::new();
    let mut ranked: Vec<(u8, &Line)> = Vec::new();
    // What comes behind the violation is not needed to see it.
    let last = violation.map_or(usize::MAX, |line| line.number);
    let is_subject =
        |line: &&Line| about.subject.is_some() && of_message(&line.event.is) == about.subject;
    let begins = lines.iter().find(is_subject).map_or(0, |line| line.event.at);
    let from = begins.saturating_sub(RELATED_US);
    let may_matter = |line: &&Line| line.number <= last && line.event.at >= from;
    for line in lines.iter().filter(may_matter) {
        let is_violation = violation.is_some_and(|one| one.number == line.number);
        let rank = if is_violation { Some(0) } else { about.rank(&line.event.is, &mut seen) };
        ranked.extend(rank.map(|rank| (rank, line)));
    }
    ranked.sort_by_key(|(rank, _)| *rank);
    ranked.truncate(STEPS_MAX);
    ranked.sort_by_key(|(_, line)| line.number);
    ranked.into_iter().map(|(rank, line)| (line, rank == 0)).collect()
}

/// The message that the evidence is about, by its author and the author's id for it.
pub(super) fn subject(shown: &Evidence, lines: &[Line]) -> Option<(u64, u64)> {
    // What something is missing of is what the lines are about.
    let named = || lines.iter().rev().find(|line| of_message(&line.event.is).is_some());
    let line = promise(shown, lines).or_else(|| violation(shown, lines)).or_else(named);
    line.and_then(|line| of_message(&line.event.is))
}

/// The event that shows the violation: what contradicts the promise, or what happened at its moment. `None`:
/// something is missing.
fn violation<'a>(shown: &Evidence, lines: &'a [Line]) -> Option<&'a Line> {
    let Some(promise) = promise(shown, lines) else {
        let is_now = |line: &&Line| line.event.at == shown.at && !is_of_user(&line.event.is);
        return lines.iter().rev().find(is_now).filter(|_| !names_its_moment(shown));
    };
    let What::Accepted { conversation, sequence, .. } = promise.event.is else { return None };
    let message = of_message(&promise.event.is);
    let contradicts = |line: &&Line| {
        let place = match &line.event.is {
            What::Accepted { conversation, sequence, .. } => Some((*conversation, *sequence)),
            other => entry_of(other).map(|entry| (entry.conversation, entry.sequence)),
        };
        place == Some((conversation, sequence)) && of_message(&line.event.is) != message
    };
    lines.iter().filter(|line| line.number > promise.number).find(contradicts)
}

/// Whether an event is something that users do: it violates nothing, and only happens to be at that moment.
const fn is_of_user(event: &What) -> bool {
    matches!(
        event,
        What::Sent { .. }
            | What::Resent { .. }
            | What::ReadBegan { .. }
            | What::ReceiptSent { .. }
            | What::MemberAsked { .. }
            | What::Back { .. }
    )
}

/// What is told once: of a message an answer with a sequence, or that somebody shows it.
type Once = (Option<(u64, u64)>, Option<u64>);

/// What the diagram is about.
struct About {
    /// The message that was promised something, or that is wrong.
    subject: Option<(u64, u64)>,
    /// The message of the event that shows the violation.
    other: Option<(u64, u64)>,
    /// The device where the violation shows.
    device: Option<Device>,
}

impl About {
    /// How much an event is needed, 1 most; `None`: not at all.
    fn rank(&self, event: &What, seen: &mut BTreeSet<Once>) -> Option<u8> {
        let message = of_message(event);
        let is_subject = message.is_some() && message == self.subject;
        let is_told = is_subject || (message.is_some() && message == self.other);
        let is_here = self.device.is_some() && event.device() == self.device;
        match event {
            What::Accepted { sequence, .. } if is_told => {
                let is_first = seen.insert((message, Some(sequence.0)));
                is_first.then_some(if is_subject { 1 } else { 2 })
            }
            What::Sent { .. } if is_subject => Some(1),
            What::Sent { .. } | What::Rejected { .. } if is_told => Some(2),
            What::Resent { .. } | What::Unanswered { .. } | What::Stored { .. } if is_told => {
                Some(4)
            }
            _ if is_here => Some(3),
            // Of everybody else who shows the same one is enough.
            What::Shown { device, entry } if is_told && device.user != entry.author => {
                seen.insert((message, None)).then_some(4)
            }
            _ if message.is_none() && event.device().is_none() => Some(3),
            _ => None,
        }
    }
}
