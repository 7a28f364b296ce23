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

/// How often the durations are summed up: until then each of them takes memory.
const UPKEEP: Duration = Duration::from_secs(5);

/// Installs the recorder of this process; call once. The handle renders `GET /metrics`.
///
/// # Errors
/// There is a recorder already, or no thread for its upkeep.
pub fn install() -> Result<PrometheusHandle, InstallError> {
    let handle = builder().install_recorder()?;
    crate::metrics::describe();
    let recorder = handle.clone();
    // Most nodes are asked for their numbers by nobody.
    std::thread::Builder::new().name("metrics".to_owned()).spawn(move || {
        loop {
            std::thread::sleep(UPKEEP);
            recorder.run_upkeep();
        }
    })?;
    Ok(handle)
}

/// Counters end with `_total` and durations with `_seconds`, as Prometheus recommends.
fn builder() -> PrometheusBuilder {
    PrometheusBuilder::new().with_recommended_naming(true)
}

/// Why no numbers can be recorded.
#[derive(Debug, thiserror::Error)]
pub enum InstallError {
    /// The recorder.
    #[error("the recorder of metrics")]
    Recorder(#[from] metrics_exporter_prometheus::BuildError),
    /// Its thread.
    #[error("a thread for the metrics")]
    Thread(#[from] std::io::Error),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_shown_with_help_and_the_usual_endings() {
        let recorder = builder().build_recorder();
        metrics::with_local_recorder(&recorder, || {
            crate::metrics::describe();
            let telemetry = PrometheusTelemetry::new("gateway-1");
            telemetry.count("gateway_frames_in", 2);
            telemetry.count("auth_tokens_issued_total", 1);
            telemetry.gauge("gateway_sessions", 3, 10);
            telemetry.time("store_commit", Duration::from_millis(250));
            telemetry.time("notifier_provider_seconds", Duration::from_millis(250));
        });
        let text = recorder.handle().render();
        for line in [
            "# HELP gateway_frames_in_total Frames from clients",
            "# TYPE gateway_frames_in_total counter",
            "gateway_frames_in_total{node=\"gateway-1\"} 2",
            "auth_tokens_issued_total{node=\"gateway-1\"} 1",
            "# HELP gateway_sessions Open sessions",
            "gateway_sessions{node=\"gateway-1\"} 3",
            "fracas_limit{node=\"gateway-1\",of=\"gateway_sessions\"} 10",
            "store_commit_seconds_sum{node=\"gateway-1\"} 0.25",
            "notifier_provider_seconds_count{node=\"gateway-1\"} 1",
        ] {
            assert!(text.lines().any(|found| found == line), "{line}\n{text}");
        }
    }
}
