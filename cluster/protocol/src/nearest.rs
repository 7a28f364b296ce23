//! The word that was probably meant by a misspelt one, for every error that can name it.

/// Longer texts are no typing mistakes, and comparing them costs the square of their length.
const LONGEST: usize = 128;

/// The nearest of some words (Damerau-Levenshtein), if it is near enough to be meant: at most a third of
/// its letters differ, or two, but never all of them.
pub fn nearest<'a>(word: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    if word.len() > LONGEST {
        return None;
    }
    known
        .into_iter()
        .map(|candidate| (strsim::damerau_levenshtein(word, candidate), candidate))
        .filter(|(distance, candidate)| {
            *distance <= (candidate.len() / 3).max(2) && *distance < candidate.chars().count()
        })
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_word_is_alike_or_absent() {
        let valid = ["members", "kind", "creator", "at"];
        for (given, expected) in [
            ("membrs", Some("members")),
            ("membres", Some("members")),
            ("Kind", Some("kind")),
            ("xyzzy", None),
            ("", None),
            ("no", None),
            (&"m".repeat(1_000), None),
        ] {
            assert_eq!(nearest(given, valid), expected, "{given}");
        }
    }

    #[test]
    fn the_first_of_two_that_are_equally_near_is_meant() {
        assert_eq!(nearest("stor", ["store", "stork"]), Some("store"));
    }
}
