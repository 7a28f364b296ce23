//! The sentence of an invariant, from the judge's catalogue.

/// What an invariant claims, if the catalogue knows it; a report of an older run may name others.
pub(crate) fn of(invariant: &str) -> Option<&'static str> {
    let claim = verify::CATALOGUE.iter().find(|claim| claim.name == invariant)?;
    Some(claim.claim)
}
