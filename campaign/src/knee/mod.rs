//! The search for the knee: the highest rate that a cluster sustains.
//!
//! Every level is a whole run of the same scenario at another rate, on a cluster of its own. What is run
//! next is decided in `search`; running a level is left to whoever calls.

pub mod search;

use report::knee::{End, Level};
use search::{Next, Search, Seen};

/// What a search came to.
#[derive(Debug)]
pub struct Found {
    /// All levels, in the order in which they were run.
    pub levels: Vec<Level>,
    /// How it ended.
    pub end: End,
    /// The highest rate that was sustained, and the lowest that was not.
    pub bounds: (Option<f64>, Option<f64>),
}

/// Runs level after level, until the search is over or somebody asks for the end.
///
/// # Errors
/// That of a level that could not be run.
pub fn find<E>(
    mut search: Search,
    mut run: impl FnMut(&Next) -> Result<Level, E>,
    is_asked_to_end: impl Fn() -> bool,
) -> Result<Found, E> {
    let mut levels = Vec::new();
    let end = loop {
        let next = search.next();
        if let Next::End(end) = next {
            break end;
        }
        let level = run(&next)?;
        let seen = Seen { outcome: level.outcome, is_steady: level.point().is_some() };
        levels.push(level);
        // A level that was cut short has shown nothing.
        if is_asked_to_end() {
            break End::Interrupted;
        }
        search.saw(seen);
    };
    Ok(Found { levels, end, bounds: search.bounds() })
}
