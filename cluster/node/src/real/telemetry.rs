//! Numbers to Prometheus, with the node as a label.

use metrics::{Label, counter, gauge, histogram};
use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle};
use ports::Telemetry;
use std::time::Duration;

/// The telemetry of one node.
#[derive(Clone, Debug)]
pub struct PrometheusTelemetry {
    label: Label,
}

impl PrometheusTelemetry {
    /// Numbers of this node.
    pub fn new(name: &str) -> Self {
        Self { label: Label::new("node", name.to_owned()) }
    }

    fn labels(&self) -> Vec<Label> {
        vec![self.label.clone()]
    }
}

impl Telemetry for PrometheusTelemetry {
    fn gauge(&self, name: &'static str, value: u64, limit: u64) {
        gauge!(name, self.labels()).set(value as f64);
        if limit > 0 {
            let labels = vec![self.label.clone(), Label::new("of", name)];
            gauge!("fracas_limit", labels).set(limit as f64);
        }
    }

    fn count(&self, name: &'static str, by: u64) {
        counter!(name, self.labels()).increment(by);
    }

    fn time(&self, name: &'static str, took: Duration) {
        histogram!(name, self.labels()).record(took.as_secs_f64());
    }
}

/// Installs the recorder of this process; call once. The handle renders `GET /metrics`.
pub fn install() -> Result<PrometheusHandle, metrics_exporter_prometheus::BuildError> {
    PrometheusBuilder::new().install_recorder()
}
