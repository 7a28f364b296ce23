//! The manifests while they are applied: their pods, the port of their Prometheus, and their end.

use super::kubectl::Kubectl;
use super::parts::containers;
use crate::deployment::Deployment;
use crate::deployment::breaking::{Break, wait};
use crate::deployment::compose::docker::said;
use crate::deployment::compose::stand_ins::LEFT_OUT;
use crate::deployment::monitoring::Monitoring;
use crate::repository::root;
use anyhow::{Context, bail};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Stdio};
use std::time::Duration;

/// How long everything may take until it is ready.
const READY: &str = "--timeout=240s";
/// How long one pod may take.
const WELL: Duration = Duration::from_mins(2);
/// The port of Prometheus, on loopback as in its pod.
const PROMETHEUS: u16 = 9090;
/// Where a pod with the rights of Prometheus may connect to, and where not.
const REACHED_BY_PROMETHEUS: [(&str, bool); 5] = [
    ("gateway-1/9100", true),
    ("rabbitmq-1/15692", true),
    ("gateway-1/7800", false),
    ("store-1/7820", false),
    ("postgres/5432", false),
];
/// What governs the pods of the manifests.
const WORKLOADS: [&str; 9] = [
    "statefulset/rabbitmq",
    "statefulset/postgres",
    "deployment/auth",
    "statefulset/store",
    "deployment/notifier",
    "statefulset/gateway",
    "deployment/haproxy",
    "deployment/alertmanager",
    "deployment/prometheus",
];

/// What is applied, or will be.
pub struct Pods {
    kubectl: Kubectl,
    /// What leads to Prometheus.
    forward: Option<Child>,
}

impl Pods {
    pub fn new(kubectl: Kubectl) -> Self {
        Self { kubectl, forward: None }
    }

    /// Applies the manifests but for what is left out, waits until all pods are ready, and opens a port.
    ///
    /// # Errors
    /// The manifests are refused, or a pod does not get ready.
    pub fn up(&mut self) -> anyhow::Result<()> {
        let deploy = root().join("deploy");
        said(self.kubectl.command(&["apply", "--kustomize"]).arg(deploy))?;
        for name in LEFT_OUT {
            self.said(&["delete", "deployment,service,persistentvolumeclaim", name])?;
        }
        for workload in WORKLOADS {
            self.said(&["rollout", "status", workload, READY])?;
        }
        let port = PROMETHEUS.to_string();
        let mut forward = self.kubectl.command(&["port-forward", "service/prometheus", &port]);
        let forward = forward.stdout(Stdio::null()).spawn().context("kubectl port-forward")?;
        self.forward = Some(forward);
        let listens = || Ok(TcpStream::connect(("127.0.0.1", PROMETHEUS)).is_ok());
        wait(WELL, "Prometheus has its port", listens)?;
        Ok(())
    }

    /// Whether a pod that may ask for numbers is kept from everything else, as `network-policies.yaml` says.
    ///
    /// # Errors
    /// It is not, or may not even ask for numbers.
    pub fn keep_strangers_out(&self) -> anyhow::Result<()> {
        for (at, may_reach) in REACHED_BY_PROMETHEUS {
            let connects = format!("exec 3<>/dev/tcp/{at}");
            let asked = ["exec", "deployment/prometheus", "--", "timeout", "3", "bash", "-c"];
            let answer = self.said(&[&asked[..], &[&connects]].concat());
            match (answer, may_reach) {
                (Ok(_), false) => bail!("no policy keeps Prometheus from {at}"),
                (Err(error), true) => return Err(error.context(format!("{at} is kept from it"))),
                // A name that there is not is kept from everybody.
                (Err(error), false) if format!("{error:#}").contains("not known") => {
                    return Err(error);
                }
                (Ok(_), true) | (Err(_), false) => {}
            }
        }
        Ok(())
    }

    /// Takes them away.
    ///
    /// # Errors
    /// Something does not go.
    pub fn down(&mut self) -> anyhow::Result<()> {
        if let Some(mut forward) = self.forward.take() {
            // It may have ended.
            let _ = forward.kill();
            let _ = forward.wait();
        }
        self.said(&["delete", "namespace", "fracas", "--timeout=120s"]).map(drop)
    }

    /// What the pods said, for whoever wants to know what went wrong.
    pub fn keep_words(&self, folder: &Path) {
        // The check has failed anyway: that is said, whatever can be kept.
        let _ = std::fs::remove_dir_all(folder);
        let _ = std::fs::create_dir_all(folder);
        let keep = |name: &str, words: anyhow::Result<String>| {
            let _ = std::fs::write(folder.join(name), words.unwrap_or_else(|e| e.to_string()));
        };
        keep("pods.log", self.said(&["describe", "pods"]));
        keep("events.log", self.said(&["get", "events", "--sort-by=.lastTimestamp"]));
        let pods = self.said(&["get", "pods", "--output=name"]).unwrap_or_default();
        for pod in pods.lines() {
            let words = self.said(&["logs", pod, "--all-containers", "--tail=1000"]);
            keep(&format!("{}.log", pod.trim_start_matches("pod/")), words);
        }
    }

    fn said(&self, arguments: &[&str]) -> anyhow::Result<String> {
        said(&mut self.kubectl.command(arguments))
    }

    /// What a template makes of the pod of the load.
    fn of_load(&self, template: &str) -> anyhow::Result<String> {
        let output = format!("--output=jsonpath={template}");
        self.said(&["get", "pods", "--selector=app=load", &output])
    }
}

impl Deployment for Pods {
    /// The last pods of their sets: the others would be made again at once.
    fn breaks(&self) -> [Break; 3] {
        [
            // It drains: its clients go to the other one.
            ("stop", "gateway-2", "NodeDown"),
            // As by a power failure of its machine, a moment after it was asked to end.
            ("kill", "rabbitmq-3", "RabbitMqNodeDown"),
            ("kill", "postgres-0", "PostgresDown"),
        ]
    }

    fn act(&self, what: &str, part: &str) -> anyhow::Result<()> {
        let (set, ordinal) = part.rsplit_once('-').context("a pod of a set")?;
        let (ordinal, set) = (ordinal.parse::<u32>()?, format!("statefulset/{set}"));
        let first = self.said(&["get", &set, "--output=jsonpath={.spec.ordinals.start}"])?;
        let before = ordinal - first.parse::<u32>().unwrap_or(0);
        let replicas = if what == "start" { before + 1 } else { before };
        self.said(&["scale", &set, &format!("--replicas={replicas}")])?;
        if what == "kill" {
            // Not `kubectl delete --force`: the pod would be gone for Kubernetes alone, and the next one would be
            // started on its volume beside it.
            let of_pod = format!("labels.\"io.kubernetes.pod.name\"=={part}");
            let found = said(containers().args(["containers", "list", "--quiet", &of_pod]))?;
            for container in found.lines() {
                // One that has ended by now has no process.
                let _ = said(containers().args(["tasks", "kill", "--signal", "KILL", container]));
            }
        }
        if what != "start" {
            self.said(&["wait", "--for=delete", &format!("pod/{part}"), "--timeout=60s"])?;
        }
        Ok(())
    }

    fn wait_until_well(&self, part: &str) -> anyhow::Result<()> {
        let is_ready = "--output=jsonpath={.status.containerStatuses[*].ready}";
        let mut state = String::new();
        wait(WELL, &format!("{part} is ready"), || {
            state = self.said(&["get", "pod", part, "--ignore-not-found", is_ready])?;
            Ok(!state.is_empty() && !state.contains("false"))
        })
        .with_context(|| state.clone())
    }

    fn start_load(&mut self) -> anyhow::Result<()> {
        let load = root().join("deploy/kubernetes/load.yaml");
        said(self.kubectl.command(&["apply", "--filename"]).arg(load)).map(drop)
    }

    fn load_status(&mut self) -> anyhow::Result<Option<i32>> {
        let ended = "{.items[0].status.containerStatuses[0].state.terminated.exitCode}";
        let status = self.of_load(ended)?;
        Ok(if status.is_empty() { None } else { Some(status.parse().context("its status")?) })
    }

    fn words_of_load(&self, lines: usize) -> String {
        let words = self.said(&["logs", "job/load", &format!("--tail={lines}")]);
        words.unwrap_or_else(|error| error.to_string())
    }

    fn prometheus(&self) -> Monitoring {
        Monitoring { port: PROMETHEUS }
    }
}
