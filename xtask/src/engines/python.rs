//! Tools in Python, from PyPI.

use crate::repository::root;
use anyhow::ensure;
use std::path::PathBuf;
use std::process::Command;

/// The Python of an environment that has a package and its module, made if it is missing and kept between runs.
pub fn with(package: &str, module: &str) -> anyhow::Result<PathBuf> {
    let name = package.split("==").next().unwrap_or(package);
    let home = root().join("target/engines").join(name);
    let python = home.join("bin/python");
    let asked = Command::new(&python).args(["-c", &format!("import {module}")]).output();
    if !asked.is_ok_and(|output| output.status.success()) {
        engines::program(&["python3"], "python3-venv")?;
        let made = Command::new("python3").args(["-m", "venv"]).arg(&home).status()?;
        ensure!(made.success(), "python3 makes no environment: install python3-venv");
        let install = ["-m", "pip", "install", "--quiet", package];
        let installed = Command::new(&python).args(install).status()?;
        ensure!(installed.success(), "{package} could not be installed");
    }
    Ok(python)
}
