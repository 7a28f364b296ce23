//! The catalogue of invariants names exactly the files that hold one, and the design choices in the
//! documentation name only invariants of the catalogue.

use super::Finding;
use crate::repository::Repository;
use std::path::Path;

const FOLDER: &str = "verify/src/invariants/";
const CATALOGUE: &str = "verify/src/invariants/mod.rs";
const CHOICES: &str = "docs/design-choices.md";

pub fn check(repository: &Repository) -> Vec<Finding> {
    let Some(catalogue) = repository.get(CATALOGUE) else {
        return vec![Finding::new(CATALOGUE, 1, "the catalogue is missing", "write it")];
    };
    let files: Vec<&str> = repository
        .rust()
        .filter_map(|file| file.path.strip_prefix(FOLDER))
        .filter(|name| !name.contains('/'))
        .filter_map(|name| Path::new(name).file_stem()?.to_str())
        .filter(|name| *name != "mod")
        .collect();
    let claims: Vec<(usize, &str)> = catalogue
        .lines()
        .filter(|(_, line)| !line.trim_start().starts_with("//"))
        .flat_map(|(number, line)| quoted_claims(line).map(move |claim| (number, claim)))
        .collect();
    let mut findings = Vec::new();
    for (line, claim) in claims.iter().filter(|(_, claim)| !files.contains(claim)) {
        let what = format!("the claim {claim} has no file");
        let remedy = format!("write {FOLDER}{claim}.rs, or take it out");
        findings.push(Finding::new(CATALOGUE, *line, what, remedy));
    }
    if claims.is_empty() {
        findings.push(Finding::new(CATALOGUE, 1, "no claim was found", "name each as \"a_claim\""));
    }
    findings.extend(unknown_in_choices(repository, &claims));
    findings
}

/// Claims stand between quotes, in snake case, of two words at least.
fn quoted_claims(line: &str) -> impl Iterator<Item = &str> {
    line.split('"').skip(1).step_by(2).filter(|word| is_claim(word))
}

fn is_claim(word: &str) -> bool {
    let snake = word.chars().all(|c| c.is_ascii_lowercase() || c == '_');
    snake && word.contains('_') && !word.starts_with('_') && !word.ends_with('_')
}

/// The column "caught by" of the documented choices.
fn unknown_in_choices(repository: &Repository, claims: &[(usize, &str)]) -> Vec<Finding> {
    let Some(page) = repository.get(CHOICES) else {
        return vec![Finding::new(CHOICES, 1, "the page is missing", "write it")];
    };
    let mut findings = Vec::new();
    for (number, line) in page.lines().filter(|(_, line)| line.starts_with('|')) {
        let cells: Vec<&str> = line.split('|').collect();
        let Some(caught_by) = cells.get(4) else { continue };
        for claim in caught_by.split('`').skip(1).step_by(2).filter(|word| is_claim(word)) {
            if !claims.iter().any(|(_, known)| *known == claim) {
                let what = format!("{claim} is no invariant of the catalogue");
                findings.push(Finding::new(CHOICES, number, what, format!("see {CATALOGUE}")));
            }
        }
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::super::told;
    use super::check;

    const MOD: &str =
        "//! The table of \"no_such_thing\".\nclaim(\"order_agrees\");\nclaim(\"gap_free\");\n";
    const PAGE: &str = "| # | choice | bad | caught by | shown by |\n\
                        | 1 | `a` | `b` | `order_agrees`, `gap_less` | x |\n";

    #[test]
    fn claims_without_files_and_choices_without_claims_are_found() {
        let files = [
            ("docs/design-choices.md", PAGE),
            ("verify/src/invariants/mod.rs", MOD),
            ("verify/src/invariants/order_agrees.rs", "//! x\n"),
        ];
        let found = ["verify/src/invariants/mod.rs:3", "docs/design-choices.md:2"];
        assert_eq!(told(check, &files), found);
    }

    #[test]
    fn a_missing_catalogue_is_found() {
        assert_eq!(told(check, &[]), ["verify/src/invariants/mod.rs:1"]);
    }
}
