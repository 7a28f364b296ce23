//! tokio's tasks, and a thread per worker for what blocks.

use ports::tasks::Job;
use ports::{BoxFuture, Tasks, Worker};
use std::io;
use std::sync::{Arc, mpsc};
use tokio::runtime::{Builder, Runtime};
use tokio::sync::oneshot;
use tokio::task::AbortHandle;

/// Tasks between two looks at the sockets, at most; tokio's own number is 61. A message is on five sockets
/// on its way, and where some clients keep every thread busy it would wait at each for that many of their
/// turns.
const TURNS_MAX: u32 = 16;

/// The runtime of a node.
pub fn runtime() -> io::Result<Runtime> {
    Builder::new_multi_thread().enable_all().event_interval(TURNS_MAX).build()
}

/// Tasks on the current tokio runtime.
#[derive(Clone, Copy, Debug)]
pub struct TokioTasks;

impl Tasks for TokioTasks {
    fn spawn(&self, _name: &'static str, task: BoxFuture<'static, ()>) -> AbortHandle {
        #[expect(clippy::disallowed_methods, reason = "this is the adapter")]
        let handle = tokio::spawn(task);
        handle.abort_handle()
    }

    fn worker(&self, name: &'static str) -> Arc<dyn Worker> {
        start(name, || {})
    }

    fn background_worker(&self, name: &'static str) -> Arc<dyn Worker> {
        start(name, move || {
            // On Linux this is the calling thread alone; elsewhere nobody may be slowed down by it.
            #[cfg(target_os = "linux")]
            if let Err(error) = rustix::process::nice(NICE) {
                tracing::warn!(%error, name, "the thread keeps its priority");
            }
        })
    }
}

/// How much a worker in the background stands back: it gets about a tenth of a processor that others
/// want, and all of one that nobody wants.
#[cfg(target_os = "linux")]
const NICE: i32 = 10;

fn start(name: &'static str, first: impl FnOnce() + Send + 'static) -> Arc<dyn Worker> {
    let (sender, jobs) = mpsc::channel::<(Job, oneshot::Sender<()>)>();
    let thread = std::thread::Builder::new().name(name.to_owned());
    let started = thread.spawn(move || {
        first();
        for (job, done) in jobs {
            job();
            // The caller may have stopped waiting.
            let _ = done.send(());
        }
    });
    // Without the thread the worker is gone from the start, and its callers are told so.
    if let Err(error) = started {
        tracing::error!(%error, name, "no thread for a worker");
    }
    Arc::new(ThreadWorker(sender))
}

struct ThreadWorker(mpsc::Sender<(Job, oneshot::Sender<()>)>);

impl Worker for ThreadWorker {
    fn run(&self, job: Job) -> BoxFuture<'static, ()> {
        let (done, finished) = oneshot::channel();
        // A closed channel is a worker that is gone: the future below then ends at once.
        let _ = self.0.send((job, done));
        Box::pin(async move {
            let _ = finished.await;
        })
    }
}
