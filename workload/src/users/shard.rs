//! The devices of a slice of the users: one owner, one queue of those who want to be polled, one heap of
//! their timers. A device that waits costs its own memory, and nothing else.

use super::VirtualUsers;
use super::device::Device;
use super::ready::{DeviceWaker, Ready};
use crate::plan::Operation;
use client::{Outbound, Polled, Wire};
use protocol::{DeviceId, UserId};
use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::ops::Range;
use std::sync::Arc;
use std::task::{Context, Wake, Waker};
use std::time::Duration;
use tokio::time::Instant;

/// Devices that are polled before other tasks of the runtime get their turn.
const POLLS: usize = 32;
/// Devices of a run that connect for the first time at once, and of a shard at most. More of them would not
/// be faster, and all of them together slower than each patience: they would begin anew again and again.
/// (52 shards with 128 each came to 1,700 connects a second with 700,000 there, and to 340 with 800,000.)
const CONNECTING_IN_ALL: u64 = 1_024;
const CONNECTING: u64 = 128;

pub struct Shard {
    users: Arc<VirtualUsers>,
    slice: Range<u32>,
    devices: u32,
    /// By user and device, dense.
    slots: Vec<Option<Box<Slot>>>,
    ready: Arc<Ready>,
    timers: BinaryHeap<Reverse<(Instant, u32)>>,
    out: Outbound,
    /// Who will connect at which time, the latest first.
    arrivals: Vec<(Instant, UserId, DeviceId)>,
    /// When the load began, if it has: whoever comes later must hear of it, too.
    load_began: Option<Instant>,
    /// Devices that have never had a session, and try to get one; so many at most.
    connecting: u64,
    connecting_max: u64,
}

struct Slot {
    device: Device,
    waker: Arc<DeviceWaker>,
    /// Its earliest timer in the heap: one that was put off is left there, and looked at in vain.
    armed: Option<Instant>,
    is_connecting: bool,
}

impl Shard {
    pub fn new(users: Arc<VirtualUsers>, slice: Range<u32>) -> Self {
        let devices = users.plan.devices().count() as u32;
        let slots = (0..slice.len() * devices as usize).map(|_| None).collect();
        let (ready, timers, out) = (Arc::default(), BinaryHeap::new(), Outbound::default());
        let (arrivals, connecting) = (Vec::new(), 0);
        let connecting_max = connecting_max(slice.len() as u64, users.plan.users().len() as u64);
        Self {
            users,
            slice,
            devices,
            slots,
            ready,
            timers,
            out,
            arrivals,
            load_began: None,
            connecting,
            connecting_max,
        }
    }

    /// Every device connects at the time that the plan has for it, or when others have got through.
    pub fn connect_everybody(&mut self) {
        let (plan, began) = (self.users.plan.clone(), Instant::now());
        let users = self.slice.clone().map(|user| UserId(u64::from(user)));
        let devices = users
            .filter(|user| !plan.is_offline(*user))
            .flat_map(|user| plan.devices().map(move |device| (user, device)));
        let arrival = |(user, device)| (began + plan.connect_at(user, device), user, device);
        self.arrivals = devices.map(arrival).collect();
        self.arrivals.sort_unstable_by(|a, b| b.cmp(a));
    }

    /// Devices whose time to connect has come, and which wait for others to get through.
    pub fn waiting(&self) -> u64 {
        let now = Instant::now();
        self.arrivals.iter().rev().take_while(|(at, ..)| *at <= now).count() as u64
    }

    fn arrive(&mut self, now: Instant) {
        while self.connecting < self.connecting_max
            && let Some((_, user, device)) = self.arrivals.pop_if(|(at, ..)| *at <= now)
        {
            let at = self.slot(user, device);
            let waker = Arc::new(DeviceWaker::new(at, self.ready.clone()));
            waker.wake_by_ref();
            let mut device = Device::new(self.users.clone(), user, device);
            if let Some(began) = self.load_began {
                device.load_begins(began);
            }
            let slot = Slot { device, waker, armed: None, is_connecting: true };
            self.slots[at as usize] = Some(Box::new(slot));
            self.connecting += 1;
        }
    }

    /// Slow readers are slow from the load on: while they connect they read like all others.
    pub fn load_begins(&mut self, began: Instant) {
        self.load_began = Some(began);
        for slot in self.slots.iter_mut().flatten() {
            let is_slow = !slot.is_connecting && slot.device.slows_down();
            if slot.device.load_begins(began) || is_slow {
                slot.waker.wake_by_ref();
            }
        }
    }

    /// Hands an operation to its device; false if that never connected.
    pub fn operate(&mut self, operation: Operation, intended_us: u64) -> bool {
        let at = self.slot(operation.user, operation.device);
        let Some(slot) = &mut self.slots[at as usize] else { return false };
        // Whose network is gone does nothing any more, as the scenario wants it.
        if !slot.device.is_gone() {
            slot.device.operate(operation, intended_us, &mut self.out);
            self.poll(at);
        }
        true
    }

    /// How long devices that were woken wait for their turn, when that is known again.
    pub fn waited(&self) -> Option<Duration> {
        self.ready.waited(Instant::now())
    }

    /// Polls devices that want it, a few; whether more of them do.
    pub fn poll_some(&mut self) -> bool {
        let now = Instant::now();
        self.arrive(now);
        while let Some(Reverse((at, slot))) = self.timers.peek().copied()
            && at <= now
        {
            self.timers.pop();
            if let Some(slot) = &mut self.slots[slot as usize]
                && slot.armed == Some(at)
            {
                slot.armed = None;
                slot.waker.wake_by_ref();
            }
        }
        for _ in 0..POLLS {
            let Some(slot) = self.ready.pop() else { return false };
            self.poll(slot);
        }
        true
    }

    /// When a device's timer is due, or a device is to connect.
    pub fn due(&self) -> Option<Instant> {
        let timer = self.timers.peek().map(|Reverse((at, _))| *at);
        let arrival = self.arrivals.last().filter(|_| self.connecting < self.connecting_max);
        timer.into_iter().chain(arrival.map(|(at, ..)| *at)).min()
    }

    /// Ends when a device wants to be polled.
    pub fn woken(&self) -> impl Future<Output = ()> + use<> {
        let ready = self.ready.clone();
        async move { ready.any().await }
    }

    /// Ends every device; what is left is to say goodbye on their wires.
    pub fn stop(&mut self) -> Vec<Wire> {
        let Self { slots, out, .. } = self;
        let wires = slots.drain(..).flatten().filter_map(|slot| slot.device.stop(out)).collect();
        out.events.clear();
        wires
    }

    fn poll(&mut self, at: u32) {
        let Some(slot) = &mut self.slots[at as usize] else { return };
        slot.waker.polled();
        let waker = Waker::from(slot.waker.clone());
        if slot.device.poll(&mut Context::from_waker(&waker), &mut self.out) == Polled::Again {
            slot.waker.wake_by_ref();
        }
        if slot.is_connecting && slot.device.is_open() {
            slot.is_connecting = false;
            self.connecting -= 1;
            if self.load_began.is_some() {
                slot.device.slows_down();
            }
        }
        if let Some(due) = slot.device.due()
            && slot.armed.is_none_or(|armed| due < armed)
        {
            slot.armed = Some(due);
            self.timers.push(Reverse((due, at)));
        }
    }

    fn slot(&self, user: UserId, device: DeviceId) -> u32 {
        let user = user.0 as u32 - self.slice.start;
        user * self.devices + device.0 - 1
    }
}

/// How many devices of a shard with so many of all users may connect at once.
fn connecting_max(users: u64, of: u64) -> u64 {
    (CONNECTING_IN_ALL * users).div_ceil(of.max(1)).min(CONNECTING)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shards_share_the_devices_that_connect_at_once() {
        assert_eq!(connecting_max(1_000, 1_000), 128);
        assert_eq!(connecting_max(16_667, 100_000), 128);
        assert_eq!(connecting_max(19_231, 1_000_000), 20);
        assert_eq!(connecting_max(1, 1_000_000), 1);
    }

    #[test]
    fn a_device_is_small() {
        // Two million of them fit into a gigabyte and a half, their connections and tokens apart.
        let size = size_of::<super::Slot>();
        assert!(size <= 640, "{size} bytes");
    }
}
