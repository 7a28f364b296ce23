//! The lead's end: who is there, what they have reached, and what all of them are told.

use super::clock::HostClock;
use super::message::{FromAgent, FromLead, hear, say};
use super::{Part, SILENCE};
use crate::journal::Journal;
use link::accept::{Acceptor, CONNECTIONS_MAX};
use ports::{Machine, Stream, with_causes};
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
struct Place {
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
    places: watch::Sender<Vec<Place>>,
    /// All that was told so far.
    told: watch::Sender<Vec<FromLead>>,
}

impl Lead {
    /// Of a part's company; nobody is there yet.
    pub fn new(part: Part, machine: Machine, journal: Arc<Journal>) -> Self {
        let others = part.agent.of.saturating_sub(1) as usize;
        let places = watch::channel(vec![Place::default(); others]).0;
        let (run, told) = (machine.entropy.next_u64(), watch::channel(Vec::new()).0);
        Self { shared: Arc::new(Shared { part, run, machine, journal, places, told }) }
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
        let acceptor = Acceptor::new(machine, listener, CONNECTIONS_MAX);
        machine.spawn("agents", async move { shared.welcome(acceptor).await });
        Ok(address)
    }

    /// Waits until everybody is there.
    pub async fn all_here(&self) -> Result<(), String> {
        let Shared { part, places, .. } = &*self.shared;
        let mut places = places.subscribe();
        let all = places.wait_for(|places| places.iter().all(|place| place.is_taken));
        if timeout(part.patience, all).await.is_ok() {
            return Ok(());
        }
        let missing: Vec<String> = places
            .borrow()
            .iter()
            .zip(1..)
            .filter(|(place, _)| !place.is_taken)
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
        let places = self.shared.places.borrow();
        let sum = |of: fn(&Place) -> u64| places.iter().map(of).sum();
        (sum(|place| place.connected), sum(|place| place.events))
    }

    /// Waits until somebody is gone before the end: why.
    pub async fn lost(&self) -> String {
        let mut places = self.shared.places.subscribe();
        let gone = |places: &Vec<Place>| places.iter().find_map(|place| place.gone.clone());
        let lost = places.wait_for(|places| gone(places).is_some()).await;
        match lost.ok().and_then(|places| gone(&places)) {
            Some(why) => why,
            // Nobody can go any more.
            None => std::future::pending().await,
        }
    }

    /// Waits until everybody who is there has written everything down: who has not.
    pub async fn all_finished(&self, deadline: Instant) -> Vec<String> {
        let mut places = self.shared.places.subscribe();
        let is_over = |place: &Place| place.is_finished || place.gone.is_some() || !place.is_taken;
        let all = places.wait_for(|places| places.iter().all(is_over));
        // Who did not is named.
        let _ = timeout_at(deadline, all).await;
        let places = places.borrow();
        let late = places.iter().zip(1..).filter(|(place, _)| !is_over(place));
        late.map(|(_, number)| format!("{} did not finish in time", self.shared.named(number)))
            .collect()
    }
}

impl Shared {
    fn named(&self, number: u32) -> String {
        Agent { number, of: self.part.agent.of }.to_string()
    }

    async fn welcome(self: Arc<Self>, mut acceptor: Acceptor) {
        loop {
            match acceptor.next().await {
                Ok((stream, open)) => {
                    let shared = self.clone();
                    self.machine.spawn("agent", async move {
                        shared.attend(stream).await;
                        drop(open);
                    });
                }
                // Whoever has not come by now is missed.
                Err(error) => return tracing::error!(%error, "no more agents can be accepted"),
            }
        }
    }

    async fn attend(&self, stream: Box<dyn Stream>) {
        let (from, mut to) = split(stream);
        let mut from = BufReader::new(from);
        let number = match timeout(GREETING, hear::<FromAgent>(&mut from)).await {
            Ok(Ok(FromAgent::Hello { agent, plan })) => match self.place(agent, &plan) {
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
        self.change(number, |place| {
            if !place.is_finished {
                place.gone.get_or_insert_with(|| format!("{named} {why} ({phase})"));
            }
        });
    }

    /// The place of an agent, if it may take one.
    fn place(&self, agent: Agent, plan: &str) -> Result<u32, String> {
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
        self.change(agent.number, |place| is_new = !std::mem::replace(&mut place.is_taken, true));
        if is_new { Ok(agent.number) } else { Err(format!("{agent} is there already")) }
    }

    fn change(&self, number: u32, change: impl FnOnce(&mut Place)) {
        self.places.send_modify(|places| change(&mut places[number as usize - 1]));
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
                    self.change(number, |place| {
                        (place.connected, place.events) = (connected, events);
                    });
                }
                FromAgent::Leaves { why } => return Err(format!("left: {why}")),
                FromAgent::Finished => {
                    self.change(number, |place| place.is_finished = true);
                    return Ok(());
                }
                FromAgent::Hello { .. } => return Err("said hello twice".to_owned()),
            }
        }
    }
}
