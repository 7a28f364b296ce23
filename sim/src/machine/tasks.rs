//! A simulated host's tasks, and its workers that charge simulated disk time.

use super::gate::Gate;
use fakes::FakeDisk;
use ports::tasks::Job;
use ports::{BoxFuture, Entropy, Tasks, Worker, entered};
use std::collections::BTreeSet;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::sync::{Notify, mpsc, oneshot};
use tokio::task::AbortHandle;

/// Runs everything of one host behind its gate.
pub struct SimTasks {
    /// The host's gate.
    pub gate: Gate,
    /// The host's disk, which learns when a job begins and settles.
    pub disk: FakeDisk,
    /// For the spread of disk latencies.
    pub entropy: Arc<dyn Entropy>,
    /// Mean latency of a forced write.
    pub disk_sync: Duration,
    /// What the host's workers are writing.
    pub writes: Arc<Writes>,
    /// What their jobs wait for besides the disk.
    pub round_trips: RoundTrips,
}

/// Round trips over the network that jobs of a host have made: they take their time after the job.
#[derive(Clone)]
pub struct RoundTrips {
    made: Arc<AtomicU32>,
    /// Mean time of one.
    each: Duration,
}

impl RoundTrips {
    /// None yet; each takes so long.
    pub fn new(each: Duration) -> Self {
        Self { made: Arc::default(), each }
    }

    /// The job that runs makes one.
    pub fn make(&self) {
        self.made.fetch_add(1, Ordering::Relaxed);
    }

    /// How many were made since the last job.
    fn take(&self) -> u32 {
        self.made.swap(0, Ordering::Relaxed)
    }
}

/// Jobs whose code has run and whose disk time has not passed.
#[derive(Default)]
pub struct Writes {
    under_way: Mutex<BTreeSet<u64>>,
    changed: Notify,
}

impl Writes {
    fn begin(&self, job: u64) {
        entered(self.under_way.lock()).insert(job);
    }

    fn end(&self, job: u64) {
        entered(self.under_way.lock()).remove(&job);
        self.changed.notify_waiters();
    }

    /// Until those that began before a job are over. Their code has run, so the job may have read what
    /// they wrote: a real process shows that to nobody before it is on the disk.
    async fn settled_before(&self, job: u64) {
        loop {
            let changed = self.changed.notified();
            if entered(self.under_way.lock()).range(..job).next().is_none() {
                return;
            }
            changed.await;
        }
    }
}

/// One of a host's workers.
struct Line {
    disk: FakeDisk,
    entropy: Arc<dyn Entropy>,
    disk_sync: Duration,
    writes: Arc<Writes>,
    round_trips: RoundTrips,
    /// Whether others act on what its jobs write before they are over.
    is_seen: bool,
}

impl Tasks for SimTasks {
    fn spawn(&self, name: &'static str, task: BoxFuture<'static, ()>) -> AbortHandle {
        #[expect(
            clippy::disallowed_methods,
            reason = "this is the adapter: the gate wraps the task"
        )]
        let handle = tokio::spawn(self.gate.wrap(name, task));
        handle.abort_handle()
    }

    fn worker(&self, name: &'static str) -> Arc<dyn Worker> {
        self.start(name, true)
    }

    fn background_worker(&self, name: &'static str) -> Arc<dyn Worker> {
        self.start(name, false)
    }
}

impl SimTasks {
    fn start(&self, name: &'static str, is_seen: bool) -> Arc<dyn Worker> {
        let (sender, jobs) = mpsc::unbounded_channel();
        let line = Line {
            disk: self.disk.clone(),
            entropy: Arc::clone(&self.entropy),
            disk_sync: self.disk_sync,
            writes: Arc::clone(&self.writes),
            round_trips: self.round_trips.clone(),
            is_seen,
        };
        self.spawn(name, Box::pin(line.work(jobs)));
        Arc::new(SimWorker(sender))
    }
}

struct SimWorker(mpsc::UnboundedSender<(Job, oneshot::Sender<()>)>);

impl Worker for SimWorker {
    fn run(&self, job: Job) -> BoxFuture<'static, ()> {
        let (done, finished) = oneshot::channel();
        // A closed channel is a dead host: the future below then ends at once.
        let _ = self.0.send((job, done));
        Box::pin(async move {
            let _ = finished.await;
        })
    }
}

impl Line {
    /// One job after another. A job's writes are under way until its disk time has passed: a crash in
    /// that window cuts the job at a random point.
    async fn work(self, mut jobs: mpsc::UnboundedReceiver<(Job, oneshot::Sender<()>)>) {
        while let Some((job, done)) = jobs.recv().await {
            let ticket = self.disk.begin_job();
            job();
            let syncs = self.disk.end_job(ticket);
            let round_trips = self.round_trips.take();
            if syncs > 0 && self.is_seen {
                self.writes.begin(ticket);
            }
            if syncs + round_trips > 0 {
                let disk = self.around(self.disk_sync, syncs);
                tokio::time::sleep(disk + self.around(self.round_trips.each, round_trips)).await;
            }
            self.disk.settle_job(ticket);
            self.writes.end(ticket);
            self.writes.settled_before(ticket).await;
            // The caller may be gone.
            let _ = done.send(());
        }
    }

    /// So many times half to one and a half of the mean.
    fn around(&self, mean: Duration, times: u32) -> Duration {
        if times == 0 {
            return Duration::ZERO;
        }
        let factor = 500 + self.entropy.below(1_000);
        let micros = mean.as_micros() as u64 * u64::from(times) * factor / 1_000;
        Duration::from_micros(micros)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::machine::trace::Trace;
    use crate::seed::SeededEntropy;
    use ports::Disk;
    use tokio::time::{Instant, sleep};

    #[tokio::test(start_paused = true)]
    async fn what_a_job_reads_of_another_is_told_when_it_is_on_the_disk() {
        let (disk, writes) = (FakeDisk::default(), Arc::<Writes>::default());
        let worker = |is_seen| {
            let (sender, jobs) = mpsc::unbounded_channel();
            let entropy = Arc::new(SeededEntropy::new(1, "store-1", 1, Trace::default()));
            let (disk, writes) = (disk.clone(), Arc::clone(&writes));
            let disk_sync = Duration::from_millis(20);
            let round_trips = RoundTrips::new(Duration::from_millis(2));
            (
                SimWorker(sender),
                Line { disk, entropy, disk_sync, writes, round_trips, is_seen }.work(jobs),
            )
        };
        let write = || -> Job {
            let disk = disk.clone();
            Box::new(move || disk.open("log").and_then(|file| file.sync_data()).expect("it works"))
        };
        let ((commits, commit), (background, checkpoint), (reads, read)) =
            (worker(true), worker(false), worker(true));
        let (first, second) = (write(), write());
        let asks = async move {
            let mut took = Vec::new();
            for writing in [commits.run(first), background.run(second)] {
                sleep(Duration::from_millis(1)).await;
                let began = Instant::now();
                reads.run(Box::new(|| ())).await;
                took.push(began.elapsed());
                writing.await;
            }
            took
        };
        let (took, (), (), ()) = tokio::join!(asks, commit, checkpoint, read);
        assert!(took[0] >= Duration::from_millis(9) && took[1].is_zero(), "{took:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn what_a_job_asks_over_the_network_takes_its_round_trips() {
        let (disk, writes) = (FakeDisk::default(), Arc::<Writes>::default());
        let round_trips = RoundTrips::new(Duration::from_millis(10));
        let (sender, jobs) = mpsc::unbounded_channel();
        let entropy = Arc::new(SeededEntropy::new(1, "store-1", 1, Trace::default()));
        let (disk_sync, made) = (Duration::from_secs(1), round_trips.clone());
        let line = Line { disk, entropy, disk_sync, writes, round_trips, is_seen: true }.work(jobs);
        let asks = async {
            let worker = SimWorker(sender);
            let began = Instant::now();
            worker.run(Box::new(move || (0..4).for_each(|_| made.make()))).await;
            let asked = began.elapsed();
            worker.run(Box::new(|| ())).await;
            (asked, began.elapsed())
        };
        let ((), (asked, then)) = tokio::join!(line, asks);
        let around = Duration::from_millis(20)..Duration::from_millis(60);
        assert!(around.contains(&asked), "half to one and a half of 40 ms: {asked:?}");
        assert_eq!(then, asked, "they are counted once");
    }
}
