//! Nothing half done, and nothing of one person's machine, is left in the repository.

use super::Finding;
use crate::repository::{Repository, TextFile};

/// What must not stand where, and what to do about it. The words are put together from halves, so
/// that this file does not find itself.
const LEFTOVERS: [(&str, &str); 9] = [
    (concat!("TO", "DO"), "do it, or write an issue"),
    (concat!("FIX", "ME"), "fix it, or write an issue"),
    (concat!("todo", "!("), "write the code"),
    (concat!("unimpl", "emented!("), "write the code"),
    (concat!("db", "g!("), "remove it"),
    (concat!("#[ig", "nore"), "make the test pass, or remove it"),
    (concat!("/ro", "ot/"), "name no path of one machine"),
    (concat!("/ho", "me/"), "name no path of one machine"),
    (concat!("/wo", "rk/"), "name no path of one machine"),
];

pub fn check(repository: &Repository) -> Vec<Finding> {
    repository.files.iter().filter(|file| is_written_by_hand(file)).flat_map(of_file).collect()
}

/// Lock files and recorded reports are not written by hand.
fn is_written_by_hand(file: &TextFile) -> bool {
    !file.has_extension("lock") && !file.path.starts_with("reports/published/")
}

fn of_file(file: &TextFile) -> Vec<Finding> {
    let on_line = |(line, text): (usize, &str)| {
        let found = LEFTOVERS.iter().find(|(word, _)| text.contains(word))?;
        Some(Finding::new(&file.path, line, format!("`{}` is left over", found.0), found.1))
    };
    file.lines().filter_map(on_line).collect()
}

#[cfg(test)]
mod tests {
    use super::super::told;
    use super::{LEFTOVERS, check};

    #[test]
    fn every_leftover_is_found_where_it_stands() {
        for (word, _) in LEFTOVERS {
            let text = format!("fine\nfine\nlet x = {word}\n");
            assert_eq!(told(check, &[("a.rs", &text), ("Cargo.lock", &text)]), ["a.rs:3"]);
        }
    }
}
