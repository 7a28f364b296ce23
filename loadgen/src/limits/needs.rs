//! What a scenario needs of the machine that generates its load, against what there is.
//!
//! Both sides need a descriptor for each connection, and this side a local port; a port serves once
//! towards each gateway. A cluster that is started needs room for its data. What is short is said
//! beforehand, and what cannot work at all is refused.

use crate::limits::supply::Supply;
use crate::phases::SLICES;
use scenarios::scenario::{Scenario, Size, Transport};

/// Descriptors that every process needs beside its connections, in the least case.
const BASE: u64 = 16;
/// What tokens, set-up, changes of members and the links of a cluster need beside the sessions, at
/// most: 32 requests at once for each slice of users and for the set-up, 256 changes, and a reserve.
const AT_EASE: u64 = 512;
/// Bytes of a session in the generator and the cluster together: measured with 4,000 idle sessions,
/// 22 KiB and 8 KiB; over a trunk half of it.
const SOCKET_BYTES: u64 = 30 * 1024;
const TRUNK_BYTES: u64 = 15 * 1024;
/// Bytes of both processes without any session.
const EMPTY_BYTES: u64 = 80 * 1024 * 1024;

/// Bytes on the disk of a cluster that has nothing yet, and of each operation beside its body; the body
/// is in two logs. Measured with 287,000 sends of 110 bytes: 132 MB.
const EMPTY_DISK_BYTES: u64 = 2 * 1024 * 1024;
const OPERATION_BYTES: u64 = 300;

/// What a scenario needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Needs {
    /// Sessions of users.
    sessions: u64,
    /// Connections that carry them.
    connections: u64,
    /// Connections to one gateway.
    ports: u64,
    /// Bytes, about.
    memory: u64,
    /// Bytes of disk, about.
    disk: u64,
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

fn needs(scenario: &Scenario, gateways: u64) -> Needs {
    let users = &scenario.users;
    let online = u64::from(users.count - users.offline.min(users.count));
    let sessions = online * u64::from(users.devices.max(1));
    let (connections, bytes) = match users.transport {
        Transport::Socket => (sessions, SOCKET_BYTES),
        Transport::Trunk => (u64::from(SLICES) * gateways, TRUNK_BYTES),
    };
    Needs {
        sessions,
        connections,
        ports: connections.div_ceil(gateways.max(1)),
        memory: EMPTY_BYTES + sessions * bytes,
        disk: disk(scenario),
    }
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

/// Compares a scenario's needs with what there is, for a run against so many gateways.
pub fn fit(scenario: &Scenario, gateways: usize, supply: Supply) -> Fit {
    let needs = needs(scenario, gateways as u64);
    let Supply { open_files, ports, memory, disk } = supply;
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
        needs.connections + BASE,
        needs.connections + AT_EASE,
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
    format!(
        "{} sessions need {} connections (open files: {} on either side; local ports: {} towards each \
         gateway) and about {} of memory ({free} free){disk}",
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
        let told = |supply| {
            let fit = fit(&scenario, 2, supply);
            (fit.short.len(), fit.impossible.len())
        };
        assert_eq!(told(supply(10_000, 10_000, 1_000)), (0, 0));
        assert_eq!(told(supply(911, 711, 80)), (3, 0));
        assert_eq!(told(supply(415, 199, 1_000)), (0, 2));
        assert_eq!(told(supply(416, 200, 1_000)), (2, 0));
        assert_eq!(told(Supply::default()), (0, 0), "nothing is known");
    }

    #[test]
    fn a_disk_without_room_for_the_data_is_told() {
        let mut scenario = scenario(400);
        scenario.load.body = Size::Fixed(4_000);
        let need = EMPTY_DISK_BYTES + operations(&scenario) * 8_300;
        let told = |disk| fit(&scenario, 2, Supply { disk, ..Supply::default() });
        let heal = scenario.phases.heal.as_secs();
        assert_eq!(operations(&scenario), 2 * 10 + (2 + heal) * 20, "two phases, and the heal");
        assert!(told(Some(need)).short.is_empty());
        let short = told(Some(need - 1)).short;
        assert!(matches!(&short[..], [told] if told.contains("of disk") && told.contains("--out")));
        assert!(told(Some(need)).needs.contains("its data about"));
        assert!(!told(None).needs.contains("disk"), "a cluster that was given");
    }

    #[test]
    fn trunks_need_few_connections() {
        let mut scenario = scenario(100_000);
        assert_eq!(fit(&scenario, 2, supply(20_000, 28_000, 8_000)).impossible.len(), 2);
        scenario.users.transport = Transport::Trunk;
        let fit = fit(&scenario, 2, supply(20_000, 28_000, 8_000));
        assert_eq!((fit.short.len(), fit.impossible.len()), (0, 0));
        assert_eq!(
            fit.needs,
            "100000 sessions need 8 connections (open files: 20000 on either side; local ports: 28000 \
             towards each gateway) and about 1.5 GiB of memory (7.8 GiB free)"
        );
    }
}
