//! A simulated host's numbers: gauges become events of the history when they reach a new high.

use loadgen::Recorder;
use ports::{Telemetry, entered};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use verify::history::What;

/// Records a gauge at its first value, whenever it doubles, and whenever it goes beyond its limit.
pub struct SimTelemetry {
    host: Arc<str>,
    recorder: Arc<dyn Recorder>,
    highs: Mutex<BTreeMap<&'static str, u64>>,
}

impl SimTelemetry {
    /// The telemetry of one host.
    pub fn new(host: Arc<str>, recorder: Arc<dyn Recorder>) -> Self {
        Self { host, recorder, highs: Mutex::default() }
    }
}

impl Telemetry for SimTelemetry {
    fn gauge(&self, name: &'static str, value: u64, limit: u64) {
        {
            let mut highs = entered(self.highs.lock());
            let high = highs.get(name).copied();
            let beyond = limit > 0 && value > limit && high.is_some_and(|high| high <= limit);
            if !beyond && high.is_some_and(|high| value < high.saturating_mul(2).max(1)) {
                return;
            }
            highs.insert(name, value);
        }
        let node = self.host.clone();
        self.recorder.record(What::Gauge { node, name: name.into(), value, limit });
    }

    // Counts and times are for operators; the judge reads levels and the history.
    fn count(&self, _name: &'static str, _by: u64) {}

    fn time(&self, _name: &'static str, _took: Duration) {}
}
