//! `kubectl`, as an operator of the cluster.

use super::programs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

#[derive(Clone)]
pub struct Kubectl {
    program: PathBuf,
    configuration: PathBuf,
}

impl Kubectl {
    /// That of the node in a folder.
    pub fn of(folder: &Path) -> Self {
        let configuration = folder.join("node/kubeconfig");
        Self { program: programs::at(folder, "kubectl"), configuration }
    }

    /// With arguments.
    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(&self.program);
        command.arg("--kubeconfig").arg(&self.configuration).args(arguments);
        command.stdin(Stdio::null());
        command
    }
}
