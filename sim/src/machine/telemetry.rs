//! A simulated host's numbers. Gauges become events of the history when they reach a new high, and so does
//! what a node gives up.

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

    // Other counts, and times, are for operators and for tests.
    fn count(&self, name: &'static str, by: u64) {
        self.counters.add(name, by);
        if let Some(what) = workload::shed(name) {
            let node = Arc::clone(&self.host);
            self.recorder.record(What::Shed { node, what, count: by });
        }
    }

    fn time(&self, name: &'static str, _took: Duration) {
        self.counters.add(name, 1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use verify::history::event::Shed;

    #[derive(Default)]
    struct Told(Mutex<Vec<What>>);

    impl Recorder for Told {
        fn record(&self, what: What) {
            entered(self.0.lock()).push(what);
        }

        fn now_us(&self) -> u64 {
            0
        }
    }

    #[test]
    fn the_judge_is_told_what_a_node_gives_up() {
        let told = Arc::new(Told::default());
        let telemetry = SimTelemetry::new("broker-1".into(), told.clone(), Counters::default());
        telemetry.count("broker_published_messages", 9);
        telemetry.count("broker_shed_notifications", 2);
        telemetry.count("broker_shed_dead_letters", 1);
        let shed = |what, count| What::Shed { node: "broker-1".into(), what, count };
        assert_eq!(*entered(told.0.lock()), [shed(Shed::PushJobs, 2), shed(Shed::DeadLetters, 1)]);
    }
}
