//! Free ports of this machine, for the cluster of a run.

/// Where ports are looked for: below the range from which systems take ports of clients.
const PORTS: std::ops::Range<u16> = 20_000..30_000;

/// Ports between two places where a run looks: more than most clusters have, engines included.
const APART: u16 = 100;

/// The first of so many free ports in a row. Another process may take one in between; then the
/// cluster does not start, and says so.
pub fn free_ports(count: u16) -> Option<u16> {
    first_free(count, std::process::id(), is_free)
}

/// The same for the process with this number. Those that begin one after the other look in different places,
/// far enough apart: RabbitMQ takes its ports seconds after they were found to be free.
fn first_free(count: u16, process: u32, is_free: impl Fn(u16) -> bool) -> Option<u16> {
    let places = PORTS.len() / usize::from(APART);
    let starts = PORTS.step_by(usize::from(APART));
    let starts = starts.clone().chain(starts).skip(process as usize % places).take(places);
    starts
        .filter(|start| start.saturating_add(count) < PORTS.end)
        .find(|start| (*start..start + count).all(&is_free))
}

/// Whether nobody listens on it.
pub fn is_free(port: u16) -> bool {
    std::net::TcpListener::bind(("127.0.0.1", port)).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runs_that_begin_at_the_same_moment_do_not_meet() {
        let firsts: Vec<u16> =
            (7_000..7_008).map(|process| first_free(APART, process, |_| true).unwrap()).collect();
        for pair in firsts.windows(2) {
            assert!(pair[0].abs_diff(pair[1]) >= APART, "{firsts:?}");
        }
        assert_eq!(first_free(30, 7_000, |port| port != firsts[0] + 9), Some(firsts[1]));
        assert_eq!(
            first_free(30, 7_099, |port| port < 25_000),
            Some(PORTS.start),
            "from the start"
        );
        assert_eq!(first_free(30, 7_000, |_| false), None);
    }
}
