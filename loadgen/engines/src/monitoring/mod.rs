//! What watches a cluster, with the rules of the deployment: Prometheus, Alertmanager, and what tells the numbers of
//! PostgreSQL.

mod alertmanager;
mod postgres_exporter;
mod prometheus;

pub use alertmanager::Alertmanager;
pub use postgres_exporter::PostgresExporter;
pub use prometheus::{Prometheus, Target};

/// Installs what is missing of all of it.
///
/// # Errors
/// Something is missing, and cannot be installed from here.
pub fn install() -> anyhow::Result<()> {
    prometheus::installed()?;
    alertmanager::installed()?;
    postgres_exporter::installed()?;
    Ok(())
}
