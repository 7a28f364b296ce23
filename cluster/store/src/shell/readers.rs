//! The workers for reads: as many as the engine has a use for. Where there are several, one is left to those who
//! cannot even connect before they are answered: whatever others read, somebody who comes is let in.

use ports::{Machine, Worker, tasks};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Jobs that may run beside each other, and in any order.
pub struct Readers(Vec<Arc<Reader>>);

/// For whom something is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Urgency {
    /// For whoever connects.
    Connecting,
    /// For anybody else.
    Others,
}

struct Reader {
    worker: Arc<dyn Worker>,
    /// Jobs that were given to it and have not ended.
    jobs: AtomicUsize,
}

/// A job of a reader, until it has ended, whether somebody waits for it or not.
struct Place(Arc<Reader>);

impl Readers {
    /// So many, one at least.
    pub fn start(machine: &Machine, count: usize) -> Self {
        let reader = |_| {
            let worker = machine.tasks.worker("store reads");
            Arc::new(Reader { worker, jobs: AtomicUsize::new(0) })
        };
        Self((0..count.max(1)).map(reader).collect())
    }

    /// Runs a job on the worker that has the fewest; `None` if it is gone (the node dies).
    pub async fn run<T: Send + 'static>(
        &self,
        of: Urgency,
        job: impl FnOnce() -> T + Send + 'static,
    ) -> Option<T> {
        let jobs = |reader: &&Arc<Reader>| reader.jobs.load(Ordering::Relaxed);
        let all = match (of, &*self.0) {
            (Urgency::Others, [_, others @ ..]) if !others.is_empty() => others,
            (_, all) => all,
        };
        let reader = all.iter().min_by_key(jobs)?;
        let place = Place::take(Arc::clone(reader));
        let job = move || {
            let _place = place;
            job()
        };
        tasks::run_on(&*reader.worker, job).await
    }
}

impl Place {
    fn take(reader: Arc<Reader>) -> Self {
        reader.jobs.fetch_add(1, Ordering::Relaxed);
        Self(reader)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.0.jobs.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::world::slow::Slowness;
    use fakes::Memory;
    use std::time::Duration;

    #[tokio::test(start_paused = true)]
    async fn one_reader_is_left_to_those_who_connect_and_a_job_counts_until_it_has_ended() {
        let slowness = Slowness::default();
        slowness.set(Duration::from_secs(1));
        let mut machine = Memory::default().machine("store-1");
        machine.tasks = slowness.of(machine.tasks);
        let readers = Readers::start(&machine, 3);
        let jobs = || readers.0.iter().map(|it| it.jobs.load(Ordering::Relaxed)).collect();
        let run = |urgency| Box::pin(readers.run(urgency, || ()));
        let mut waiting: Vec<_> = (0..4).map(|_| run(Urgency::Others)).collect();
        waiting.push(run(Urgency::Connecting));
        let all = futures_util::future::join_all(waiting);
        let look = async {
            tokio::time::sleep(Duration::from_millis(500)).await;
            let busy: Vec<usize> = jobs();
            busy
        };
        let (done, busy) = futures_util::future::join(all, look).await;
        assert!(done.iter().all(Option::is_some));
        assert_eq!(busy, [1, 2, 2]);
        let idle: Vec<usize> = jobs();
        assert_eq!(idle, [0, 0, 0]);
        let one = Readers::start(&machine, 0);
        assert_eq!(one.run(Urgency::Others, || 7).await, Some(7), "there is one at least");
    }
}
