//! Writes the log: everything that was proposed while the last group was being forced to the disk
//! goes into the next group.

use super::gauges;
use super::shared::{Group, Shared, Work};
use crate::core::Record;
use ports::{Worker, tasks::run_on};
use segments::{Appended, Force, Log};
use std::io;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::{Instant, sleep, timeout};

/// How long records wait that nobody waits for (settlements): a power loss in this time, with nothing
/// published meanwhile, is what brings settled messages back.
const LAZY: Duration = Duration::from_millis(50);
/// After a group of at least so many records the next one gathers for a while: every group costs one
/// forced write, however many records share it.
const GATHER_FROM: usize = 16;
/// How long.
const GATHER: Duration = Duration::from_millis(3);
/// Pause after a failed write, doubled up to the longest: the disk may be full for a while.
const FIRST_PAUSE: Duration = Duration::from_millis(50);
/// The longest pause.
const LONGEST_PAUSE: Duration = Duration::from_secs(1);

/// Where groups of records go.
pub enum Storage {
    /// To a log, by a worker.
    Log(Arc<dyn Worker>, Box<Log>),
    /// Nowhere: what is in memory is as durable as it gets.
    Memory,
}

/// Runs until the node dies.
pub async fn run(shared: Arc<Shared>, mut storage: Storage) {
    let mut pause = FIRST_PAUSE;
    let mut gathers = false;
    loop {
        wait_for_work(&shared).await;
        if gathers {
            sleep(GATHER).await;
        }
        let Group { records, waiting } = shared.take_group();
        gathers = records.len() >= GATHER_FROM && matches!(storage, Storage::Log(..));
        let began = Instant::now();
        let Some((back, records, appended)) = append(storage, records).await else { break };
        storage = back;
        let committed = appended.is_ok();
        match appended {
            Ok(None) => {}
            Ok(Some((segment, length))) => {
                pause = FIRST_PAUSE;
                let given_up = shared.commit(records, segment, length);
                shared.machine.telemetry.time("broker_commit", began.elapsed());
                if let Some(through) = given_up {
                    let Some(back) = remove(storage, through).await else { break };
                    storage = back;
                }
            }
            Err(error) => {
                failed(&shared, &error, pause == FIRST_PAUSE);
                shared.abandon(records);
            }
        }
        for waiter in waiting {
            // The publisher may have gone.
            let _ = waiter.send(committed);
        }
        gauges::report(&shared);
        if !committed {
            sleep(pause).await;
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }
    shared.close();
}

/// What was written, and to which segment, which has this length now; `None`: the node is gone.
type Written = Option<(Storage, Vec<Record>, io::Result<Option<(u32, u64)>>)>;

async fn append(storage: Storage, records: Vec<Record>) -> Written {
    if records.is_empty() {
        return Some((storage, records, Ok(None)));
    }
    match storage {
        // One segment without a length: there is nothing in it to give up.
        Storage::Memory => Some((storage, records, Ok(Some((1, 0))))),
        Storage::Log(worker, mut log) => {
            let write = move || {
                let appended = log.append(&records, Force::AsConfigured);
                (log, records, appended.map(|Appended { segment, length, .. }| (segment, length)))
            };
            let (log, records, appended) = run_on(&*worker, write).await?;
            Some((Storage::Log(worker, log), records, appended.map(Some)))
        }
    }
}

async fn wait_for_work(shared: &Shared) {
    loop {
        match shared.work() {
            Work::Now => return,
            Work::Nothing => shared.to_write.notified().await,
            Work::Soon => {
                let deadline = Instant::now() + LAZY;
                while !matches!(shared.work(), Work::Now) {
                    let rest = deadline.saturating_duration_since(Instant::now());
                    if timeout(rest, shared.to_write.notified()).await.is_err() {
                        return;
                    }
                }
                return;
            }
        }
    }
}

async fn remove(storage: Storage, through: u32) -> Option<Storage> {
    let Storage::Log(worker, mut log) = storage else { return Some(storage) };
    let remove = move || {
        let removed = log.remove_through(through);
        (log, removed)
    };
    let (log, removed) = run_on(&*worker, remove).await?;
    if let Err(error) = removed {
        // They are tried again with the next ones; what they hold is in the log a second time.
        tracing::warn!(%error, through, "cannot remove old log segments");
    }
    Some(Storage::Log(worker, log))
}

/// One line for each time that the disk fails for a while.
fn failed(shared: &Shared, error: &io::Error, is_first: bool) {
    shared.machine.telemetry.count("broker_failed_commits", 1);
    if is_first {
        tracing::error!(%error, "cannot write the broker's log: nothing is confirmed until it can be");
    }
}
