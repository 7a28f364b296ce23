//! What a run needs of this machine, limit by limit: what there is, what to set, and how many sessions
//! can be reached without setting anything.
//!
//! Each end of a connection is given a page of the TCP buffers: many speak at once, and not all of them.

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
/// Threads beside those of the slices.
const THREADS: u64 = 256;
const MEBIBYTE: u64 = 1024 * 1024;

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
    let files = open_files(system, demand);
    let network = connections(system, demand);
    files.into_iter().chain(network).chain(room(system, demand)).flatten().collect()
}

impl Demand {
    /// Ends of a connection that are on this machine.
    const fn ends(&self) -> u64 {
        if self.is_local { 2 } else { 1 }
    }

    /// So many connections allow as many sessions; over trunks any number.
    fn sessions_of(&self, connections: u64) -> u64 {
        if self.transport == Transport::Socket { connections } else { u64::MAX }
    }
}

/// A limit, and how it is graded if there is less than needed.
fn check(
    what: &'static str,
    (there, needed, otherwise): (Option<u64>, u64, Grade),
    allows: impl Fn(u64) -> u64,
    remedy: impl Into<String>,
) -> Option<Check> {
    let there = there?;
    let grade = if there < needed { otherwise } else { Grade::Enough };
    Some(Check { what, there, needed, grade, allows: allows(there), remedy: remedy.into() })
}

const fn any(_: u64) -> u64 {
    u64::MAX
}

fn open_files(system: &System, demand: &Demand) -> [Option<Check>; 3] {
    let Needs { connections, slices, .. } = demand.needs;
    let gateways = demand.gateways.max(1);
    let to_each = connections.div_ceil(gateways) + GATEWAY_FILES;
    let more = |there: u64| connections.div_ceil(there.saturating_sub(GATEWAY_FILES).max(1));
    let of_gateway = check(
        "open files of a gateway (ulimit -Hn)",
        (system.open_files.filter(|_| demand.is_local), to_each, Grade::Impossible),
        |there| demand.sessions_of(there.saturating_sub(GATEWAY_FILES) * gateways),
        format!(
            "ulimit -Hn {to_each}, or cluster.gateways = {}",
            system.open_files.map_or(gateways, more)
        ),
    );
    let in_slice = connections.div_ceil(slices.max(1)) + AT_EASE;
    let of_slice = check(
        "open files of a slice of users (ulimit -Hn)",
        (system.open_files, in_slice, Grade::Short),
        any,
        "nothing: more slices are made",
    );
    let files = connections * demand.ends() + SYSTEM_FILES;
    let of_system = check(
        "fs.file-max, less what is open",
        (system.files_left, files, Grade::Impossible),
        |there| demand.sessions_of(there.saturating_sub(SYSTEM_FILES) / demand.ends()),
        format!("sysctl fs.file-max={}", files * 2),
    );
    [of_gateway, of_slice, of_system]
}

fn connections(system: &System, demand: &Demand) -> [Option<Check>; 5] {
    let Needs { connections, ports, .. } = demand.needs;
    // On this machine there are more source addresses than any run needs.
    let elsewhere = |there: u64| there.saturating_sub(AT_EASE) * demand.gateways;
    let by_ports =
        |there| if demand.is_local { u64::MAX } else { demand.sessions_of(elsewhere(there)) };
    let backlog = |what: &'static str, there| {
        let remedy = format!("sysctl {what}={}", 4 * HANDSHAKES);
        check(what, (there, HANDSHAKES.min(connections), Grade::Short), any, remedy)
    };
    [
        check(
            "net.ipv4.ip_local_port_range, from one address to one gateway",
            (system.ports, ports + AT_EASE, Grade::Impossible),
            by_ports,
            "sysctl net.ipv4.ip_local_port_range='1024 65535', or more gateways",
        ),
        backlog("net.core.somaxconn", system.listen_backlog),
        backlog("net.ipv4.tcp_max_syn_backlog", system.syn_backlog),
        check(
            "net.ipv4.tcp_mem, its last number: pages of all buffers",
            (system.buffer_pages, connections * demand.ends(), Grade::Short),
            any,
            "raise all three numbers of net.ipv4.tcp_mem",
        ),
        check(
            "net.netfilter.nf_conntrack_max",
            (system.tracked_connections, connections + HANDSHAKES, Grade::Impossible),
            |there| demand.sessions_of(there.saturating_sub(HANDSHAKES)),
            format!("sysctl net.netfilter.nf_conntrack_max={}", 2 * connections),
        ),
    ]
}

fn room(system: &System, demand: &Demand) -> [Option<Check>; 3] {
    let needs = demand.needs;
    let for_sessions = |there: u64| {
        (there * MEBIBYTE).saturating_sub(needs.empty_memory()) / needs.session_bytes()
    };
    let mebibytes = |bytes: u64| bytes / MEBIBYTE;
    [
        check(
            "kernel.threads-max",
            (system.threads, needs.slices + THREADS, Grade::Impossible),
            any,
            "sysctl kernel.threads-max",
        ),
        check(
            "MiB of memory",
            (system.memory.map(mebibytes), mebibytes(needs.memory), Grade::Short),
            for_sessions,
            "connect fewer users, or over trunks",
        ),
        check(
            "MiB of disk for the cluster's data",
            (system.disk.map(mebibytes), mebibytes(needs.disk), Grade::Short),
            any,
            "another disk with --out (or TMPDIR), or a lower rate",
        ),
    ]
}

/// How many sessions the tightest limit allows.
pub fn reach(checks: &[Check]) -> Option<(&'static str, u64)> {
    checks.iter().map(|check| (check.what, check.allows)).min_by_key(|(_, allows)| *allows)
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
        assert!(
            reach(&checks).is_some_and(|(_, sessions)| (1_000_000..2_000_000).contains(&sessions))
        );
    }

    #[test]
    fn what_the_system_does_not_tell_is_left_out() {
        let system = System::default();
        assert!(examine(&system, &demand(1_000, Transport::Socket)).is_empty());
        assert_eq!(reach(&[]), None);
    }
}
