//! When a flapping link is down: a function of the time since it began, the same in both worlds.

use std::time::Duration;

/// Whether the links are down at a time.
pub fn is_down(begun: Duration, now: Duration, down: Duration, up: Duration) -> bool {
    position(begun, now, down, up) < down
}

/// When the state changes next.
pub fn next_change(begun: Duration, now: Duration, down: Duration, up: Duration) -> Duration {
    let position = position(begun, now, down, up);
    let border = if position < down { down } else { down + up };
    now + border.saturating_sub(position)
}

/// How far into its period the fault is.
fn position(begun: Duration, now: Duration, down: Duration, up: Duration) -> Duration {
    let period = (down + up).as_nanos().max(1);
    let since = now.saturating_sub(begun).as_nanos();
    Duration::from_nanos(u64::try_from(since % period).unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_link_is_down_then_up_then_down() {
        let [begun, down, up] = [10, 2, 3].map(Duration::from_secs);
        let at = |seconds| is_down(begun, Duration::from_secs(seconds), down, up);
        assert_eq!([10, 11, 12, 14, 15, 17].map(at), [true, true, false, false, true, false]);
        assert_eq!(next_change(begun, begun, down, up), Duration::from_secs(12));
        assert_eq!(next_change(begun, Duration::from_secs(13), down, up), Duration::from_secs(15));
    }
}
