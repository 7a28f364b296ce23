//! Writes the log: everything that was proposed while the last group was being forced to the disk
//! goes into the next group.

use super::gauges;
use super::shared::{Group, Shared, Work};
use ports::{Worker, tasks::run_on};
use segments::{Appended, Log};
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

/// Runs until the node dies.
pub async fn run(shared: Arc<Shared>, worker: Arc<dyn Worker>, mut log: Log) {
    let mut pause = FIRST_PAUSE;
    let mut gathers = false;
    loop {
        wait_for_work(&shared).await;
        if gathers {
            sleep(GATHER).await;
        }
        let Group { records, waiting } = shared.take_group();
        gathers = records.len() >= GATHER_FROM;
        let began = Instant::now();
        let write = move || {
            let appended = match records.as_slice() {
                [] => Ok(None),
                records => log.append(records, true).map(Some),
            };
            (log, records, appended)
        };
        let Some((back, records, appended)) = run_on(&*worker, write).await else {
            break;
        };
        log = back;
        let committed = appended.is_ok();
        match appended {
            Ok(None) => {}
            Ok(Some(Appended { segment, length, .. })) => {
                pause = FIRST_PAUSE;
                let given_up = shared.commit(records, segment, length);
                shared.machine.telemetry.time("broker_commit", began.elapsed());
                if let Some(through) = given_up {
                    let Some(back) = remove(&*worker, log, through).await else { break };
                    log = back;
                }
            }
            Err(error) => {
                failed(&shared, &error);
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

async fn remove(worker: &dyn Worker, mut log: Log, through: u32) -> Option<Log> {
    let remove = move || {
        let removed = log.remove_through(through);
        (log, removed)
    };
    let (log, removed) = run_on(worker, remove).await?;
    if let Err(error) = removed {
        // They are tried again with the next ones; what they hold is in the log a second time.
        tracing::warn!(%error, through, "cannot remove old log segments");
    }
    Some(log)
}

fn failed(shared: &Shared, error: &io::Error) {
    shared.machine.telemetry.count("broker_failed_commits", 1);
    tracing::warn!(%error, "cannot write the broker's log");
}
