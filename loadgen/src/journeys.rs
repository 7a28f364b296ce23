//! Users of the REST interface, beside the others of a run. What drives them is given to the run by
//! whoever starts it: it is a load generator of its own, with a large tree.
//!
//! They have a thread with a runtime of its own. It shares the table of open files with everything that is
//! no slice, so wakers may cross.

use crate::limits::{Limits, health};
use crate::run::thread;
use crate::slices;
use ports::Machine;
use protocol::ConversationId;
pub use real::tls::Trust;
use std::collections::BTreeSet;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, TryRecvError, channel};
use tokio::runtime::Builder;
use tokio::sync::watch;
use tokio::time::Instant;
use verify::history::event::{Deadlines, Phase};
use workload::measure::Lateness;
use workload::plan::Plan;
use workload::recorder::Recorder;
use workload::targets::Targets;

/// Drives the users of the REST interface from the beginning of the load until nobody sends any more.
pub type Drive = fn(Start) -> Pin<Box<dyn Future<Output = Ended>>>;

/// What it needs for that.
pub struct Start {
    /// Who they are, and where they go.
    pub plan: Arc<Plan>,
    /// The cluster.
    pub targets: Arc<Targets>,
    /// For what is no part of the load.
    pub machine: Machine,
    /// Whom to trust, if the cluster is not in plaintext.
    pub trust: Option<Trust>,
    /// Takes what happens to them.
    pub recorder: Arc<dyn Recorder>,
    /// Takes what fails for reasons of this machine.
    pub limits: Arc<Limits>,
    /// The load begins with `Load`, and nobody begins anything from `Settle` on.
    pub phase: watch::Receiver<Phase>,
}

/// What came of it.
#[derive(Debug, Default)]
pub struct Ended {
    /// Conversations that were made.
    pub made: BTreeSet<ConversationId>,
    /// How late journeys began after the time to think.
    pub lateness: Lateness,
    /// Why the run says less than it should.
    pub doubts: Vec<String>,
}

/// Those of a run, while they are driven.
pub struct Driven(Receiver<Ended>);

/// Starts them, on a thread of their own.
pub fn begin(drive: Drive, start: Start, deadlines: Deadlines) -> Driven {
    let (told, ended) = channel();
    thread("journeys", move || {
        let limits = start.limits.clone();
        let ended = match Builder::new_current_thread().enable_all().build() {
            Ok(runtime) => runtime.block_on(async {
                tokio::select! {
                    biased;
                    ended = drive(start) => ended,
                    never = health::feel_lag(&limits, deadlines) => match never {},
                }
            }),
            Err(error) => {
                Ended { doubts: vec![format!("no runtime for them: {error}")], ..Ended::default() }
            }
        };
        // Whoever waited may have lost patience.
        let _ = told.send(ended);
    });
    Driven(ended)
}

impl Driven {
    /// What came of it, until a deadline.
    pub async fn ended(&self, deadline: Instant) -> Ended {
        let why = match slices::outcome(&self.0, deadline).await {
            Ok(ended) => return ended,
            Err(TryRecvError::Empty) => "they did not finish in time",
            Err(TryRecvError::Disconnected) => "their thread has died",
        };
        Ended { doubts: vec![why.to_owned()], ..Ended::default() }
    }
}
