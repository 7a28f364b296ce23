//! The latencies of a run, of both kinds, and their log.

use super::latency::{Recorder, Split};
use crate::latency_log::{Kind, LatencyLog};
use crate::measured::Latency;
use std::io;

/// Median and 99th percentile of a second.
type Ends = (Option<u64>, Option<u64>);

/// What is recorded, and where it is logged.
pub(crate) struct Latencies {
    pub(crate) accept: Recorder,
    pub(crate) deliver: Recorder,
    log: Option<LatencyLog>,
    /// Where the last second that was logged has ended.
    logged_us: u64,
}

impl Latencies {
    pub(crate) fn new() -> Self {
        Self { accept: Recorder::new(), deliver: Recorder::new(), log: None, logged_us: 0 }
    }

    pub(crate) fn log_to(&mut self, out: Box<dyn io::Write + Send>) {
        self.log = Some(LatencyLog::new(out));
    }

    /// A second is over: the ends of accept and deliver.
    pub(crate) fn end_second(&mut self, at_us: u64) -> [Ends; 2] {
        let Self { accept, deliver, log, logged_us } = self;
        let span = (*logged_us, at_us);
        *logged_us = at_us;
        let mut log = |kind, split: &Split| {
            if let Some(log) = log {
                log.write(kind, span, split);
            }
        };
        [
            accept.end_second(|split| log(Kind::Accept, split)),
            deliver.end_second(|split| log(Kind::Deliver, split)),
        ]
    }

    /// Accept, deliver, and whether all was logged. What has waited in vain is in the last interval.
    pub(crate) fn finish(mut self, at_us: u64) -> (Latency, Latency, io::Result<()>) {
        let span = (self.logged_us.min(at_us), at_us);
        let mut log = |kind, split: &Split| {
            if let Some(log) = &mut self.log {
                log.write(kind, span, split);
            }
        };
        let accept = self.accept.finish(|split| log(Kind::Accept, split));
        let deliver = self.deliver.finish(|split| log(Kind::Deliver, split));
        (accept, deliver, self.log.map_or(Ok(()), LatencyLog::finish))
    }
}
