//! Every Rust file says in its first line what it is.

use super::Finding;
use crate::repository::Repository;

pub fn check(repository: &Repository) -> Vec<Finding> {
    repository
        .rust()
        .filter(|file| {
            let first = file.text.lines().next().unwrap_or_default();
            first.strip_prefix("//!").is_none_or(|rest| rest.trim().split(' ').count() < 2)
        })
        .map(|file| {
            let what = "the first line does not say what the file is";
            Finding::new(&file.path, 1, what, "open it with `//! ` and a sentence")
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::super::told;
    use super::check;

    #[test]
    fn a_file_without_a_sentence_is_found() {
        let files = [
            ("good.rs", "//! What this is.\n"),
            ("bare.rs", "use std::fmt;\n"),
            ("curt.rs", "//! placeholder\n"),
            ("empty.rs", ""),
            ("page.md", "no Rust\n"),
        ];
        assert_eq!(told(check, &files), ["bare.rs:1", "curt.rs:1", "empty.rs:1"]);
    }
}
