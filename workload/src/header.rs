//! What the judge of a run needs to know beforehand.

use crate::plan::Journeys;
use protocol::limits::client_idle_timeout;
use scenarios::scenario::{FaultKind, Scenario};
use std::time::Duration;
use verify::history::event::{Deadlines, Engine, FORMAT, Header};

/// The header of a run's history.
pub fn header(scenario: &Scenario, seed: u64, engine: Engine) -> Header {
    let expect = &scenario.expect;
    let made = scenario.users.direct + scenario.users.groups;
    Header {
        format: FORMAT,
        scenario: scenario.name.clone(),
        seed,
        engine,
        users: scenario.everybody(),
        devices_per_user: scenario.users.devices.max(1),
        conversations: Journeys::new(scenario, seed).map_or(made, |all| all.conversations()),
        partitions: scenario.cluster.partitions,
        slow_users: scenario.load.slow_readers.map_or(0, |slow| slow.users),
        offline_users: Some(stay_away(scenario)),
        hostile: is_hostile(scenario, seed),
        tokens_run_out: scenario.users.renewing < 1.0,
        idle_us: Some(microseconds(client_idle_timeout(scenario.cluster.heartbeat))),
        // No run turns it on: what a store has removed is lost.
        retention: None,
        unseen: Vec::new(),
        agent: None,
        deadlines: Deadlines {
            delivered_us: microseconds(expect.delivered_after_heal),
            stuck_us: microseconds(expect.no_stuck_session),
            recovered_us: microseconds(expect.recovers_within),
            revocation_us: microseconds(expect.revocation_within),
            pushed_us: Some(microseconds(expect.pushed_within)),
        },
    }
}

/// Whether the scenario's schedule has attacks. Those by lot may find nobody who answers.
fn is_hostile(scenario: &Scenario, seed: u64) -> bool {
    let faults = scenarios::faults::schedule(scenario, seed).into_iter();
    faults.filter(|fault| !fault.drawn).any(|it| matches!(it.kind, FaultKind::Hostile { .. }))
}

/// Users who never connect, or go for good. Both are the last ones with devices; behind them come those who
/// have none.
fn stay_away(scenario: &Scenario) -> u32 {
    let gone = scenario.load.vanishing.map_or(0, |vanishing| vanishing.users);
    let without_devices = scenario.everybody() - scenario.users.count;
    scenario.users.offline.saturating_add(gone).min(scenario.users.count) + without_devices
}

fn microseconds(duration: Duration) -> u64 {
    duration.as_micros().try_into().unwrap_or(u64::MAX)
}
