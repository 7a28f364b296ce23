//! A simulated host's tasks, and its workers that charge simulated disk time.

use super::gate::Gate;
use fakes::FakeDisk;
use ports::tasks::Job;
use ports::{BoxFuture, Entropy, Tasks, Worker};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{mpsc, oneshot};
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
        let (sender, jobs) = mpsc::unbounded_channel();
        let disk = self.disk.clone();
        self.spawn(name, Box::pin(work(jobs, disk, self.entropy.clone(), self.disk_sync)));
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

/// One job after another. A job's writes are under way until its disk time has passed: a crash in
/// that window cuts the job at a random point.
async fn work(
    mut jobs: mpsc::UnboundedReceiver<(Job, oneshot::Sender<()>)>,
    disk: FakeDisk,
    entropy: Arc<dyn Entropy>,
    disk_sync: Duration,
) {
    while let Some((job, done)) = jobs.recv().await {
        let ticket = disk.begin_job();
        job();
        let syncs = disk.end_job(ticket);
        if syncs > 0 {
            // Half to one and a half times the mean, per forced write.
            let factor = 500 + entropy.below(1_000);
            let micros = disk_sync.as_micros() as u64 * u64::from(syncs) * factor / 1_000;
            tokio::time::sleep(Duration::from_micros(micros)).await;
        }
        disk.settle_job(ticket);
        // The caller may be gone.
        let _ = done.send(());
    }
}
