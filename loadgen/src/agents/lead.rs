//! The lead's end: who is there, what they have reached, and what all of them are told.

use super::clock::HostClock;
use super::message::{FromAgent, FromLead, hear, say};
use super::{BEAT, Part, SILENCE};
use crate::journal::Journal;
use ports::{Listener, Machine, Stream, with_causes};
use std::io;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{BufReader, ReadHalf, WriteHalf, split};
use tokio::sync::watch;
use tokio::time::{Instant, timeout, timeout_at};
use verify::history::event::Agent;
use workload::recorder::Recorder;

/// How long somebody who connects may take to say who it is.
const GREETING: Duration = Duration::from_secs(5);

/// An agent, as the lead knows it.
#[derive(Clone, Debug, Default)]
struct Seat {
    is_taken: bool,
    connected: u64,
    events: u64,
    is_finished: bool,
    /// Why it is not there any more.
    gone: Option<String>,
}

/// Where all agents are led from.
#[derive(Clone)]
pub struct Lead {
    shared: Arc<Shared>,
}

struct Shared {
    part: Part,
    run: u64,
    machine: Machine,
    journal: Arc<Journal>,
    seats: watch::Sender<Vec<Seat>>,
    /// All that was told so far.
    told: watch::Sender<Vec<FromLead>>,
}

impl Lead {
    /// Of a part's company; nobody is there yet.
    pub fn new(part: Part, machine: Machine, journal: Arc<Journal>) -> Self {
        let others = part.agent.of.saturating_sub(1) as usize;
        let seats = watch::channel(vec![Seat::default(); others]).0;
        let (run, told) = (machine.entropy.next_u64(), watch::channel(Vec::new()).0);
        Self { shared: Arc::new(Shared { part, run, machine, journal, seats, told }) }
    }

    /// The number of the run.
    pub fn run(&self) -> u64 {
        self.shared.run
    }

    /// Listens; the address.
    pub async fn listen(&self) -> io::Result<String> {
        let Shared { part, machine, .. } = &*self.shared;
        let listener = machine.network.bind(&part.lead).await?;
        let address = listener.local_addr()?.to_string();
        let shared = self.shared.clone();
        machine.spawn("agents", async move { shared.welcome(&*listener).await });
        Ok(address)
    }

    /// Waits until everybody is there.
    pub async fn all_here(&self) -> Result<(), String> {
        let Shared { part, seats, .. } = &*self.shared;
        let mut seats = seats.subscribe();
        let all = seats.wait_for(|seats| seats.iter().all(|seat| seat.is_taken));
        if timeout(part.patience, all).await.is_ok() {
            return Ok(());
        }
        let missing: Vec<String> = seats
            .borrow()
            .iter()
            .zip(1..)
            .filter(|(seat, _)| !seat.is_taken)
            .map(|(_, number)| self.shared.named(number))
            .collect();
        let (missing, patience) = (missing.join(", "), part.patience);
        Err(format!("{missing} did not come within {patience:?}"))
    }

    /// Tells everybody.
    pub fn tell(&self, what: FromLead) {
        self.shared.told.send_modify(|told| told.push(what));
    }

    /// Sessions that are connected, and events, of all others.
    pub fn reached(&self) -> (u64, u64) {
        let seats = self.shared.seats.borrow();
        let sum = |of: fn(&Seat) -> u64| seats.iter().map(of).sum();
        (sum(|seat| seat.connected), sum(|seat| seat.events))
    }

    /// Waits until somebody is gone before the end: why.
    pub async fn lost(&self) -> String {
        let mut seats = self.shared.seats.subscribe();
        let gone = |seats: &Vec<Seat>| seats.iter().find_map(|seat| seat.gone.clone());
        let lost = seats.wait_for(|seats| gone(seats).is_some()).await;
        match lost.ok().and_then(|seats| gone(&seats)) {
            Some(why) => why,
            // Nobody can go any more.
            None => std::future::pending().await,
        }
    }

    /// Waits until everybody who is there has written everything down: who has not.
    pub async fn all_finished(&self, deadline: Instant) -> Vec<String> {
        let mut seats = self.shared.seats.subscribe();
        let is_over = |seat: &Seat| seat.is_finished || seat.gone.is_some() || !seat.is_taken;
        let all = seats.wait_for(|seats| seats.iter().all(is_over));
        // Who did not is named.
        let _ = timeout_at(deadline, all).await;
        let seats = seats.borrow();
        let late = seats.iter().zip(1..).filter(|(seat, _)| !is_over(seat));
        late.map(|(_, number)| format!("{} did not finish in time", self.shared.named(number)))
            .collect()
    }
}

impl Shared {
    fn named(&self, number: u32) -> String {
        Agent { number, of: self.part.agent.of }.to_string()
    }

    async fn welcome(self: Arc<Self>, listener: &dyn Listener) {
        loop {
            match listener.accept().await {
                Ok((stream, _)) => {
                    let shared = self.clone();
                    self.machine.spawn("agent", async move { shared.attend(stream).await });
                }
                Err(error) => {
                    tracing::warn!(%error, "an agent could not be accepted");
                    tokio::time::sleep(BEAT).await;
                }
            }
        }
    }

    async fn attend(&self, stream: Box<dyn Stream>) {
        let (from, mut to) = split(stream);
        let mut from = BufReader::new(from);
        let number = match timeout(GREETING, hear::<FromAgent>(&mut from)).await {
            Ok(Ok(FromAgent::Hello { agent, plan })) => match self.seat(agent, &plan) {
                Ok(number) => number,
                Err(why) => {
                    tracing::warn!(why, "an agent is refused");
                    // It may be gone again.
                    let _ = say(&mut to, &FromLead::Refused { why }).await;
                    return;
                }
            },
            _ => return tracing::warn!("something connected to the lead that is no agent"),
        };
        let outcome = self.lead(number, &mut from, &mut to).await;
        let Err(why) = outcome else { return };
        let (phase, named) = (self.phase(), self.named(number));
        self.change(number, |seat| {
            if !seat.is_finished {
                seat.gone.get_or_insert_with(|| format!("{named} {why} ({phase})"));
            }
        });
    }

    /// The place of an agent, if it may take one.
    fn seat(&self, agent: Agent, plan: &str) -> Result<u32, String> {
        let Part { agent: own, plan: ours, .. } = &self.part;
        if agent.of != own.of || agent.number == 0 || agent.number >= own.of {
            let last = own.of - 1;
            let (k, n) = (agent.number, agent.of);
            return Err(format!(
                "{k}/{n} is none of this run, which has the agents 1/{of} to {last}/{of} beside its lead",
                of = own.of
            ));
        }
        if plan != ours {
            return Err(format!("it runs {plan}, but the lead runs {ours}"));
        }
        let mut is_new = false;
        self.change(agent.number, |seat| is_new = !std::mem::replace(&mut seat.is_taken, true));
        if is_new { Ok(agent.number) } else { Err(format!("{agent} is there already")) }
    }

    fn change(&self, number: u32, change: impl FnOnce(&mut Seat)) {
        self.seats.send_modify(|seats| change(&mut seats[number as usize - 1]));
    }

    fn phase(&self) -> &'static str {
        let told = self.told.borrow();
        let phase = told.iter().rev().find_map(|told| match told {
            FromLead::Phase(phase) => Some(phase.words()),
            FromLead::Begin { .. } => Some("warm up"),
            _ => None,
        });
        phase.unwrap_or("set up")
    }

    /// Until it has finished, or why not.
    async fn lead(
        &self,
        number: u32,
        from: &mut BufReader<ReadHalf<Box<dyn Stream>>>,
        to: &mut WriteHalf<Box<dyn Stream>>,
    ) -> Result<(), String> {
        let vanished = |error: io::Error| format!("vanished: {}", with_causes(&error));
        let welcome =
            FromLead::Welcome { run: self.run, host: HostClock::of(self.journal.began()) };
        say(to, &welcome).await.map_err(vanished)?;
        let (mut told, mut next) = (self.told.subscribe(), 0);
        told.mark_changed();
        loop {
            let heard = {
                // What is heard is not given up half-way.
                let mut heard = pin!(timeout(SILENCE, hear::<FromAgent>(from)));
                loop {
                    tokio::select! {
                        biased;
                        heard = &mut heard => break heard,
                        _ = told.changed() => {
                            let more = told.borrow_and_update()[next..].to_vec();
                            next += more.len();
                            for what in more {
                                say(to, &what).await.map_err(vanished)?;
                            }
                        }
                    }
                }
            };
            let heard = heard.map_err(|_| format!("was not heard of for {SILENCE:?}"))?;
            match heard.map_err(|error| match error.kind() {
                io::ErrorKind::UnexpectedEof => "vanished".to_owned(),
                _ => vanished(error),
            })? {
                FromAgent::State { at_us: sent_us, connected, events } => {
                    let beat = FromLead::Beat { sent_us, at_us: self.journal.now_us() };
                    say(to, &beat).await.map_err(vanished)?;
                    self.change(number, |seat| (seat.connected, seat.events) = (connected, events));
                }
                FromAgent::Leaves { why } => return Err(format!("left: {why}")),
                FromAgent::Finished => {
                    self.change(number, |seat| seat.is_finished = true);
                    return Ok(());
                }
                FromAgent::Hello { .. } => return Err("said hello twice".to_owned()),
            }
        }
    }
}
