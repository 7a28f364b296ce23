//! Claims, renews and gives up partitions, beside the owner's rounds: a commit that is stuck in an engine
//! does not keep the node from saying that it lives, and an owner that does nothing else still learns that
//! another one rules.

use super::input::Input;
use crate::config::StoreConfig;
use crate::core::ownership::{Candidate, Decision, LOOKS_APART_MS, RENEW_MS};
use ports::message_store::{Claim, Fenced, Lease, MessageStore, StoreError};
use ports::{Directory, Worker, tasks};
use protocol::Partition;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::time::Instant;

/// The task's belongings.
pub struct Ownership {
    store: Arc<dyn MessageStore>,
    worker: Arc<dyn Worker>,
    directory: Arc<dyn Directory>,
    candidates: BTreeMap<Partition, Candidate>,
    /// Whether other nodes can own the same partitions.
    is_contested: bool,
    began: Instant,
    /// Lost, and not reported yet: the second half of a look may fail.
    lost: Vec<Fenced>,
    /// The last look.
    looked_ms: u64,
}

/// What has changed since the last look.
pub struct Looked {
    /// Partitions that are somebody else's.
    pub lost: Vec<Fenced>,
    /// Partitions that are this node's.
    pub acquired: Vec<Lease>,
}

/// Why a look at the engine came to nothing.
#[derive(Debug)]
pub enum LookError {
    /// It failed.
    Engine(StoreError),
    /// The node is being torn down.
    WorkerGone,
}

impl Ownership {
    /// For all partitions that the node may own.
    pub fn new(
        config: &StoreConfig,
        store: Arc<dyn MessageStore>,
        worker: Arc<dyn Worker>,
    ) -> Self {
        let mut is_contested = false;
        let mut candidates = BTreeMap::new();
        for partition in (0..config.partitions_total).map(Partition) {
            let all = config.directory.candidates(partition);
            is_contested |= all.len() > 1;
            if let Some(rank) = all.iter().position(|node| *node == config.number) {
                let candidate = Candidate::new(partition, config.number, rank as u16);
                candidates.insert(partition, candidate);
            }
        }
        let began = Instant::now();
        let directory = Arc::clone(&config.directory);
        Self {
            store,
            worker,
            directory,
            candidates,
            is_contested,
            began,
            lost: Vec::new(),
            looked_ms: 0,
        }
    }

    /// The partitions that the node may own.
    pub fn partitions(&self) -> impl Iterator<Item = Partition> + '_ {
        self.candidates.keys().copied()
    }

    /// Runs until the owner is gone.
    pub async fn run(
        mut self,
        mut refused: mpsc::UnboundedReceiver<Fenced>,
        owner: mpsc::UnboundedSender<Input>,
    ) {
        let mut is_open = false;
        loop {
            // Nobody else can take what is on a disk of one's own.
            let is_quiet = !self.is_contested && !is_open;
            tokio::select! {
                biased;
                fenced = refused.recv() => match fenced {
                    Some(fenced) => {
                        self.fenced(fenced);
                        is_open = true;
                    }
                    None => return,
                },
                () = tokio::time::sleep(Duration::from_millis(RENEW_MS)), if !is_quiet => {}
            }
            let inputs: Vec<Input> = match self.look().await {
                Ok(Looked { lost, acquired }) => {
                    is_open = false;
                    let lost = lost.into_iter().map(Input::Lost);
                    lost.chain(acquired.into_iter().map(Input::Acquired)).collect()
                }
                Err(LookError::Engine(error @ StoreError::Corrupt(_))) => {
                    vec![Input::Failed(error)]
                }
                Err(LookError::Engine(error)) => {
                    self.interrupted();
                    tracing::warn!(%error, "the engine cannot say who owns what");
                    continue;
                }
                Err(LookError::WorkerGone) => return,
            };
            for input in inputs {
                if owner.send(input).is_err() {
                    return;
                }
            }
        }
    }

    fn now_ms(&self) -> u64 {
        self.began.elapsed().as_millis() as u64
    }

    /// The owner has stepped down already.
    fn fenced(&mut self, Fenced { partition, current }: Fenced) {
        let now_ms = self.now_ms();
        if let Some(candidate) = self.candidates.get_mut(&partition) {
            candidate.fenced(now_ms, current);
        }
    }

    /// Nobody looked for a while.
    fn interrupted(&mut self) {
        self.candidates.values_mut().for_each(Candidate::interrupted);
    }

    /// Looks at all records once, and does what follows: what the owner must know of it.
    pub async fn look(&mut self) -> Result<Looked, LookError> {
        let (store, partitions) = (Arc::clone(&self.store), self.partitions().collect::<Vec<_>>());
        let seen = self.on_worker(move || {
            let view = store.view()?;
            let seen = |partition| Ok((partition, view.ownership(partition)?));
            partitions.into_iter().map(seen).collect::<Result<Vec<_>, StoreError>>()
        });
        let seen = seen.await?;
        let now_ms = self.now_ms();
        if now_ms.saturating_sub(std::mem::replace(&mut self.looked_ms, now_ms)) > LOOKS_APART_MS {
            self.interrupted();
        }
        let (mut leases, mut claims) = (Vec::new(), Vec::new());
        for (partition, current) in seen {
            if let Some(owner) = current.known() {
                self.directory.learn(partition, owner);
            }
            let Some(candidate) = self.candidates.get_mut(&partition) else { continue };
            match candidate.observe(now_ms, current) {
                Decision::Wait => {}
                Decision::Renew(lease) => leases.push(lease),
                Decision::Claim(claim) => claims.push(claim),
                Decision::StepDown(fenced) => self.lost.push(fenced),
            }
        }
        let acquired = self.claim_and_renew(claims, leases).await?;
        for Lease { partition, epoch } in &acquired {
            if let Some(candidate) = self.candidates.get_mut(partition) {
                candidate.acquired(*epoch);
            }
        }
        Ok(Looked { lost: std::mem::take(&mut self.lost), acquired })
    }

    async fn claim_and_renew(
        &self,
        claims: Vec<Claim>,
        leases: Vec<Lease>,
    ) -> Result<Vec<Lease>, LookError> {
        if claims.is_empty() && leases.is_empty() {
            return Ok(Vec::new());
        }
        let store = Arc::clone(&self.store);
        self.on_worker(move || {
            // Who is fenced by now is noticed at the next look.
            store.renew(&leases)?;
            let mut acquired = Vec::new();
            for claim in &claims {
                acquired.extend(store.acquire(claim)?);
            }
            Ok(acquired)
        })
        .await
    }

    async fn on_worker<T: Send + 'static>(
        &self,
        job: impl FnOnce() -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, LookError> {
        let result = tasks::run_on(&*self.worker, job).await;
        result.ok_or(LookError::WorkerGone)?.map_err(LookError::Engine)
    }
}
