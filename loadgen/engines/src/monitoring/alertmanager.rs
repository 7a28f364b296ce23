//! A private Alertmanager, which groups what Prometheus tells it and tells nobody.

use crate::running::{Instance, Program};
use crate::{listens, program, write};
use anyhow::Context;
use std::path::{Path, PathBuf};

/// The configuration of the deployment.
const DEPLOYED: &str = include_str!("../../../../deploy/alertmanager/alertmanager.yml");

/// One that keeps what it knows in a folder.
pub struct Alertmanager {
    program: PathBuf,
    folder: PathBuf,
    port: u16,
}

impl Alertmanager {
    /// Finds the program, and writes its configuration into a folder.
    ///
    /// # Errors
    /// It is missing and cannot be installed, or a file cannot be written.
    pub fn prepare(folder: &Path, port: u16) -> anyhow::Result<Self> {
        let program = installed()?;
        std::fs::create_dir_all(folder).with_context(|| folder.display().to_string())?;
        let folder = folder.canonicalize().with_context(|| folder.display().to_string())?;
        write(&folder.join("alertmanager.yml"), DEPLOYED)?;
        Ok(Self { program, folder, port })
    }
}

/// Its program, installed if it is missing.
///
/// # Errors
/// It is missing, and cannot be installed from here.
pub fn installed() -> anyhow::Result<PathBuf> {
    program(&["prometheus-alertmanager", "alertmanager"], "prometheus-alertmanager")
}

impl Instance for Alertmanager {
    fn name(&self) -> &'static str {
        "Alertmanager"
    }

    fn program(&self) -> Program {
        let folder = self.folder.display();
        let arguments = [
            format!("--config.file={folder}/alertmanager.yml"),
            format!("--storage.path={folder}/data"),
            format!("--web.listen-address=127.0.0.1:{}", self.port),
            // It is alone.
            "--cluster.listen-address=".to_owned(),
        ];
        Program::new(&self.program, arguments.to_vec(), &self.folder)
    }

    fn is_ready(&self) -> bool {
        listens(self.port)
    }
}
