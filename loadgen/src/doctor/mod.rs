//! What a run needs of this machine, limit by limit: what there is, what to set, and how many sessions
//! can be reached without setting anything.
//!
//! Figures: docs/running.md, "Limits of the machine".

mod system;

pub use system::System;

use crate::limits::needs::Needs;
use crate::slices::AT_EASE;
use scenarios::scenario::Transport;

/// Descriptors that a gateway keeps back, and as many for its log and its links.
const GATEWAY_FILES: u64 = 256;
/// Descriptors that the system needs beside both ends of each connection.
const SYSTEM_FILES: u64 = 10_000;
/// Handshakes that are under way at once when everybody connects.
const HANDSHAKES: u64 = 1_024;
/// Pages of the kernel's TCP buffers for each connection while many speak at once: one for either end.
const BUFFER_PAGES: u64 = 2;
/// Threads beside those of the slices.
const THREADS: u64 = 256;

/// How a limit compares with what is needed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Grade {
    /// There is enough.
    Enough,
    /// It may go well.
    Short,
    /// It cannot go well.
    Impossible,
}

/// One limit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Check {
    /// What it is, in the system's own words.
    pub what: &'static str,
    /// What there is.
    pub there: u64,
    /// What the run needs.
    pub needed: u64,
    /// How they compare.
    pub grade: Grade,
    /// How many sessions it allows.
    pub allows: u64,
    /// What to set.
    pub remedy: String,
}

/// How the sessions of a run lie on the machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Demand {
    /// What the scenario needs.
    pub needs: Needs,
    /// Gateways.
    pub gateways: u64,
    /// How sessions are carried.
    pub transport: Transport,
    /// Whether the gateways run on this machine, too.
    pub is_local: bool,
}

/// Compares a run's demand with what the system has; limits that it does not tell are left out.
pub fn examine(system: &System, demand: &Demand) -> Vec<Check> {
    let Demand { needs, gateways, transport, is_local } = *demand;
    let Needs { sessions, connections, slices, .. } = needs;
    let ends = 1 + u64::from(is_local);
    // Over trunks, connections do not grow with the sessions.
    let by_socket = transport == Transport::Socket;
    let unbounded = |allowed: u64| if by_socket { allowed } else { u64::MAX };
    let mut checks = Vec::new();
    let mut check = |what, there: Option<u64>, needed: u64, grade, allows: u64, remedy: String| {
        let Some(there) = there else { return };
        let grade = if there < needed { grade } else { Grade::Enough };
        checks.push(Check { what, there, needed, grade, allows, remedy });
    };
    if is_local {
        let to_each = connections.div_ceil(gateways.max(1)) + GATEWAY_FILES;
        let there = system.open_files;
        let allows = there.map_or(0, |there| there.saturating_sub(GATEWAY_FILES) * gateways);
        let more = connections.div_ceil(there.unwrap_or(1).saturating_sub(GATEWAY_FILES).max(1));
        check(
            "open files of a gateway (ulimit -Hn)",
            there,
            to_each,
            Grade::Impossible,
            unbounded(allows),
            format!("ulimit -Hn {to_each}, or cluster.gateways = {more}"),
        );
    }
    check(
        "open files of a slice of users (ulimit -Hn)",
        system.open_files,
        connections.div_ceil(slices.max(1)) + AT_EASE,
        Grade::Short,
        u64::MAX,
        "nothing: more slices are made".to_owned(),
    );
    let files = connections * ends + SYSTEM_FILES;
    check(
        "fs.file-max, less what is open",
        system.files_left,
        files,
        Grade::Impossible,
        unbounded(system.files_left.unwrap_or(0).saturating_sub(SYSTEM_FILES) / ends),
        format!("sysctl fs.file-max={}", files * 2),
    );
    check(
        "net.ipv4.ip_local_port_range, from one address to one gateway",
        system.ports,
        needs.ports + AT_EASE,
        Grade::Impossible,
        if is_local {
            u64::MAX
        } else {
            unbounded(system.ports.unwrap_or(0).saturating_sub(AT_EASE) * gateways)
        },
        "sysctl net.ipv4.ip_local_port_range='1024 65535', or more gateways".to_owned(),
    );
    let handshakes = HANDSHAKES.min(connections);
    for (what, there) in [
        ("net.core.somaxconn", system.listen_backlog),
        ("net.ipv4.tcp_max_syn_backlog", system.syn_backlog),
    ] {
        let remedy = format!("sysctl {what}={}", 4 * HANDSHAKES);
        check(what, there, handshakes, Grade::Short, u64::MAX, remedy);
    }
    check(
        "net.ipv4.tcp_mem, its last number: pages of all buffers",
        system.buffer_pages,
        connections * BUFFER_PAGES * ends / 2,
        Grade::Short,
        u64::MAX,
        "raise all three numbers of net.ipv4.tcp_mem".to_owned(),
    );
    check(
        "net.netfilter.nf_conntrack_max",
        system.tracked_connections,
        connections + HANDSHAKES,
        Grade::Impossible,
        unbounded(system.tracked_connections.unwrap_or(0).saturating_sub(HANDSHAKES)),
        format!("sysctl net.netfilter.nf_conntrack_max={}", 2 * connections),
    );
    check(
        "kernel.threads-max",
        system.threads,
        slices + THREADS,
        Grade::Impossible,
        u64::MAX,
        "sysctl kernel.threads-max".to_owned(),
    );
    check(
        "MiB of memory",
        system.memory.map(mebibytes),
        mebibytes(needs.memory),
        Grade::Short,
        system.memory.unwrap_or(0).saturating_sub(needs.empty_memory()) / needs.session_bytes(),
        format!("connect fewer than {sessions} users, or over trunks"),
    );
    check(
        "MiB of disk for the cluster's data",
        system.disk.map(mebibytes),
        mebibytes(needs.disk),
        Grade::Short,
        u64::MAX,
        "another disk with --out (or TMPDIR), or a lower rate".to_owned(),
    );
    checks
}

/// How many sessions the tightest limit allows.
pub fn reach(checks: &[Check]) -> Option<(&'static str, u64)> {
    checks.iter().map(|check| (check.what, check.allows)).min_by_key(|(_, allows)| *allows)
}

const fn mebibytes(bytes: u64) -> u64 {
    bytes / (1024 * 1024)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::limits::supply::Supply;
    use crate::run::Against;

    fn demand(users: u32, transport: Transport) -> Demand {
        let mut scenario = crate::fixture::scenario(users, 1, 0);
        (scenario.users.devices, scenario.users.offline) = (1, 0);
        scenario.users.transport = transport;
        let against = Against::Given(vec!["127.0.0.1:1".to_owned(), "127.0.0.1:2".to_owned()]);
        let supply = Supply { open_files: Some(20_000), ports: Some(28_232), ..Supply::default() };
        let needs = crate::limits::needs::needs(&scenario, &against, &supply);
        Demand { needs, gateways: 2, transport, is_local: true }
    }

    fn system() -> System {
        System {
            open_files: Some(20_000),
            files_left: Some(2_000_000),
            ports: Some(28_232),
            listen_backlog: Some(4_096),
            syn_backlog: Some(512),
            buffer_pages: Some(575_802),
            threads: Some(190_000),
            memory: Some(20 << 30),
            disk: None,
            tracked_connections: None,
        }
    }

    fn graded(checks: &[Check], grade: Grade) -> Vec<&str> {
        checks.iter().filter(|check| check.grade == grade).map(|check| check.what).collect()
    }

    #[test]
    fn the_tightest_limit_says_how_far_the_machine_reaches() {
        let checks = examine(&system(), &demand(30_000, Transport::Socket));
        assert_eq!(graded(&checks, Grade::Impossible), [""; 0]);
        assert_eq!(graded(&checks, Grade::Short), ["net.ipv4.tcp_max_syn_backlog"]);
        let gateways = "open files of a gateway (ulimit -Hn)";
        assert_eq!(reach(&checks), Some((gateways, 2 * (20_000 - GATEWAY_FILES))));
        let checks = examine(&system(), &demand(100_000, Transport::Socket));
        assert_eq!(graded(&checks, Grade::Impossible), [gateways]);
        assert!(checks[0].remedy.ends_with("cluster.gateways = 6"), "{}", checks[0].remedy);
    }

    #[test]
    fn over_trunks_memory_is_what_binds() {
        let checks = examine(&system(), &demand(1_000_000, Transport::Trunk));
        assert_eq!(graded(&checks, Grade::Impossible), [""; 0]);
        assert_eq!(reach(&checks).map(|(what, _)| what), Some("MiB of memory"));
        assert!(reach(&checks).is_some_and(|(_, sessions)| sessions > 2_000_000));
    }

    #[test]
    fn what_the_system_does_not_tell_is_left_out() {
        let system = System::default();
        assert!(examine(&system, &demand(1_000, Transport::Socket)).is_empty());
        assert_eq!(reach(&[]), None);
    }
}
