//! Notices a run that does not get on.
//!
//! Tasks that keep each other busy without waiting for time are noticed by their host's gate. What is
//! left is one piece of work that never gives way: an endless loop, or a lock that waits for itself.
//! That can only be seen from outside, and only in real time.

use crate::Progress;
use crate::machine::pulse::{Moment, Pulse};
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::Duration;

/// A run that makes no progress for so long (in real time) does not make any: even a debug build of a
/// large scenario reports every few seconds.
pub const PATIENCE: Duration = Duration::from_mins(2);

/// Looks within the patience. Only looks count: a process that is stopped, or a machine that sleeps,
/// takes none.
const LOOKS: u32 = 120;

/// A run that stands still.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Stall {
    /// Simulated time that it had reached.
    pub reached: Duration,
    /// In the middle of the same piece of work at every look.
    pub stuck: bool,
    /// The last moment.
    pub moment: Moment,
}

/// Shows the progress of a run until its end; how it stands still, if it stops before.
pub fn follow(
    progress: &Receiver<Progress>,
    pulse: &Pulse,
    patience: Duration,
    mut show: impl FnMut(Progress),
) -> Option<Stall> {
    let mut reached = Duration::ZERO;
    let (mut looks, mut first) = (0, Moment::default());
    loop {
        match progress.recv_timeout(patience / LOOKS) {
            Ok(now) => {
                looks = 0;
                reached = now.simulated;
                show(now);
            }
            Err(RecvTimeoutError::Disconnected) => return None,
            Err(RecvTimeoutError::Timeout) => {
                let moment = pulse.moment();
                if looks == 0 {
                    first = moment.clone();
                }
                looks += 1;
                if looks == LOOKS {
                    let stuck = moment == first && moment.running.is_some();
                    return Some(Stall { reached, stuck, moment });
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::machine::pulse::Host;
    use std::sync::mpsc;
    use verify::history::event::Phase;

    const SOON: Duration = Duration::from_millis(120);

    fn at(seconds: u64) -> Progress {
        let simulated = Duration::from_secs(seconds);
        Progress { phase: Phase::Load, simulated, total: simulated, events: 0 }
    }

    #[test]
    fn a_run_that_ends_is_no_stall() {
        let (sender, progress) = mpsc::channel();
        sender.send(at(3)).unwrap();
        drop(sender);
        let mut shown = 0;
        assert_eq!(follow(&progress, &Pulse::default(), PATIENCE, |_| shown += 1), None);
        assert_eq!(shown, 1);
    }

    #[test]
    fn a_run_that_stands_still_is_told_with_its_host() {
        let (sender, progress) = mpsc::channel();
        sender.send(at(7)).unwrap();
        let world = Pulse::default();
        let store = Host { name: "store-1".into(), is_node: true };
        let host = world.of(store.clone());
        let idle = follow(&progress, &world, SOON, |_| {}).expect("nobody sends any more");
        assert_eq!((idle.stuck, idle.moment.running), (false, None));
        host.runs("task");
        let stall = follow(&progress, &world, SOON, |_| {}).expect("nobody sends any more");
        assert_eq!((stall.stuck, stall.moment.running), (true, Some(store)));
        drop(sender);
    }
}
