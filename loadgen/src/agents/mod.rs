//! Several generators make one run: each drives its share of the users, and one of them leads.
//!
//! The lead (agent 0) starts the cluster or reaches it, makes the conversations, injects the faults and
//! reads everything at the end; the others follow its phases. They meet at an address of the lead, where
//! their clocks are compared, too. Nobody judges here: each writes down what its users saw.

mod clock;
mod company;
mod lead;
mod member;
mod message;
pub mod processes;
#[cfg(test)]
mod tests;

pub use company::Company;
pub use verify::history::{Agent, Clock};

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

/// Between two signs of life.
const BEAT: Duration = Duration::from_millis(200);
/// Who has given none for so long is gone.
const SILENCE: Duration = Duration::from_secs(10);

/// How a run takes place as one of several.
#[derive(Clone)]
pub struct Part {
    /// Which one.
    pub agent: Agent,
    /// `host:port` where the lead listens, and the others find it.
    pub lead: String,
    /// How long agents wait for each other at the beginning.
    pub patience: Duration,
    /// What all of them must have in common, in words.
    pub plan: String,
    /// Agents on this machine: they share its processors.
    pub here: u32,
    /// Hears how they meet.
    pub heard: Arc<dyn Fn(Meeting<'_>) + Send + Sync>,
}

impl fmt::Debug for Part {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { agent, lead, plan, here, .. } = self;
        formatter
            .debug_struct("Part")
            .field("agent", agent)
            .field("lead", lead)
            .field("plan", plan)
            .field("here", here)
            .finish_non_exhaustive()
    }
}

/// How agents meet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Meeting<'a> {
    /// The lead listens there.
    Listens(&'a str),
    /// They have met.
    Met(Met),
}

/// The run that agents make together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Met {
    /// Its number, which the lead has drawn.
    pub run: u64,
    /// How the clock of this agent compares with the lead's, as far as is known yet.
    pub clock: Clock,
}
