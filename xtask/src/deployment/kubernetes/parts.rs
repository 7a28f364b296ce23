//! The processes of the node, in the order in which they need each other.

use super::kubectl::Kubectl;
use super::node::{ADDRESS, STATE};
use super::programs;
use crate::deployment::compose::docker::said;
use anyhow::Context;
use engines::{Instance, Program, Signal};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::Command;

/// What runs containers.
pub const CONTAINERS: &str = "containerd";
/// The name of the node.
const NODE: &str = "node-1";
/// Addresses of services.
const SERVICES: &str = "--service-cluster-ip-range=10.96.0.0/16";

/// One process.
pub struct Part {
    pub name: &'static str,
    file: PathBuf,
    arguments: Vec<String>,
    folder: PathBuf,
    is_ready: IsReady,
}

impl Instance for Part {
    fn name(&self) -> &'static str {
        self.name
    }

    fn program(&self) -> Program {
        Program {
            file: self.file.clone(),
            arguments: self.arguments.clone(),
            variables: Vec::new(),
            user: None,
            console: self.folder.join("console"),
            end: Signal::SIGTERM,
        }
    }

    fn is_ready(&self) -> bool {
        (self.is_ready)()
    }
}

/// `ctr`, for the images and containers of Kubernetes.
pub fn containers() -> Command {
    let mut command = Command::new("ctr");
    command.args(["--address", &format!("{STATE}/containerd.sock"), "--namespace", "k8s.io"]);
    command
}

/// Whether a process has got ready.
type IsReady = Box<dyn Fn() -> bool + Sync>;

/// All of them; `of` has the programs, and `folder` their configuration.
///
/// # Errors
/// The disk refuses.
pub fn all(of: &Path, folder: &Path, kubectl: &Kubectl) -> anyhow::Result<Vec<Part>> {
    let data = folder.display().to_string();
    let mut parts = Parts { of, folder, kubectl, data, all: Vec::new() };
    parts.containers()?;
    parts.governing()?;
    parts.of_the_node()?;
    Ok(parts.all)
}

struct Parts<'a> {
    of: &'a Path,
    folder: &'a Path,
    kubectl: &'a Kubectl,
    /// The folder in arguments.
    data: String,
    all: Vec<Part>,
}

impl Parts<'_> {
    fn containers(&mut self) -> anyhow::Result<()> {
        let arguments = vec![format!("--config={}/containerd.toml", self.data)];
        let is_ready = || said(containers().arg("version")).is_ok();
        self.add(CONTAINERS, arguments, Box::new(is_ready))
    }

    /// What would run on machines of its own.
    fn governing(&mut self) -> anyhow::Result<()> {
        let data = self.data.clone();
        let memory = ["--unsafe-no-fsync".to_owned(), format!("--data-dir={data}/etcd/data")];
        self.add("etcd", memory.to_vec(), listens("127.0.0.1:2379"))?;
        let key = format!("{data}/accounts.key");
        let serves = [
            "--etcd-servers=http://127.0.0.1:2379".to_owned(),
            "--bind-address=127.0.0.1".to_owned(),
            format!("--advertise-address={ADDRESS}"),
            // There is one, at an address of loopback.
            "--endpoint-reconciler-type=none".to_owned(),
            // No resolver knows the name of the node.
            "--kubelet-preferred-address-types=InternalIP".to_owned(),
            SERVICES.to_owned(),
            "--authorization-mode=RBAC".to_owned(),
            format!("--cert-dir={data}/certificates"),
            format!("--token-auth-file={data}/tokens.csv"),
            "--service-account-issuer=https://kubernetes.default.svc".to_owned(),
            format!("--service-account-signing-key-file={key}"),
            format!("--service-account-key-file={key}"),
        ];
        let is_ready = self.answers("/readyz", "ok");
        self.add("kube-apiserver", serves.to_vec(), is_ready)?;
        let alone = ["--leader-elect=false", "--secure-port=0"].map(str::to_owned);
        let schedules = [&[self.kubeconfig()], &alone[..]].concat();
        let accounts = [
            format!("--service-account-private-key-file={key}"),
            format!("--root-ca-file={data}/certificates/apiserver.crt"),
        ];
        let is_ready =
            self.answers("/api/v1/namespaces/default/serviceaccounts/default", "default");
        let governs = [&schedules[..], &accounts].concat();
        self.add("kube-controller-manager", governs, is_ready)?;
        self.add("kube-scheduler", schedules, Box::new(|| true))
    }

    /// What runs pods, and what their network needs.
    fn of_the_node(&mut self) -> anyhow::Result<()> {
        let (data, kubeconfig) = (self.data.clone(), self.kubeconfig());
        let name = format!("--hostname-override={NODE}");
        let runs = [
            kubeconfig.clone(),
            name.clone(),
            format!("--config={data}/kubelet.yaml"),
            format!("--root-dir={data}/kubelet/data"),
            format!("--node-ip={ADDRESS}"),
        ];
        let is_ready = self.answers("/api/v1/nodes/node-1", "\"reason\":\"KubeletReady\"");
        self.add("kubelet", runs.to_vec(), is_ready)?;
        let proxy = vec![format!("--config={data}/proxy.yaml")];
        self.add("kube-proxy", proxy, has_chain("KUBE-SERVICES", "nat"))?;
        let enforces = [
            kubeconfig,
            name,
            SERVICES.to_owned(),
            "--run-firewall=true".to_owned(),
            "--run-router=false".to_owned(),
            "--run-service-proxy=false".to_owned(),
            "--run-loadbalancer=false".to_owned(),
        ];
        self.add("kube-router", enforces.to_vec(), has_chain("KUBE-ROUTER-FORWARD", "filter"))?;
        self.add("dns", vec![format!("-conf={data}/Corefile")], listens("10.88.0.1:53"))
    }

    fn add(
        &mut self,
        name: &'static str,
        arguments: Vec<String>,
        is_ready: IsReady,
    ) -> anyhow::Result<()> {
        let built = programs::at(self.of, name);
        let file = if built.exists() { built } else { name.into() };
        let folder = self.folder.join(name);
        std::fs::create_dir_all(&folder).with_context(|| folder.display().to_string())?;
        self.all.push(Part { name, file, arguments, folder, is_ready });
        Ok(())
    }

    fn kubeconfig(&self) -> String {
        format!("--kubeconfig={}/kubeconfig", self.data)
    }

    /// The API server answers, and with that in it.
    fn answers(&self, path: &'static str, with: &'static str) -> IsReady {
        let kubectl = self.kubectl.clone();
        Box::new(move || {
            let answer = said(&mut kubectl.command(&["get", "--raw", path]));
            answer.is_ok_and(|answer| answer.contains(with))
        })
    }
}

fn listens(at: &'static str) -> IsReady {
    Box::new(move || TcpStream::connect(at).is_ok())
}

/// The firewall has its rules.
fn has_chain(name: &'static str, table: &'static str) -> IsReady {
    Box::new(move || said(Command::new("iptables").args(["-t", table, "-S", name])).is_ok())
}
