//! Notices a run that does not get on: somebody in the cluster works without ever waiting for time.
//!
//! Such a loop costs a real cluster a processor. In a simulation it stops the world, because time
//! passes only when everybody waits.

use crate::Progress;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::Duration;

/// A run that makes no progress for so long (in real time) does not make any: even a debug build of a
/// large scenario reports every few seconds.
pub const PATIENCE: Duration = Duration::from_mins(2);

/// Shows the progress of a run until its end; a doubt, if it stops before.
pub fn follow(
    progress: &Receiver<Progress>,
    patience: Duration,
    mut show: impl FnMut(Progress),
) -> Option<String> {
    let mut reached = Duration::ZERO;
    loop {
        match progress.recv_timeout(patience) {
            Ok(now) => {
                reached = now.simulated;
                show(now);
            }
            Err(RecvTimeoutError::Disconnected) => return None,
            Err(RecvTimeoutError::Timeout) => {
                return Some(format!(
                    "the simulation stands still after {:.1} simulated s: somebody in the cluster \
                     spins without waiting for time",
                    reached.as_secs_f64(),
                ));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc;
    use verify::history::event::Phase;

    fn at(seconds: u64) -> Progress {
        let simulated = Duration::from_secs(seconds);
        Progress { phase: Phase::Load, simulated, total: simulated, events: 0 }
    }

    #[test]
    fn a_run_that_ends_is_no_doubt() {
        let (sender, progress) = mpsc::channel();
        sender.send(at(3)).unwrap();
        drop(sender);
        let mut shown = 0;
        assert_eq!(follow(&progress, PATIENCE, |_| shown += 1), None);
        assert_eq!(shown, 1);
    }

    #[test]
    fn a_run_that_stands_still_is_told_with_its_time() {
        let (sender, progress) = mpsc::channel();
        sender.send(at(7)).unwrap();
        let doubt = follow(&progress, Duration::from_millis(20), |_| {});
        let told = doubt.expect("nobody sends any more");
        assert!(told.starts_with("the simulation stands still after 7.0 simulated s"), "{told}");
        drop(sender);
    }
}
