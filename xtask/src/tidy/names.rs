//! Modules are called after what they hold, tests after what they claim.

use super::Finding;
use crate::repository::{Repository, TextFile};
use std::path::Path;

/// Names that say nothing.
const EMPTY_NAMES: [&str; 7] = ["util", "utils", "common", "helper", "helpers", "manager", "misc"];

pub fn check(repository: &Repository) -> Vec<Finding> {
    repository
        .rust()
        .flat_map(|file| module_name(file).into_iter().chain(prefixed_tests(file)))
        .collect()
}

fn module_name(file: &TextFile) -> Option<Finding> {
    let path = Path::new(&file.path);
    let mut parts = path.with_extension("");
    let empty = loop {
        let name = parts.file_name()?.to_string_lossy().into_owned();
        if EMPTY_NAMES.contains(&name.as_str()) {
            break name;
        }
        parts = parts.parent()?.to_owned();
    };
    let what = format!("`{empty}` does not say what the module holds");
    Some(Finding::new(&file.path, 1, what, "name the thing that it is about"))
}

fn prefixed_tests(file: &TextFile) -> Vec<Finding> {
    let prefix = concat!("fn te", "st_");
    file.lines()
        .filter(|(_, line)| line.trim_start().trim_start_matches("async ").starts_with(prefix))
        .map(|(line, _)| {
            let remedy = "name it after its claim: `a_lost_link_loses_its_calls`";
            Finding::new(&file.path, line, "a test is called a test", remedy)
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::super::told;
    use super::check;

    #[test]
    fn empty_names_and_test_prefixes_are_found() {
        let with_prefix = concat!("//! x\n#[test]\n    fn te", "st_it() {}\n");
        let files = [
            ("a/utils.rs", ""),
            ("a/helpers/mod.rs", ""),
            ("a/commonality.rs", ""),
            ("b.rs", with_prefix),
        ];
        assert_eq!(told(check, &files), ["a/utils.rs:1", "a/helpers/mod.rs:1", "b.rs:3"]);
    }
}
