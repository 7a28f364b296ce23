//! Whether and where a load's messages are traced.

use crate::traces::refuse_without_feature;
use crate::whole::whole;
use campaign::InvalidUsage;
use clap::Args;
use ports::WallClock;
use protocol::trace::Tracing;
use scenarios::Scenario;

/// Where the steps of messages go.
#[derive(Clone, Debug, Default, Args)]
pub struct TraceArguments {
    /// Send the steps of messages through the cluster to a collector of OpenTelemetry, by OTLP over HTTP:
    /// http://127.0.0.1:4318/v1/traces. For a cluster that is started here.
    #[arg(long, value_name = "URL", conflicts_with = "target")]
    traces: Option<String>,
    /// Trace one message in so many.
    #[arg(long, value_name = "N", requires = "traces", default_value_t = 100, value_parser = whole(1..=1_000_000_000_u64))]
    traces_one_in: u64,
}

impl TraceArguments {
    /// For the configuration of the cluster. Each run has a name of its own there: its messages have the ids
    /// that those of another run with this seed have.
    ///
    /// # Errors
    /// The URL is none, or this program was built without OpenTelemetry.
    pub fn table(&self, scenario: &Scenario, seed: u64) -> Result<Option<Tracing>, InvalidUsage> {
        let Some(endpoint) = self.traces.clone() else { return Ok(None) };
        refuse_without_feature("--traces")?;
        if !node::config::is_endpoint(&endpoint) {
            // A password in it is not to be repeated.
            let shown = if endpoint.contains('@') { String::new() } else { format!(" {endpoint}") };
            let expected = node::config::AN_ENDPOINT;
            let why = format!("--traces{shown}: expected {expected}, and no password in it");
            return Err(InvalidUsage(why));
        }
        let cluster = format!("{}-{seed}-{}", scenario.name, real::SystemClock.now_ms());
        Ok(Some(Tracing { endpoint, one_in: self.traces_one_in, cluster }))
    }

    /// As they are given on a command line.
    pub fn words(&self) -> Vec<String> {
        let Some(endpoint) = &self.traces else { return Vec::new() };
        let one_in = self.traces_one_in.to_string();
        ["--traces", endpoint, "--traces-one-in", &one_in].map(str::to_owned).to_vec()
    }
}
