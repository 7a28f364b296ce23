//! Numbers to Prometheus, with the node as a label.

use metrics::{Label, counter, gauge, histogram};
use metrics_exporter_prometheus::{BuildError, PrometheusBuilder, PrometheusHandle};
use ports::Telemetry;
use ports::telemetry;
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

    fn labels_and(&self, more: &[telemetry::Label]) -> Vec<Label> {
        let more = more.iter().map(|(name, value)| Label::from_static_parts(name, value));
        std::iter::once(self.label.clone()).chain(more).collect()
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

    fn count_of(&self, name: &'static str, labels: &[telemetry::Label], by: u64) {
        counter!(name, self.labels_and(labels)).increment(by);
    }

    fn time_of(&self, name: &'static str, labels: &[telemetry::Label], took: Duration) {
        histogram!(name, self.labels_and(labels)).record(took.as_secs_f64());
    }

    fn times(&self, name: &'static str, took: &[Duration]) {
        if took.is_empty() {
            return;
        }
        let histogram = histogram!(name, self.labels());
        for took in took {
            histogram.record(took.as_secs_f64());
        }
    }
}

/// How often the durations are summed up: until then each of them takes memory.
const UPKEEP: Duration = Duration::from_secs(5);

/// Installs the recorder of this process; call once. The handle renders `GET /metrics`.
///
/// # Errors
/// There is a recorder already, or no thread for its upkeep.
pub fn install() -> Result<PrometheusHandle, InstallError> {
    let handle = builder()?.install_recorder()?;
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

/// Counters end with `_total` and durations with `_seconds`, as Prometheus recommends. Every duration is a
/// histogram: the buckets of several nodes can be added up, and quantiles of summaries cannot.
fn builder() -> Result<PrometheusBuilder, BuildError> {
    PrometheusBuilder::new().with_recommended_naming(true).set_buckets(&crate::metrics::BUCKETS)
}

/// Why no numbers can be recorded.
#[derive(Debug, thiserror::Error)]
pub enum InstallError {
    /// The recorder.
    #[error("the recorder of metrics")]
    Recorder(#[from] BuildError),
    /// Its thread.
    #[error("a thread for the metrics")]
    Thread(#[from] std::io::Error),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_shown_with_help_and_the_usual_endings() {
        let recorder = builder().unwrap().build_recorder();
        metrics::with_local_recorder(&recorder, || {
            crate::metrics::describe();
            let telemetry = PrometheusTelemetry::new("gateway-1");
            telemetry.count("gateway_frames_in", 2);
            telemetry.count("auth_tokens_issued_total", 1);
            telemetry.gauge("gateway_sessions", 3, 10);
            telemetry.time("store_commit", Duration::from_millis(250));
            telemetry.time("notifier_provider_seconds", Duration::from_millis(250));
            let get = [("method", "GET"), ("route", "/v1/conversations")];
            telemetry.time_of("gateway_rest_seconds", &get, Duration::from_millis(4));
            telemetry.count_of("gateway_rest_requests", &[get[0], get[1], ("status", "2xx")], 2);
            telemetry.times("gateway_send", &[3, 40, 31_000].map(Duration::from_millis));
            telemetry.times("broker_publish", &[]);
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
            "# TYPE store_commit_seconds histogram",
            "store_commit_seconds_bucket{node=\"gateway-1\",le=\"0.1\"} 0",
            "store_commit_seconds_bucket{node=\"gateway-1\",le=\"0.25\"} 1",
            "gateway_rest_seconds_bucket{node=\"gateway-1\",method=\"GET\",route=\"/v1/conversations\",le=\"0.0025\"} 0",
            "gateway_rest_seconds_bucket{node=\"gateway-1\",method=\"GET\",route=\"/v1/conversations\",le=\"0.005\"} 1",
            "gateway_rest_requests_total{node=\"gateway-1\",method=\"GET\",route=\"/v1/conversations\",status=\"2xx\"} 2",
            "gateway_send_seconds_bucket{node=\"gateway-1\",le=\"0.005\"} 1",
            "gateway_send_seconds_bucket{node=\"gateway-1\",le=\"0.05\"} 2",
            "gateway_send_seconds_bucket{node=\"gateway-1\",le=\"30\"} 2",
            "gateway_send_seconds_bucket{node=\"gateway-1\",le=\"+Inf\"} 3",
            "gateway_send_seconds_count{node=\"gateway-1\"} 3",
        ] {
            assert!(text.lines().any(|found| found == line), "{line}\n{text}");
        }
        assert!(!text.contains("quantile=") && !text.contains("broker_publish_seconds"), "{text}");
    }

    #[test]
    fn every_duration_is_a_histogram() {
        let recorder = builder().unwrap().build_recorder();
        metrics::with_local_recorder(&recorder, || {
            crate::metrics::describe();
            let telemetry = PrometheusTelemetry::new("node");
            for (name, _) in crate::metrics::TIMES {
                telemetry.time(name, Duration::from_micros(800));
            }
        });
        let text = recorder.handle().render();
        for (name, _) in crate::metrics::TIMES {
            let name = name.strip_suffix("_seconds").unwrap_or(name);
            let line = format!("{name}_seconds_bucket{{node=\"node\",le=\"0.001\"}} 1");
            assert!(text.lines().any(|found| found == line), "{line}\n{text}");
        }
        let buckets = crate::metrics::TIMES.len() * (crate::metrics::BUCKETS.len() + 1);
        assert_eq!(text.lines().filter(|line| line.contains("_bucket{")).count(), buckets);
    }
}
