//! The end of an agent that is led.

use super::clock::{Comparison, HostClock};
use super::message::{FromAgent, FromLead, hear, say};
use super::{BEAT, Clock, Meeting, Met, Part, SILENCE};
use crate::journal::Journal;
use ports::{Machine, Stream, entered, with_causes};
use std::io;
use std::pin::pin;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::io::{BufReader, ReadHalf, WriteHalf, split};
use tokio::sync::watch;
use tokio::time::{sleep, timeout};
use verify::history::event::Phase;
use workload::recorder::Recorder;

/// Between two attempts to find a lead that does not listen yet.
const AGAIN: Duration = Duration::from_millis(200);
/// So many rounds at the beginning compare the clocks before anything happens.
const ROUNDS: u32 = 20;
/// Between them.
const ROUND: Duration = Duration::from_millis(5);

/// What the lead has said so far.
#[derive(Clone, Debug, Default)]
struct Heard {
    met: Option<u64>,
    cluster: Option<Reached>,
    phase: Option<Phase>,
    /// Why the run ends before its time.
    stop: Option<String>,
    /// Whether the lead itself has ended it.
    is_told: bool,
}

/// The cluster, as the lead tells of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Reached {
    pub gateways: Vec<String>,
    /// Whom to trust, in PEM, if it is encrypted and the lead has started it.
    pub authority: Option<String>,
}

/// One that is led.
#[derive(Clone)]
pub struct Member {
    shared: Arc<Shared>,
}

struct Shared {
    part: Part,
    machine: Machine,
    journal: Arc<Journal>,
    heard: watch::Sender<Heard>,
    clock: Mutex<(Option<Clock>, Comparison)>,
    to: tokio::sync::Mutex<Option<WriteHalf<Box<dyn Stream>>>>,
}

type From = BufReader<ReadHalf<Box<dyn Stream>>>;

impl Member {
    /// One that has not met its lead yet.
    pub fn new(part: Part, machine: Machine, journal: Arc<Journal>) -> Self {
        let (heard, clock, to) =
            (watch::channel(Heard::default()).0, Mutex::default(), None.into());
        Self { shared: Arc::new(Shared { part, machine, journal, heard, clock, to }) }
    }

    /// Finds the lead, and compares clocks.
    pub async fn join(&self) -> Result<(), String> {
        let shared = self.shared.clone();
        let (lead, patience) = (&shared.part.lead, shared.part.patience);
        let stream = timeout(patience, find(&shared.machine, lead)).await;
        let stream = stream.map_err(|_| format!("no lead at {lead} within {patience:?}"))?;
        let (from, to) = split(stream);
        let mut from = BufReader::new(from);
        *shared.to.lock().await = Some(to);
        let Part { agent, plan, .. } = &shared.part;
        let hello = FromAgent::Hello { agent: *agent, plan: plan.clone() };
        let lost = |error: io::Error| format!("the lead at {lead}: {}", with_causes(&error));
        shared.say(&hello).await.map_err(lost)?;
        let welcome = timeout(SILENCE, hear::<FromLead>(&mut from)).await;
        let welcome = welcome.map_err(|_| format!("the lead at {lead} does not answer"))?;
        match welcome.map_err(lost)? {
            FromLead::Welcome { run, host } => {
                let own = HostClock::of(shared.journal.began());
                let same = own.zip(host).and_then(|(own, lead)| own.compare(&lead));
                entered(shared.clock.lock()).0 = same;
                shared.heard.send_modify(|heard| heard.met = Some(run));
            }
            FromLead::Refused { why } => return Err(format!("the lead at {lead} refuses: {why}")),
            other => return Err(format!("the lead at {lead} begins with {other:?}")),
        }
        for _ in 0..ROUNDS {
            shared.state().await.map_err(lost)?;
            let answer = timeout(SILENCE, hear::<FromLead>(&mut from)).await;
            let answer = answer.map_err(|_| format!("the lead at {lead} does not answer"))?;
            shared.take(answer.map_err(lost)?);
            sleep(ROUND).await;
        }
        let (listening, beating) = (shared.clone(), shared.clone());
        shared.machine.spawn("lead", async move { listening.listen(from).await });
        shared.machine.spawn("beats", async move { beating.beat().await });
        if let Some(met) = self.met() {
            (shared.part.heard)(Meeting::Met(met));
        }
        Ok(())
    }

    /// The run that it takes part in, as soon as it does.
    pub fn met(&self) -> Option<Met> {
        let run = self.shared.heard.borrow().met?;
        let (shared, comparison) = *entered(self.shared.clock.lock());
        shared.or_else(|| comparison.clock()).map(|clock| Met { run, clock })
    }

    /// The cluster, as soon as the conversations are made.
    pub async fn begins(&self) -> Reached {
        let mut heard = self.shared.heard.subscribe();
        let begun = heard.wait_for(|heard| heard.cluster.is_some()).await;
        begun.ok().and_then(|heard| heard.cluster.clone()).unwrap_or_default()
    }

    /// Waits for a phase.
    pub async fn phase(&self, phase: Phase) {
        let mut heard = self.shared.heard.subscribe();
        let is_there = |heard: &Heard| heard.phase.is_some_and(|now| now >= phase);
        // The sender is ours.
        let _ = heard.wait_for(is_there).await;
    }

    /// Waits until the run ends before its time: why.
    pub async fn stopped(&self) -> String {
        let mut heard = self.shared.heard.subscribe();
        let stopped = heard.wait_for(|heard| heard.stop.is_some()).await;
        match stopped.ok().and_then(|heard| heard.stop.clone()) {
            Some(why) => why,
            None => std::future::pending().await,
        }
    }

    /// Tells the lead that it leaves, unless that is the lead's own wish.
    pub async fn leave(&self, why: &str) {
        if !self.shared.heard.borrow().is_told {
            // Whoever is gone needs no word.
            let _ = self.shared.say(&FromAgent::Leaves { why: why.to_owned() }).await;
        }
    }

    /// Tells the lead that everything is written down.
    pub async fn finish(&self) {
        if let Err(error) = self.shared.say(&FromAgent::Finished).await {
            tracing::warn!(%error, "the lead does not hear that this agent has finished");
        }
    }
}

async fn find(machine: &Machine, lead: &str) -> Box<dyn Stream> {
    loop {
        match machine.network.connect(lead).await {
            Ok(stream) => return stream,
            Err(error) => tracing::debug!(%error, lead, "no lead yet"),
        }
        sleep(AGAIN).await;
    }
}

impl Shared {
    async fn say(&self, what: &FromAgent) -> io::Result<()> {
        match &mut *self.to.lock().await {
            Some(to) => say(to, what).await,
            None => Err(io::ErrorKind::NotConnected.into()),
        }
    }

    async fn state(&self) -> io::Result<()> {
        let counts = self.journal.counts();
        let (connected, events) = (counts.connected(), counts.events.load(Ordering::Relaxed));
        let at_us = self.journal.now_us();
        self.say(&FromAgent::State { at_us, connected, events }).await
    }

    async fn beat(&self) {
        // Whoever listens notices the end.
        while self.state().await.is_ok() {
            sleep(BEAT).await;
        }
    }

    async fn listen(&self, mut from: From) {
        loop {
            let heard = pin!(timeout(SILENCE, hear::<FromLead>(&mut from))).await;
            let why = match heard {
                Ok(Ok(what)) => {
                    self.take(what);
                    continue;
                }
                Ok(Err(error)) if error.kind() == io::ErrorKind::UnexpectedEof => {
                    "the lead vanished".to_owned()
                }
                Ok(Err(error)) => format!("the lead vanished: {}", with_causes(&error)),
                Err(_) => format!("the lead was not heard of for {SILENCE:?}"),
            };
            self.heard.send_modify(|heard| {
                heard.stop.get_or_insert(why);
            });
            return;
        }
    }

    fn take(&self, what: FromLead) {
        match what {
            FromLead::Beat { sent_us, at_us } => {
                let now = self.journal.now_us();
                entered(self.clock.lock()).1.round(sent_us, at_us, now);
            }
            FromLead::Begin { gateways, authority } => {
                let reached = Reached { gateways, authority };
                self.heard.send_modify(|heard| heard.cluster = Some(reached));
            }
            FromLead::Phase(phase) => self.heard.send_modify(|heard| heard.phase = Some(phase)),
            FromLead::Stop { why } => self.heard.send_modify(|heard| {
                heard.is_told = true;
                heard.stop.get_or_insert(why);
            }),
            FromLead::Welcome { .. } | FromLead::Refused { .. } => {
                tracing::warn!("the lead says hello again");
            }
        }
    }
}
