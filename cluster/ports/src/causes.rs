//! Errors for people.

use std::iter::successors;

/// An error with all its causes, in one line.
pub fn with_causes(error: &dyn std::error::Error) -> String {
    let causes = successors(Some(error), |error| error.source());
    causes.map(ToString::to_string).collect::<Vec<_>>().join(": ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("opening the log")]
    struct Opening(#[source] std::io::Error);

    #[test]
    fn causes_follow_what_they_caused() {
        let error = Opening(std::io::Error::other("no room"));
        assert_eq!(with_causes(&error), "opening the log: no room");
    }
}
