//! The latencies of a run, of all kinds, and their log.

use super::latency::Split;
use super::recorder::Recorder;
use super::requests;
use crate::latency_log::{Kind, LatencyLog};
use crate::measured::{Latency, Percentiles, Requests};
use std::io;

/// Median and 99th percentile of a second.
type Ends = (Option<u64>, Option<u64>);

/// What is recorded, and where it is logged.
pub(crate) struct Latencies {
    pub(crate) accept: Recorder,
    pub(crate) deliver: Recorder,
    pub(super) requests: requests::All,
    log: Option<LatencyLog>,
    /// Where the last second that was logged has ended.
    logged_us: u64,
}

/// The latencies of a whole run.
pub(super) struct Finished {
    pub(super) accept: Latency,
    pub(super) deliver: Latency,
    /// Kind by kind, and together, if there were any.
    pub(super) requests: (Vec<Requests>, Option<Percentiles>),
    /// Whether all was logged.
    pub(super) logged: io::Result<()>,
}

impl Latencies {
    pub(crate) fn new() -> Self {
        let (accept, deliver) = (Recorder::new(), Recorder::new());
        Self { accept, deliver, requests: requests::All::new(), log: None, logged_us: 0 }
    }

    pub(crate) fn log_to(&mut self, out: Box<dyn io::Write + Send>) {
        self.log = Some(LatencyLog::new(out));
    }

    /// A second is over: the ends of accept and deliver.
    pub(crate) fn end_second(&mut self, at_us: u64) -> [Ends; 2] {
        let Self { accept, deliver, requests, log, logged_us } = self;
        let span = (*logged_us, at_us);
        *logged_us = at_us;
        let mut log = |kind, split: &Split| {
            if let Some(log) = log {
                log.write(kind, span, split);
            }
        };
        requests.end_second(|split| log(Kind::Request, split));
        [
            accept.end_second(|split| log(Kind::Accept, split)),
            deliver.end_second(|split| log(Kind::Deliver, split)),
        ]
    }

    /// The whole run, and what came from a second on. What has waited in vain is in the last interval of
    /// the log.
    pub(super) fn finish(mut self, at_us: u64, since: Option<usize>) -> Finished {
        let span = (self.logged_us.min(at_us), at_us);
        let mut log = |kind, split: &Split| {
            if let Some(log) = &mut self.log {
                log.write(kind, span, split);
            }
        };
        Finished {
            requests: self.requests.finish(|split| log(Kind::Request, split)),
            accept: self.accept.finish(since, |split| log(Kind::Accept, split)),
            deliver: self.deliver.finish(since, |split| log(Kind::Deliver, split)),
            logged: self.log.map_or(Ok(()), LatencyLog::finish),
        }
    }
}
