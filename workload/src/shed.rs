//! What nodes give up under bounds of their own, by the counters that they keep of it.

use verify::history::event::Shed;

/// What a counter of a node (docs/running.md) counts, if it is something that was given up.
pub fn shed(counter: &str) -> Option<Shed> {
    match counter.strip_suffix("_total").unwrap_or(counter) {
        "broker_shed_notifications" => Some(Shed::PushJobs),
        "store_shed_notifications" => Some(Shed::Pushes),
        "broker_shed_dead_letters" => Some(Shed::DeadLetters),
        _ => None,
    }
}
