//! A kind of mutation: how a sound history is broken, and what must be said of it.

use crate::case::Case;

/// Breaks a history at a position that is drawn; `None`: it has no position for it.
pub type Apply = fn(&mut Case<'_>) -> Option<()>;

#[derive(Clone, Copy)]
pub enum Expected {
    /// This invariant must be violated.
    Caught(&'static str),
    /// Nothing may be violated, for this reason.
    Allowed(&'static str),
}

#[derive(Clone, Copy)]
pub struct Kind {
    pub name: &'static str,
    pub expected: Expected,
    pub apply: Apply,
}

pub const fn caught(name: &'static str, invariant: &'static str, apply: Apply) -> Kind {
    Kind { name, expected: Expected::Caught(invariant), apply }
}

pub const fn allowed(name: &'static str, reason: &'static str, apply: Apply) -> Kind {
    Kind { name, expected: Expected::Allowed(reason), apply }
}
