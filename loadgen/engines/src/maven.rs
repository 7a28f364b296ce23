//! What an engine in Java is made of, from Maven.

use crate::program;
use anyhow::{Context, ensure};
use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};

/// Puts the jars that a Maven project names, and all that they need, into a folder, unless they are there. A run
/// that was cut off leaves no mark, and the next one begins anew.
///
/// # Errors
/// Maven is missing and cannot be installed, or does not find them.
pub fn fetch(project: &Path, folder: &Path) -> anyhow::Result<()> {
    let maven = program(&["mvn"], "maven")?;
    let mark = folder.join("complete");
    let wanted = std::fs::read(project).with_context(|| project.display().to_string())?;
    if std::fs::read(&mark).is_ok_and(|complete| complete == wanted) {
        return Ok(());
    }
    if folder.exists() {
        std::fs::remove_dir_all(folder).with_context(|| folder.display().to_string())?;
    }
    let named = project.display();
    writeln!(std::io::stderr().lock(), "fetching the jars of {named}").context("telling so")?;
    let status = Command::new(maven)
        .args(["--batch-mode", "--quiet", "--file"])
        .arg(project)
        .args(["dependency:copy-dependencies", "-DincludeScope=runtime"])
        .arg(format!("-DoutputDirectory={}", folder.display()))
        .stdin(Stdio::null())
        .status()
        .context("running mvn")?;
    ensure!(status.success(), "the jars of {named}: mvn ended with {status}");
    std::fs::write(&mark, wanted).context("marking the jars as complete")
}
