//! CPU time of this process as what criterion measures.
//!
//! On a machine that others use as well, wall time says how much they do. For work that waits for
//! nothing, CPU time says what it costs. Work that waits for a disk is measured in wall time.

use criterion::Criterion;
use criterion::measurement::{Measurement, ValueFormatter, WallTime};
use std::time::Duration;

/// User and system time of all threads, with a resolution of a microsecond (`getrusage`): criterion
/// measures many iterations at a time.
#[derive(Clone, Copy, Debug)]
pub struct CpuTime;

/// A criterion that measures CPU time, with the arguments of the command line.
pub fn criterion() -> Criterion<CpuTime> {
    Criterion::default().with_measurement(CpuTime).configure_from_args()
}

impl Measurement for CpuTime {
    type Intermediate = Duration;
    type Value = Duration;

    fn start(&self) -> Duration {
        real::cpu_time()
    }

    fn end(&self, start: Duration) -> Duration {
        real::cpu_time().saturating_sub(start)
    }

    fn add(&self, one: &Duration, other: &Duration) -> Duration {
        *one + *other
    }

    fn zero(&self) -> Duration {
        Duration::ZERO
    }

    fn to_f64(&self, value: &Duration) -> f64 {
        value.as_nanos() as f64
    }

    fn formatter(&self) -> &dyn ValueFormatter {
        // Durations are written in the same way.
        WallTime.formatter()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sleeping_costs_nothing_and_working_does() {
        let measurement = CpuTime;
        let start = measurement.start();
        std::thread::sleep(Duration::from_millis(200));
        let slept = measurement.end(start);
        assert!(slept < Duration::from_millis(100), "{slept:?}");
        let start = measurement.start();
        let mut sum = 0_u64;
        while measurement.end(start) < Duration::from_millis(5) {
            sum = std::hint::black_box(sum + 1);
        }
        assert!(sum > 0);
    }
}
