//! What the users of a scenario do.

use super::Size;
use std::time::Duration;

/// What users do.
#[derive(Clone, Debug, PartialEq)]
pub struct Load {
    /// How operations are spread in time; always open loop.
    pub arrivals: Arrivals,
    /// One after another.
    pub phases: Vec<LoadPhase>,
    /// Shares of the operations; they add up to 1.
    pub mix: Mix,
    /// How unequally users act, and their conversations are used.
    pub activity: Activity,
    /// What arrives are visits, and in them users act by their own clocks.
    pub visits: Option<Visits>,
    /// Length of the bodies, in bytes.
    pub body: Size,
    /// Sends of an unknown format (poison), evenly over the load.
    pub poison: u32,
    /// How many users read slowly, and how slowly.
    pub slow_readers: Option<SlowReaders>,
    /// How many users' devices go dead, and when.
    pub vanishing: Option<Vanishing>,
    /// How often each device reports its cursors.
    pub receipts_every: Duration,
}

impl Load {
    /// Whether all of the load comes at one rate.
    pub fn has_one_rate(&self) -> bool {
        let first = self.phases.first().map(|phase| phase.rate);
        matches!(first, Some(Rate::Constant(_)))
            && self.phases.iter().all(|phase| Some(phase.rate) == first)
    }
}

/// How operations are spread in time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Arrivals {
    /// Exponential gaps.
    Poisson,
    /// Equal gaps.
    Constant,
}

/// A rate for a while.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LoadPhase {
    /// How long.
    pub lasts: Duration,
    /// Operations per second over all users.
    pub rate: Rate,
}

/// How a rate, per second, goes over the time of a phase.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Rate {
    /// Always this.
    Constant(f64),
    /// Evenly from the first to the second.
    Ramp(f64, f64),
    /// From the first to the second in so many steps of one length and one height; at least two.
    Staircase(f64, f64, u32),
    /// At the first, and in the middle for a while at the second.
    Spike(f64, f64),
    /// One day: from its quietest hour, at the first, over its busiest one, at the second, and back.
    Diurnal(f64, f64),
}

/// Exponents of Zipf's law: the user (the conversation) of rank r is drawn in proportion to r to the
/// minus exponent. 0: all alike.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Activity {
    /// Over the users.
    pub users: f64,
    /// Over the conversations of a user.
    pub conversations: f64,
}

/// Users come, stay for a while, and go: the sessions of a partly-open system.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Visits {
    /// How long a user stays, on average.
    pub stay: Duration,
    /// Between two operations of one user, on average.
    pub think: Duration,
    /// Replies that a message gets, on average, if everybody sees it.
    pub replies: f64,
    /// A message is replied to no sooner after it was shown,
    pub reply_after_min: Duration,
    /// and no later.
    pub reply_after_max: Duration,
}

/// Shares of the operations.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Mix {
    /// New messages.
    pub send: f64,
    /// Messages that answer the newest one that the device has shown.
    pub reply: f64,
    /// Edits of an own, accepted message.
    pub edit: f64,
    /// Deletions of an own, accepted message.
    pub delete: f64,
    /// Backlog pages.
    pub read_history: f64,
    /// A member leaves a group, or somebody joins it.
    pub join_leave: f64,
    /// A device disconnects and comes back.
    pub reconnect: f64,
    /// A user starts typing.
    pub typing: f64,
    /// A user's tokens are revoked, all of them; the user logs in anew a few seconds later.
    pub revoke: f64,
    /// A device logs out, and in again a moment later.
    pub log_out: f64,
}

/// Devices that stop reading for a while, again and again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SlowReaders {
    /// How many users (the first ones).
    pub users: u32,
    /// They do not read for this long,
    pub stall: Duration,
    /// then read for this long.
    pub read: Duration,
}

/// Devices whose network is gone without a word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Vanishing {
    /// How many users (the last ones who are not offline).
    pub users: u32,
    /// How long after the beginning of the load.
    pub after: Duration,
}
