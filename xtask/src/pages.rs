//! `cargo xtask pages`: reports in a real browser, on a phone and on a laptop, by day and by night. A page must be
//! one file that asks for nothing else, says nothing on the console, fits without scrolling sideways, can be read,
//! and does what its buttons and links say.

mod browser;
mod make;
mod visit;

use crate::repository::root;
use crate::say;
use anyhow::Context;
use browser::Browser;
use std::path::{Component, Path, PathBuf};
use visit::{VIEWS, View, visit};

/// A page with every mistake that is looked for, and what must be found in it: a check that finds nothing here would
/// find nothing anywhere.
const SPOILED: &str = include_str!("pages/spoiled.html");
const FOUND_IN_IT: [&str; 10] = [
    "pixels too wide",
    "has a contrast of 1.",
    "lies on \"over\"",
    "a button covers \"under\"",
    "does not open",
    "leads to no line",
    "copies nothing",
    "shows no numbers",
    "the console has",
    "it asked for",
];

/// Looks at the pages in these folders, or, without any, at one of every kind, which it makes. Pictures of all of them
/// are left behind. An error says that no browser could be had.
pub fn run(folders: &[&str]) -> anyhow::Result<Result<(), String>> {
    let program = engines::program(&["chromium", "chromium-browser", "google-chrome"], "chromium")?;
    let pages = if folders.is_empty() { make::pages() } else { make::found(folders) };
    let pages = match pages {
        Ok(pages) => pages,
        Err(failed) => return Ok(Err(format!("{failed:#}"))),
    };
    let folder = root().join(make::FOLDER);
    let pictures = folder.join("pictures");
    std::fs::create_dir_all(&pictures).context("making the folder of the pictures")?;
    let mut browser = Browser::start(&program, &folder.join("profile"))?;
    let mut wrong = unseen(&mut browser, &pictures)?;
    for page in &pages {
        let name = page.strip_prefix(root()).unwrap_or(page);
        for view in VIEWS {
            let View { scheme, width } = view;
            let found = visit(&mut browser, page, view, &picture(&pictures, name, view))?;
            let place = format!("{}, {scheme}, {width} pixels", name.display());
            wrong.extend(found.iter().map(|what| format!("{place}: {what}")));
        }
    }
    say(&format!(
        "{} pages looked at, {} times each; pictures are in {}/pictures",
        pages.len(),
        VIEWS.len(),
        make::FOLDER
    ));
    Ok(if wrong.is_empty() { Ok(()) } else { Err(wrong.join("\n")) })
}

/// The mistakes of the spoiled page that are not found.
fn unseen(browser: &mut Browser, pictures: &Path) -> anyhow::Result<Vec<String>> {
    let page = pictures.join("spoiled.html");
    std::fs::write(&page, SPOILED).context("writing the spoiled page")?;
    let found = visit(browser, &page, VIEWS[0], &pictures.join("spoiled.png"))?.join("\n");
    let missed = FOUND_IN_IT.iter().filter(|what| !found.contains(*what));
    Ok(missed.map(|what| format!("in the spoiled page was not found: {what}")).collect())
}

/// `violated-report-dark-390.png`.
fn picture(pictures: &Path, page: &Path, View { scheme, width }: View) -> PathBuf {
    let page = page.strip_prefix(make::FOLDER).unwrap_or(page).with_extension("");
    let named = page.components().filter(|part| matches!(part, Component::Normal(_)));
    let words: Vec<_> = named.map(|part| part.as_os_str().to_string_lossy()).collect();
    pictures.join(format!("{}-{scheme}-{width}.png", words.join("-")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_picture_is_named_by_its_page_and_its_view() {
        let named = |page: &str| picture(Path::new("p"), Path::new(page), VIEWS[1]);
        let expected = Path::new("p/before-1-report-dark-390.png");
        assert_eq!(named("target/pages/before/1/report.html"), expected);
        assert_eq!(named("/before/1/report.html"), expected, "it stays in its folder");
    }
}
