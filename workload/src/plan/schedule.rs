//! The operations of a slice of the users, one after another, without holding them in memory.

use super::Plan;
use super::arrivals::Arrivals;
use super::operation::{self, Operation};
use std::ops::Range;
use std::time::Duration;

/// Operations in the order of time.
#[derive(Debug)]
pub struct Schedule<'a> {
    plan: &'a Plan,
    users: Range<u32>,
    arrivals: std::iter::Peekable<std::iter::Enumerate<Arrivals>>,
    poison: u32,
}

impl<'a> Schedule<'a> {
    pub(super) fn new(plan: &'a Plan, users: Range<u32>) -> Self {
        let arrivals = Arrivals::new(&plan.load, plan.heal, plan.seed).enumerate().peekable();
        Self { plan, users, arrivals, poison: 0 }
    }

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

impl Iterator for Schedule<'_> {
    type Item = Operation;

    fn next(&mut self) -> Option<Operation> {
        loop {
            // Every slice draws every operation: the draw is a few dozen nanoseconds, and only so does
            // the plan not depend on the slices.
            let (at, number, poison) = self.due()?;
            if let Some(operation) = operation::draw(self.plan, at, number, poison)
                && self.users.contains(&(operation.user.0 as u32))
            {
                return Some(operation);
            }
        }
    }
}
