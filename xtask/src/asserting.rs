//! The release of `fracas` with every assertion and every check for overflow in it: nearly as fast, and a broken
//! state of our own stops it. Its dependencies are those of the plain release, so that both cost one build of them.

use crate::cargo_program;
use crate::repository::root;
use anyhow::Context;
use std::path::PathBuf;
use std::process::Command;
use std::sync::OnceLock;

const BUILD: [&str; 6] = [
    "build",
    "--release",
    "--config",
    "profile.release.debug-assertions=true",
    "--config",
    "profile.release.overflow-checks=true",
];

/// A command of it, run from the root of the repository. It is built first, once.
///
/// # Errors
/// It cannot be built.
pub fn fracas() -> anyhow::Result<Command> {
    static BUILT: OnceLock<PathBuf> = OnceLock::new();
    if BUILT.get().is_none() {
        let _ = BUILT.set(build()?);
    }
    let program = BUILT.get().context("it is built")?;
    let mut command = Command::new(program);
    command.current_dir(root());
    Ok(command)
}

/// Builds it, and moves it away from where the plain release is: cargo puts that back when it is asked for.
fn build() -> anyhow::Result<PathBuf> {
    let status = Command::new(cargo_program()).args(BUILD).current_dir(root()).status();
    anyhow::ensure!(status.context("running cargo")?.success(), "fracas cannot be built");
    let xtask = std::env::current_exe().context("where xtask is")?;
    let target = xtask.ancestors().nth(2).context("xtask is not in a target directory")?;
    let program = target.join("asserting/fracas");
    std::fs::create_dir_all(target.join("asserting")).context("its folder")?;
    // Renaming a file to another name of the same file does nothing, and it would stay where the plain release is.
    let _ = std::fs::remove_file(&program);
    std::fs::rename(target.join("release/fracas"), &program).context("its program")?;
    Ok(program)
}
