//! How a node runs things: async tasks, and blocking jobs on workers.
//!
//! A simulated machine pauses all tasks of a host and runs blocking jobs in line, charging simulated
//! disk time for them; a real one uses tokio and threads.

use crate::BoxFuture;
use std::sync::Arc;
use tokio::sync::oneshot;
use tokio::task::AbortHandle;

/// A job that may block.
pub type Job = Box<dyn FnOnce() + Send>;

/// A node's tasks.
pub trait Tasks: Send + Sync {
    /// Starts a task of the node.
    fn spawn(&self, name: &'static str, task: BoxFuture<'static, ()>) -> AbortHandle;
    /// A worker that runs blocking jobs one after another, in the order of the calls.
    fn worker(&self, name: &'static str) -> Arc<dyn Worker>;
    /// The same for jobs that nobody waits for: they leave the processors to everybody else.
    fn background_worker(&self, name: &'static str) -> Arc<dyn Worker> {
        self.worker(name)
    }
}

/// Runs blocking jobs in order, away from the async threads.
pub trait Worker: Send + Sync {
    /// Queues a job; the future ends when the job has run (in a simulation: when its disk time has
    /// passed). The job runs even if the future is dropped.
    fn run(&self, job: Job) -> BoxFuture<'static, ()>;
}

/// Runs a job on a worker and returns what it returns; `None` if the worker is gone (the node dies).
pub async fn run_on<T: Send + 'static>(
    worker: &dyn Worker,
    job: impl FnOnce() -> T + Send + 'static,
) -> Option<T> {
    let (sender, receiver) = oneshot::channel();
    worker
        .run(Box::new(move || {
            // The caller may have stopped waiting; the job has run all the same.
            let _ = sender.send(job());
        }))
        .await;
    receiver.await.ok()
}
