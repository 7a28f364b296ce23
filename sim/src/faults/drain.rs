//! `drain`: a process is asked to end, finishes what it has in hand, and is started again when the fault
//! ends. Who has not ended by then is killed, as by an orchestrator, and does not count; nor does who has failed
//! after its disk had no room for something.

use super::{Active, Stage, kill};
use std::sync::Arc;
use std::time::Duration;

/// Between two looks at who has ended.
const LOOK: Duration = Duration::from_millis(10);

/// The processes are asked to end.
pub fn begin(fault: &Active, stage: &mut Stage<'_, '_>) {
    for name in &fault.hosts {
        stage.hosts.get(name).ending.ask();
    }
}

/// When to look next.
pub fn next_look(now: Duration) -> Duration {
    now + LOOK
}

/// Of a process that has ended nothing is left: its connections end with it.
pub fn look(fault: &mut Active, stage: &mut Stage<'_, '_>) {
    for name in &fault.hosts {
        if stage.hosts.get(name).ending.has_ended() && stage.sim.is_host_running(&**name) {
            stage.sim.crash(&**name);
            fault.effect += 1;
            fault.down.push(name.clone());
        }
    }
}

/// The processes start again, but those that another fault has killed meanwhile: they start when that one ends.
pub fn end(fault: &mut Active, stage: &mut Stage<'_, '_>) {
    look(fault, stage);
    let is_late = |name: &&Arc<str>| {
        stage.hosts.get(name).ending.is_asked() && stage.sim.is_host_running(&***name)
    };
    let late: Vec<Arc<str>> = fault.hosts.iter().filter(is_late).cloned().collect();
    kill::die(&late, fault.id, stage);
    fault.hosts = std::mem::take(&mut fault.down);
    fault.hosts.extend(late);
    kill::end(fault, stage);
}
