//! The pages that are looked at: one of every kind, made anew, and a few that take too long to make.

use crate::asserting;
use crate::repository::root;
use anyhow::{Context, bail};
use std::path::{Path, PathBuf};
use std::process::Stdio;

/// Where they are made.
pub const FOLDER: &str = "target/pages";

/// What makes them: the arguments of `fracas` in that folder, and the exit statuses that are no failure.
const MAKE: [(&str, &[i32]); 10] = [
    ("run owner-killed --set design.accept=before_persist --out violated", &[1]),
    // A run that violates what it is meant to.
    (
        r#"run order-race --set design.requeue=back --set expect.violates=["sender_order_kept"] --out caught"#,
        &[0],
    ),
    // Faults without an effect.
    ("run blip --set fault.1.for=1ms --set fault.2.for=1ms --out unknown", &[2]),
    // On a machine that is too busy it is unknown, and a page as well.
    ("load smoke --out real", &[0, 2]),
    ("run smoke --set network.disk_sync=1ms,8ms --out sweep", &[0]),
    ("explore smoke --seeds 2 --out before", &[0]),
    ("explore smoke --seeds 2 --set network.disk_sync=8ms --out after", &[0]),
    ("compare before --out compared -- after", &[0]),
    // Whether they agree is asked elsewhere.
    ("fidelity before real --out fidelity", &[0, 1, 2]),
    ("report . --out .", &[0]),
];

/// Pages that take long to make.
const PUBLISHED: [&str; 2] =
    ["reports/published/knee/knee.html", "reports/published/workday/report.html"];

/// Makes them in an empty folder.
///
/// # Errors
/// One of them cannot be made.
pub fn pages() -> anyhow::Result<Vec<PathBuf>> {
    let folder = root().join(FOLDER);
    if folder.exists() {
        std::fs::remove_dir_all(&folder).context("removing earlier pages")?;
    }
    std::fs::create_dir_all(&folder).context("making their folder")?;
    for (words, good) in MAKE {
        made(&folder, words, good)?;
    }
    let mut pages = html_in(&folder)?;
    pages.extend(PUBLISHED.map(|page| root().join(page)));
    Ok(pages)
}

/// The pages that are in some folders.
///
/// # Errors
/// There are none, or a folder cannot be read.
pub fn found(folders: &[&str]) -> anyhow::Result<Vec<PathBuf>> {
    let mut pages = Vec::new();
    for folder in folders {
        pages.extend(html_in(Path::new(folder))?);
    }
    anyhow::ensure!(!pages.is_empty(), "there is no page in {}", folders.join(", "));
    Ok(pages)
}

fn made(folder: &Path, words: &str, good: &[i32]) -> anyhow::Result<()> {
    let status = asserting::fracas()?
        .args(words.split(' '))
        .current_dir(folder)
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
