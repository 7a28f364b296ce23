//! A private Prometheus that asks everybody of a cluster for numbers, with the alerts of the deployment.

use crate::running::{Instance, Program};
use crate::{listens, program, write};
use anyhow::Context;
use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

/// The configuration of the deployment.
const DEPLOYED: &str = include_str!("../../../../deploy/prometheus/prometheus.yml");
/// Its alerts.
const ALERTS: &str = include_str!("../../../../deploy/prometheus/alerts.yml");
/// The job of the nodes, which have roles.
const NODES: &str = "fracas";

/// Whom it asks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    /// What it is one of: a job of the deployed configuration.
    pub job: String,
    /// What it is called there.
    pub name: String,
    /// Its `host:port`.
    pub address: String,
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { job, name, address } = self;
        write!(f, "{job}/{name}={address}")
    }
}

impl FromStr for Target {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let read = || {
            let (named, address) = text.split_once('=')?;
            let (job, name) = named.split_once('/')?;
            Some(Self { job: job.to_owned(), name: name.to_owned(), address: address.to_owned() })
        };
        read().ok_or_else(|| "expected JOB/NAME=HOST:PORT".to_owned())
    }
}

/// One that keeps its numbers in a folder.
pub struct Prometheus {
    program: PathBuf,
    folder: PathBuf,
    port: u16,
}

impl Prometheus {
    /// Finds the program, and writes its configuration into a folder: `alertmanager` is the port of one on loopback.
    ///
    /// # Errors
    /// It is missing and cannot be installed, or a file cannot be written.
    pub fn prepare(
        folder: &Path,
        port: u16,
        targets: &[Target],
        alertmanager: u16,
    ) -> anyhow::Result<Self> {
        let program = installed()?;
        std::fs::create_dir_all(folder).with_context(|| folder.display().to_string())?;
        let folder = folder.canonicalize().with_context(|| folder.display().to_string())?;
        write(&folder.join("alerts.yml"), ALERTS)?;
        let configuration = configuration(DEPLOYED, targets, alertmanager);
        write(&folder.join("prometheus.yml"), &configuration)?;
        Ok(Self { program, folder, port })
    }
}

/// Its program, installed if it is missing.
///
/// # Errors
/// It is missing, and cannot be installed from here.
pub fn installed() -> anyhow::Result<PathBuf> {
    program(&["prometheus"], "prometheus")
}

impl Instance for Prometheus {
    fn name(&self) -> &'static str {
        "Prometheus"
    }

    fn program(&self) -> Program {
        let folder = self.folder.display();
        let arguments = [
            format!("--config.file={folder}/prometheus.yml"),
            format!("--storage.tsdb.path={folder}/data"),
            format!("--web.listen-address=127.0.0.1:{}", self.port),
        ];
        Program::new(&self.program, arguments.to_vec(), &self.folder)
    }

    fn is_ready(&self) -> bool {
        listens(self.port)
    }
}

/// The pace and the rules of the deployment, for targets at these addresses.
fn configuration(deployed: &str, targets: &[Target], alertmanager: u16) -> String {
    let until_targets = deployed.split("\nalerting:").next().unwrap_or_default();
    let mut text = format!(
        "{}\n\nalerting:\n  alertmanagers:\n    - static_configs:\n        - targets: [\"127.0.0.1:{alertmanager}\"]\n\n\
         scrape_configs:\n",
        until_targets.trim_end()
    );
    let mut jobs: Vec<&str> = targets.iter().map(|target| &*target.job).collect();
    jobs.dedup();
    for job in jobs {
        text += &["  - job_name: ", job, "\n    static_configs:\n"].concat();
        for Target { name, address, .. } in targets.iter().filter(|target| target.job == job) {
            let role = name.split('-').next().filter(|_| job == NODES);
            let role = role.map_or_else(String::new, |role| format!(", role: \"{role}\""));
            let at = format!("      - targets: [\"{address}\"]\n");
            let labels = format!("        labels: {{ instance: \"{name}\"{role} }}\n");
            text.extend([at, labels]);
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_target_is_read_as_it_is_written() {
        let text = "fracas/gateway-1=127.0.0.1:21";
        assert_eq!(text.parse::<Target>().map(|it| it.to_string()).as_deref(), Ok(text));
        assert!("gateway-1=127.0.0.1:21".parse::<Target>().is_err());
    }

    #[test]
    fn the_deployed_configuration_is_used_with_other_targets() {
        let targets = [
            "fracas/gateway-1=127.0.0.1:21",
            "fracas/auth-1=127.0.0.1:22",
            "haproxy/haproxy=127.0.0.1:23",
        ];
        let targets = targets.map(|text| text.parse().unwrap());
        let written = configuration(DEPLOYED, &targets, 7);
        let expected = "global:\n  scrape_interval: 5s\n  evaluation_interval: 5s\n\nrule_files:\n  - alerts.yml\n\n\
             alerting:\n  alertmanagers:\n    - static_configs:\n        - targets: [\"127.0.0.1:7\"]\n\n\
             scrape_configs:\n  - job_name: fracas\n    static_configs:\n\
             \x20     - targets: [\"127.0.0.1:21\"]\n        labels: { instance: \"gateway-1\", role: \"gateway\" }\n\
             \x20     - targets: [\"127.0.0.1:22\"]\n        labels: { instance: \"auth-1\", role: \"auth\" }\n\
             \x20 - job_name: haproxy\n    static_configs:\n\
             \x20     - targets: [\"127.0.0.1:23\"]\n        labels: { instance: \"haproxy\" }\n";
        assert_eq!(written, expected);
    }
}
