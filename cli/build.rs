//! Names the commit that a build was made from: a run is reproduced by the same commit only. Exact for
//! builds of a clean checkout; a later edit without a commit does not ask again.

use std::path::Path;
use std::process::Command;

fn main() {
    let version = env!("CARGO_PKG_VERSION");
    let version = match git(&["rev-parse", "--short=9", "HEAD"]) {
        None => version.to_owned(),
        Some(commit) => {
            let changed = git(&["status", "--porcelain", "--untracked-files=no"]);
            let changed =
                if changed.is_some_and(|text| !text.is_empty()) { ", changed" } else { "" };
            format!("{version} ({commit}{changed})")
        }
    };
    println!("cargo::rustc-env=FRACAS_VERSION={version}");
    // Whatever is committed or checked out is noted here.
    for file in ["HEAD", "logs/HEAD"] {
        if let Some(path) =
            git(&["rev-parse", "--git-path", file]).filter(|path| Path::new(path).exists())
        {
            println!("cargo::rerun-if-changed={path}");
        }
    }
    println!("cargo::rerun-if-changed=build.rs");
}

/// What git says; `None` without git or outside a repository.
fn git(arguments: &[&str]) -> Option<String> {
    let output = Command::new("git").args(arguments).output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    output.status.success().then(|| text.trim().to_owned())
}
