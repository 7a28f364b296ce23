//! `cargo xtask kubernetes`: the manifests of `deploy` on a real Kubernetes of one node: applied, loaded through HAProxy,
//! broken in three places, judged, looked at through its own monitoring, gone.
//!
//! Kubernetes is built from the modules that it publishes, and its images are those of `cargo xtask compose`. It runs in
//! namespaces of its own (network, mounts, processes), with which all of it ends.

mod kubectl;
mod node;
mod parts;
mod pods;
mod programs;

use super::compose::{OWN_IMAGE, docker, stand_ins};
use crate::repository::root;
use crate::say;
use anyhow::{Context, bail, ensure};
use docker::said;
use engines::program;
use kubectl::Kubectl;
use node::Node;
use pods::Pods;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// What the second process of this command is called with, in its namespaces.
pub const WITHIN: &str = "--within";
/// The image that holds the network of a pod.
const PAUSE: &str = "fracas.local/pause:1";
/// What is needed beside Kubernetes: a program, and the package that has it.
const NEEDED: [(&str, &str); 8] = [
    ("containerd", "containerd"),
    ("runc", "runc"),
    ("etcd", "etcd-server"),
    ("iptables", "iptables"),
    ("ipset", "ipset"),
    ("ip", "iproute2"),
    ("openssl", "openssl"),
    ("/usr/lib/cni/bridge", "containernetworking-plugins"),
];

/// Runs it. An outer error says that it cannot be run here, an inner one what was wrong with it.
///
/// # Errors
/// As said.
pub fn run() -> anyhow::Result<anyhow::Result<()>> {
    ensure!(engines::is_root()?, "namespaces for a Kubernetes are made by root alone");
    for (name, package) in NEEDED {
        program(&[name], package)?;
    }
    let folder = folder();
    for earlier in ["images", "node", "words"] {
        let earlier = folder.join(earlier);
        if earlier.exists() {
            std::fs::remove_dir_all(&earlier).with_context(|| earlier.display().to_string())?;
        }
    }
    programs::build(&folder)?;
    if let Err(error) = images(&folder)? {
        return Ok(Err(error));
    }
    let own = std::env::current_exe().context("the path of this program")?;
    let namespaces = ["--net", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc", "--"];
    let mut second = Command::new("unshare");
    second.args(namespaces).arg(own).args(["kubernetes", WITHIN]);
    let mut second = second.stdin(Stdio::piped()).spawn().context("running unshare")?;
    // It ends with this process, whatever ends that: the first process of a namespace takes no signals.
    let lifeline = second.stdin.take();
    let status = second.wait().context("the end of unshare")?;
    drop(lifeline);
    remove_control_groups();
    match status.code() {
        Some(0) => Ok(Ok(())),
        Some(code) if code == i32::from(crate::NOT_HAD) => bail!("its node does not start"),
        _ => Ok(Err(anyhow::anyhow!("it ended with {status}"))),
    }
}

/// What containers leave that were killed with their namespace: groups without a process. Whatever has one stays.
fn remove_control_groups() {
    let entries = |at: &Path| {
        let all = std::fs::read_dir(at).into_iter().flatten().flatten();
        all.map(|entry| entry.path()).filter(|path| path.is_dir()).collect::<Vec<_>>()
    };
    let all = Path::new("/sys/fs/cgroup");
    // Version 2 has one tree, version 1 one for each controller.
    for tree in entries(all).into_iter().chain([all.to_owned()]) {
        let groups = tree.join("k8s.io");
        for group in entries(&groups).iter().chain([&groups]) {
            let _ = std::fs::remove_dir(group);
        }
    }
}

/// The part of it that is in namespaces of its own.
///
/// # Errors
/// As of `run`.
pub fn run_within() -> anyhow::Result<anyhow::Result<()>> {
    ensure!(std::process::id() == 1, "this is for the first process of a namespace alone");
    end_with_stdin()?;
    let folder = folder();
    let node = Node::prepare(&folder)?;
    let running = node.start()?;
    let mut pods = Pods::new(Kubectl::of(&folder));
    let checked = pods.up().and_then(|()| check(&mut pods));
    if checked.is_err() {
        pods.keep_words(&folder.join("words"));
    }
    // Whatever became of it.
    let down = pods.down();
    drop(running);
    Ok(checked.and(down))
}

/// Ends this process, and its namespaces with it, when whoever has started it is gone.
fn end_with_stdin() -> anyhow::Result<()> {
    let watch = || {
        // Whatever comes of it, nobody is there any more.
        let _ = std::io::copy(&mut std::io::stdin().lock(), &mut std::io::sink());
        std::process::exit(1);
    };
    std::thread::Builder::new().spawn(watch).context("a thread").map(drop)
}

fn check(pods: &mut Pods) -> anyhow::Result<()> {
    say("all pods are ready");
    super::all_targets_are_up(&super::Deployment::prometheus(pods))?;
    pods.keep_strangers_out()?;
    say("a pod reaches what a policy lets it reach, and nothing else");
    let status = super::check(pods)?;
    ensure!(status == 0, "fracas load ended with {status}");
    Ok(())
}

fn folder() -> PathBuf {
    root().join("target/kubernetes")
}

/// The images of the manifests as archives: those of Compose, and that of pods. An inner error is about our own.
fn images(folder: &Path) -> anyhow::Result<anyhow::Result<()>> {
    let of_compose = root().join("target/compose");
    let archives = folder.join("images");
    std::fs::create_dir_all(&archives).context("the folder of images")?;
    docker::with_docker(&of_compose, |docker| {
        stand_ins::make(docker, &of_compose)?;
        if let Err(error) = stand_ins::make_own(docker, OWN_IMAGE) {
            return Ok(Err(error));
        }
        let tree = folder.join("pause");
        let packed = tree.with_extension("tar");
        said(Command::new("tar").arg("-cf").arg(&packed).arg("-C").arg(&tree).arg("pause"))?;
        let packed = packed.display().to_string();
        docker.said(&["import", "--change", "ENTRYPOINT [\"/pause\"]", &packed, PAUSE])?;
        for image in named()? {
            let archive = archives.join(image.replace(['/', ':'], "_") + ".tar");
            docker.said(&["save", "--output", &archive.display().to_string(), &image])?;
        }
        Ok(Ok(()))
    })
}

/// The images that the manifests name, but for those that are left out.
fn named() -> anyhow::Result<Vec<String>> {
    let mut named = vec![PAUSE.to_owned()];
    for entry in std::fs::read_dir(root().join("deploy/kubernetes")).context("the manifests")? {
        let path = entry.context("a manifest")?.path();
        let text = std::fs::read_to_string(&path).with_context(|| path.display().to_string())?;
        let images = text.lines().filter_map(|line| line.trim().strip_prefix("image: "));
        let is_made = |image: &&str| !stand_ins::LEFT_OUT.iter().any(|name| image.contains(name));
        named.extend(images.filter(is_made).map(str::to_owned));
    }
    named.sort();
    named.dedup();
    Ok(named)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_image_of_the_manifests_is_one_that_compose_has() {
        let of_compose: Vec<String> =
            stand_ins::named().unwrap().into_iter().map(|(_, image)| image).collect();
        for image in named().unwrap() {
            let is_ours = [PAUSE, OWN_IMAGE].contains(&&*image);
            assert!(is_ours || of_compose.contains(&image), "{image}");
        }
    }
}
