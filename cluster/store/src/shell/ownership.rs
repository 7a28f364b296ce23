//! Claims, renews and gives up partitions, beside the owner's rounds: a commit that is stuck in an engine
//! does not keep the node from saying that it lives, and an owner that does nothing else still learns that
//! another one rules.

use super::input::Input;
use crate::config::StoreConfig;
use crate::core::ownership::{Candidate, Decision, RENEW_MS, Watch};
use ports::message_store::{Claim, Fenced, Lease, MessageStore, StoreError};
use ports::{Directory, Worker, tasks};
use protocol::Partition;
use std::collections::{BTreeMap, BTreeSet};
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
    watch: Watch,
    /// Could not be claimed, though nobody else has them: something in the engine holds them up.
    stuck: BTreeSet<Partition>,
    /// The last look ended with a claim that came to nothing; those behind it were not made.
    is_cut_short: bool,
}

/// What became of claims.
#[derive(Default)]
struct Claimed {
    acquired: Vec<Lease>,
    stuck: Option<(Partition, StoreError)>,
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
            watch: Watch::default(),
            stuck: BTreeSet::new(),
            is_cut_short: false,
        }
    }

    /// Whether this node has not taken yet what nobody else can.
    pub const fn is_held_up(&self) -> bool {
        !self.is_contested && self.is_cut_short
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
            let is_quiet = !self.is_contested && !is_open && !self.is_cut_short;
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

    /// The owner has stepped down already.
    fn fenced(&mut self, Fenced { partition, current }: Fenced) {
        if let Some(candidate) = self.candidates.get_mut(&partition) {
            candidate.fenced(self.watch.watched_ms(), current);
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
        let watched_ms = self.watch.look(self.began.elapsed().as_millis() as u64);
        let (mut leases, mut claims) = (Vec::new(), Vec::new());
        for (partition, current) in seen {
            if let Some(owner) = current.known() {
                self.directory.learn(partition, owner);
            }
            let Some(candidate) = self.candidates.get_mut(&partition) else { continue };
            match candidate.observe(watched_ms, current) {
                Decision::Wait => {}
                Decision::Renew(lease) => leases.push(lease),
                Decision::Claim(claim) => claims.push(claim),
                Decision::StepDown(fenced) => self.lost.push(fenced),
            }
        }
        // What is stuck takes its time, and is tried last.
        claims.sort_by_key(|claim| self.stuck.contains(&claim.partition));
        let Claimed { acquired, stuck } = self.claim_and_renew(claims, leases).await?;
        for Lease { partition, .. } in &acquired {
            self.stuck.remove(partition);
        }
        self.is_cut_short = stuck.is_some();
        if let Some((partition, error)) = stuck {
            tracing::warn!(%partition, %error, "a partition cannot be taken over");
            self.stuck.insert(partition);
        }
        for Lease { partition, epoch } in &acquired {
            if let Some(candidate) = self.candidates.get_mut(partition) {
                candidate.acquired(*epoch);
            }
        }
        Ok(Looked { lost: std::mem::take(&mut self.lost), acquired })
    }

    /// Up to the first claim that comes to nothing: it may have taken seconds, and others wait for this node's
    /// renewals.
    async fn claim_and_renew(
        &self,
        claims: Vec<Claim>,
        leases: Vec<Lease>,
    ) -> Result<Claimed, LookError> {
        if claims.is_empty() && leases.is_empty() {
            return Ok(Claimed::default());
        }
        let store = Arc::clone(&self.store);
        self.on_worker(move || {
            // Who is fenced by now is noticed at the next look.
            store.renew(&leases)?;
            let mut claimed = Claimed::default();
            for claim in &claims {
                match store.acquire(claim) {
                    Ok(lease) => claimed.acquired.extend(lease),
                    Err(error @ StoreError::Corrupt(_)) => return Err(error),
                    Err(error) => {
                        claimed.stuck = Some((claim.partition, error));
                        break;
                    }
                }
            }
            Ok(claimed)
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
