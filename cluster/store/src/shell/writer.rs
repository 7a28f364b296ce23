//! The writer: a task with the partitions in its keeping. It is sent jobs and reports what came of them,
//! one after another. The engine's failures are retried in place, because whatever comes later must stay
//! behind.

use super::partitions::Partitions;
use super::round::{Done, Job, Round, Settlements};
use crate::config::StoreConfig;
use crate::core::command::Effect;
use ports::message_store::{MessageStore, StoreError};
use ports::{Machine, Worker, entered, tasks};
use protocol::design::Accept;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::time::Instant;

/// The first pause before the engine is tried again; doubles up to the longest.
const PAUSE: Duration = Duration::from_millis(20);
/// The longest pause between two attempts at the engine.
const PAUSE_MAX: Duration = Duration::from_secs(1);
/// How long `accept = before_persist` holds a commit back: whoever answers before writing does so to
/// write later, and more at a time.
const WRITE_BEHIND: Duration = Duration::from_millis(50);

/// How far a job got.
pub enum Report {
    /// Everything is durable.
    Done(Box<Done>),
    /// The bad choice: this is told, and settled, before it is durable.
    Early(Vec<Effect>, Settlements),
    /// The engine's data is damaged.
    Failed(StoreError),
}

/// The owner's end.
pub struct WriterHandle {
    /// One job at a time.
    pub jobs: mpsc::UnboundedSender<Job>,
    /// What came of it. It ends if the node is torn down.
    pub reports: mpsc::UnboundedReceiver<Report>,
}

/// The task's belongings.
struct Writer {
    machine: Machine,
    config: StoreConfig,
    worker: Arc<dyn Worker>,
    /// Only the worker's jobs lock it.
    partitions: Arc<Mutex<Partitions>>,
    reports: mpsc::UnboundedSender<Report>,
}

/// Why a round stops early.
enum Stop {
    Failed(StoreError),
    Gone,
}

/// A part of a round that blocks.
type Step = fn(&mut Partitions, &mut Round) -> Result<(), StoreError>;

/// A writer over an engine, and the task that it is.
pub fn writer(
    machine: &Machine,
    config: &StoreConfig,
    store: Arc<dyn MessageStore>,
    worker: Arc<dyn Worker>,
) -> (WriterHandle, impl Future<Output = ()> + Send + 'static) {
    let (jobs, queued) = mpsc::unbounded_channel();
    let (reported, reports) = mpsc::unbounded_channel();
    let partitions = Arc::new(Mutex::new(Partitions::new(store, config.clone())));
    let (machine, config) = (machine.clone(), config.clone());
    let writer = Writer { machine, config, worker, partitions, reports: reported };
    (WriterHandle { jobs, reports }, writer.run(queued))
}

impl Writer {
    async fn run(self, mut jobs: mpsc::UnboundedReceiver<Job>) {
        while let Some(job) = jobs.recv().await {
            let report = match self.round(job).await {
                Ok(done) => Report::Done(Box::new(done)),
                Err(Stop::Failed(error)) => Report::Failed(error),
                Err(Stop::Gone) => return,
            };
            if self.reports.send(report).is_err() {
                return;
            }
        }
    }

    async fn round(&self, job: Job) -> Result<Done, Stop> {
        let at_ms = self.machine.clock.now_ms();
        let round = Box::new(Round::new(job, at_ms, &self.config));
        let mut round = self.until_done(round, Partitions::apply).await?;
        if self.config.design.accept == Accept::BeforePersist
            && let Some((effects, settlements)) = round.take_early()
        {
            // Without an owner the node is on its way out.
            let _ = self.reports.send(Report::Early(effects, settlements));
            tokio::time::sleep(WRITE_BEHIND).await;
        }
        let began = Instant::now();
        let mut round = self.until_done(round, Partitions::commit).await?;
        round.done.write = began.elapsed();
        self.machine.telemetry.time("store_commit", round.done.write);
        Ok(round.done)
    }

    /// Takes a step on the worker, again and again while the engine does not work.
    async fn until_done(&self, mut round: Box<Round>, step: Step) -> Result<Box<Round>, Stop> {
        let mut pause = PAUSE;
        loop {
            let partitions = Arc::clone(&self.partitions);
            let stepped = tasks::run_on(&*self.worker, move || {
                let mut partitions = entered(partitions.lock());
                let result = step(&mut partitions, &mut round);
                (round, result)
            });
            let (returned, result) = stepped.await.ok_or(Stop::Gone)?;
            match result {
                Ok(()) => {
                    if pause > PAUSE {
                        tracing::info!("the engine works again");
                    }
                    return Ok(returned);
                }
                Err(error @ StoreError::Corrupt(_)) => return Err(Stop::Failed(error)),
                Err(error) => {
                    if pause == PAUSE {
                        tracing::error!(%error, "nothing can be written: trying again until it can be");
                    }
                    self.machine.telemetry.count("store_commits_repeated", 1);
                    tokio::time::sleep(pause).await;
                    pause = (pause * 2).min(PAUSE_MAX);
                }
            }
            round = returned;
        }
    }
}
