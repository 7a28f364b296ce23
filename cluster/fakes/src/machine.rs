//! Everything behind a machine in memory, on tokio's (paused) clock.

use crate::{FakeDisk, FakeNetwork};
use ports::entropy::Seeded;
use ports::tasks::Job;
use ports::telemetry::Label;
use ports::{BoxFuture, Machine, Span, Tasks, Telemetry, Traces, WallClock, Worker, entered};
use protocol::trace::Sampler;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;
use tokio::task::AbortHandle;
use tokio::time::Instant;

/// Everything behind a machine in memory; clones share it.
#[derive(Clone, Default)]
pub struct Memory {
    /// Who listens where.
    pub network: Arc<FakeNetwork>,
    /// The files.
    pub disk: FakeDisk,
    /// What was counted.
    pub telemetry: Arc<FakeTelemetry>,
    /// The steps of messages.
    pub traces: Arc<FakeTraces>,
    /// The date.
    pub clock: FakeClock,
}

impl Memory {
    /// A machine on this network and disk. Call it within a tokio runtime.
    pub fn machine(&self, name: &str) -> Machine {
        Machine {
            name: name.into(),
            network: self.network.clone(),
            disk: Arc::new(self.disk.clone()),
            clock: Arc::new(self.clock.clone()),
            entropy: Arc::new(Seeded::new(protocol::mix::derive(0, name))),
            tasks: Arc::new(RuntimeTasks),
            telemetry: self.telemetry.clone(),
            traces: self.traces.clone(),
        }
    }

    /// The same surroundings with a disk of their own: another node's.
    #[must_use]
    pub fn with_own_disk(&self) -> Self {
        Self { disk: FakeDisk::default(), ..self.clone() }
    }
}

/// A wall clock that follows tokio's; clones are the same clock, whatever restarts.
#[derive(Clone, Debug, Default)]
pub struct FakeClock(Arc<OnceLock<Instant>>);

/// What it shows when it is looked at first: 2026-01-01, milliseconds since the Unix epoch.
pub const START_MS: u64 = 1_767_225_600_000;

impl WallClock for FakeClock {
    fn now_ms(&self) -> u64 {
        START_MS + self.0.get_or_init(Instant::now).elapsed().as_millis() as u64
    }
}

/// Tasks of the current runtime.
struct RuntimeTasks;

impl Tasks for RuntimeTasks {
    #[expect(clippy::disallowed_methods, reason = "this is the adapter for tests")]
    fn spawn(&self, _name: &'static str, task: BoxFuture<'static, ()>) -> AbortHandle {
        tokio::spawn(task).abort_handle()
    }

    fn worker(&self, _name: &'static str) -> Arc<dyn Worker> {
        Arc::new(InLine)
    }
}

/// How long a job takes.
const JOB: Duration = Duration::from_millis(1);

/// Runs jobs at once; the time that they would take passes afterwards.
struct InLine;

impl Worker for InLine {
    fn run(&self, job: Job) -> BoxFuture<'static, ()> {
        job();
        Box::pin(tokio::time::sleep(JOB))
    }
}

/// Remembers what it was told.
#[derive(Default)]
pub struct FakeTelemetry {
    counts: Mutex<BTreeMap<&'static str, u64>>,
    counts_of: Mutex<BTreeMap<(&'static str, Vec<Label>), u64>>,
    gauges: Mutex<BTreeMap<&'static str, (u64, u64)>>,
    times: Mutex<BTreeMap<&'static str, Duration>>,
}

impl FakeTelemetry {
    /// How often something was counted or timed.
    pub fn counted(&self, name: &str) -> u64 {
        entered(self.counts.lock()).get(name).copied().unwrap_or(0)
    }

    /// How often something with these labels was counted or timed.
    pub fn counted_of(&self, name: &'static str, labels: &[Label]) -> u64 {
        entered(self.counts_of.lock()).get(&(name, labels.to_vec())).copied().unwrap_or(0)
    }

    /// How long something took, all times together.
    pub fn took(&self, name: &str) -> Duration {
        entered(self.times.lock()).get(name).copied().unwrap_or_default()
    }

    /// The last level, and its limit.
    pub fn gauge_of(&self, name: &str) -> Option<(u64, u64)> {
        entered(self.gauges.lock()).get(name).copied()
    }
}

/// Remembers the steps of messages, once it is told to.
#[derive(Default)]
pub struct FakeTraces {
    sampler: OnceLock<Sampler>,
    spans: Mutex<Vec<Span>>,
}

impl FakeTraces {
    /// Traces all messages of what begins from now on.
    pub fn trace_all(&self) -> Sampler {
        *self.sampler.get_or_init(|| Sampler::one_in(1, "fakes"))
    }

    /// The steps so far, in the order of their ends.
    pub fn spans(&self) -> Vec<Span> {
        entered(self.spans.lock()).clone()
    }
}

impl Traces for FakeTraces {
    fn sampler(&self) -> Sampler {
        self.sampler.get().copied().unwrap_or(Sampler::OFF)
    }

    fn span(&self, span: Span) {
        entered(self.spans.lock()).push(span);
    }
}

impl Telemetry for FakeTelemetry {
    fn gauge(&self, name: &'static str, value: u64, limit: u64) {
        entered(self.gauges.lock()).insert(name, (value, limit));
    }

    fn count(&self, name: &'static str, by: u64) {
        *entered(self.counts.lock()).entry(name).or_default() += by;
    }

    fn time(&self, name: &'static str, took: Duration) {
        self.count(name, 1);
        *entered(self.times.lock()).entry(name).or_default() += took;
    }

    fn count_of(&self, name: &'static str, labels: &[Label], by: u64) {
        self.count(name, by);
        *entered(self.counts_of.lock()).entry((name, labels.to_vec())).or_default() += by;
    }

    fn time_of(&self, name: &'static str, labels: &[Label], took: Duration) {
        self.time(name, took);
        *entered(self.counts_of.lock()).entry((name, labels.to_vec())).or_default() += 1;
    }
}
