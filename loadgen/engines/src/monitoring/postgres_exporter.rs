//! What asks a private PostgreSQL for its numbers, and tells them to Prometheus.

use crate::postgres::{DATABASE, PASSWORD};
use crate::running::{Instance, Program};
use crate::{listens, program};
use anyhow::Context;
use nix::sys::signal::Signal;
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
        let programs = ["prometheus-postgres-exporter", "postgres_exporter"];
        let program = program(&programs, "prometheus-postgres-exporter")?;
        std::fs::create_dir_all(folder).with_context(|| folder.display().to_string())?;
        Ok(Self { program, folder: folder.to_owned(), port, database })
    }
}

impl Instance for PostgresExporter {
    fn name(&self) -> &'static str {
        "the exporter of PostgreSQL"
    }

    fn program(&self) -> Program {
        let at = format!("127.0.0.1:{}/{DATABASE}?sslmode=disable", self.database);
        Program {
            file: self.program.clone(),
            arguments: vec![format!("--web.listen-address=127.0.0.1:{}", self.port)],
            variables: vec![
                ("DATA_SOURCE_URI", at),
                ("DATA_SOURCE_USER", DATABASE.to_owned()),
                ("DATA_SOURCE_PASS", PASSWORD.to_owned()),
            ],
            user: None,
            console: self.folder.join("console"),
            end: Signal::SIGTERM,
        }
    }

    fn is_ready(&self) -> bool {
        listens(self.port)
    }
}
