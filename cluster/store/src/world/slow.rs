//! Workers for reads that take their time.

use ports::tasks::Job;
use ports::{BoxFuture, Tasks, Worker};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::task::AbortHandle;

/// How long each read waits before it is made. They may wait together.
#[derive(Clone, Default)]
pub struct Slowness(Arc<AtomicU64>);

impl Slowness {
    /// From now on.
    pub fn set(&self, each: Duration) {
        self.0.store(each.as_millis() as u64, Ordering::Relaxed);
    }

    /// The tasks of a machine whose reads are slow.
    pub fn of(&self, tasks: Arc<dyn Tasks>) -> Arc<dyn Tasks> {
        Arc::new(SlowTasks { tasks, slowness: self.clone() })
    }
}

struct SlowTasks {
    tasks: Arc<dyn Tasks>,
    slowness: Slowness,
}

impl Tasks for SlowTasks {
    fn spawn(&self, name: &'static str, task: BoxFuture<'static, ()>) -> AbortHandle {
        self.tasks.spawn(name, task)
    }

    fn worker(&self, name: &'static str) -> Arc<dyn Worker> {
        let worker = self.tasks.worker(name);
        if name == "store reads" {
            return Arc::new(SlowWorker { worker, slowness: self.slowness.clone() });
        }
        worker
    }
}

struct SlowWorker {
    worker: Arc<dyn Worker>,
    slowness: Slowness,
}

impl Worker for SlowWorker {
    fn run(&self, job: Job) -> BoxFuture<'static, ()> {
        let slow = Duration::from_millis(self.slowness.0.load(Ordering::Relaxed));
        let worker = Arc::clone(&self.worker);
        Box::pin(async move {
            tokio::time::sleep(slow).await;
            worker.run(job).await;
        })
    }
}
