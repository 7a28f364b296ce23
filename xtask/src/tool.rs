//! Subcommands of cargo that are installed where they are missing.

use crate::{cargo_program, say};
use std::process::{Command, Stdio};

/// Has `cargo NAME`; an error says that it cannot be had.
pub fn have(name: &str) -> anyhow::Result<()> {
    let mut version = Command::new(cargo_program());
    version.args([name, "--version"]).stdout(Stdio::null()).stderr(Stdio::null());
    if version.status().is_ok_and(|status| status.success()) {
        return Ok(());
    }
    let package = format!("cargo-{name}");
    say(&format!("{package} is missing: cargo install --locked {package}"));
    // A debug build: it looks at a lock file, and most of its time is its own build.
    let install = ["install", "--locked", "--debug", "--quiet", &package];
    let installed = Command::new(cargo_program()).args(install).status()?;
    anyhow::ensure!(installed.success(), "{package} could not be installed");
    Ok(())
}
