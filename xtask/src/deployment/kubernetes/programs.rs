//! The programs of Kubernetes, built from its published modules, in the versions that `xtask/kubernetes` names.

use crate::repository::root;
use crate::say;
use anyhow::{Context, ensure};
use engines::program;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Of Kubernetes itself.
const PROGRAMS: [&str; 6] = [
    "kube-apiserver",
    "kube-controller-manager",
    "kube-scheduler",
    "kube-proxy",
    "kubelet",
    "kubectl",
];
/// The module that has them.
const MODULE: &str = "k8s.io/kubernetes";
/// What enforces the policies of networks.
const POLICIES: &str = "github.com/cloudnativelabs/kube-router/v2/cmd/kube-router";

/// Builds what is missing into folders of the folder: `bin`, and `pause` for its image.
///
/// # Errors
/// There is no Go, or a module cannot be had.
pub fn build(folder: &Path) -> anyhow::Result<()> {
    let go = program(&["go"], "golang")?;
    let sources = root().join("xtask/kubernetes");
    let version = version()?;
    let build = |within: &Path, package: &str, into: &Path, flags: &str| -> anyhow::Result<()> {
        if into.exists() {
            return Ok(());
        }
        say(&format!("building {package} (the first time, this takes minutes)"));
        let status = Command::new(&go)
            .args(["build", "-trimpath", "-ldflags", &format!("-s -w {flags}"), "-o"])
            .arg(into)
            .arg(package)
            .current_dir(within)
            .env("CGO_ENABLED", "0")
            .env("GOFLAGS", "-mod=readonly")
            .status()
            .context("running go")?;
        ensure!(status.success(), "go build {package} ended with {status}");
        Ok(())
    };
    // One that does not know its version is taken for one of long ago.
    let told = format!("-X k8s.io/component-base/version.gitVersion={version}");
    for name in PROGRAMS {
        build(&sources, &format!("{MODULE}/cmd/{name}"), &at(folder, name)?, &told)?;
    }
    build(&sources.join("policies"), POLICIES, &at(folder, "kube-router")?, "")?;
    build(&sources.join("dns"), ".", &at(folder, "dns")?, "")?;
    build(&sources, "./pause", &folder.join("pause/pause"), "")
}

/// Where a program is, once it is built.
///
/// # Errors
/// There is no version.
pub fn at(folder: &Path, name: &str) -> anyhow::Result<PathBuf> {
    Ok(folder.join("bin").join(format!("{name}-{}", version()?)))
}

/// That of Kubernetes.
fn version() -> anyhow::Result<String> {
    let manifest = std::fs::read_to_string(root().join("xtask/kubernetes/go.mod"));
    let manifest = manifest.context("go.mod")?;
    let mut lines = manifest.lines().map(|line| line.trim().trim_start_matches("require "));
    let found = lines.find_map(|line| line.strip_prefix(MODULE)?.strip_prefix(' '));
    Ok(found.context("go.mod names no Kubernetes")?.trim().to_owned())
}
