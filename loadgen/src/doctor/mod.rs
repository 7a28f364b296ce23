//! What a run needs of this machine, limit by limit: what there is, what to set, and how many sessions
//! can be reached without setting anything.
//!
//! Each end of a connection is given a page of the TCP buffers: many speak at once, and not all of them.

mod system;

pub use system::System;

use crate::limits::needs::{self, Needs};
use crate::run::{Against, Processes};
use crate::slices::{AT_EASE, Share};
use real::descriptors::reserve;
use scenarios::scenario::{Scenario, Transport};

/// Descriptors that every process needs beside its connections, in the least case.
const BASE: u64 = 16;
/// Descriptors that the system needs beside both ends of each connection.
const SYSTEM_FILES: u64 = 10_000;
/// Handshakes that are under way at once when everybody connects.
const HANDSHAKES: u64 = 1_024;
/// Threads beside those of the slices.
const THREADS: u64 = 256;
const MEBIBYTE: u64 = 1024 * 1024;
/// What is needed of memory and disk is an estimate from measured runs, which have done with four fifths of
/// it: no run will do with two thirds.
const NEVER_ENOUGH: (u64, u64) = (2, 3);

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
    /// With less it cannot work.
    pub least: u64,
    /// With less it may not.
    pub at_ease: u64,
    /// How many sessions it allows.
    pub allows: u64,
    /// What to set.
    pub remedy: String,
}

impl Check {
    /// How what there is compares with what is needed.
    pub const fn grade(&self) -> Grade {
        if self.there < self.least {
            Grade::Impossible
        } else if self.there < self.at_ease {
            Grade::Short
        } else {
            Grade::Enough
        }
    }
}

/// Whether a machine can carry a scenario, in sentences.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Fit {
    /// What is needed and what there is, in one sentence.
    pub needs: String,
    /// What is short, one sentence each: it may go well.
    pub short: Vec<String>,
    /// What cannot go well.
    pub impossible: Vec<String>,
}

/// Compares what a run needs with what the system has; limits that it does not tell are left out.
pub fn examine(
    scenario: &Scenario,
    against: &Against,
    system: &System,
    share: Share,
) -> (Needs, Vec<Check>) {
    let needs = needs::needs(scenario, against, &system.supply, share);
    let gateways = against.gateways(scenario).max(1);
    let run = Run { needs, gateways, against, transport: scenario.users.transport };
    let files = run.open_files(system).into_iter();
    let checks = files.chain(run.network(system)).chain(run.room(system));
    (needs, checks.flatten().collect())
}

/// The same in sentences.
pub fn fit(scenario: &Scenario, against: &Against, system: &System, share: Share) -> Fit {
    let (needs, checks) = examine(scenario, against, system, share);
    let mut fit = Fit { needs: needs.sentence(system.supply), ..Fit::default() };
    for Check { what, there, least, at_ease, remedy, .. } in checks {
        let sessions = needs.sessions;
        let told = |needs: &str, count: u64| {
            format!(
                "{sessions} sessions {needs} {count} {what}, but only {there} are available: {remedy}"
            )
        };
        if there < least {
            fit.impossible.push(told("need at least", least));
        } else if there < at_ease {
            fit.short.push(told("may need", at_ease));
        }
    }
    fit
}

/// How many sessions the tightest limit allows.
pub fn reach(checks: &[Check]) -> Option<(&'static str, u64)> {
    checks.iter().map(|check| (check.what, check.allows)).min_by_key(|(_, allows)| *allows)
}

/// How the sessions of a run lie on the machine.
struct Run<'a> {
    needs: Needs,
    gateways: u64,
    against: &'a Against,
    transport: Transport,
}

/// A limit of which so much is there, and so much is needed: in the least case, and at ease.
fn check(
    what: &'static str,
    (there, least, at_ease): (Option<u64>, u64, u64),
    allows: impl Fn(u64) -> u64,
    remedy: impl Into<String>,
) -> Option<Check> {
    let there = there?;
    Some(Check { what, there, least, at_ease, allows: allows(there), remedy: remedy.into() })
}

const fn any(_: u64) -> u64 {
    u64::MAX
}

impl Run<'_> {
    /// Ends of a connection that are on this machine, as far as it is ours.
    fn ends(&self) -> u64 {
        1 + u64::from(self.against.processes().is_some())
    }

    /// So many connections allow as many sessions; over trunks any number.
    fn sessions_of(&self, connections: u64) -> u64 {
        if self.transport == Transport::Socket { connections } else { u64::MAX }
    }

    fn open_files(&self, system: &System) -> [Option<Check>; 5] {
        const REMEDY: &str = "raise the hard limit (ulimit -Hn), or connect the users by trunk";
        let (there, rest) = (system.supply.open_files, self.needs.rest);
        let connections = self.needs.connections + rest;
        // A process of a cluster of our own takes no connection that would need one of its last
        // descriptors. Another cluster's limits are its own business.
        let of_cluster = self.against.processes().and_then(|processes| {
            let (what, tables, each) = match processes {
                Processes::One => ("open files of the cluster", 1, 1),
                // It has a second connection for each, to a gateway.
                behind if behind.haproxy() => ("open files of HAProxy", 1, 2),
                Processes::EachNode(_) => ("open files of a gateway", self.gateways, 1),
            };
            let in_table = (connections * each).div_ceil(tables);
            let least = in_table + BASE + there.map_or(0, reserve);
            let allows = |there: u64| {
                self.sessions_of(there.saturating_sub(BASE + reserve(there)) * tables / each)
            };
            check(what, (there, least, least.max(in_table + AT_EASE)), allows, {
                let more = ", or over more gateways with a process each (cluster.gateways)";
                format!("{REMEDY}{}", if each == 1 { more } else { "" })
            })
        });
        let in_slice = self.needs.connections.div_ceil(self.needs.slices.max(1));
        let of_slice = check(
            "open files of a slice of users",
            (there, in_slice + BASE, in_slice + AT_EASE),
            // More of them are made.
            any,
            REMEDY,
        );
        // Nothing can be spread here: goose has one table.
        let of_rest = check(
            "open files of the users of the REST interface",
            (there.filter(|_| rest > 0), rest + BASE, rest + AT_EASE),
            any,
            "raise the hard limit (ulimit -Hn), or set journeys.users lower",
        );
        let proxied = self.needs.proxied;
        let of_links = check(
            "open files of the proxies of the links",
            (there.filter(|_| proxied > 0), proxied + BASE, proxied + AT_EASE),
            |there| self.sessions_of(there.saturating_sub(BASE) / 2),
            "raise the hard limit (ulimit -Hn), connect the users by trunk, or leave out faults of their links",
        );
        let least = connections * self.ends() + proxied;
        let of_system = check(
            "open files of the system (fs.file-max, less what is open)",
            (system.files_left, least, least + SYSTEM_FILES),
            |there| self.sessions_of(there.saturating_sub(SYSTEM_FILES) / self.ends()),
            format!("sysctl fs.file-max={}", 2 * (least + SYSTEM_FILES)),
        );
        [of_cluster, of_slice, of_rest, of_links, of_system]
    }

    fn network(&self, system: &System) -> [Option<Check>; 5] {
        let Needs { connections, ports, .. } = self.needs;
        // On this machine there are more source addresses than any run needs.
        let by_ports = |there: u64| {
            let elsewhere = there.saturating_sub(AT_EASE) * self.gateways;
            if self.against.is_local() { u64::MAX } else { self.sessions_of(elsewhere) }
        };
        let backlog = |what: &'static str, there| {
            let remedy = format!("sysctl {what}={}", 4 * HANDSHAKES);
            check(what, (there, 0, HANDSHAKES.min(connections)), any, remedy)
        };
        [
            check(
                "local ports (net.ipv4.ip_local_port_range)",
                (system.supply.ports, ports, ports + AT_EASE),
                by_ports,
                "widen the range ('30000 65535'; clusters of this machine listen below), connect the users by trunk, or add gateways",
            ),
            backlog("net.core.somaxconn", system.listen_backlog),
            backlog("net.ipv4.tcp_max_syn_backlog", system.syn_backlog),
            check(
                "pages of all TCP buffers (net.ipv4.tcp_mem, the last number)",
                (system.buffer_pages, 0, connections * self.ends()),
                any,
                "raise all three numbers of net.ipv4.tcp_mem",
            ),
            check(
                "tracked connections (net.netfilter.nf_conntrack_max)",
                // It is not known whether the firewall tracks these.
                (system.tracked_connections, 0, connections + HANDSHAKES),
                |there| self.sessions_of(there.saturating_sub(HANDSHAKES)),
                format!("sysctl net.netfilter.nf_conntrack_max={}", 2 * connections),
            ),
        ]
    }

    fn room(&self, system: &System) -> [Option<Check>; 3] {
        let needs = self.needs;
        let for_sessions = |there: u64| {
            (there * MEBIBYTE).saturating_sub(needs.empty_memory()) / needs.session_bytes()
        };
        let mebibytes = |bytes: u64| bytes / MEBIBYTE;
        let least = |bytes: u64| mebibytes(bytes * NEVER_ENOUGH.0 / NEVER_ENOUGH.1);
        let supply = system.supply;
        // What swaps is too slow to be at ease, and may still work.
        let swap = system.swap.unwrap_or(0);
        [
            check(
                "threads (kernel.threads-max)",
                (system.threads, needs.slices, needs.slices + THREADS),
                any,
                "sysctl kernel.threads-max",
            ),
            check(
                "MiB of memory",
                (
                    supply.memory.map(mebibytes),
                    least(needs.memory).saturating_sub(mebibytes(swap)),
                    needs.memory.div_ceil(MEBIBYTE),
                ),
                for_sessions,
                "connect fewer users (users.count)",
            ),
            check(
                "MiB of disk for the cluster's data",
                (supply.disk.map(mebibytes), least(needs.disk), needs.disk.div_ceil(MEBIBYTE)),
                any,
                "choose another disk with --out (or TMPDIR), or lower the rate",
            ),
        ]
    }
}

#[cfg(test)]
mod tests;
