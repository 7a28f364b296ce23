//! The scenario of this crate's own tests.

use scenarios::scenario::{LoadPhase, Rate, Scenario, Size};
use std::time::Duration;

/// A small scenario without faults, for this many users in so many conversations.
pub fn scenario(users: u32, direct: u32, groups: u32) -> Scenario {
    let file = "scenarios/safety/smoke.toml";
    let text = include_str!("../../scenarios/safety/smoke.toml");
    let mut scenario = scenarios::parse(text, file, &[]).expect("it is in the library");
    (scenario.users.count, scenario.users.direct, scenario.users.groups) = (users, direct, groups);
    (scenario.users.devices, scenario.users.offline) = (2, 1);
    scenario.users.group_size = Size::Uniform(2, 5);
    (scenario.faults, scenario.random_faults) = (Vec::new(), None);
    let second = Duration::from_secs(1);
    scenario.load.phases = vec![
        LoadPhase { lasts: 2 * second, rate: Rate::Constant(10.0) },
        LoadPhase { lasts: 2 * second, rate: Rate::Constant(20.0) },
    ];
    scenario.phases.heal = second;
    scenario
}
