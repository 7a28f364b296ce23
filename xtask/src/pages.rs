//! `cargo xtask pages`: reports in a real browser. A page must be one file that asks for nothing else, says
//! nothing on the console, and fits a phone without scrolling sideways.

mod server;

use crate::repository::root;
use crate::{asserting, say};
use anyhow::{Context, bail};
use server::Server;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

const PAGE: &str = "/page.html";

/// The width of a small phone, and of a laptop.
const WIDTHS: [u32; 2] = [390, 1_280];

/// A page around the page, which shows by how many pixels it is wider than its frame. A window of a headless
/// Chromium is never narrower than 500 pixels; a frame is.
const FRAME: &str = "<!DOCTYPE html><iframe src=\"/page.html\" width=\"WIDTH\" height=\"2000\" \
    style=\"border: 0\"></iframe><script>addEventListener('load', () => { \
    const page = document.querySelector('iframe').contentWindow; document.documentElement.dataset.beyond = \
    page.document.documentElement.scrollWidth - page.innerWidth; })</script>";

/// What makes the pages of every kind: arguments of `fracas`, and the statuses that are no failure.
const MAKE: [(&[&str], &[i32]); 5] = [
    (
        &[
            "run",
            "owner-killed",
            "--set",
            "design.accept=before_persist",
            "--out",
            "target/pages/violated",
        ],
        &[1],
    ),
    (&["explore", "smoke", "--seeds", "2", "--quiet", "--out", "target/pages/before"], &[0]),
    (
        &[
            "explore",
            "smoke",
            "--seeds",
            "2",
            "--quiet",
            "--set",
            "network.disk_sync=8ms",
            "--out",
            "target/pages/after",
        ],
        &[0],
    ),
    (
        &[
            "compare",
            "target/pages/before",
            "--out",
            "target/pages/compared",
            "--",
            "target/pages/after",
        ],
        &[0],
    ),
    (&["report", "target/pages", "--out", "target/pages"], &[0]),
];

/// Pages that take long to make.
const PUBLISHED: [&str; 2] =
    ["reports/published/knee/knee.html", "reports/published/workday/report.html"];

/// Makes the pages and looks at them. An error says that no browser could be had.
pub fn run() -> anyhow::Result<Result<(), String>> {
    let browser = engines::program(&["chromium", "chromium-browser", "google-chrome"], "chromium")?;
    let folder = root().join("target/pages");
    if folder.exists() {
        std::fs::remove_dir_all(&folder).context("removing earlier pages")?;
    }
    if let Some(failed) = MAKE.iter().find_map(|(arguments, good)| made(arguments, good).err()) {
        return Ok(Err(format!("{failed:#}")));
    }
    let mut pages = html_in(&folder)?;
    pages.extend(PUBLISHED.map(|page| root().join(page)));
    let mut wrong = Vec::new();
    for page in &pages {
        for width in WIDTHS {
            let found = look(&browser, &folder.join("profile"), page, width)?;
            wrong.extend(
                found.iter().map(|what| format!("{} at {width} pixels: {what}", page.display())),
            );
        }
    }
    say(&format!(
        "{} pages looked at, each {} pixels wide",
        pages.len(),
        WIDTHS.map(|w| w.to_string()).join(" and ")
    ));
    Ok(if wrong.is_empty() { Ok(()) } else { Err(wrong.join("\n")) })
}

fn made(arguments: &[&str], good: &[i32]) -> anyhow::Result<()> {
    let words = arguments.join(" ");
    let status = asserting::fracas()?
        .args(arguments)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .context("running fracas")?;
    if !status.code().is_some_and(|code| good.contains(&code)) {
        bail!("{status}, unexpected: fracas {words}");
    }
    Ok(())
}

/// All pages in a folder and its folders.
fn html_in(folder: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let mut pages = Vec::new();
    for entry in std::fs::read_dir(folder).with_context(|| folder.display().to_string())? {
        let path = entry?.path();
        if path.is_dir() {
            pages.extend(html_in(&path)?);
        } else if path.extension().is_some_and(|ending| ending == "html") {
            pages.push(path);
        }
    }
    pages.sort();
    Ok(pages)
}

/// What is wrong with a page.
fn look(browser: &Path, profile: &Path, page: &Path, width: u32) -> anyhow::Result<Vec<String>> {
    let text = std::fs::read_to_string(page).with_context(|| page.display().to_string())?;
    let frame = FRAME.replace("WIDTH", &width.to_string());
    let server = Server::of([(PAGE, text), ("/frame.html", frame)].into())?;
    let (_, said) = open(browser, profile, &server.address(PAGE))?;
    let asked = server.asked();
    if asked.is_empty() {
        bail!("the browser did not ask for the page; it said: {said}");
    }
    let console = said.lines().filter(|line| line.contains(":CONSOLE"));
    let mut wrong: Vec<String> = console.map(|line| format!("the console has: {line}")).collect();
    let others = asked.iter().filter(|path| *path != PAGE);
    wrong.extend(others.map(|path| format!("it asked for {path}")));
    let (document, said) = open(browser, profile, &server.address("/frame.html"))?;
    match beyond(&document) {
        None => bail!("the browser did not measure the page; it said: {said}"),
        Some(pixels) if pixels > 0 => wrong.push(format!("it is {pixels} pixels too wide")),
        Some(_) => {}
    }
    Ok(wrong)
}

/// The document and the log of the browser.
fn open(browser: &Path, profile: &Path, address: &str) -> anyhow::Result<(String, String)> {
    let ended = Command::new(browser)
        .args(["--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-sync"])
        .args([
            "--disable-background-networking",
            "--disable-component-update",
            "--hide-scrollbars",
        ])
        .args(["--enable-logging=stderr", "--virtual-time-budget=3000", "--dump-dom"])
        .arg("--window-size=1400,2000")
        .arg(format!("--user-data-dir={}", profile.display()))
        .arg(address)
        .output()
        .context("running the browser")?;
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    Ok((text(&ended.stdout), text(&ended.stderr)))
}

fn beyond(document: &str) -> Option<i64> {
    let (_, rest) = document.split_once("data-beyond=\"")?;
    rest.split_once('"')?.0.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_measurement_is_found() {
        assert_eq!(beyond(FRAME), None, "it has not run");
        assert_eq!(beyond("<html data-beyond=\"-3\">"), Some(-3));
    }
}
