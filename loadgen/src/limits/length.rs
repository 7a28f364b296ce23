//! How long a run will take, about: told before it begins.

use scenarios::scenario::Scenario;
use std::time::Duration;

/// Until all processes of a cluster run, and of engines under them; until they have ended.
const START: Duration = Duration::from_secs(3);
const ENGINES_START: Duration = Duration::from_secs(10);
const END: Duration = Duration::from_secs(1);
/// Memberships made before a run, and conversations read back after it, a second: in a run of a million users on
/// two processors, which is slower than `benches/src/bin/bulk.rs` alone.
const MADE_PER_SECOND: u64 = 40_000;
const READ_PER_SECOND: u64 = 12_000;

/// From the start of the cluster, if it is started, to the report. Users who are all connected before the
/// warm-up is over shorten it.
pub fn of(scenario: &Scenario, is_started: bool, has_engines: bool) -> Duration {
    let groups = f64::from(scenario.users.groups) * scenario.users.group_size.mean();
    let members = 2 * u64::from(scenario.users.direct) + groups as u64;
    let conversations = u64::from(scenario.users.direct) + u64::from(scenario.users.groups);
    let start = if is_started { START + END } else { Duration::ZERO };
    let engines = if has_engines { ENGINES_START } else { Duration::ZERO };
    let at = |count: u64, per_second| Duration::from_secs(count.div_ceil(per_second));
    start
        + engines
        + at(members, MADE_PER_SECOND)
        + scenario.lasts()
        + at(conversations, READ_PER_SECOND)
}

/// For people: seconds up to two minutes, minutes beyond.
pub fn text(length: Duration) -> String {
    match length.as_secs() {
        seconds @ ..120 => format!("{seconds} s"),
        seconds => format!("{} min", (seconds + 30) / 60),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use scenarios::scenario::Size;

    #[test]
    fn all_that_a_run_does_takes_its_time() {
        let mut scenario = crate::fixture::scenario(100_000, 1, 0);
        let waits = scenario.lasts();
        (scenario.users.direct, scenario.users.groups) = (50_000, 2_000);
        scenario.users.group_size = Size::Uniform(5, 15);
        // 120,000 members in 3 s, 52,000 conversations in 5 s.
        let seconds = Duration::from_secs;
        assert_eq!(of(&scenario, false, false), waits + seconds(3 + 5));
        assert_eq!(of(&scenario, true, true), waits + seconds(3 + 5 + 4 + 10));
    }

    #[test]
    fn a_length_is_told_as_exactly_as_it_is_known() {
        let texts =
            [0, 119, 120, 149, 150, 1_620].map(|seconds| text(Duration::from_secs(seconds)));
        assert_eq!(texts, ["0 s", "119 s", "2 min", "2 min", "3 min", "27 min"]);
    }
}
