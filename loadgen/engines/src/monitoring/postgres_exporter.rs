//! What asks a private PostgreSQL for its numbers, and tells them to Prometheus.

use crate::postgres::{DATABASE, PASSWORD};
use crate::running::{Instance, Program};
use crate::{listens, program};
use anyhow::Context;
use std::path::{Path, PathBuf};

/// One for the server at a port of loopback.
pub struct PostgresExporter {
    program: PathBuf,
    folder: PathBuf,
    port: u16,
    database: u16,
}

impl PostgresExporter {
    /// Finds the program; its output goes to a folder.
    ///
    /// # Errors
    /// It is missing and cannot be installed, or the folder cannot be made.
    pub fn prepare(folder: &Path, port: u16, database: u16) -> anyhow::Result<Self> {
        let program = installed()?;
        std::fs::create_dir_all(folder).with_context(|| folder.display().to_string())?;
        Ok(Self { program, folder: folder.to_owned(), port, database })
    }
}

/// Its program, installed if it is missing.
///
/// # Errors
/// It is missing, and cannot be installed from here.
pub fn installed() -> anyhow::Result<PathBuf> {
    program(&["prometheus-postgres-exporter", "postgres_exporter"], "prometheus-postgres-exporter")
}

impl Instance for PostgresExporter {
    fn name(&self) -> &'static str {
        "the exporter of PostgreSQL"
    }

    fn program(&self) -> Program {
        let at = format!("127.0.0.1:{}/{DATABASE}?sslmode=disable", self.database);
        let arguments = vec![format!("--web.listen-address=127.0.0.1:{}", self.port)];
        Program {
            variables: vec![
                ("DATA_SOURCE_URI", at),
                ("DATA_SOURCE_USER", DATABASE.to_owned()),
                ("DATA_SOURCE_PASS", PASSWORD.to_owned()),
            ],
            ..Program::new(&self.program, arguments, &self.folder)
        }
    }

    fn is_ready(&self) -> bool {
        listens(self.port)
    }
}
