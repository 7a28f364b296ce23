//! Watches the generator itself while a run lasts: its sockets, its schedule, its processors, its
//! memory, and the disk of a cluster that it started. What it finds goes into the history, so that the cluster is not blamed for it.

use crate::journal::Journal;
use crate::limits::processors::Watch;
use crate::limits::supply;
use crate::limits::{Hopelessness, Limits};
use crate::world::Ids;
use crate::world::family::family;
use std::convert::Infallible;
use std::path::Path;
use std::sync::atomic::Ordering;
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::{Instant, sleep};
use verify::history::event::{Deadlines, Phase};
use workload::measure::is_late;
use workload::plan::Plan;

/// How soon a limit is told.
const SOON: Duration = Duration::from_millis(100);
/// Looks in a second.
const LOOKS: u32 = 10;
/// Between two looks at whether tasks get their turn.
const TURN: Duration = Duration::from_millis(20);
/// A task that gets its turn later than after this part of the shortest deadline makes others late.
const LAG_ONE_IN: u32 = 10;

/// Tells the limits that are met, until the run cannot work any more: why.
///
/// Whoever waits for a processor while the run is set up makes nothing late that is judged: servers start
/// then, conversations are made, and no operation has begun. That is noted, and no doubt.
pub async fn until_hopeless(
    limits: &Limits,
    journal: &Journal,
    plan: &Plan,
    mut phase: watch::Receiver<Phase>,
    cluster: Option<watch::Receiver<Ids>>,
    data: Option<&Path>,
) -> String {
    let mut hopelessness = Hopelessness::default();
    let mut processors = Watch::default();
    loop {
        let asleep = Instant::now();
        let is_set_up = second(&mut phase, || limits.tell(journal, false)).await;
        let nodes = cluster.iter().flat_map(|ids| ids.borrow().clone()).map(|(_, id)| id);
        if processors.is_starved(&parties(nodes), asleep.elapsed()) {
            if is_set_up {
                limits.starved_in_set_up();
            } else if *phase.borrow() < Phase::Judge {
                // All that is due has come by then, or is late.
                limits.add("processors", 1);
            }
        }
        note_lateness(limits, journal, plan.operations());
        let waited = journal.counts().waited.load(Ordering::Relaxed);
        if waited > 0 {
            limits.raise("judging", waited);
        }
        if supply::memory_is_gone() {
            limits.add("memory", 1);
            return "the generator's machine ran out of memory".to_owned();
        }
        if let (Some(data), Some(free)) = (data, data.and_then(supply::disk_is_full)) {
            limits.add("ENOSPC", 1);
            let free = free / 1024;
            return format!(
                "the disk with the cluster's data is full: {free} KiB free in {}",
                data.display()
            );
        }
        if hopelessness.is_certain(limits.attempts()) {
            let (_, failures) = limits.attempts();
            return format!(
                "the load generator could not continue: {failures} of its connections failed for reasons \
                 on its own side"
            );
        }
    }
}

/// Ends after a second, or with the set-up: no second is of both the set-up and what is judged. Of which it was:
/// whether of the set-up.
async fn second(phase: &mut watch::Receiver<Phase>, mut look: impl FnMut()) -> bool {
    let is_set_up = *phase.borrow() == Phase::SetUp;
    for _ in 0..LOOKS {
        tokio::select! {
            biased;
            Ok(_) = phase.wait_for(|phase| *phase != Phase::SetUp), if is_set_up => break,
            () = sleep(SOON) => look(),
        }
    }
    is_set_up
}

/// Who has to get its turn: this process, and all processes of the cluster. An engine works in processes that a
/// node has started.
fn parties(nodes: impl Iterator<Item = u32>) -> [Vec<u32>; 2] {
    let proc = Path::new("/proc");
    [vec![std::process::id()], nodes.flat_map(|node| family(proc, node)).collect()]
}

/// Counts late sends as soon as they are too many of all the operations that are expected.
pub fn note_lateness(limits: &Limits, journal: &Journal, expected: u64) {
    let late = journal.counts().late.load(Ordering::Relaxed);
    if is_late(late, expected) {
        limits.raise("lateness", late);
    }
}

/// Counts how often a task of this runtime got its turn so late that the observer may be to blame for
/// a missed deadline. Never ends.
pub async fn feel_lag(limits: &Limits, deadlines: Deadlines) -> Infallible {
    let too_long = too_long(deadlines);
    loop {
        let asleep = Instant::now();
        sleep(TURN).await;
        if asleep.elapsed().saturating_sub(TURN) > too_long {
            limits.add("lag", 1);
        }
    }
}

/// Counts that devices had to wait for the others of their slice, if that was too long: a note.
pub fn note_queued(limits: &Limits, deadlines: Deadlines, queued: Duration) -> Option<String> {
    (queued > too_long(deadlines)).then(|| {
        limits.add("lag", 1);
        format!("devices with something to do waited up to {queued:.1?} for others of their slice")
    })
}

/// Who gets a turn later than this makes others late.
fn too_long(deadlines: Deadlines) -> Duration {
    let Deadlines { delivered_us, stuck_us, recovered_us, .. } = deadlines;
    Duration::from_micros(delivered_us.min(stuck_us).min(recovered_us)) / LAG_ONE_IN
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{BufRead as _, BufReader};
    use std::process::{Command, Stdio};
    use workload::header;

    #[test]
    fn processes_of_an_engine_have_to_get_their_turn_too() {
        let script = ["-c", "sleep 60 & echo $!; wait"];
        let mut node = Command::new("sh").args(script).stdout(Stdio::piped()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(node.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let engine: u32 = line.trim().parse().unwrap();
        let own = std::process::id();
        assert_eq!(parties([node.id()].into_iter()), [vec![own], vec![node.id(), engine]]);
        nix::sys::signal::kill(
            nix::unistd::Pid::from_raw(engine.cast_signed()),
            nix::sys::signal::SIGKILL,
        )
        .unwrap();
        node.wait().unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn no_second_is_of_the_set_up_and_of_what_is_judged() {
        let (told, mut phase) = watch::channel(Phase::SetUp);
        let mut lasts = async |looks: u32| {
            let (began, mut looked) = (Instant::now(), 0);
            let is_set_up = second(&mut phase, || looked += 1).await;
            assert_eq!(looked, looks);
            (began.elapsed().as_millis(), is_set_up)
        };
        assert_eq!(lasts(10).await, (1_000, true));
        let ends = async {
            sleep(Duration::from_millis(250)).await;
            told.send_replace(Phase::WarmUp);
        };
        assert_eq!(tokio::join!(lasts(2), ends).0, (250, true));
        let ends = async {
            sleep(Duration::from_millis(250)).await;
            told.send_replace(Phase::Load);
        };
        assert_eq!(tokio::join!(lasts(10), ends).0, (1_000, false));
        // Nobody tells of phases any more.
        told.send_replace(Phase::SetUp);
        drop(told);
        assert_eq!(lasts(10).await, (1_000, true));
    }

    #[test]
    fn a_queue_that_is_too_long_is_a_limit_of_the_generator() {
        let scenario = crate::fixture::scenario(10, 5, 1);
        let deadlines = header(&scenario, 1, verify::history::event::Engine::Real).deadlines;
        let (limits, longest) = (Limits::default(), too_long(deadlines));
        assert_eq!(note_queued(&limits, deadlines, longest), None);
        assert_eq!(limits.met(), []);
        let told = note_queued(&limits, deadlines, longest + Duration::from_millis(1));
        assert!(told.is_some_and(|told| told.contains("waited up to")));
        assert_eq!(limits.met(), [("lag", 1)]);
    }
}
