//! `cargo xtask pages`: reports in a real browser. A page must be one file that asks for nothing else, says
//! nothing on the console, and fits a phone without scrolling sideways.

mod server;

use crate::repository::root;
use crate::{FRACAS, cargo_program, say};
use anyhow::{Context, bail};
use server::Server;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// The width of a small phone, and of a desk.
const WIDTHS: [u32; 2] = [390, 1_280];

/// How far the page reaches beyond the window, in pixels, where the dump of the document shows it.
const MEASURE: &str = "<script>addEventListener('load', () => { const root = document.documentElement; \
    root.dataset.beyond = root.scrollWidth - innerWidth; })</script>";

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
    let status = Command::new(cargo_program())
        .args(FRACAS)
        .args(arguments)
        .current_dir(root())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .context("running cargo")?;
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
    let (as_it_is, measured) = (Server::of(text.clone())?, Server::of(measuring(&text))?);
    let (_, said) = open(browser, profile, &as_it_is, width)?;
    let mut wrong: Vec<String> = said
        .lines()
        .filter(|line| line.contains(":CONSOLE"))
        .map(|line| format!("the console has: {line}"))
        .collect();
    wrong.extend(as_it_is.others().iter().map(|path| format!("it asked for {path}")));
    if as_it_is.served() == 0 {
        bail!("the browser did not ask for the page; it said: {said}");
    }
    let (document, said) = open(browser, profile, &measured, width)?;
    match beyond(&document) {
        None => bail!("the browser did not run the measurement; it said: {said}"),
        Some(pixels) if pixels > 0 => wrong.push(format!("it is {pixels} pixels too wide")),
        Some(_) => {}
    }
    Ok(wrong)
}

/// The document and the log of the browser.
fn open(
    browser: &Path,
    profile: &Path,
    page: &Server,
    width: u32,
) -> anyhow::Result<(String, String)> {
    let ended = Command::new(browser)
        .args(["--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-sync"])
        .args([
            "--disable-background-networking",
            "--disable-component-update",
            "--hide-scrollbars",
        ])
        .args(["--enable-logging=stderr", "--virtual-time-budget=3000", "--dump-dom"])
        .arg(format!("--window-size={width},2000"))
        .arg(format!("--user-data-dir={}", profile.display()))
        .arg(page.address())
        .output()
        .context("running the browser")?;
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    Ok((text(&ended.stdout), text(&ended.stderr)))
}

/// The page with the measurement in it, which its policy would not let in.
fn measuring(page: &str) -> String {
    page.replace("http-equiv=\"Content-Security-Policy\"", "")
        .replace("</body>", &format!("{MEASURE}</body>"))
}

fn beyond(document: &str) -> Option<i64> {
    let (_, rest) = document.split_once("data-beyond=\"")?;
    rest.split_once('"')?.0.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_measurement_is_let_in_and_found_again() {
        let page = "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'\"><body></body>";
        let measuring = measuring(page);
        assert!(!measuring.contains("http-equiv") && measuring.ends_with("</script></body>"));
        assert_eq!(beyond(&measuring), None, "it has not run");
        assert_eq!(beyond("<html data-beyond=\"-3\">"), Some(-3));
    }
}
