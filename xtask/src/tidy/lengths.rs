//! No Rust file is longer than a reader can hold; most are much shorter. (Functions are counted by
//! clippy, see `too-many-lines-threshold`.)

use super::Finding;
use crate::repository::Repository;

/// Longer is a finding.
const LONGEST: usize = 400;
/// Longer is counted, so that the trend shows.
pub const LONG: usize = 150;

pub fn check(repository: &Repository) -> Vec<Finding> {
    repository
        .rust()
        .filter_map(|file| {
            let lines = file.lines().count();
            let what = format!("{lines} lines, {LONGEST} at most");
            let remedy = "move a part that can be named into a file of its own";
            (lines > LONGEST).then(|| Finding::new(&file.path, LONGEST + 1, what, remedy))
        })
        .collect()
}

/// How many Rust files are long.
pub fn long_files(repository: &Repository) -> usize {
    repository.rust().filter(|file| file.lines().count() > LONG).count()
}

#[cfg(test)]
mod tests {
    use super::super::told;
    use super::check;

    #[test]
    fn the_line_behind_the_last_allowed_one_is_found() {
        let (longest, longer) = ("//\n".repeat(400), "//\n".repeat(401));
        let files = [("a.rs", longest.as_str()), ("b.rs", longer.as_str()), ("c.md", &longer)];
        assert_eq!(told(check, &files), ["b.rs:401"]);
    }
}
