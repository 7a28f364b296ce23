//! `unsafe` stands in one file: the simulator's hooks for time and randomness.

use super::Finding;
use crate::repository::{Repository, TextFile};

/// The crate that may, in one file.
const WHERE: &str = "sim/src/";
/// The word, put together from halves, so that this file does not find itself.
const WORD: &str = concat!("uns", "afe");

pub fn check(repository: &Repository) -> Vec<Finding> {
    let files: Vec<(&TextFile, usize)> = repository.rust().filter_map(|file| first(file)).collect();
    let allowed = files.iter().find(|(file, _)| file.path.starts_with(WHERE)).map(|(f, _)| &f.path);
    files
        .iter()
        .filter(|(file, _)| Some(&file.path) != allowed)
        .map(|(file, line)| {
            let remedy = format!("only one file of {WHERE} may: write it in safe Rust");
            Finding::new(&file.path, *line, format!("{WORD} code"), remedy)
        })
        .collect()
}

fn first(file: &TextFile) -> Option<(&TextFile, usize)> {
    let opens = |rest: &str| {
        ["{", "fn", "impl", "extern", "trait", "(no_mangle"]
            .iter()
            .any(|word| rest.trim_start().starts_with(word))
    };
    file.lines()
        .find(|(_, line)| {
            let code = line.split("//").next().unwrap_or_default();
            code.match_indices(WORD).any(|(at, _)| opens(&code[at + WORD.len()..]))
        })
        .map(|(line, _)| (file, line))
}

#[cfg(test)]
mod tests {
    use super::super::told;
    use super::{WORD, check};

    #[test]
    fn a_second_file_is_found() {
        let text = format!("//! {WORD} {{ in a comment }}\n{WORD} {{ }}\n");
        let extern_text = format!("pub {WORD} extern \"C\" fn f() {{}}\n");
        let lint = format!("{WORD}_code = \"deny\"\n");
        let files = [
            ("store/src/a.rs", text.as_str()),
            ("sim/src/hooks.rs", &extern_text),
            ("sim/src/other.rs", &text),
            ("sim/src/lint.rs", &lint),
        ];
        assert_eq!(told(check, &files), ["store/src/a.rs:2", "sim/src/other.rs:2"]);
    }
}
