//! `recovers_to_baseline` by brute force.

use super::facts::Facts;
use super::liveness::is_open;
use super::words::device_of;
use crate::history::event::{Device, Phase, What};

/// Where in the history the two sides of the comparison lie.
struct Windows {
    load: usize,
    before_until: usize,
    healed: usize,
    settle: usize,
    began_at: u64,
    recovered_at: u64,
    settled_at: u64,
}

impl Windows {
    /// 0: before the faults, 1: after the recovery.
    fn side(&self, index: usize, at: u64) -> Option<usize> {
        let in_time = index < self.settle || at <= self.settled_at;
        if index >= self.load && index < self.before_until && at >= self.began_at {
            Some(0)
        } else if index > self.healed && at > self.recovered_at && in_time {
            Some(1)
        } else {
            None
        }
    }
}

/// What was counted on the two sides.
#[derive(Default)]
struct Counts {
    latency: [Vec<u64>; 2],
    sent: [u64; 2],
    resent: [u64; 2],
    attempts: [u64; 2],
}

/// True: violated.
pub(super) fn does_not_recover(facts: &Facts<'_>) -> bool {
    let at_phase = |phase| facts.events.iter().find(|(_, is)| **is == What::Phase(phase));
    let (Some((began, _)), Some(healed), Some((settled, _))) =
        (at_phase(Phase::Load), facts.healed(), at_phase(Phase::Settle))
    else {
        return false;
    };
    let end = facts.events.len();
    let index_of = |wanted: fn(&What) -> bool| {
        facts.events.iter().position(|(_, is)| wanted(is)).unwrap_or(end)
    };
    let healed_index = index_of(|is| *is == What::Phase(Phase::Heal));
    let fault_index = index_of(|is| matches!(is, What::FaultBegan { .. }));
    if fault_index == end {
        return false;
    }
    let windows = Windows {
        load: index_of(|is| *is == What::Phase(Phase::Load)),
        before_until: fault_index.min(healed_index),
        healed: healed_index,
        settle: index_of(|is| *is == What::Phase(Phase::Settle)),
        began_at: *began,
        recovered_at: healed + facts.header.deadlines.recovered_us,
        settled_at: *settled,
    };
    let counts = count(facts, &windows);
    if counts.latency.iter().any(|side| side.len() < 20) {
        return false;
    }
    let p90 = counts.latency.map(|mut side| {
        side.sort_unstable();
        side[(side.len() * 9).div_ceil(10) - 1]
    });
    let faults_began = facts.events[fault_index].0.min(healed);
    let before_us = faults_began.saturating_sub(*began);
    let after_us = windows.settled_at.saturating_sub(windows.recovered_at);
    let resends =
        [0, 1].map(|side: usize| counts.resent[side] as f64 / counts.sent[side].max(1) as f64);
    let rate = counts.attempts[0] as f64 / before_us.max(1) as f64;
    let slow = u64::from(facts.header.slow_users);
    let judged = facts.devices().iter().filter(|device| device.user.0 > slow).count();
    let allowed = 2.0 * rate * after_us as f64 + 1.0 + judged as f64 / 20.0;
    p90[1] > 3 * p90[0] + 50_000
        || resends[1] > 2.0 * resends[0] + 0.05
        || counts.attempts[1] as f64 > allowed
}

fn count(facts: &Facts<'_>, windows: &Windows) -> Counts {
    let mut counts = Counts::default();
    let sends = facts.sends();
    let is_slow =
        |is| device_of(is).is_some_and(|d| d.user.0 <= u64::from(facts.header.slow_users));
    for (index, (now, is)) in facts.events.iter().enumerate().filter(|(_, (_, is))| !is_slow(is)) {
        match is {
            What::Accepted { device, message, .. } => {
                let send = sends
                    .iter()
                    .find(|s| s.index < index && s.device == *device && s.id == message.0);
                if let Some(send) = send.filter(|send| is_open(facts, send, index))
                    && let Some(side) = windows.side(index, send.intended)
                {
                    counts.latency[side].push(now.saturating_sub(send.intended).max(1));
                }
            }
            What::Sent { intended, .. } => {
                if let Some(side) = windows.side(index, *intended) {
                    counts.sent[side] += 1;
                }
            }
            What::Resent { .. } => {
                if let Some(side) = windows.side(index, *now) {
                    counts.resent[side] += 1;
                }
            }
            What::Opened { device, .. } | What::ConnectFailed { device } => {
                if let Some(side) =
                    windows.side(index, *now).filter(|_| !said_goodbye(facts, *device, index))
                {
                    counts.attempts[side] += 1;
                }
            }
            _ => {}
        }
    }
    counts
}

/// Whether the last that happened to a device's connection is that the device itself ended it.
fn said_goodbye(facts: &Facts<'_>, device: Device, before: usize) -> bool {
    let mut earlier = facts.events[..before].iter().rev().map(|(_, is)| *is);
    let last = earlier.find(|is| {
        let life =
            matches!(is, What::Opened { .. } | What::ConnectFailed { .. } | What::Closed { .. });
        life && device_of(is) == Some(device)
    });
    matches!(last, Some(What::Closed { code: 1000, .. }))
}
