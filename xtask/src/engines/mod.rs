//! `cargo xtask engines`: the adapters of real engines, tested against real engines.
//!
//! Each engine is installed if it is missing and this user may; started as a private instance on loopback,
//! with ports and a folder of its own; and stopped when its tests are over. Nothing is left out: an engine
//! that cannot be had is a failure.

mod install;
mod rabbitmq;

use crate::repository::root;
use crate::{cargo_program, say};
use anyhow::Context;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The engines, by their names on the command line.
pub const ENGINES: [&str; 1] = ["rabbitmq"];

/// Runs the tests of these engines, or of all of them; true if none failed.
pub fn run(names: &[&str]) -> anyhow::Result<bool> {
    for name in ENGINES.iter().filter(|name| names.is_empty() || names.contains(name)) {
        say(&format!("== engine {name}"));
        let passed = match *name {
            "rabbitmq" => rabbitmq::run(),
            _ => anyhow::bail!("{name} has no tests"),
        };
        if !passed.with_context(|| format!("the engine {name}"))? {
            say(&format!("== engine {name} failed; again: cargo xtask engines {name}"));
            return Ok(false);
        }
    }
    Ok(true)
}

/// Runs tests by name, one binary after another, with what they must know in their environment.
fn test(package: &str, target: &str, told: &[(&str, String)]) -> anyhow::Result<bool> {
    let status = Command::new(cargo_program())
        .args(["test", "--package", package, "--test", target])
        .envs(told.iter().map(|(name, value)| (name, value)))
        .current_dir(root())
        .status()
        .context("running cargo")?;
    Ok(status.success())
}

/// A new folder for the data of an instance; a previous run's is removed.
fn folder(name: &str) -> anyhow::Result<PathBuf> {
    let folder = root().join("target/engines").join(name);
    if folder.exists() {
        std::fs::remove_dir_all(&folder).with_context(|| folder.display().to_string())?;
    }
    std::fs::create_dir_all(&folder).with_context(|| folder.display().to_string())?;
    Ok(folder)
}

/// Ports on loopback that nobody listens on, below those that the system gives away on its own.
fn free_ports<const N: usize>() -> anyhow::Result<[u16; N]> {
    const CANDIDATES: std::ops::Range<u16> = 21_000..32_000;
    let mut free = CANDIDATES.filter(|port| TcpListener::bind(("127.0.0.1", *port)).is_ok());
    let mut ports = [0; N];
    for port in &mut ports {
        *port = free.next().context("there is no free port from 21000 to 32000")?;
    }
    Ok(ports)
}

fn write(path: &Path, text: &str) -> anyhow::Result<()> {
    std::fs::write(path, text).with_context(|| path.display().to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ports_are_different_ones() {
        let [first, second, third] = free_ports().expect("there are some");
        assert!(first < second && second < third, "{first} {second} {third}");
    }
}
