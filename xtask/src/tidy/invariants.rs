//! The judge's catalogue, its files, the design choices and their documentation agree: every claim
//! has a file, every bad option has a row that names a claim which says that it catches it, and choices
//! without a bad option are compared.

use super::Finding;
use crate::repository::{Repository, TextFile};
use std::path::Path;
use verify::{CATALOGUE, Claim};

const FOLDER: &str = "verify/src/invariants/";
const TABLE: &str = "verify/src/invariants/mod.rs";
const PAGE: &str = "docs/design-choices.md";

pub fn check(repository: &Repository) -> Vec<Finding> {
    let (sound, risky): (Vec<&str>, Vec<&str>) =
        scenarios::design_choices().iter().partition(|key| scenarios::is_sound_design(key));
    let bad_options: Vec<String> = risky
        .into_iter()
        .flat_map(|key| {
            let bad = scenarios::design_options(key).iter().skip(1);
            bad.map(move |option| format!("{key}={option}"))
        })
        .collect();
    let mut findings = files(repository, CATALOGUE);
    findings.extend(catches(CATALOGUE, &bad_options));
    match repository.get(PAGE) {
        Some(page) => {
            findings.extend(documented(page, CATALOGUE, &bad_options));
            findings.extend(compared(page, &sound));
        }
        None => findings.push(Finding::new(PAGE, 1, "the page is missing", "write it")),
    }
    findings
}

/// Claims without a file, files without a claim.
fn files(repository: &Repository, catalogue: &[Claim]) -> Vec<Finding> {
    let mut findings = Vec::new();
    for claim in catalogue {
        let path = format!("{FOLDER}{}.rs", claim.name);
        if !repository.has(&path) {
            let what = format!("the claim {} has no file", claim.name);
            findings.push(Finding::new(TABLE, 1, what, format!("write {path}")));
        }
    }
    for file in repository.rust() {
        let Some(name) = file.path.strip_prefix(FOLDER) else { continue };
        let stem = Path::new(name).file_stem().and_then(|stem| stem.to_str()).unwrap_or_default();
        let is_claim = catalogue.iter().any(|claim| claim.name == stem);
        if stem != "mod" && !name.contains('/') && !is_claim {
            let remedy = format!("give it a row in {TABLE}, or move it elsewhere");
            findings.push(Finding::new(&file.path, 1, "a file that is no claim", remedy));
        }
    }
    findings
}

/// Options in the catalogue that no design has.
fn catches(catalogue: &[Claim], bad_options: &[String]) -> Vec<Finding> {
    let wrong = |claim: &Claim| {
        let unknown =
            claim.catches.iter().filter(|option| !bad_options.contains(&(**option).into()));
        let finding = |option| {
            let what = format!("{} catches {option}, which is no bad option", claim.name);
            Finding::new(TABLE, 1, what, "see cluster/protocol/src/design.rs")
        };
        unknown.map(finding).collect::<Vec<_>>()
    };
    catalogue.iter().flat_map(wrong).collect()
}

/// Rows of the page against the catalogue: `| # | key | bad option | caught by | shown by |`.
fn documented(page: &TextFile, catalogue: &[Claim], bad_options: &[String]) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut explained = Vec::new();
    for (line, row) in page.lines().filter(|(_, line)| line.starts_with('|')) {
        let cells: Vec<&str> = row.split('|').collect();
        let [_, _, key, option, caught_by, ..] = cells.as_slice() else { continue };
        let (Some(key), Some(option)) = (code(key).next(), code(option).next()) else { continue };
        let option = format!("{key}={option}");
        for name in code(caught_by) {
            let claim = catalogue.iter().find(|claim| claim.name == name);
            if !claim.is_some_and(|claim| claim.catches.contains(&option.as_str())) {
                let what = format!("{name} does not claim to catch {option}");
                findings.push(Finding::new(PAGE, line, what, format!("see {TABLE}")));
            }
        }
        explained.push(option);
    }
    for option in bad_options.iter().filter(|option| !explained.contains(option)) {
        let what = format!("{option} is not explained");
        findings.push(Finding::new(PAGE, 1, what, "give it a row in the table"));
    }
    findings
}

/// Choices without a bad option: each has a paragraph that links to the page with the comparison.
fn compared(page: &TextFile, sound: &[&str]) -> Vec<Finding> {
    let is_compared = |key: &&str| {
        page.lines().any(|(_, line)| {
            line.starts_with(&format!("**`{key}`**")) && line.contains("](decisions/")
        })
    };
    let missing = sound.iter().filter(|key| !is_compared(key));
    let finding = |key| {
        let remedy = "write a paragraph that begins with its name and links to the decision";
        Finding::new(PAGE, 1, format!("the options of {key} are not compared"), remedy)
    };
    missing.map(finding).collect()
}

/// What stands between backticks.
fn code(cell: &str) -> impl Iterator<Item = &str> {
    cell.split('`').skip(1).step_by(2)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn claim(name: &'static str, catches: &'static [&'static str]) -> Claim {
        Claim {
            name,
            claim: "",
            unit: "",
            source: "",
            since_format: 1,
            catches,
            scope: verify::Scope::Conversation,
        }
    }

    fn told(findings: Vec<Finding>) -> Vec<String> {
        findings.into_iter().map(|finding| finding.what).collect()
    }

    #[test]
    fn claims_without_files_and_files_without_claims_are_found() {
        let repository = Repository::of(&[
            ("verify/src/invariants/mod.rs", ""),
            ("verify/src/invariants/order_agrees.rs", ""),
            ("verify/src/invariants/stray.rs", ""),
        ]);
        let catalogue = [claim("order_agrees", &[]), claim("gap_free", &[])];
        let expected = ["the claim gap_free has no file", "a file that is no claim"];
        assert_eq!(told(files(&repository, &catalogue)), expected);
    }

    #[test]
    fn options_that_no_design_has_are_found() {
        let catalogue = [claim("gap_free", &["order=none", "order=sound"])];
        let expected = ["gap_free catches order=sound, which is no bad option"];
        assert_eq!(told(catches(&catalogue, &["order=none".into()])), expected);
    }

    #[test]
    fn the_page_explains_every_bad_option_and_nothing_that_is_not_so() {
        let page = TextFile {
            path: PAGE.into(),
            text: "| # | key | bad | caught by |\n| 1 | `a` | `b` | `gap_free`, `order_agrees` |\n"
                .into(),
        };
        let catalogue = [claim("gap_free", &["a=b"]), claim("order_agrees", &[])];
        let expected = ["order_agrees does not claim to catch a=b", "a=c is not explained"];
        assert_eq!(told(documented(&page, &catalogue, &["a=b".into(), "a=c".into()])), expected);
    }

    #[test]
    fn a_choice_without_a_bad_option_is_compared() {
        let page = TextFile {
            path: PAGE.into(),
            text: "**`a`** is [compared](decisions/a.md).\n\n**`b`** is not.\n".into(),
        };
        assert_eq!(told(compared(&page, &["a", "b"])), ["the options of b are not compared"]);
    }
}
