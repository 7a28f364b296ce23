//! Virtual users: a slice of them on one machine, who connect, act by the plan, and tell what happens.
//!
//! Open loop: an operation is invoked at its intended time whether or not earlier ones were
//! answered; while a device is not connected its messages wait in its outbox, and their latency
//! counts from the intended time all the same.

mod accounts;
mod device;
mod device_state;
mod dialer;
mod history_read;
mod membership;
mod ready;
mod receipts;
mod shard;
mod slowness;
mod strangers;
mod visitor;

use crate::measure::Lateness;
use crate::plan::Plan;
use crate::recorder::Recorder;
use crate::rest::Api;
use crate::targets::Targets;
use accounts::Accounts;
use client::{Alarm, Carrier, Settings};
use futures_util::StreamExt;
use membership::Membership;
use ports::Machine;
use protocol::{DeviceId, UserId};
use scenarios::scenario::Transport;
use shard::Shard;
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use tokio::task::yield_now;
use tokio::time::Instant;
use verify::history::event::Phase;

/// How long the devices of a slice may take to say goodbye at the end.
const GOODBYE: Duration = Duration::from_secs(5);
/// Devices that say goodbye at once.
const GOODBYES: usize = 1_024;
/// Operations in a row after which other tasks get their turn.
const TURN: usize = 32;

/// What all devices of a slice share.
struct VirtualUsers {
    machine: Machine,
    plan: Arc<Plan>,
    targets: Arc<Targets>,
    recorder: Arc<dyn Recorder>,
    carrier: Carrier,
    api: Api,
    settings: Arc<Settings>,
    membership: Membership,
    accounts: Accounts,
    phase: watch::Receiver<Phase>,
}

impl VirtualUsers {
    /// The gateway that an attempt of a device is sent to.
    fn gateway(&self, user: UserId, device: DeviceId, attempt: u32) -> &str {
        let gateways = &self.targets.gateways;
        &gateways[self.plan.gateway_of(user, device, attempt, gateways.len())]
    }
}

/// What a slice of the users reports at the end, when all that happened to it is recorded.
pub struct UsersReport {
    /// How well it kept the schedule.
    pub lateness: Lateness,
    /// What is left to do.
    pub goodbye: Goodbye,
}

/// The connections of devices that were there until the end.
pub struct Goodbye(Vec<client::Wire>);

impl Goodbye {
    /// Says goodbye to the cluster. It may then take its users for away: nothing that it does from here
    /// on belongs to the run any more.
    pub async fn say(self) {
        let wires = futures_util::stream::iter(self.0);
        let everybody = wires.for_each_concurrent(GOODBYES, client::Wire::close);
        if tokio::time::timeout(GOODBYE, everybody).await.is_err() {
            tracing::warn!("some devices did not say goodbye in time");
        }
    }
}

/// Runs some users from `Phase::WarmUp` to `Phase::End` (a phase channel that closes ends them, too).
pub async fn run_users(
    machine: Machine,
    plan: Arc<Plan>,
    slice: Range<u32>,
    targets: Targets,
    recorder: Arc<dyn Recorder>,
    phase: watch::Receiver<Phase>,
) -> UsersReport {
    let targets = Arc::new(targets);
    let api = Api::new(machine.clone(), targets.clone());
    let carrier = match plan.transport() {
        Transport::Socket => Carrier::sockets(machine.clone(), plan.codec()),
        Transport::Trunk => {
            let service = dialer::TrunkService(api.tokens().clone());
            Carrier::trunks(machine.clone(), Box::new(service))
        }
    };
    let design = plan.design();
    let (jitter, receipts) = (design.reconnect_jitter, design.receipts);
    let unauthorised = design.unauthorised;
    let settings = Settings { jitter, receipts, unauthorised, ..Settings::default() };
    let users = Arc::new(VirtualUsers {
        api,
        machine,
        targets,
        recorder,
        carrier,
        settings: Arc::new(settings),
        membership: Membership::default(),
        accounts: Accounts::new(plan.load().mix.revoke > 0.0),
        phase: phase.clone(),
        plan,
    });
    Roster::new(users, slice, phase).run().await
}

/// What the devices of a slice do, phase by phase.
struct Roster {
    users: Arc<VirtualUsers>,
    shard: Shard,
    slice: Range<u32>,
    phase: watch::Receiver<Phase>,
    alarm: Alarm,
    lateness: Lateness,
}

impl Roster {
    fn new(users: Arc<VirtualUsers>, slice: Range<u32>, phase: watch::Receiver<Phase>) -> Self {
        let shard = Shard::new(users.clone(), slice.clone());
        let (alarm, lateness) = (Alarm::default(), Lateness::default());
        Self { users, shard, slice, phase, alarm, lateness }
    }

    async fn run(mut self) -> UsersReport {
        self.drive(None, Phase::WarmUp).await;
        self.shard.connect_everybody();
        self.drive(None, Phase::Load).await;
        self.lateness.note_waiting(self.shard.waiting());
        self.load().await;
        self.drive(None, Phase::End).await;
        UsersReport { lateness: self.lateness, goodbye: Goodbye(self.shard.stop()) }
    }

    /// Lets the devices go on until a time, or until a phase or a later one; whether the phase ended it.
    async fn drive(&mut self, until: Option<Instant>, phase: Phase) -> bool {
        loop {
            let goes_on = self.shard.poll_some();
            if let Some(queued) = self.shard.waited() {
                self.lateness.note_queued(queued);
            }
            if *self.phase.borrow() >= phase || self.phase.has_changed().is_err() {
                return true;
            }
            if until.is_some_and(|until| until <= Instant::now()) {
                return false;
            }
            if goes_on {
                yield_now().await;
                continue;
            }
            let due = [until, self.shard.due()].into_iter().flatten().min();
            tokio::select! {
                biased;
                // A channel that closes is the end.
                _ = self.phase.wait_for(|now| *now >= phase) => return true,
                () = self.shard.woken() => {}
                () = self.alarm.at(due) => {}
            }
        }
    }

    /// Hands out the operations at their times, until `Phase::Settle`.
    async fn load(&mut self) {
        let plan = self.users.plan.clone();
        let began = Instant::now();
        let began_us = self.users.recorder.now_us();
        self.shard.load_begins(began);
        for (number, operation) in plan.schedule(self.slice.clone()).enumerate() {
            let due = began + operation.at;
            if self.drive(Some(due), Phase::Settle).await {
                return;
            }
            if number % TURN == TURN - 1 {
                // Behind its schedule a slice would keep its thread to itself.
                yield_now().await;
            }
            self.lateness.note(operation.at, due.elapsed());
            let intended_us = began_us + operation.at.as_micros() as u64;
            if !self.shard.operate(operation, intended_us) {
                self.lateness.note_skipped();
            }
        }
    }
}
