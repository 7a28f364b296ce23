//! A test binary of a package, run by name with what it must know in its environment.
//!
//! It is built as a member of the workspace: built alone, a package has fewer features of its dependencies, and
//! about a hundred of them would be compiled a second time.

use crate::repository::root;
use crate::{cargo_program, say};
use anyhow::Context;
use serde::Deserialize;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// Runs `target` of `package`, built with these features beside the default ones; whether it passes.
pub fn test(
    package: &str,
    features: &[&str],
    target: &str,
    told: &[(&str, String)],
) -> anyhow::Result<bool> {
    let Some(binary) = built(package, features, target)? else { return Ok(false) };
    let status = Command::new(&binary.executable)
        .envs(told.iter().map(|(name, value)| (name, value)))
        .current_dir(binary.folder)
        .status()
        .with_context(|| binary.executable.display().to_string())?;
    Ok(status.success())
}

struct Binary {
    executable: PathBuf,
    /// Of its package, where tests expect to run.
    folder: PathBuf,
}

/// Builds it; `None` if it does not compile or is not there, which is said then: an error would stand for an engine
/// that cannot be had.
fn built(package: &str, features: &[&str], target: &str) -> anyhow::Result<Option<Binary>> {
    let output = Command::new(cargo_program())
        .args(["test", "--workspace", "--no-run", "--test", target])
        .arg("--message-format=json-render-diagnostics")
        .args(features.iter().flat_map(|feature| ["--features", feature]))
        .current_dir(root())
        .stderr(Stdio::inherit())
        .output()
        .context("running cargo")?;
    if !output.status.success() {
        return Ok(None);
    }
    let told = String::from_utf8(output.stdout).context("what cargo says")?;
    let binary = told.lines().find_map(|line| binary(line, package, target));
    if binary.is_none() {
        say(&format!("cargo has built no test {target} of {package}"));
    }
    Ok(binary)
}

/// One line of cargo's JSON (doc.rust-lang.org/cargo/reference/external-tools.html).
#[derive(Deserialize)]
struct Message {
    package_id: Option<String>,
    manifest_path: Option<PathBuf>,
    target: Option<Target>,
    executable: Option<PathBuf>,
}

#[derive(Deserialize)]
struct Target {
    name: String,
    kind: Vec<String>,
}

/// The test binary that a line tells of, if it is this one.
fn binary(line: &str, package: &str, target: &str) -> Option<Binary> {
    let message: Message = serde_json::from_str(line).ok()?;
    let of = message.target?;
    let is_it = of.name == target
        && of.kind.iter().any(|kind| kind == "test")
        && name(&message.package_id?) == package;
    let folder = message.manifest_path?.parent().map(Path::to_owned)?;
    is_it.then_some(Binary { executable: message.executable?, folder })
}

/// The name in a package's id: `path+file:///here/cli#fracas@0.1.0`, `path+file:///here/cluster/postgres#0.1.0`.
fn name(id: &str) -> &str {
    let (path, version) = id.rsplit_once('#').unwrap_or((id, ""));
    let of_folder = path.rsplit('/').next().unwrap_or(path);
    version.split_once('@').map_or(of_folder, |(name, _)| name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_binary_is_found_by_its_package_and_target() {
        let line = r#"{"reason":"compiler-artifact","package_id":"path+file:///w/cli#fracas@0.1.0",
            "manifest_path":"/w/cli/Cargo.toml","target":{"kind":["test"],"name":"takeover"},
            "executable":"/w/target/debug/deps/takeover-1"}"#;
        let found = binary(line, "fracas", "takeover").expect("it is this one");
        assert_eq!(found.executable, Path::new("/w/target/debug/deps/takeover-1"));
        assert_eq!(found.folder, Path::new("/w/cli"));
        assert!(binary(line, "postgres", "takeover").is_none());
        assert!(binary(line, "fracas", "outages").is_none());
        assert!(binary(r#"{"reason":"build-finished","success":true}"#, "fracas", "x").is_none());
        assert_eq!(name("path+file:///w/cluster/postgres#0.1.0"), "postgres");
    }
}
