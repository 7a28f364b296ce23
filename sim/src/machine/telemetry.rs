//! A simulated host's numbers: gauges become events of the history when they reach a new high.

use ports::{Telemetry, entered};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use verify::history::What;
use workload::Recorder;

/// What one host has counted, over all its lives.
#[derive(Clone, Debug, Default)]
pub struct Counters(Arc<Mutex<BTreeMap<&'static str, u64>>>);

impl Counters {
    fn add(&self, name: &'static str, by: u64) {
        *self.0.lock().expect("nobody panics with it").entry(name).or_default() += by;
    }

    /// Each name with its sum; of a duration, how often it was taken.
    pub fn read(&self) -> BTreeMap<&'static str, u64> {
        self.0.lock().expect("nobody panics with it").clone()
    }
}

/// Records a gauge at its first value, whenever it doubles, and whenever it goes beyond its limit.
pub struct SimTelemetry {
    host: Arc<str>,
    recorder: Arc<dyn Recorder>,
    highs: Mutex<BTreeMap<&'static str, u64>>,
    counters: Counters,
}

impl SimTelemetry {
    /// The telemetry of one host.
    pub fn new(host: Arc<str>, recorder: Arc<dyn Recorder>, counters: Counters) -> Self {
        Self { host, recorder, highs: Mutex::default(), counters }
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

    // Counts and times are for operators and for tests; the judge reads levels and the history.
    fn count(&self, name: &'static str, by: u64) {
        self.counters.add(name, by);
    }

    fn time(&self, name: &'static str, _took: Duration) {
        self.counters.add(name, 1);
    }
}
