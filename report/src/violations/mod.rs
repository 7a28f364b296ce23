//! How the violations of a run are told: the likeliest cause first, and under it what usually breaks
//! with it.
//!
//! Everything comes from the judgement and its evidence. What breaks with what is a rule of thumb that
//! is known beforehand (`causes`), and no finding of this run.

mod causes;
pub(crate) mod diagram;
mod fault;
mod lines;
mod sentence;

use std::collections::BTreeSet;
use verify::history::path::Message;
use verify::verdict::{Evidence, Finding, Judgement};

pub(crate) use sentence::sentence;

/// A violated invariant, and those that usually are with it.
pub(crate) struct Group<'a> {
    /// The one to look at.
    pub(crate) first: &'a Finding,
    /// What usually follows from it, in the order of time.
    pub(crate) consequences: Vec<&'a Finding>,
}

/// The violated invariants, the likeliest causes first.
pub(crate) fn grouped(judgement: &Judgement) -> Vec<Group<'_>> {
    let mut violated: Vec<&Finding> =
        judgement.findings.iter().filter(|found| found.violations > 0).collect();
    violated.sort_by_key(|found| (causes::tier(found), seen_at(found)));
    let mut groups: Vec<Group> = Vec::new();
    for found in violated {
        let cause = groups.iter_mut().find(|group| causes::explains(group.first, found));
        match cause {
            Some(group) => group.consequences.push(found),
            None => groups.push(Group { first: found, consequences: Vec::new() }),
        }
    }
    for group in &mut groups {
        group.consequences.sort_by_key(|found| seen_at(found));
    }
    groups
}

/// The violation to look at first: the earliest of the likeliest cause.
pub(crate) fn leading(judgement: &Judgement) -> Option<(&Finding, &Evidence)> {
    grouped(judgement).iter().find_map(|group| earliest_of(group.first))
}

/// The earliest violation of all, if it is another one.
pub(crate) fn earlier(judgement: &Judgement) -> Option<(&Finding, &Evidence)> {
    let (_, leading) = leading(judgement)?;
    let all = judgement.findings.iter().filter_map(earliest_of);
    all.min_by_key(|(_, shown)| shown.at).filter(|(_, shown)| shown.at < leading.at)
}

/// The messages that the evidence of violations is about, to be followed when the run is made again.
pub fn messages(judgement: &Judgement) -> Vec<Message> {
    let all = judgement.findings.iter().flat_map(|found| &found.evidence);
    let of = |shown: &Evidence| {
        let events = lines::lines(shown).into_iter().map(|line| line.event.is);
        events.filter_map(|event| event.message()).collect::<Vec<_>>()
    };
    let messages: BTreeSet<Message> = all.flat_map(of).collect();
    messages.into_iter().collect()
}

fn earliest_of(found: &Finding) -> Option<(&Finding, &Evidence)> {
    Some((found, found.evidence.iter().min_by_key(|shown| shown.at)?))
}

/// When an invariant was violated first, as far as there is evidence.
fn seen_at(found: &Finding) -> u64 {
    earliest_of(found).map_or(u64::MAX, |(_, shown)| shown.at)
}

#[cfg(test)]
pub(crate) mod fixture;
#[cfg(test)]
mod tests;
