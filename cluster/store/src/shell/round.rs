//! One round: take in, apply, commit, look up what was missed, answer attaches. The engine's failures are retried in place,
//! because whatever comes later must stay behind.

use super::input::{DeliveryLine, Line, Subscribed, Tail};
use super::writer::{Applied, AttachAnswer, Work, Writer};
use crate::core::absences::Departure;
use crate::core::intake;
use ports::broker::{NewDeadLetter, Origin};
use ports::message_store::{Lease, StoreError};
use ports::{Machine, Worker, tasks};
use protocol::design::{Accept, Poison};
use protocol::records::PushJob;
use protocol::{Design, Epoch, Partition, limits};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;

/// The first pause before a poisoned delivery is tried again; doubles. Short, because everything
/// behind it waits: all poisoned deliveries of a round share the same pauses.
const POISON_PAUSE: Duration = Duration::from_millis(1);
/// The first pause before the engine is tried again; doubles up to the longest.
const ENGINE_PAUSE: Duration = Duration::from_millis(20);
/// The longest pause between two attempts at the engine.
const ENGINE_PAUSE_MAX: Duration = Duration::from_secs(1);

/// How long `accept = before_persist` holds a commit back: whoever answers before writing does so to
/// write later, and more at a time.
const WRITE_BEHIND: Duration = Duration::from_millis(50);

/// What rounds share.
#[derive(Clone)]
pub struct Desk {
    /// The node's machine.
    pub machine: Machine,
    /// Its one writing worker.
    pub worker: Arc<dyn Worker>,
    /// Design choices.
    pub design: Design,
}

/// A round under way.
pub struct Round {
    /// The state machines and the engine; they travel with the round.
    pub writer: Writer,
    /// Commands.
    pub work: Work,
    /// Attaches.
    pub attaches: Vec<Tail>,
    /// Of those who have been gone for too long.
    pub departures: Vec<Departure>,
    /// Partitions to acquire first, above these epochs.
    pub acquire: Vec<(Partition, Epoch)>,
    /// What was applied.
    pub applied: Applied,
    /// Newly acquired leases.
    pub acquired: Vec<Lease>,
    /// Answers to `attaches`.
    pub attached: Vec<AttachAnswer>,
    /// What `departures` come to.
    pub missed: Vec<PushJob>,
    /// Whether the deliveries were settled before the commit (the bad choice).
    pub settled: bool,
}

/// How far a round got.
pub enum Progress {
    /// Everything is durable.
    Done(Box<Round>),
    /// Applied; the bad design wants the effects published now, then `write_behind`.
    Early(Box<Round>),
    /// The engine's data is damaged.
    Failed(StoreError),
    /// The node is being torn down.
    Gone,
}

/// Why a round stops early.
enum Stop {
    Failed(StoreError),
    Gone,
}

impl From<Stop> for Progress {
    fn from(stop: Stop) -> Self {
        match stop {
            Stop::Failed(error) => Self::Failed(error),
            Stop::Gone => Self::Gone,
        }
    }
}

/// Runs a round from the start.
pub async fn begin(desk: Desk, mut round: Box<Round>) -> Progress {
    take_in(&mut round.work, desk.design.poison).await;
    round.work.at_ms = desk.machine.clock.now_ms();
    round = match apply(&desk, round).await {
        Ok(round) => round,
        Err(stop) => return stop.into(),
    };
    if desk.design.accept == Accept::BeforePersist && !round.applied.effects.is_empty() {
        return Progress::Early(round);
    }
    commit(desk, round).await
}

/// Commits what was published already, later.
pub async fn write_behind(desk: Desk, round: Box<Round>) -> Progress {
    tokio::time::sleep(WRITE_BEHIND).await;
    commit(desk, round).await
}

/// Commits what was applied, and answers the attaches.
async fn commit(desk: Desk, mut round: Box<Round>) -> Progress {
    let mut pause = Pause::new();
    loop {
        let began = Instant::now();
        let (returned, result) = match on_worker(&desk, round, commit_and_attach).await {
            Ok(done) => done,
            Err(stop) => return stop.into(),
        };
        round = returned;
        desk.machine.telemetry.time("store_commit", began.elapsed());
        match result {
            Ok(()) => return Progress::Done(round),
            Err(StoreError::Fenced { partition, current }) => {
                tracing::warn!(%partition, %current, "fenced; acquiring the partition again");
                round.writer.forget();
                round.acquire.push((partition, current));
                // Its deliveries come again under the new epoch; requests are applied again.
                round.work.lines.retain(|line| match line {
                    Line::Delivery(delivery) => delivery.from.partition != partition,
                    Line::Request(..) => true,
                });
                round.applied = Applied::default();
                round = match apply(&desk, round).await {
                    Ok(round) => round,
                    Err(stop) => return stop.into(),
                };
            }
            Err(StoreError::Corrupt(why)) => return Progress::Failed(StoreError::Corrupt(why)),
            Err(error) => {
                desk.machine.telemetry.count("store_commits_repeated", 1);
                pause.wait(&error).await;
            }
        }
    }
}

fn commit_and_attach(round: &mut Round) -> Result<(), StoreError> {
    if !round.applied.is_committed() {
        round.writer.commit(&mut round.applied)?;
    }
    round.missed = round.writer.missed(&round.departures)?;
    round.attached = round.writer.attach(&round.attaches)?;
    Ok(())
}

async fn apply(desk: &Desk, mut round: Box<Round>) -> Result<Box<Round>, Stop> {
    let mut pause = Pause::new();
    loop {
        let (returned, result) = on_worker(desk, round, |round| {
            while let Some((partition, above)) = round.acquire.last().copied() {
                let at_ms = round.work.at_ms;
                round.acquired.push(round.writer.acquire(partition, above, at_ms)?);
                round.acquire.pop();
            }
            round.applied = round.writer.apply(&mut round.work)?;
            Ok(())
        })
        .await?;
        round = returned;
        match result {
            Ok(()) => return Ok(round),
            Err(StoreError::Corrupt(why)) => return Err(Stop::Failed(StoreError::Corrupt(why))),
            Err(error) => pause.wait(&error).await,
        }
    }
}

async fn on_worker(
    desk: &Desk,
    mut round: Box<Round>,
    job: impl FnOnce(&mut Round) -> Result<(), StoreError> + Send + 'static,
) -> Result<(Box<Round>, Result<(), StoreError>), Stop> {
    tasks::run_on(&*desk.worker, move || {
        let result = job(&mut round);
        (round, result)
    })
    .await
    .ok_or(Stop::Gone)
}

/// Decodes the deliveries. Those that cannot be processed are tried again in place, so that nothing
/// overtakes them, and become poison when their attempts are used up.
async fn take_in(work: &mut Work, design: Poison) {
    let mut pause = POISON_PAUSE;
    for attempt in 1..=limits::DELIVERY_LIMIT {
        let mut again = false;
        for line in &mut work.lines {
            if let Line::Delivery(delivery) = line {
                again |= !take_in_one(delivery, attempt, design);
            }
        }
        if !again {
            return;
        }
        tokio::time::sleep(pause).await;
        pause *= 2;
    }
}

/// Whether this delivery needs no further attempt.
fn take_in_one(delivery: &mut DeliveryLine, attempt: u32, design: Poison) -> bool {
    if delivery.inbound.is_some() || delivery.poison.is_some() {
        return true;
    }
    match intake::read(&delivery.message) {
        Ok(inbound) => delivery.inbound = Some(inbound),
        Err(mut poison) => {
            if attempt < limits::DELIVERY_LIMIT {
                return false;
            }
            if design == Poison::Drop {
                poison.inbound = None;
            }
            delivery.poison = Some(poison);
        }
    }
    true
}

/// What is to be done with a round's deliveries.
#[derive(Default)]
pub struct Done {
    /// First, those that could not be processed become dead letters.
    pub dead: Vec<NewDeadLetter>,
    /// Then all are acknowledged, up to these positions.
    pub through: BTreeMap<Subscribed, u64>,
}

/// What is to be done once the publications are confirmed.
pub fn done(work: &Work, design: Poison) -> Done {
    let mut done = Done::default();
    for line in &work.lines {
        let Line::Delivery(delivery) = line else { continue };
        done.through.insert(delivery.from, delivery.position);
        if let Some(poison) = &delivery.poison
            && design == Poison::DeadLetter
            && !poison.is_settled
        {
            done.dead.push(NewDeadLetter {
                origin: Origin::Inbound(delivery.from.partition),
                key: poison.key(&delivery.message),
                reason: poison.reason.clone(),
                attempts: limits::DELIVERY_LIMIT,
                message: delivery.message.clone(),
            });
        }
    }
    done
}

/// Growing pauses between attempts at the engine.
struct Pause(Duration);

impl Pause {
    fn new() -> Self {
        Self(ENGINE_PAUSE)
    }

    async fn wait(&mut self, error: &StoreError) {
        tracing::warn!(%error, pause = ?self.0, "the engine failed; trying again");
        tokio::time::sleep(self.0).await;
        self.0 = (self.0 * 2).min(ENGINE_PAUSE_MAX);
    }
}
