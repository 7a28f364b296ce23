//! The faults of a scenario, as far as they can be done to a real process.
//!
//! All roles live in one process here, so every target is the whole cluster. Links cannot be cut and
//! clocks cannot be set from outside: such faults are listed, and the run goes on without them.

use super::cluster::{Cluster, ClusterError};
use super::journal::Journal;
use crate::recorder::Recorder;
use crate::rest::Http;
use scenarios::scenario::{Fault, FaultKind, Role, Scenario, Target};
use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;
use tokio::time::{Instant, sleep, sleep_until};
use verify::history::What;

/// What is done to the process.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Deed {
    /// Killed, and started again afterwards.
    Kill,
    /// Stopped for a while.
    Pause,
}

/// One fault with its time, counted from the beginning of the load.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Planned {
    at: Duration,
    lasts: Duration,
    deed: Deed,
    word: &'static str,
}

/// What can be done, in the order of time, and a sentence for each kind that cannot.
pub fn plan(scenario: &Scenario, own_cluster: bool) -> (Vec<Planned>, Vec<String>) {
    let load: Duration = scenario.load.phases.iter().map(|phase| phase.lasts).sum();
    let (mut planned, mut notes) = (Vec::new(), BTreeSet::new());
    for fault in &scenario.faults {
        match deed(fault) {
            Ok(_) if !own_cluster => {
                notes.insert(format!(
                    "{}: not done, the cluster was given with --target",
                    fault.kind.word()
                ));
            }
            Ok((deed, note)) => {
                notes.extend(note.map(str::to_owned));
                planned.extend(times(fault, load).map(|at| Planned {
                    at,
                    lasts: fault.lasts,
                    deed,
                    word: fault.kind.word(),
                }));
            }
            Err(note) => {
                notes.insert(format!("{}: {note}", fault.kind.word()));
            }
        }
    }
    if scenario.random_faults.is_some() {
        notes.insert("random faults: not available on real sockets".to_owned());
    }
    planned.sort();
    (planned, notes.into_iter().collect())
}

/// What a fault is to a process, with a note where it is less or more than in the simulator.
fn deed(fault: &Fault) -> Result<(Deed, Option<&'static str>), &'static str> {
    let (target, deed, note) = match &fault.kind {
        FaultKind::Kill { target } => (target, Deed::Kill, None),
        FaultKind::PowerLoss { target } => (
            target,
            Deed::Kill,
            Some("power_loss: the process is killed; what the system has cached is not lost"),
        ),
        FaultKind::Pause { target } => (target, Deed::Pause, None),
        FaultKind::Blip { .. }
        | FaultKind::Cut { .. }
        | FaultKind::Flap { .. }
        | FaultKind::SlowLink { .. } => {
            return Err("not done, link faults are not available on real sockets");
        }
        FaultKind::Skew { .. } => {
            return Err("not done, clocks cannot be skewed on real machines");
        }
    };
    match target {
        Target::ClientOf(_) | Target::Any(Role::Clients) | Target::Every(Role::Clients) => {
            Err("not done to clients, they live in the process that watches them")
        }
        Target::Node(name) if name.starts_with("clients") => {
            Err("not done to clients, they live in the process that watches them")
        }
        _ => Ok((deed, note)),
    }
}

/// When a fault begins, again and again until the load ends.
fn times(fault: &Fault, load: Duration) -> impl Iterator<Item = Duration> + use<> {
    let every = fault.every.filter(|every| !every.is_zero());
    std::iter::successors(Some(fault.at), move |at| every.map(|every| *at + every))
        .take_while(move |at| *at < load)
}

/// Does all of it, one after another; returns the cluster and what went wrong.
pub async fn inflict(
    mut cluster: Cluster,
    planned: Vec<Planned>,
    load_began: Instant,
    journal: Arc<Journal>,
    http: Arc<Http>,
) -> (Cluster, Vec<String>) {
    let mut doubts = Vec::new();
    for (number, fault) in planned.into_iter().enumerate() {
        sleep_until(load_began + fault.at).await;
        let number = number as u32 + 1;
        journal.record(What::FaultBegan {
            fault: number,
            kind: fault.word.into(),
            target: "cluster".into(),
        });
        match inflict_one(&mut cluster, &fault, &journal, &http).await {
            Ok(effect) => journal.record(What::FaultEnded { fault: number, effect }),
            Err(error) => {
                journal.record(What::FaultEnded { fault: number, effect: 0 });
                doubts.push(format!("fault {number} ({}): {error}", fault.word));
            }
        }
    }
    (cluster, doubts)
}

/// The effect: sessions that were lost, or looks at which the process stood still.
async fn inflict_one(
    cluster: &mut Cluster,
    fault: &Planned,
    journal: &Journal,
    http: &Http,
) -> Result<u64, ClusterError> {
    match fault.deed {
        Deed::Pause => cluster.pause(fault.lasts).await,
        Deed::Kill => {
            let before = journal.counts().closed.load(Ordering::Relaxed);
            cluster.kill().await?;
            sleep(fault.lasts).await;
            cluster.restart(http).await?;
            Ok(journal.counts().closed.load(Ordering::Relaxed) - before)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use scenarios::scenario::Sides;

    fn fault(at: u64, every: Option<u64>, kind: FaultKind) -> Fault {
        Fault {
            at: Duration::from_secs(at),
            every: every.map(Duration::from_secs),
            lasts: Duration::from_secs(1),
            kind,
            line: 1,
        }
    }

    #[test]
    fn what_cannot_be_done_is_said() {
        let mut scenario = crate::plan::tests::scenario_of(10, 5, 1, 10.0);
        let store = || Target::Node("store-1".into());
        let between = Sides { from: vec![store()], to: Vec::new() };
        scenario.faults = vec![
            fault(3, None, FaultKind::Pause { target: store() }),
            fault(1, Some(2), FaultKind::Kill { target: Target::Any(Role::Gateway) }),
            fault(1, None, FaultKind::Blip { between: between.clone() }),
            fault(2, None, FaultKind::Blip { between }),
            fault(1, None, FaultKind::Kill { target: Target::Every(Role::Clients) }),
        ];
        let (planned, notes) = plan(&scenario, true);
        let deeds: Vec<_> = planned.iter().map(|p| (p.at.as_secs(), p.deed)).collect();
        assert_eq!(deeds, [(1, Deed::Kill), (3, Deed::Kill), (3, Deed::Pause)]);
        assert_eq!(notes.len(), 2, "{notes:?}");
        let (planned, notes) = plan(&scenario, false);
        assert!(planned.is_empty());
        assert_eq!(notes.len(), 4, "{notes:?}");
    }
}
