//! The only node of the cluster, with what governs it: its network, its configuration, its processes, its volumes.

use super::kubectl::Kubectl;
use super::parts::{self, Part};
use crate::deployment::compose::docker::said;
use crate::repository::root;
use crate::say;
use anyhow::Context;
use engines::Running;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The address of the node towards its pods.
pub const ADDRESS: &str = "10.88.0.1";
/// Its sockets: under a short name, and in memory.
pub const STATE: &str = "/run/fracas";
/// Where programs write into the system. In memory here: nothing is left of it.
const IN_MEMORY: [&str; 3] = ["/run", "/var/log", "/var/lib/cni"];
/// What is written for its processes: from where, to where.
const FILES: [(&str, &str); 6] = [
    ("containerd.toml", "containerd.toml"),
    ("network.conflist", "network/10-pods.conflist"),
    ("kubelet.yaml", "kubelet.yaml"),
    ("proxy.yaml", "proxy.yaml"),
    ("kubeconfig", "kubeconfig"),
    ("Corefile", "Corefile"),
];
/// The claims of the manifests, each of which gets a volume.
const CLAIMS: [&str; 7] = [
    "alertmanager",
    "auth",
    "prometheus",
    "data-postgres-0",
    "data-rabbitmq-1",
    "data-rabbitmq-2",
    "data-rabbitmq-3",
];

/// A node that does not run yet.
pub struct Node {
    folder: PathBuf,
    images: PathBuf,
    kubectl: Kubectl,
    parts: Vec<Part>,
}

impl Node {
    /// Makes its network and writes its configuration.
    ///
    /// # Errors
    /// The system or the disk refuses.
    pub fn prepare(of: &Path) -> anyhow::Result<Self> {
        let folder = of.join("node");
        if folder.exists() {
            std::fs::remove_dir_all(&folder).context("an earlier node")?;
        }
        for place in IN_MEMORY {
            std::fs::create_dir_all(place).context(place)?;
            said(Command::new("mount").args(["-t", "tmpfs", "tmpfs", place]))?;
        }
        std::fs::create_dir_all(STATE).context(STATE)?;
        make_network()?;
        write_files(&folder)?;
        let kubectl = Kubectl::of(of);
        let parts = parts::all(of, &folder, &kubectl)?;
        Ok(Self { folder, images: of.join("images"), kubectl, parts })
    }

    /// Starts all of it, one process after another, and makes volumes.
    ///
    /// # Errors
    /// A process does not get ready.
    pub fn start(&self) -> anyhow::Result<Vec<Running<'_>>> {
        let mut running = Vec::new();
        for part in &self.parts {
            let mut process = Running::start(part)?;
            process.wait_until_ready()?;
            running.push(process);
            if part.name == parts::CONTAINERS {
                self.take_images()?;
            }
        }
        let pattern = read("volume.yaml")?;
        for claim in CLAIMS {
            let folder = self.folder.join("volumes").join(claim);
            std::fs::create_dir_all(&folder).context("a volume")?;
            let file = folder.with_extension("yaml");
            let volume = filled(&pattern, &self.folder).replace("@CLAIM@", claim);
            std::fs::write(&file, volume).context("a volume")?;
            said(self.kubectl.command(&["create", "--filename"]).arg(&file))?;
        }
        say("a Kubernetes of one node is ready");
        Ok(running)
    }

    fn take_images(&self) -> anyhow::Result<()> {
        for archive in std::fs::read_dir(&self.images).context("the images")? {
            let archive = archive.context("an image")?.path();
            said(parts::containers().args(["images", "import"]).arg(&archive))?;
        }
        Ok(())
    }
}

fn make_network() -> anyhow::Result<()> {
    for line in [
        "link set lo up",
        "link add pods type bridge",
        &format!("address add {ADDRESS}/16 dev pods"),
        "link set pods up",
    ] {
        said(Command::new("ip").args(line.split(' ')))?;
    }
    for setting in ["ipv4/ip_forward", "bridge/bridge-nf-call-iptables"] {
        let at = Path::new("/proc/sys/net").join(setting);
        std::fs::write(&at, "1").with_context(|| at.display().to_string())?;
    }
    Ok(())
}

fn write_files(folder: &Path) -> anyhow::Result<()> {
    std::fs::create_dir_all(folder.join("network")).context("the folder of the node")?;
    let token = said(Command::new("openssl").args(["rand", "-hex", "16"]))?;
    for (from, to) in FILES {
        let text = filled(&read(from)?, folder).replace("@TOKEN@", &token);
        std::fs::write(folder.join(to), text).context(to)?;
    }
    let tokens = format!("{token},admin,admin,\"system:masters\"\n");
    std::fs::write(folder.join("tokens.csv"), tokens).context("tokens.csv")?;
    let key = folder.join("accounts.key");
    said(Command::new("openssl").args(["genrsa", "-out"]).arg(key).arg("2048")).map(drop)
}

fn read(name: &str) -> anyhow::Result<String> {
    std::fs::read_to_string(root().join("xtask/kubernetes").join(name)).context(name.to_owned())
}

/// With the places of a node in it.
fn filled(text: &str, folder: &Path) -> String {
    text.replace("@FOLDER@", &folder.display().to_string()).replace("@STATE@", STATE)
}
