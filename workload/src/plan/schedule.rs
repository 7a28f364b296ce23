//! The operations of a slice of the users, one after another, without holding them in memory: what is drawn,
//! and what faults add beside it; or those of a recording.

use super::Plan;
use super::arrivals::Arrivals;
use super::beside::Beside;
use super::operation::{self, Operation};
use super::visits::Visits;
use std::iter::Peekable;
use std::ops::Range;
use std::time::Duration;

/// Operations in the order of time.
#[derive(Debug)]
pub struct Schedule<'a> {
    source: Peekable<Source<'a>>,
    beside: Peekable<Beside<'a>>,
    users: Range<u32>,
}

#[derive(Debug)]
enum Source<'a> {
    Drawn(Box<Draws<'a>>),
    Visits(Box<Visits<'a>>),
    Recorded(std::slice::Iter<'a, Operation>),
}

#[derive(Debug)]
struct Draws<'a> {
    plan: &'a Plan,
    arrivals: Peekable<std::iter::Enumerate<Arrivals<'a>>>,
    poison: u32,
    /// Operations of anybody so far.
    drawn: u64,
}

impl<'a> Schedule<'a> {
    pub(super) fn new(plan: &'a Plan, users: Range<u32>) -> Self {
        let drawn = || {
            let arrivals = Arrivals::new(plan.load.arrivals, &plan.rates, plan.seed);
            let arrivals = arrivals.enumerate().peekable();
            Source::Drawn(Box::new(Draws { plan, arrivals, poison: 0, drawn: 0 }))
        };
        let source = match (&plan.recorded, plan.load.visits) {
            (Some(recorded), _) => Source::Recorded(recorded.iter()),
            (None, Some(visits)) => Source::Visits(Box::new(Visits::new(plan, visits))),
            (None, None) => drawn(),
        };
        // A recording has them.
        let beside = if plan.recorded.is_some() { &[] } else { &plan.beside[..] };
        let beside = Beside::new(plan, beside).peekable();
        Self { source: source.peekable(), beside, users }
    }
}

impl Draws<'_> {
    /// When the next poison is due: they are spread evenly over the load.
    fn poison_at(&self) -> Option<Duration> {
        let all = self.plan.load.poison;
        (self.poison < all)
            .then(|| self.plan.load_for().mul_f64((f64::from(self.poison) + 0.5) / f64::from(all)))
    }

    /// When the next operation of anybody is due, its number, and whether it is poison.
    fn due(&mut self) -> Option<(Duration, u64, bool)> {
        let arrival = self.arrivals.peek().copied();
        if let Some(at) = self.poison_at()
            && arrival.is_none_or(|(_, arrival)| at <= arrival)
        {
            self.poison += 1;
            return Some((at, u64::from(self.poison), true));
        }
        let (number, at) = self.arrivals.next()?;
        Some((at, number as u64, false))
    }
}

impl Iterator for Draws<'_> {
    type Item = Operation;

    fn next(&mut self) -> Option<Operation> {
        loop {
            let (at, number, poison) = self.due()?;
            self.drawn += 1;
            let drawn = operation::draw(self.plan, self.drawn, at, number, poison);
            if drawn.is_some() {
                return drawn;
            }
        }
    }
}

impl Iterator for Source<'_> {
    type Item = Operation;

    fn next(&mut self) -> Option<Operation> {
        match self {
            Self::Drawn(all) => all.next(),
            Self::Visits(all) => all.next(),
            Self::Recorded(all) => all.next().copied(),
        }
    }
}

impl Iterator for Schedule<'_> {
    type Item = Operation;

    fn next(&mut self) -> Option<Operation> {
        // Every slice draws every operation: the draw is a few dozen nanoseconds, and only so does the plan
        // not depend on the slices.
        loop {
            let operation = match (self.source.peek(), self.beside.peek()) {
                (Some(drawn), Some(beside)) if beside.at < drawn.at => self.beside.next(),
                (None, Some(_)) => self.beside.next(),
                _ => self.source.next(),
            }?;
            if self.users.contains(&(operation.user.0 as u32)) {
                return Some(operation);
            }
        }
    }
}
