//! What a simulated run will take, about: told before it begins.

use scenarios::scenario::{Scenario, Transport};
use std::fmt;
use std::time::Duration;

/// Events of the history for each operation and each device that it reaches, receipts among them: 2.8 to 7.6 in
/// the scenarios of the library, measured with seed 1.
const EVENTS: f64 = 3.6;
/// Events of each session: it connects, attaches, is judged. Measured with 4,000 and 16,000.
const SESSION_EVENTS: f64 = 10.0;
/// Processor time of an event (over trunks less), of a session, and of a step of the simulated network for each pair of hosts:
/// thousand-users with 1,000, 4,000 and 16,000 users, blip with 2, 6, 12 and 24 gateways.
const EVENT: Duration = Duration::from_micros(27);
const TRUNK_EVENT: Duration = Duration::from_micros(10);
const SESSION: Duration = Duration::from_micros(450);
const STEP: Duration = Duration::from_nanos(200);
/// Bytes of memory without sessions, of each, and of each operation: 70 MiB with 30 users, 376 MiB with 16,000;
/// 805 MiB in killed-at-full-speed.
const EMPTY_BYTES: f64 = 60.0 * MIB;
const SESSION_BYTES: f64 = 18.0 * 1_024.0;
const OPERATION_BYTES: f64 = 5.0 * 1_024.0;
/// Bytes of an event in the history: measured in `history.jsonl.gz` of smoke and thousand-users.
const EVENT_BYTES: f64 = 16.5;

const MIB: f64 = 1_024.0 * 1_024.0;
/// Whoever waits less wants to hear nothing of it.
const SHORT: Duration = Duration::from_secs(15);
/// A step that takes so much of all is worth being longer.
const SHARE_OF_STEPS: f64 = 0.3;
/// From here on a step skips what a protocol bug needs.
const STEP_MAX: Duration = Duration::from_millis(5);

/// What it takes. The events are right within a factor of three, and so is the rest: what is refused costs less than what is not.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Needs {
    /// Processor time, which is about the time that it takes: a run has one thread.
    pub cpu: Duration,
    /// Bytes.
    pub memory: u64,
    /// Bytes of the history, if it is written.
    pub history: u64,
    /// The processor time that longer steps would save.
    by_longer_steps: Option<Duration>,
}

/// What a scenario takes in the simulator.
pub fn needs(scenario: &Scenario) -> Needs {
    let users = &scenario.users;
    let sessions = f64::from(users.count.saturating_sub(users.offline)) * f64::from(users.devices);
    let (direct, groups) = (f64::from(users.direct), f64::from(users.groups));
    // Whoever writes does so in one of their own conversations: large ones are written in more.
    let size = users.group_size;
    let places = 2.0 * direct + groups * size.mean();
    let members = (4.0 * direct + groups * size.mean_square()) / places.max(1.0);
    let online = 1.0 - f64::from(users.offline) / f64::from(users.count.max(1));
    let devices = members * f64::from(users.devices) * online;
    let operations = scenario.operations() as f64;
    let events = operations * EVENTS * devices + sessions * SESSION_EVENTS;
    let hosts = scenario.cluster.all_nodes().count() + usize::from(scenarios::CLIENT_HOSTS);
    let steps = scenario.lasts().as_secs_f64() / scenario.network.tick.as_secs_f64();
    let stepping = STEP.mul_f64(steps * (hosts * hosts) as f64);
    let event = if users.transport == Transport::Trunk { TRUNK_EVENT } else { EVENT };
    let cpu = event.mul_f64(events) + SESSION.mul_f64(sessions) + stepping;
    let saved = 1.0 - scenario.network.tick.as_secs_f64() / STEP_MAX.as_secs_f64();
    let is_worth_it = saved > 0.0 && stepping > cpu.mul_f64(SHARE_OF_STEPS);
    Needs {
        cpu,
        memory: (EMPTY_BYTES + sessions * SESSION_BYTES + operations * OPERATION_BYTES) as u64,
        history: (events * EVENT_BYTES) as u64,
        by_longer_steps: is_worth_it.then(|| stepping.mul_f64(saved)),
    }
}

impl Needs {
    /// Whether somebody may want to know before the run.
    pub fn are_large(&self) -> bool {
        self.cpu > SHORT
    }
}

impl fmt::Display for Needs {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { cpu, memory, history, by_longer_steps } = *self;
        write!(
            out,
            "it takes about {} of one processor and {} of memory; its history, with --out, {}",
            in_words(cpu),
            bytes(memory),
            bytes(history)
        )?;
        if let Some(saved) = by_longer_steps {
            write!(out, "; network.tick=5ms would save {} of it", in_words(saved))?;
        }
        Ok(())
    }
}

fn in_words(length: Duration) -> String {
    match length.as_secs() {
        seconds @ ..120 => format!("{seconds} s"),
        seconds @ ..7_200 => format!("{} min", (seconds + 30) / 60),
        seconds => format!("{:.0} h", seconds as f64 / 3_600.0),
    }
}

fn bytes(count: u64) -> String {
    let mebibytes = count as f64 / MIB;
    if mebibytes < 1_024.0 {
        format!("{mebibytes:.0} MiB")
    } else {
        format!("{:.1} GiB", mebibytes / 1_024.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(name: &str, overrides: &[&str]) -> Needs {
        let text = scenarios::built_in(name).expect("it is in the library").text;
        let overrides = overrides.iter().map(|set| scenarios::Override::parse(set).expect("good"));
        let scenario = scenarios::parse(text, name, &overrides.collect::<Vec<_>>());
        needs(&scenario.unwrap_or_else(|mistakes| panic!("{mistakes}")))
    }

    /// Measured on one machine: what is promised is a factor of three.
    #[test]
    fn what_was_measured_is_foretold_within_a_factor_of_three() {
        for (name, overrides, cpu_s, mebibytes) in [
            ("smoke", &[][..], 1.7, 70.0),
            ("blip", &[], 1.3, 70.0),
            ("blip", &["cluster.gateways=24"], 9.1, 70.0),
            ("surge", &[], 7.4, 80.0),
            ("celebrity", &[], 57.3, 168.0),
            ("killed-at-full-speed", &[], 13.5, 805.0),
            ("thousand-users", &[], 4.3, 124.0),
            (
                "thousand-users",
                &["users.count=16000", "users.conversations.direct=8000", "load.phases.1.for=14s"],
                14.3,
                376.0,
            ),
        ] {
            let told = of(name, overrides);
            let (cpu, memory) =
                (told.cpu.as_secs_f64() / cpu_s, told.memory as f64 / MIB / mebibytes);
            assert!((0.33..3.0).contains(&cpu), "{name}: {cpu:.2} times the time: {told}");
            assert!((0.33..3.0).contains(&memory), "{name}: {memory:.2} times the memory: {told}");
        }
    }

    #[test]
    fn a_million_users_are_told_of_before_they_come() {
        assert!(!of("smoke", &[]).are_large());
        let million = of("million", &[]);
        assert!(million.are_large() && million.memory > 10 << 30, "{million}");
        let slow = of("smoke", &["phases.settle=10m", "network.tick=1ms"]).to_string();
        assert!(slow.contains("network.tick=5ms would save"), "{slow}");
    }
}
