//! Latencies of one kind, counted from when operations were due, and from when they were sent.

use crate::measure::blocks::Blocks;
use crate::measure::latency::{BySecond, Distribution, Split};
use crate::measure::operation::Operation;
use crate::measured::{FromSent, Latency, Operations};

/// A latency, of what, and whether it met a fault.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Took {
    pub(crate) us: u64,
    /// Of that, before it was sent.
    pub(crate) late_us: u64,
    pub(crate) operation: Operation,
    pub(crate) under_fault: bool,
}

impl Took {
    /// Without what the generator was late.
    pub(crate) const fn since_sent_us(self) -> u64 {
        self.us.saturating_sub(self.late_us)
    }
}

/// The latency of one kind of operation, with and without faults.
pub(crate) struct Recorder {
    from_due: Counted,
    from_sent: Counted,
}

impl Recorder {
    pub(crate) fn new() -> Self {
        Self { from_due: Counted::new(), from_sent: Counted::new() }
    }

    /// Records a latency; true if it had to be clipped.
    pub(crate) fn record(&mut self, took: Took) -> bool {
        self.from_sent.record(Took { us: took.since_sent_us(), ..took });
        self.from_due.record(took)
    }

    /// Records how long something has waited in vain: it belongs to the run, but to no second.
    pub(crate) fn record_unanswered(&mut self, took: Took) -> bool {
        self.from_sent.record_unanswered(Took { us: took.since_sent_us(), ..took });
        self.from_due.record_unanswered(took)
    }

    /// All that was recorded.
    pub(crate) fn so_far(&self) -> Distribution {
        let counted = &self.from_due;
        let mut all = counted.by_second.run.all();
        all.add(&counted.by_second.second.all());
        all.add(&counted.in_vain.all());
        all
    }

    /// Median and 99th percentile of what was recorded since the last call; `log` gets all of it.
    pub(crate) fn end_second(&mut self, log: impl FnOnce(&Split)) -> (Option<u64>, Option<u64>) {
        self.from_sent.end_second(|_| ());
        let all = self.from_due.end_second(log);
        (all.quantile(0.50), all.quantile(0.99))
    }

    /// The first second, from this one on, at which the run can be divided.
    pub(crate) fn division(&self, second: usize) -> usize {
        self.from_due.blocks.begin_of_block(second)
    }

    /// The latency of the whole run, and from a second on; `log` gets what belongs to no second that has
    /// ended.
    pub(crate) fn finish(self, since: Option<usize>, log: impl FnOnce(&Split)) -> Latency {
        let Latency { all, calm, under_fault, steady, operations, .. } =
            self.from_sent.finish(since, |_| ());
        let from_sent = FromSent { all, calm, under_fault, steady, operations };
        Latency { from_sent, ..self.from_due.finish(since, log) }
    }
}

/// The same counted from one of the two.
struct Counted {
    by_second: BySecond,
    in_vain: Split,
    blocks: Blocks,
    /// Of the whole run, by number of the operation.
    operations: [Distribution; 4],
}

impl Counted {
    fn new() -> Self {
        Self {
            by_second: BySecond::new(),
            in_vain: Split::new(),
            blocks: Blocks::new(),
            operations: std::array::from_fn(|_| Distribution::new()),
        }
    }

    fn record(&mut self, took: Took) -> bool {
        self.operations[took.operation as usize].record(took.us);
        self.by_second.second.record(took.us, took.under_fault)
    }

    fn record_unanswered(&mut self, took: Took) -> bool {
        self.operations[took.operation as usize].record(took.us);
        self.in_vain.record(took.us, took.under_fault)
    }

    fn end_second(&mut self, log: impl FnOnce(&Split)) -> Distribution {
        let all = self.by_second.end_second(log);
        self.blocks.end_second(&all);
        all
    }

    fn finish(mut self, since: Option<usize>, log: impl FnOnce(&Split)) -> Latency {
        let BySecond { mut run, second } = self.by_second;
        self.in_vain.add(&second);
        log(&self.in_vain);
        run.add(&self.in_vain);
        let steady = since.map(|since| {
            let mut steady = self.blocks.since(since);
            steady.add(&self.in_vain.all());
            steady.percentiles()
        });
        let all = run.all();
        let [send, reply, edit, delete] = self.operations.map(|one| one.percentiles());
        Latency {
            all: all.percentiles(),
            mean_us: all.mean(),
            calm: run.calm.percentiles(),
            under_fault: run.under_fault.percentiles(),
            steady,
            operations: Operations { send, reply, edit, delete },
            from_sent: FromSent::default(),
            distribution: all.curve(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_steady_part_is_counted_from_both() {
        let mut recorder = Recorder::new();
        // The cluster warms up; then the generator is late.
        for (us, late_us) in [(500_000, 0), (90_000, 60_000)] {
            for _ in 0..10 {
                let operation = Operation::Send;
                recorder.record(Took { us, late_us, operation, under_fault: false });
            }
            recorder.end_second(|_| ());
        }
        let latency = recorder.finish(Some(1), |_| ());
        // To the three digits of a block.
        let max_ms = |steady: Option<crate::measured::Percentiles>| {
            steady.and_then(|it| it.max_us).map(|us| us / 1_000)
        };
        assert_eq!(max_ms(latency.steady), Some(90));
        assert_eq!(max_ms(latency.from_sent.steady), Some(30));
        assert_eq!(latency.from_sent.all.max_us, Some(500_000));
    }
}
