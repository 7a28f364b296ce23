//! The issuer with its clock, its dice and its log: what the routes talk to.

use crate::core::issuer::{Decision, Issuer, Random};
use crate::core::state::Snapshot;
use crate::shell::log::Commits;
use ports::{Machine, Telemetry, entered};
use protocol::Secret;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;
use tokio::time::timeout;

/// Shared by all connections.
pub struct Service {
    machine: Machine,
    issuer: Mutex<Issuer>,
    commits: Commits,
    /// For the gauge of refresh families.
    families_max: u64,
}

/// How long an answer waits for the disk. What was decided is written down all the same.
const COMMIT_TIMEOUT: Duration = Duration::from_secs(5);

/// The decision could not be made durable, so nobody may learn of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the issuer's log cannot be written")]
pub struct NotDurable;

impl Service {
    /// A service over an issuer that goes on from the log's state, with so many refresh families at most.
    pub fn new(machine: Machine, issuer: Issuer, commits: Commits, families_max: u64) -> Self {
        Self { machine, issuer: Mutex::new(issuer), commits, families_max }
    }

    /// Decides, and returns when the decision and all earlier ones are durable: an answer never tells
    /// of something that a power loss could take back.
    pub async fn decide<T>(
        &self,
        decision: impl FnOnce(&mut Issuer, u64, &Random) -> Decision<T>,
    ) -> Result<T, NotDurable> {
        if self.commits.are_stalled() {
            return Err(NotDurable);
        }
        let now_ms = self.machine.clock.now_ms();
        let random = self.random();
        let (answer, confirm) = {
            let mut issuer = self.lock();
            let (answer, records) = decision(&mut issuer, now_ms, &random);
            self.machine.telemetry.gauge(
                "auth_refresh_families",
                issuer.families() as u64,
                self.families_max,
            );
            // In line before the lock is given up: the log has the order of the decisions.
            (answer, self.commits.put(records))
        };
        match timeout(COMMIT_TIMEOUT, confirm).await {
            Ok(Ok(())) => Ok(answer),
            Ok(Err(_)) | Err(_) => Err(NotDurable),
        }
    }

    /// Reads, of what is durable.
    pub async fn read<T>(&self, read: impl FnOnce(&Issuer, u64) -> T) -> Result<T, NotDurable> {
        self.decide(|issuer, now_ms, _| (read(issuer, now_ms), Vec::new())).await
    }

    /// Begins to use another signing key; its name.
    pub async fn rotate(&self) -> Result<String, NotDurable> {
        let seed = self.drawn();
        self.decide(|issuer, now_ms, _| issuer.rotate(now_ms, seed)).await
    }

    /// Everything, for a compaction.
    pub fn snapshot(&self) -> Snapshot {
        self.lock().snapshot(self.machine.clock.now_ms())
    }

    /// Where its numbers go.
    pub fn telemetry(&self) -> Arc<dyn Telemetry> {
        Arc::clone(&self.machine.telemetry)
    }

    /// Counts something.
    pub fn count(&self, name: &'static str) {
        self.machine.telemetry.count(name, 1);
    }

    fn random(&self) -> Random {
        Random { token_id: self.drawn(), family: self.drawn(), secret: Secret::new(self.drawn()) }
    }

    fn drawn<const N: usize>(&self) -> [u8; N] {
        let mut drawn = [0; N];
        self.machine.entropy.fill(&mut drawn);
        drawn
    }

    fn lock(&self) -> MutexGuard<'_, Issuer> {
        entered(self.issuer.lock())
    }
}
