//! The programs of Kubernetes, built from their published modules, in the versions that `xtask/kubernetes` names.

use crate::repository::root;
use crate::say;
use anyhow::{Context, bail, ensure};
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
/// The first Go that builds all of them: 1.26.
const GO: u32 = 26;

/// Builds what is not built yet into folders of the folder: `bin`, and `pause` for its image.
///
/// # Errors
/// There is no Go, or a module cannot be had.
pub fn build(folder: &Path) -> anyhow::Result<()> {
    has_go()?;
    let sources = root().join("xtask/kubernetes");
    // One that does not know its version is taken for one of long ago.
    let version = format!("-X k8s.io/component-base/version.gitVersion={}", version(&sources)?);
    say("building Kubernetes: some ten minutes the first time");
    for name in PROGRAMS {
        go(&sources, &format!("{MODULE}/cmd/{name}"), &at(folder, name), &version)?;
    }
    go(&sources.join("policies"), POLICIES, &at(folder, "kube-router"), "")?;
    go(&sources.join("dns"), ".", &at(folder, "dns"), "")?;
    go(&sources, "./pause", &folder.join("pause/pause"), "")
}

/// Where a program is, once it is built.
pub fn at(folder: &Path, name: &str) -> PathBuf {
    folder.join("bin").join(name)
}

/// What is there already and has not changed is left as it is.
fn go(within: &Path, package: &str, into: &Path, flags: &str) -> anyhow::Result<()> {
    let status = Command::new("go")
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
}

fn has_go() -> anyhow::Result<()> {
    let wanted = format!("Go 1.{GO} or newer is needed to build Kubernetes");
    let output = Command::new("go").arg("version").output().with_context(|| wanted.clone())?;
    let told = String::from_utf8_lossy(&output.stdout).trim().to_owned();
    let minor = told.split("go1.").nth(1).and_then(|rest| rest.split(['.', ' ']).next());
    if minor.and_then(|minor| minor.parse::<u32>().ok()).is_none_or(|minor| minor < GO) {
        bail!("{wanted}; this is {told:?}");
    }
    Ok(())
}

/// That of Kubernetes.
fn version(sources: &Path) -> anyhow::Result<String> {
    let manifest = std::fs::read_to_string(sources.join("go.mod")).context("go.mod")?;
    let mut lines = manifest.lines().map(|line| line.trim().trim_start_matches("require "));
    let found = lines.find_map(|line| line.strip_prefix(MODULE)?.strip_prefix(' '));
    Ok(found.context("go.mod names no Kubernetes")?.trim().to_owned())
}
