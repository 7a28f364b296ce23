//! The users of the REST interface within a run: from the beginning of the load until they have settled.

use super::Phases;
use crate::journeys::{self, Driven, Ended, Start};
use crate::links::Through;
use crate::machine::client;
use protocol::ConversationId;
use std::collections::BTreeSet;
use std::sync::Arc;
use tokio::time::Instant;
use workload::targets::Targets;

impl Phases {
    /// Starts the users of the REST interface, if the scenario has any.
    pub fn begin_journeys(&mut self, targets: &Targets) -> Option<Driven> {
        self.plan.journeys()?;
        let Some(drive) = self.run.journeys else {
            let why = "nothing drives the users of the REST interface in this build";
            self.ended.doubts.push(why.to_owned());
            return None;
        };
        let way = self.run.way(None, Through::new());
        let start = Start {
            plan: self.plan.clone(),
            targets: Arc::new(targets.clone()),
            machine: client("journeys", self.run.seed, &self.limits, way.clone()),
            trust: way.trust,
            recorder: self.journal.clone(),
            limits: self.limits.clone(),
            phase: self.phase.subscribe(),
        };
        Some(journeys::begin(drive, start, self.deadlines()))
    }

    /// Waits for them, and says which conversations they have made.
    pub async fn end_journeys(&mut self, deadline: Instant) -> BTreeSet<ConversationId> {
        let Some(driven) = self.journeys.take() else { return BTreeSet::new() };
        let Ended { made, lateness, doubts } = driven.ended(deadline).await;
        if lateness.doubt().is_some() {
            self.limits.raise("lateness", lateness.behind());
        }
        let doubts = doubts.into_iter().chain(lateness.doubt());
        self.ended
            .doubts
            .extend(doubts.map(|doubt| format!("users of the REST interface: {doubt}")));
        made
    }
}
