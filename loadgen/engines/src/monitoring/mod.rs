//! What watches a cluster, with the rules of the deployment: Prometheus, Alertmanager, and what tells the numbers of
//! PostgreSQL.

mod alertmanager;
mod postgres_exporter;
mod prometheus;

pub use alertmanager::Alertmanager;
pub use postgres_exporter::PostgresExporter;
pub use prometheus::{Prometheus, Target};
