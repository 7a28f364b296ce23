//! The field's words, not ours: the glossary of STYLE.md lists what is called by which name, and this
//! finds the names that it gives up.

use super::Finding;
use crate::repository::{Repository, TextFile};
use std::collections::BTreeMap;
use std::path::Path;

/// Where the list stands: a table of words in backticks, and what is said instead.
const STYLE: &str = "STYLE.md";
const HEADING: &str = "## Banned words";

pub fn check(repository: &Repository) -> Vec<Finding> {
    let Some(style) = repository.get(STYLE) else {
        return vec![Finding::new(STYLE, 1, "the file is missing", "write it")];
    };
    let banned = banned(style);
    if banned.is_empty() {
        let what = format!("no table under \"{HEADING}\"");
        return vec![Finding::new(STYLE, 1, what, "list the words that are not used")];
    }
    let prose = repository.files.iter().filter(|file| {
        let is_page = Path::new(&file.path).extension().is_some_and(|ending| ending == "md");
        is_page && ![STYLE, "CHANGELOG.md"].contains(&file.path.as_str())
    });
    let own = |file: &&TextFile| !file.path.ends_with("tidy/words.rs");
    repository.rust().filter(own).chain(prose).flat_map(|file| of_file(file, &banned)).collect()
}

/// The words and phrases of the table, with what is said instead.
fn banned(style: &TextFile) -> BTreeMap<String, String> {
    let rows = style.lines().map(|(_, line)| line).skip_while(|line| *line != HEADING).skip(1);
    let rows = rows.take_while(|line| !line.starts_with("## ")).filter(|line| line.contains('`'));
    let mut banned = BTreeMap::new();
    for row in rows {
        let mut cells = row.trim_matches('|').split('|').map(str::trim);
        let (Some(words), Some(instead)) = (cells.next(), cells.next()) else { continue };
        for word in words.split('`').skip(1).step_by(2) {
            banned.insert(word.to_owned(), instead.to_owned());
        }
    }
    banned
}

fn of_file(file: &TextFile, banned: &BTreeMap<String, String>) -> Vec<Finding> {
    let on_line = |(line, text): (usize, &str)| {
        let words = words(text);
        let (word, instead) = banned.iter().find(|(word, _)| says(&words, word))?;
        Some(Finding::new(&file.path, line, format!("\"{word}\""), format!("say {instead}")))
    };
    file.lines().filter_map(on_line).collect()
}

/// The words of a line in lower case, with those inside of identifiers.
fn words(text: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    let mut last = ' ';
    for c in text.chars() {
        let begins = !c.is_alphabetic() || (c.is_uppercase() && last.is_lowercase());
        if begins && words.last().is_some_and(|word| !word.is_empty()) {
            words.push(String::new());
        }
        if c.is_alphabetic()
            && let Some(word) = words.last_mut()
        {
            word.extend(c.to_lowercase());
        }
        last = c;
    }
    words
}

/// Whether a line says a word (also with an s), or a phrase of several.
fn says(words: &[String], phrase: &str) -> bool {
    let phrase: Vec<&str> = phrase.split(' ').collect();
    let is = |word: &String, wanted: &&str| {
        word == wanted || word.strip_suffix('s').is_some_and(|one| one == *wanted)
    };
    words.windows(phrase.len()).any(|found| found.iter().zip(&phrase).all(|(a, b)| is(a, b)))
}

#[cfg(test)]
mod tests {
    use super::super::told;
    use super::check;

    const STYLE: &str = "# Style\n## Banned words\n| not | but |\n| --- | --- |\n\
                         | `crew`, `good order` | something else |\n## Files\n| `a.rs` | no word |\n";

    #[test]
    fn words_are_found_in_identifiers_and_phrases_in_prose() {
        let code = "struct TheCrew;\nlet screw = 1;\nlet my_crews = 2;\n// a.rs\n";
        let prose = "It ends in good order.\nIn order, all is good.\n";
        let files = [("STYLE.md", STYLE), ("a.rs", code), ("b.md", prose)];
        assert_eq!(told(check, &files), ["a.rs:1", "a.rs:3", "b.md:1"]);
    }

    #[test]
    fn a_style_without_the_list_is_found() {
        assert_eq!(told(check, &[("STYLE.md", "# Style\n")]), ["STYLE.md:1"]);
        assert_eq!(told(check, &[("a.rs", "")]), ["STYLE.md:1"]);
    }
}
