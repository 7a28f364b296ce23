//! Words for a shell.

/// A word as a shell takes it: in quotes, if it has more than plain characters.
pub fn quoted(word: &str) -> String {
    let is_plain = |one: char| one.is_ascii_alphanumeric() || "-_./:=,@%+[]".contains(one);
    let plain = !word.is_empty() && word.chars().all(is_plain);
    if plain { word.to_owned() } else { format!("'{}'", escaped(word)) }
}

/// Between single quotes.
pub fn escaped(word: &str) -> String {
    word.replace('\'', r"'\''")
}
