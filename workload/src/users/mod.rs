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
mod receipts;
mod slowness;

use crate::measure::Lateness;
use crate::plan::{Operation, Plan};
use crate::recorder::Recorder;
use crate::rest::Api;
use crate::targets::Targets;
use accounts::Accounts;
use client::{Carrier, Settings};
use device::{Command, Device};
use membership::Membership;
use ports::Machine;
use protocol::{DeviceId, UserId};
use scenarios::scenario::Transport;
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, sleep_until};
use verify::history::event::Phase;

/// How long the devices of a slice may take to say goodbye at the end.
const GOODBYE: Duration = Duration::from_secs(5);

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

/// What a slice of the users reports at the end.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct UsersReport {
    /// How well it kept the schedule.
    pub lateness: Lateness,
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

/// The command channels of a slice's devices.
struct Roster {
    users: Arc<VirtualUsers>,
    slice: Range<u32>,
    phase: watch::Receiver<Phase>,
    /// By user and device, dense.
    commands: Vec<Option<mpsc::UnboundedSender<Command>>>,
    devices: u32,
    /// Ends when every device has said goodbye.
    gone: (mpsc::Sender<()>, mpsc::Receiver<()>),
    report: UsersReport,
}

impl Roster {
    fn new(users: Arc<VirtualUsers>, slice: Range<u32>, phase: watch::Receiver<Phase>) -> Self {
        let devices = users.plan.devices().count() as u32;
        let commands = (0..slice.len() * devices as usize).map(|_| None).collect();
        let gone = mpsc::channel(1);
        Self { users, slice, phase, commands, devices, gone, report: UsersReport::default() }
    }

    async fn run(mut self) -> UsersReport {
        self.until(Phase::WarmUp).await;
        self.connect_everybody().await;
        self.until(Phase::Load).await;
        self.load().await;
        self.until(Phase::End).await;
        self.goodbye().await;
        self.report
    }

    /// Waits for a phase or a later one.
    async fn until(&mut self, phase: Phase) {
        // A channel that closes is the end.
        let _ = self.phase.wait_for(|now| *now >= phase).await;
    }

    fn is_over(&self, phase: Phase) -> bool {
        *self.phase.borrow() > phase || self.phase.has_changed().is_err()
    }

    /// Starts every device at its time, unless the load begins before.
    async fn connect_everybody(&mut self) {
        let plan = self.users.plan.clone();
        let mut times: Vec<(Duration, UserId, DeviceId)> = self
            .slice
            .clone()
            .map(|user| UserId(u64::from(user)))
            .filter(|user| !plan.is_offline(*user))
            .flat_map(|user| plan.devices().map(move |device| (user, device)))
            .map(|(user, device)| (plan.connect_at(user, device), user, device))
            .collect();
        times.sort_unstable();
        let began = Instant::now();
        for (at, user, device) in times {
            if began + at > Instant::now() {
                tokio::select! {
                    biased;
                    _ = self.phase.wait_for(|now| *now >= Phase::Load) => {}
                    () = sleep_until(began + at) => {}
                }
            }
            self.start(user, device);
        }
    }

    fn start(&mut self, user: UserId, device: DeviceId) {
        let (sender, commands) = mpsc::unbounded_channel();
        let slot = self.slot(user, device);
        self.commands[slot] = Some(sender);
        let device = Device::new(self.users.clone(), user, device, commands);
        let gone = self.gone.0.clone();
        self.users.machine.spawn("device", async move {
            device.run().await;
            drop(gone);
        });
    }

    /// Hands out the operations at their times, until `Phase::Settle`.
    async fn load(&mut self) {
        let plan = self.users.plan.clone();
        let began = Instant::now();
        let began_us = self.users.recorder.now_us();
        // Slow readers are slow from the load on: while everybody connects they read like all others.
        for device in self.commands.iter().flatten() {
            // A device that is gone needs no telling.
            let _ = device.send(Command::Load);
        }
        for operation in plan.schedule(self.slice.clone()) {
            let due = began + operation.at;
            if due > Instant::now() {
                tokio::select! {
                    biased;
                    _ = self.phase.wait_for(|now| *now >= Phase::Settle) => return,
                    () = sleep_until(due) => {}
                }
            } else if self.is_over(Phase::Heal) {
                return;
            }
            self.report.lateness.note(operation.at, due.elapsed());
            self.hand_out(operation, began_us + operation.at.as_micros() as u64);
        }
    }

    fn hand_out(&mut self, operation: Operation, intended_us: u64) {
        let slot = self.slot(operation.user, operation.device);
        let taken = self.commands[slot]
            .as_ref()
            .is_some_and(|device| device.send(Command::Do { operation, intended_us }).is_ok());
        if !taken {
            self.report.lateness.note_skipped();
        }
    }

    async fn goodbye(&mut self) {
        for device in self.commands.drain(..).flatten() {
            // A device that is gone already needs no goodbye.
            let _ = device.send(Command::Stop);
        }
        let (kept, _) = mpsc::channel(1);
        drop(std::mem::replace(&mut self.gone.0, kept));
        let everybody = self.gone.1.recv();
        if tokio::time::timeout(GOODBYE, everybody).await.is_err() {
            tracing::warn!("some devices did not say goodbye in time");
        }
    }

    fn slot(&self, user: UserId, device: DeviceId) -> usize {
        let user = user.0 as usize - self.slice.start as usize;
        user * self.devices as usize + device.0 as usize - 1
    }
}
