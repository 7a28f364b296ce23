//! The sentence of an invariant, from the judge's catalogue.

/// What an invariant claims, if the catalogue knows it.
pub(crate) fn of(_invariant: &str) -> Option<&'static str> {
    None
}
