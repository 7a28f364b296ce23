//! Whether the time after the recovery is worse than the time before the faults.

use super::book::Book;
use super::fields::device_of;
use crate::history::event::{Device, Engine, Phase, What};

/// Fewest sends on either side.
const FEWEST: usize = 20;

/// The two sides of the comparison.
struct Sides {
    load: usize,
    first_fault: usize,
    healed: usize,
    load_at: u64,
    first_fault_at: u64,
    recovered_at: u64,
    load_ended_at: u64,
}

/// What was counted: before, after.
#[derive(Default)]
struct Counts {
    accepting: [Vec<u64>; 2],
    showing: [Vec<u64>; 2],
    sends: [u64; 2],
    resends: [u64; 2],
    attempts: [u64; 2],
}

impl Sides {
    fn new(book: &Book<'_>) -> Option<Self> {
        let last = |phase| book.lines.iter().rposition(|line| *line.is == What::Phase(phase));
        let at = |line: usize| book.lines[line].at;
        let (load, load_ended) = (last(Phase::Load)?, last(Phase::Settle)?);
        let first_fault = book.first(|is| matches!(is, What::FaultBegan { .. }))?;
        let healed = book.phase(Phase::Heal)?;
        Some(Self {
            load,
            first_fault: first_fault.min(healed),
            healed,
            load_at: at(load),
            first_fault_at: at(first_fault.min(healed)),
            recovered_at: at(healed) + book.header.deadlines.recovered_us,
            load_ended_at: at(load_ended),
        })
    }

    /// The side of what was wanted at a time and happened at a line.
    fn of(&self, wanted_at: u64, line: usize) -> Option<usize> {
        if line > self.load && line < self.first_fault && wanted_at >= self.load_at {
            Some(0)
        } else if line > self.healed
            && wanted_at > self.recovered_at
            && wanted_at <= self.load_ended_at
        {
            Some(1)
        } else {
            None
        }
    }
}

pub(super) fn is_it_worse_than_before(book: &Book<'_>) -> bool {
    let Some(sides) = Sides::new(book) else { return false };
    let counts = count(book, &sides);
    if book.is_generator_limited() || is_disk_at_fault(book, &sides) {
        return false;
    }
    if counts.accepting.iter().any(|side| side.len() < FEWEST) {
        return false;
    }
    let allowed = if book.header.engine == Engine::Real { 500_000 } else { 50_000 };
    let slower = |[before, after]: [&Vec<u64>; 2]| {
        before.len() >= FEWEST && after.len() >= FEWEST && p90(after) > 3 * p90(before) + allowed
    };
    let per_send =
        [0, 1].map(|side: usize| counts.resends[side] as f64 / counts.sends[side].max(1) as f64);
    let before_us = sides.first_fault_at.saturating_sub(sides.load_at).max(1);
    let after_us = sides.load_ended_at.saturating_sub(sides.recovered_at);
    let devices = book.devices().iter().filter(|device| !book.is_slow(device.user.0)).count();
    let per_us = counts.attempts[0] as f64 / before_us as f64;
    slower(counts.accepting.each_ref())
        || slower(counts.showing.each_ref())
        || per_send[1] > 2.0 * per_send[0] + 0.05
        || counts.attempts[1] as f64 > 2.0 * per_us * after_us as f64 + 1.0 + devices as f64 / 20.0
}

/// Whether the disk stalled for a thirtieth of the time behind the recovery, for no reason of the cluster's.
fn is_disk_at_fault(book: &Book<'_>, sides: &Sides) -> bool {
    let looks: Vec<(u64, u64)> = book
        .lines
        .iter()
        .filter_map(|line| match line.is {
            What::Usage(usage) if &*usage.process == "machine" => {
                Some((line.at, usage.disk_stalled_us?))
            }
            _ => None,
        })
        .collect();
    let (recovered, ended) = (sides.recovered_at, sides.load_ended_at);
    let before = looks.iter().rfind(|(at, _)| *at <= recovered);
    let after = looks.iter().rfind(|(at, _)| *at > recovered && *at <= ended);
    let (Some(before), Some(after)) = (before, after) else { return false };
    let lasted = ended.saturating_sub(recovered).max(1);
    after.1.saturating_sub(before.1) as f64 / lasted as f64 * 3.0 >= 0.1
}

/// The smallest value that nine of ten do not exceed.
fn p90(values: &[u64]) -> u64 {
    let mut sorted = values.to_vec();
    sorted.sort_unstable();
    sorted[(sorted.len() * 9).div_ceil(10) - 1]
}

fn count(book: &Book<'_>, sides: &Sides) -> Counts {
    let mut counts = Counts::default();
    for send in book.sends.iter().filter(|send| !book.is_slow(send.device.user.0)) {
        let end = book.told(send).into_iter().find(|(_, is_answer)| *is_answer);
        let (line, waits_to) = match end {
            None => (book.lines.len(), book.watched_until()),
            Some((line, _)) if matches!(book.lines[line].is, What::Accepted { .. }) => {
                (line, book.lines[line].at)
            }
            Some(_) => continue,
        };
        if wish(book, send.device, line).back_at.is_some_and(|at| send.intended <= at) {
            continue;
        }
        if let Some(side) = sides.of(send.intended, line) {
            counts.accepting[side].push(waits_to.saturating_sub(send.intended).max(1));
        }
    }
    for (number, line) in book.lines.iter().enumerate() {
        let Some(device) = device_of(line.is).filter(|d| !book.is_slow(d.user.0)) else { continue };
        let side = |wanted_at| sides.of(wanted_at, number);
        match line.is {
            What::Shown { entry, .. } => {
                let (c, q) = (entry.conversation, entry.sequence.0);
                let accepted = book.accepted_as(c, q).filter(|a| a.line < number);
                let began = book.stream(device, c, number).began;
                if let (Some(a), Some(began)) = (accepted, began)
                    && book.lines[began].at < a.at
                    && !book.was_shown(device, c, q, number)
                    && let Some(side) = side(a.at)
                {
                    counts.showing[side].push(line.at.saturating_sub(a.at).max(1));
                }
            }
            What::Sent { intended, .. } => add(&mut counts.sends, side(*intended)),
            What::Resent { .. } if !wish(book, device, number).is_first => {
                add(&mut counts.resends, side(line.at));
            }
            What::Opened { .. } | What::ConnectFailed { .. }
                if !wish(book, device, number).is_away =>
            {
                add(&mut counts.attempts, side(line.at));
            }
            _ => {}
        }
    }
    counts
}

const fn add(counts: &mut [u64; 2], side: Option<usize>) {
    if let Some(side) = side {
        counts[side] += 1;
    }
}

/// What the scenario wants of a device's sessions, just before a line.
#[derive(Default)]
struct Wish {
    /// Whether its user's tokens are revoked, and there are no new ones yet.
    lacks_tokens: bool,
    /// Whether it is away by the scenario's wish, and has not tried to come back.
    is_away: bool,
    /// Whether its session is the first behind such a time.
    is_first: bool,
    /// When such a time ended last; the end of all times if it has not.
    back_at: Option<u64>,
}

fn wish(book: &Book<'_>, device: Device, before: usize) -> Wish {
    let mut wish = Wish::default();
    for line in &book.lines[..before] {
        match line.is {
            What::Revoked { user } if *user == device.user => {
                (wish.lacks_tokens, wish.is_away, wish.back_at) = (true, true, Some(u64::MAX));
            }
            What::Granted { user } if *user == device.user => wish.lacks_tokens = false,
            is if device_of(is) != Some(device) => {}
            What::Closed { code, .. } => {
                wish.is_first = false;
                if book.header.is_wanted(*code) {
                    (wish.is_away, wish.back_at) = (true, Some(u64::MAX));
                } else {
                    wish.is_away &= wish.lacks_tokens;
                }
            }
            What::Opened { .. } => {
                wish.is_first |= wish.is_away;
                wish.is_away = false;
                wish.back_at = wish.back_at.map(|at| at.min(line.at));
            }
            What::ConnectFailed { .. } => wish.is_away &= wish.lacks_tokens,
            _ => {}
        }
    }
    wish
}
