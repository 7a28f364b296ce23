//! Tells whoever looks how far a run has got.

use super::LOOK_AGAIN;
use crate::agents::Company;
use crate::journal::Journal;
use crate::run::Progress;
use std::sync::atomic::Ordering;
use std::sync::{Arc, mpsc};
use tokio::sync::watch;
use tokio::time::sleep;
use verify::history::event::Phase;
use workload::plan::Plan;

/// Tells it again and again, until nobody looks or the run is over.
pub async fn report(
    journal: Arc<Journal>,
    company: Company,
    plan: Arc<Plan>,
    phases: watch::Receiver<Phase>,
    progress: mpsc::Sender<Progress>,
) {
    loop {
        sleep(LOOK_AGAIN).await;
        let (connected, events) = company.reached();
        let at = Progress {
            phase: *phases.borrow(),
            connected: journal.counts().connected() + connected,
            events: journal.counts().events.load(Ordering::Relaxed) + events,
            memberships: plan.memberships(),
            conversations: plan.conversations().into(),
            sessions: plan.sessions(),
        };
        // Nobody looks any more, or the run is over.
        if progress.send(at).is_err() || phases.has_changed().is_err() {
            return;
        }
    }
}
