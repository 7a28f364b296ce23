//! Users of the REST interface, driven by goose: they sign in, make conversations, page through backlogs,
//! leave groups and come back.
//!
//! Goose keeps the users, their times to think, and the connections, and makes every request. What it would
//! make of the latencies is left aside: they go into the history, like everything that happens, and are
//! measured and judged from there. Who the users are and where each goes next is part of the plan
//! (`workload::plan::Journeys`).

mod attack;
mod backlog;
mod call;
mod context;
mod creation;
mod membership;
mod output;
mod sign_in;
mod user;

pub use attack::drive;
pub use output::keep_ours;
