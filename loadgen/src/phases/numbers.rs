//! The numbers of the nodes, taken into the history while a run lasts.

use super::Phases;
use crate::links::Through;
use crate::machine::{client, machine};
use crate::world::metrics;
use std::sync::Arc;
use tokio::task::AbortHandle;
use workload::recorder::Recorder;
use workload::rest::Http;

impl Phases {
    /// Polls whoever serves numbers; gateways are reached as their users reach them.
    pub fn poll_numbers(&self, at: Vec<String>, gateways: &[String]) -> Vec<AbortHandle> {
        let recorder: Arc<dyn Recorder> = self.journal.clone();
        // A node that is away, with its name, is no limit of the generator.
        let (seed, limits) = (self.run.seed, Arc::default());
        let gateway = client("numbers", seed, &limits, self.run.way(None, Through::new()));
        let other = match &self.run.encryption {
            Some(encryption) if encryption.numbers => gateway.clone(),
            _ => machine("numbers", seed, &limits),
        };
        let poll = |address: String| {
            let watching = if gateways.contains(&address) { &gateway } else { &other };
            let polling = metrics::poll(Http::new(watching.clone()), address, recorder.clone());
            watching.spawn("metrics", polling)
        };
        at.into_iter().map(poll).collect()
    }
}
