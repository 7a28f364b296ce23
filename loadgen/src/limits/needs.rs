//! What a scenario needs of the machine that generates its load, against what there is.
//!
//! Both sides need a descriptor for each connection, and this side a local port; a port serves once
//! towards each gateway. A cluster that is started needs room for its data. What is short is said
//! beforehand, and what cannot work at all is refused.

use crate::doctor::Demand;
use crate::limits::supply::{Supply, supply};
use crate::run::{Against, Processes};
use crate::slices::{self, AT_EASE};
use crate::world::layout;
use real::network::reserve;
use scenarios::scenario::{Scenario, Size, Transport};
use std::path::Path;

/// Descriptors that every process needs beside its connections, in the least case.
const BASE: u64 = 16;
/// Bytes of a session, in the generator, the cluster and the kernel: measured with 100,000 sockets 11, 11
/// and 8 KiB, with 50,000 sessions over trunks 5, 6 and nothing.
const SOCKET_BYTES: u64 = 30 * 1024;
const TRUNK_BYTES: u64 = 12 * 1024;
/// Bytes of the generator and of a cluster in one process, without any session; of each further process of
/// a cluster: measured with 1,000 users, 371 MB in nine processes against 104 MB in one.
const EMPTY_BYTES: u64 = 80 * 1024 * 1024;
const PROCESS_BYTES: u64 = 32 * 1024 * 1024;

/// Bytes on the disk of a cluster that has nothing yet, and of each operation beside its body; the body
/// is in two logs. Measured with 287,000 sends of 110 bytes: 132 MB.
const EMPTY_DISK_BYTES: u64 = 2 * 1024 * 1024;
const OPERATION_BYTES: u64 = 300;

/// What a scenario needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Needs {
    /// Sessions of users.
    pub sessions: u64,
    /// Connections that carry them.
    pub connections: u64,
    /// Tables of open files and source addresses over which the generator spreads them.
    pub slices: u64,
    /// Connections from one source address to one gateway.
    pub ports: u64,
    /// Bytes, about.
    pub memory: u64,
    /// Bytes of disk, about.
    pub disk: u64,
    /// Processes of the cluster, if it is started.
    processes: Option<u16>,
}

impl Needs {
    /// Bytes of memory without any session.
    pub fn empty_memory(&self) -> u64 {
        empty_memory(self.processes)
    }

    /// Bytes of memory of each session.
    pub fn session_bytes(&self) -> u64 {
        ((self.memory - self.empty_memory()) / self.sessions.max(1)).max(1)
    }
}

/// Whether a machine can carry a scenario.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Fit {
    /// What is needed and what there is, in one sentence.
    pub needs: String,
    /// What is short, one sentence each: it may go well.
    pub short: Vec<String>,
    /// What cannot go well.
    pub impossible: Vec<String>,
}

/// What a scenario needs of a machine that has so much.
pub fn needs(scenario: &Scenario, against: &Against, supply: &Supply) -> Needs {
    let (sessions, gateways) = (slices::sessions(scenario), against.gateways(scenario).max(1));
    let slices = slices::of(scenario, against, supply);
    let shape = &scenario.cluster;
    let processes = against.processes().map(|processes| layout::count(shape, processes));
    let (connections, bytes) = match scenario.users.transport {
        Transport::Socket => (sessions, SOCKET_BYTES),
        Transport::Trunk => (slices * gateways, TRUNK_BYTES),
    };
    let sources = if against.is_local() { slices } else { 1 };
    Needs {
        sessions,
        connections,
        slices,
        ports: connections.div_ceil(gateways).div_ceil(sources),
        memory: empty_memory(processes) + sessions * bytes,
        disk: disk(scenario),
        processes,
    }
}

/// Bytes of memory without any session, for a cluster of so many processes.
fn empty_memory(processes: Option<u16>) -> u64 {
    let further = processes.unwrap_or(1).saturating_sub(1);
    EMPTY_BYTES + u64::from(further) * PROCESS_BYTES
}

/// What the cluster will have written at the end, about.
fn disk(scenario: &Scenario) -> u64 {
    let load = &scenario.load;
    let body = match load.body {
        Size::Fixed(bytes) => bytes,
        Size::Uniform(least, most) => u32::midpoint(least, most),
        // Most of them are small; it is no less than that.
        Size::Zipf(least, ..) => least,
    };
    let each = OPERATION_BYTES + 2 * u64::from(body);
    EMPTY_DISK_BYTES + operations(scenario).saturating_mul(each)
}

/// About; the users go on at the last rate until the heal is over.
fn operations(scenario: &Scenario) -> u64 {
    // Surges by lot differ by seed; any will do.
    let phases = scenarios::faults::rates(scenario, 1);
    let load: f64 = phases.iter().map(|phase| phase.rate * phase.lasts.as_secs_f64()).sum();
    let last = phases.last().map_or(0.0, |phase| phase.rate);
    (load + last * scenario.phases.heal.as_secs_f64()) as u64
}

/// What a run would demand of this machine; `data`: where a cluster that is started will keep its data.
pub fn demand(scenario: &Scenario, against: &Against, data: Option<&Path>) -> Demand {
    Demand {
        needs: needs(scenario, against, &supply(data)),
        gateways: against.gateways(scenario),
        transport: scenario.users.transport,
        is_local: against.is_local(),
    }
}

/// Compares a scenario's needs with what there is.
pub fn fit(scenario: &Scenario, against: &Against, supply: Supply) -> Fit {
    let needs = needs(scenario, against, &supply);
    let Supply { open_files, ports, memory, disk } = supply;
    // Each process of a cluster of our own has one table of open files, and takes no connection that would
    // need one of its last descriptors. Another one's limits are its own business.
    let in_slice = needs.connections.div_ceil(needs.slices);
    let kept_back = open_files.map_or(0, reserve);
    let in_one_table = match against.processes() {
        Some(Processes::One) => needs.connections + kept_back,
        Some(Processes::EachNode) => {
            let of_gateway = needs.connections.div_ceil(against.gateways(scenario).max(1));
            in_slice.max(of_gateway + kept_back)
        }
        None => in_slice,
    };
    let mut fit = Fit { needs: sentence(&needs, supply), ..Fit::default() };
    let mut compare = |what: &str, least: u64, at_ease: u64, there: Option<u64>, remedy: &str| {
        let Some(there) = there else { return };
        if least > there {
            fit.impossible.push(format!(
                "{} sessions need at least {least} {what}, but only {there} are available: {remedy}",
                needs.sessions
            ));
        } else if at_ease > there {
            fit.short.push(format!(
                "{} sessions may need {at_ease} {what}, but only {there} are available: {remedy}",
                needs.sessions
            ));
        }
    };
    compare(
        "open files",
        in_one_table + BASE,
        in_one_table + AT_EASE,
        open_files,
        "raise the hard limit (ulimit -Hn), or connect the users by trunk",
    );
    compare(
        "local ports",
        needs.ports,
        needs.ports + AT_EASE,
        ports,
        "widen net.ipv4.ip_local_port_range, connect the users by trunk, or add gateways",
    );
    if let Some(there) = memory.filter(|there| needs.memory > *there) {
        fit.short.push(format!(
            "{} sessions take about {} of memory, but only {} are free: connect fewer users",
            needs.sessions,
            bytes(needs.memory),
            bytes(there)
        ));
    }
    if let Some(there) = disk.filter(|there| needs.disk > *there) {
        fit.short.push(format!(
            "the cluster's data may take {} of disk, but only {} are free there: choose another disk \
             with --out (or TMPDIR), or lower the rate",
            bytes(needs.disk),
            bytes(there)
        ));
    }
    fit
}

fn sentence(needs: &Needs, supply: Supply) -> String {
    let number =
        |there: Option<u64>| there.map_or_else(|| "?".to_owned(), |there| there.to_string());
    let free = supply.memory.map_or_else(|| "?".to_owned(), bytes);
    // A cluster that runs already has its disk elsewhere.
    let disk = supply.disk.map_or_else(String::new, |there| {
        format!(", and its data about {} of disk ({} free)", bytes(needs.disk), bytes(there))
    });
    let processes = needs.processes.filter(|count| *count > 1);
    let processes = processes.map_or_else(String::new, |count| {
        format!("; the cluster is {count} processes (--one-process: one)")
    });
    format!(
        "{} sessions need {} connections (open files: {} in each table; local ports: {} from each address \
         towards each gateway) and about {} of memory ({free} free){disk}{processes}",
        needs.sessions,
        needs.connections,
        number(supply.open_files),
        number(supply.ports),
        bytes(needs.memory),
    )
}

/// In a unit that fits.
fn bytes(count: u64) -> String {
    const MIB: u64 = 1024 * 1024;
    if count < 1024 * MIB {
        format!("{} MiB", count / MIB)
    } else {
        format!("{:.1} GiB", count as f64 / (1024 * MIB) as f64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scenario(users: u32) -> Scenario {
        let mut scenario = crate::fixture::scenario(users, 1, 0);
        (scenario.users.devices, scenario.users.offline) = (1, 0);
        scenario
    }

    fn supply(open_files: u64, ports: u64, mebibytes: u64) -> Supply {
        let memory = Some(mebibytes * 1024 * 1024);
        Supply { open_files: Some(open_files), ports: Some(ports), memory, disk: None }
    }

    #[test]
    fn what_cannot_work_is_told_apart_from_what_may_be_short() {
        let scenario = scenario(400);
        let ours = ours();
        let told = |against, supply| {
            let fit = fit(&scenario, against, supply);
            (fit.short.len(), fit.impossible.len())
        };
        let there = &elsewhere(2);
        for against in [&ours, there] {
            assert_eq!(told(against, supply(10_000, 10_000, 1_000)), (0, 0));
            assert_eq!(told(against, Supply::default()), (0, 0), "nothing is known");
        }
        assert_eq!(told(&ours, supply(1_039, 10_000, 80)), (2, 0), "files and memory");
        assert_eq!(told(&ours, supply(1_040, 10_000, 1_000)), (0, 0));
        assert_eq!(told(&ours, supply(555, 10_000, 1_000)), (1, 0), "a cluster keeps 128 back");
        assert_eq!(told(&ours, supply(543, 10_000, 1_000)), (0, 1));
        assert_eq!(told(there, supply(10_000, 711, 1_000)), (1, 0), "ports");
        assert_eq!(told(there, supply(10_000, 199, 1_000)), (0, 1));
    }

    #[test]
    fn a_disk_without_room_for_the_data_is_told() {
        let mut scenario = scenario(400);
        scenario.load.body = Size::Fixed(4_000);
        let need = EMPTY_DISK_BYTES + operations(&scenario) * 8_300;
        let told = |disk| fit(&scenario, &elsewhere(2), Supply { disk, ..Supply::default() });
        let heal = scenario.phases.heal.as_secs();
        assert_eq!(operations(&scenario), 2 * 10 + (2 + heal) * 20, "two phases, and the heal");
        assert!(told(Some(need)).short.is_empty());
        let short = told(Some(need - 1)).short;
        assert!(matches!(&short[..], [told] if told.contains("of disk") && told.contains("--out")));
        assert!(told(Some(need)).needs.contains("its data about"));
        assert!(!told(None).needs.contains("disk"), "a cluster that was given");
    }

    #[test]
    fn many_connections_are_spread_over_tables_and_addresses() {
        let scenario = scenario(100_000);
        let here = Against::Given(vec!["127.0.0.1:7800".to_owned(), "localhost:7801".to_owned()]);
        let supply = supply(20_000, 28_232, 8_000);
        let needs = needs(&scenario, &here, &supply);
        assert_eq!((needs.slices, needs.ports), (6, 8_334));
        assert!(fit(&scenario, &here, supply).impossible.is_empty());
        let ports = fit(&scenario, &elsewhere(2), supply).impossible;
        assert!(matches!(&ports[..], [ports] if ports.contains("50000 local ports")), "{ports:?}");
        let ours = ours();
        let files = fit(&scenario, &ours, supply).impossible;
        assert!(matches!(&files[..], [files] if files.contains("100144 open files")), "{files:?}");
    }

    #[test]
    fn trunks_need_few_connections() {
        let mut scenario = scenario(100_000);
        scenario.users.transport = Transport::Trunk;
        let (least, supply) = (elsewhere(2).workers(), supply(20_000, 28_000, 8_000));
        let fit = fit(&scenario, &elsewhere(2), supply);
        assert_eq!((fit.short.len(), fit.impossible.len()), (0, 0));
        assert_eq!(
            fit.needs,
            format!(
                "100000 sessions need {} connections (open files: 20000 in each table; local ports: \
                 28000 from each address towards each gateway) and about 1.2 GiB of memory (7.8 GiB \
                 free)",
                2 * least
            )
        );
    }

    #[test]
    fn more_processes_need_more_memory_and_have_a_table_each() {
        let mut scenario = scenario(400);
        (scenario.cluster.gateways, scenario.cluster.stores) = (2, 2);
        let each = &started(Processes::EachNode);
        let told = |against, supply| {
            let memory = needs(&scenario, against, &supply).memory;
            let fit = fit(&scenario, against, supply);
            (memory, fit.impossible.len(), fit.needs)
        };
        let (few, one) = (supply(300, 10_000, 1_000), &ours());
        let (one, each) = (told(one, few), told(each, few));
        assert_eq!((one.1, each.1), (1, 0));
        assert_eq!(each.0 - one.0, 6 * PROCESS_BYTES);
        assert!(
            each.2.ends_with("; the cluster is 7 processes (--one-process: one)"),
            "{}",
            each.2
        );
        assert!(!one.2.contains("process"), "{}", one.2);
    }

    /// A cluster in one process.
    fn ours() -> Against {
        started(Processes::One)
    }

    fn started(processes: Processes) -> Against {
        Against::Started { binary: "fracas".into(), processes, data: "data".into() }
    }

    /// A cluster on other machines.
    fn elsewhere(gateways: usize) -> Against {
        Against::Given((0..gateways).map(|n| format!("gateway-{n}.example:80")).collect())
    }
}
