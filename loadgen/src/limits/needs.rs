//! What a scenario needs of the machine that generates its load. `doctor` compares it with what there is.
//!
//! Both sides need a descriptor for each connection, and this side a local port; a port serves once
//! towards each gateway. A cluster that is started needs room for its data.

use crate::limits::length;
use crate::limits::supply::Supply;
use crate::run::{Against, Engines, Processes};
use crate::slices::{self, Share};
use crate::world::layout;
use protocol::limits;
use scenarios::scenario::{Scenario, Size, Transport};
use std::time::Duration;

/// Bytes of a session, in the generator, the cluster and the kernel: measured with 36,000 sockets 5, 6.5
/// and 8 KiB; with 400,000 sessions over trunks 3.3, 3.8 and nothing.
const SOCKET_BYTES: u64 = 20 * 1024;
const TRUNK_BYTES: u64 = 7_680;
/// Bytes of the generator and of a cluster in one process, without any session; of each further process of
/// a cluster: measured with 1,000 users, 371 MB in nine processes against 104 MB in one.
const EMPTY_BYTES: u64 = 80 * 1024 * 1024;
const PROCESS_BYTES: u64 = 32 * 1024 * 1024;
/// Resident bytes of the servers of engines at rest, beside the process that starts each: measured half a minute
/// after their start, 138, 337, 74 and 1,343 MiB (RabbitMQ 3.10.8, Kafka 4.1.1, PostgreSQL 15, and Cassandra 5.0.6
/// with a heap of 1 GiB, all of which it takes at once).
const RABBITMQ_BYTES: u64 = 140 * 1024 * 1024;
const KAFKA_BYTES: u64 = 340 * 1024 * 1024;
const POSTGRES_BYTES: u64 = 75 * 1024 * 1024;
const CASSANDRA_BYTES: u64 = 1_340 * 1024 * 1024;
/// HAProxy 2.6.12 with 80 sessions, at most: measured 112 MiB.
const HAPROXY_BYTES: u64 = 112 * 1024 * 1024;

/// Bytes on the disk of a cluster that has nothing yet, and of each operation beside its body; the body
/// is in two logs. Measured with 287,000 sends of 110 bytes: 132 MB.
const EMPTY_DISK_BYTES: u64 = 2 * 1024 * 1024;
const OPERATION_BYTES: u64 = 300;
/// Of each session: its places in conversations, and its login. Measured with 100,000 users in one
/// conversation each: 41 MB.
const SESSION_DISK_BYTES: u64 = 420;

/// What a scenario needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Needs {
    /// Sessions of users.
    pub sessions: u64,
    /// Connections that carry them.
    pub connections: u64,
    /// Connections of the users of the REST interface: one each, from the generator's own table.
    pub rest: u64,
    /// Descriptors of the proxies that carry links of users, from the generator's own table.
    pub proxied: u64,
    /// Tables of open files and source addresses over which the generator spreads them.
    pub slices: u64,
    /// Connections from one source address to one gateway.
    pub ports: u64,
    /// Bytes, about.
    pub memory: u64,
    /// Bytes of disk, about.
    pub disk: u64,
    /// How long the run takes, about.
    pub length: Duration,
    /// Processes of the cluster, if it is started.
    processes: Option<u16>,
    /// Bytes of memory of the engines that it stands on.
    engines: u64,
    /// Processes on this machine that generate the load.
    generators: u32,
}

impl Needs {
    /// Bytes of memory without any session.
    pub fn empty_memory(&self) -> u64 {
        empty_memory(self.processes, self.generators) + self.engines + self.rest * SOCKET_BYTES
    }

    /// Bytes of memory of each session.
    pub fn session_bytes(&self) -> u64 {
        ((self.memory - self.empty_memory()) / self.sessions.max(1)).max(1)
    }

    /// What is needed and what there is, in one sentence.
    pub fn sentence(&self, supply: Supply) -> String {
        let number =
            |there: Option<u64>| there.map_or_else(|| "?".to_owned(), |there| there.to_string());
        let free = supply.memory.map_or_else(|| "?".to_owned(), bytes);
        // A cluster that runs already has its disk elsewhere.
        let disk = supply.disk.map_or_else(String::new, |there| {
            format!(", and its data about {} of disk ({} free)", bytes(self.disk), bytes(there))
        });
        let processes = self.processes.filter(|count| *count > 1);
        let processes = processes.map_or_else(String::new, |count| match self.engines {
            0 => format!("; the cluster is {count} processes (--one-process: one)"),
            engines => {
                format!("; the cluster is {count} processes, its engines take {}", bytes(engines))
            }
        });
        format!(
            "{} sessions need {} connections (open files: {} in each table; local ports: {} from each address \
         towards each gateway) and about {} of memory ({free} free){disk}{processes}; it takes about {}",
            self.sessions,
            self.connections,
            number(supply.open_files),
            number(supply.ports),
            bytes(self.memory),
            length::text(self.length),
        )
    }
}

/// What a scenario needs of a machine that has so much.
pub fn needs(scenario: &Scenario, against: &Against, supply: &Supply, share: Share) -> Needs {
    let here = u64::from(share.here.max(1));
    let of_each = slices::sessions(scenario).div_ceil(u64::from(share.of));
    let sessions = slices::sessions(scenario).min(of_each * here);
    let gateways = against.gateways(scenario).max(1);
    let slices = slices::of(scenario, against, supply, share) * here;
    let shape = &scenario.cluster;
    let engines = against.processes().map_or(0, of_engines);
    let processes = against.processes().map(|processes| layout::count(shape, processes));
    let (connections, bytes) = match scenario.users.transport {
        Transport::Socket => (sessions, SOCKET_BYTES),
        Transport::Trunk => {
            let to_each = sessions.div_ceil(slices * gateways);
            let trunks = to_each.div_ceil(limits::MAX_TRUNK_SESSIONS as u64).max(1);
            (slices * gateways * trunks, TRUNK_BYTES)
        }
    };
    let strangers = scenario.strangers().div_ceil(u64::from(share.of)) * here;
    let connections = connections + strangers;
    let sources = if against.is_local() { slices } else { 1 };
    let proxied = if against.reach(share).may_hit_users(scenario) { 2 * connections } else { 0 };
    // Goose keeps 13 KiB for each beside its connection: about as much as a session.
    let rest = scenario.journeys.map_or(0, |journeys| u64::from(journeys.users));
    Needs {
        sessions,
        connections,
        rest,
        proxied,
        slices,
        ports: connections.div_ceil(gateways).div_ceil(sources),
        memory: empty_memory(processes, share.here)
            + engines
            + rest * SOCKET_BYTES
            + sessions * bytes,
        disk: disk(scenario),
        length: length::of(scenario, processes.is_some(), engines > 0),
        processes,
        engines,
        generators: share.here,
    }
}

/// Bytes of memory without any session, for a cluster of so many processes, and so many generators.
fn empty_memory(processes: Option<u16>, generators: u32) -> u64 {
    let further = u64::from(processes.unwrap_or(1).saturating_sub(1));
    let further = further + u64::from(generators.saturating_sub(1));
    EMPTY_BYTES + further * PROCESS_BYTES
}

/// Bytes of memory of the servers of engines in a cluster that is made of these processes.
fn of_engines(processes: Processes) -> u64 {
    let Processes::EachNode(engines) = processes else { return 0 };
    let Engines { rabbitmq, kafka, postgres, cassandra, haproxy, .. } = engines;
    u64::from(rabbitmq) * RABBITMQ_BYTES
        + u64::from(kafka) * KAFKA_BYTES
        + u64::from(postgres) * POSTGRES_BYTES
        + u64::from(cassandra) * CASSANDRA_BYTES
        + u64::from(haproxy) * HAPROXY_BYTES
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
    EMPTY_DISK_BYTES
        + slices::sessions(scenario) * SESSION_DISK_BYTES
        + scenario.operations().saturating_mul(each)
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
    use scenarios::scenario::{JourneyMix, Journeys};

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
    fn the_data_grows_with_the_operations_and_their_bodies() {
        let mut scenario = scenario(400);
        scenario.load.body = Size::Fixed(4_000);
        let heal = scenario.phases.heal.as_secs();
        assert_eq!(scenario.operations(), 2 * 10 + (2 + heal) * 20, "two phases, and the heal");
        let users = 400 * SESSION_DISK_BYTES;
        assert_eq!(disk(&scenario), EMPTY_DISK_BYTES + users + scenario.operations() * 8_300);
    }

    #[test]
    fn many_connections_are_spread_over_tables_and_addresses() {
        let scenario = scenario(100_000);
        let here = Against::Given(vec!["127.0.0.1:7800".to_owned(), "localhost:7801".to_owned()]);
        let there = Against::Given(vec!["a.example:80".to_owned(), "b.example:80".to_owned()]);
        let needs = [here, there].map(|against| {
            needs(&scenario, &against, &supply(20_000, 28_232, 8_000), Share::WHOLE)
        });
        assert_eq!(needs.map(|needs| (needs.slices, needs.ports)), [(6, 8_334), (6, 50_000)]);
    }

    #[test]
    fn generators_of_one_machine_need_tables_addresses_and_memory_of_their_own() {
        let scenario = scenario(100_000);
        let here = Against::Given(vec!["127.0.0.1:7800".to_owned(), "localhost:7801".to_owned()]);
        let needed = |of, here_too| {
            let share = Share { number: 0, of, here: here_too };
            needs(&scenario, &here, &supply(20_000, 28_232, 8_000), share)
        };
        let [one, four, of_four] = [needed(1, 1), needed(4, 4), needed(4, 1)];
        assert_eq!((four.sessions, four.slices, four.ports), (100_000, 8, 6_250));
        assert_eq!(four.memory - one.memory, 3 * PROCESS_BYTES);
        assert_eq!((of_four.sessions, of_four.connections), (25_000, 25_000), "a quarter is here");
    }

    #[test]
    fn trunks_need_few_connections() {
        let mut scenario = scenario(100_000);
        scenario.users.transport = Transport::Trunk;
        let elsewhere = Against::Given(vec!["a.example:80".to_owned(), "b.example:80".to_owned()]);
        let supply = supply(20_000, 28_000, 8_000);
        let needs = needs(&scenario, &elsewhere, &supply, Share::WHOLE);
        assert_eq!(
            needs.sentence(supply),
            format!(
                "100000 sessions need {} connections (open files: 20000 in each table; local ports: \
                 28000 from each address towards each gateway) and about 812 MiB of memory (7.8 GiB \
                 free); it takes about {} s",
                2 * elsewhere.workers(Share::WHOLE),
                needs.length.as_secs()
            )
        );
    }

    #[test]
    fn users_of_the_rest_interface_have_connections_of_their_own() {
        let mut with = scenario(400);
        let mix = JourneyMix {
            page_backlog: 1.0,
            create_conversation: 0.0,
            change_members: 0.0,
            sign_in: 0.0,
        };
        let think = Duration::from_secs(1);
        with.journeys = Some(Journeys { users: 20_000, think, groups: 1, mix });
        let here = Against::Given(vec!["127.0.0.1:7800".to_owned()]);
        let supply = supply(20_000, 28_232, 8_000);
        let [plain, with] =
            [scenario(400), with].map(|one| needs(&one, &here, &supply, Share::WHOLE));
        assert_eq!((plain.rest, with.rest, with.connections), (0, 20_000, plain.connections));
        assert_eq!(with.memory - plain.memory, 20_000 * SOCKET_BYTES);
        assert_eq!(with.session_bytes(), plain.session_bytes(), "they are no sessions");
    }

    #[test]
    fn more_processes_need_more_memory() {
        let mut scenario = scenario(400);
        (scenario.cluster.gateways, scenario.cluster.stores) = (2, 2);
        let supply = Supply { disk: Some(9 << 30), ..supply(10_000, 10_000, 1_000) };
        let [one, each] = [Processes::One, Processes::EachNode(Engines::NONE)].map(|processes| {
            let (binary, data) = ("fracas".into(), "data".into());
            needs(&scenario, &Against::Started { binary, processes, data }, &supply, Share::WHOLE)
        });
        assert_eq!(each.memory - one.memory, 6 * PROCESS_BYTES);
        let [one, each] = [one, each].map(|needs| needs.sentence(supply));
        assert!(
            each.contains("; the cluster is 7 processes (--one-process: one); it takes "),
            "{each}"
        );
        assert!(!one.contains("process") && one.contains("its data about"), "{one}");
    }

    #[test]
    fn engines_need_memory_that_no_session_has() {
        let (scenario, supply) = (scenario(400), supply(10_000, 10_000, 1_000));
        let on = |engines| {
            let processes = Processes::EachNode(engines);
            let against =
                Against::Started { binary: "fracas".into(), processes, data: "data".into() };
            needs(&scenario, &against, &supply, Share::WHOLE)
        };
        let own = on(Engines::NONE);
        // A mapper and two nodes more in the place of a broker; a server beside the stores.
        for (engines, processes, bytes) in [
            (Engines { rabbitmq: 3, ..Engines::NONE }, 3, 3 * RABBITMQ_BYTES),
            (Engines { kafka: 1, ..Engines::NONE }, 0, KAFKA_BYTES),
            (Engines { postgres: true, ..Engines::NONE }, 1, POSTGRES_BYTES),
            (Engines { cassandra: true, ..Engines::NONE }, 1, CASSANDRA_BYTES),
            (Engines { haproxy: true, ..Engines::NONE }, 1, HAPROXY_BYTES),
        ] {
            let with = on(engines);
            assert_eq!(with.memory - own.memory, processes * PROCESS_BYTES + bytes, "{engines:?}");
            assert_eq!(with.session_bytes(), own.session_bytes(), "{engines:?}");
            let sentence = with.sentence(supply);
            assert!(!sentence.contains("--one-process"), "{sentence}");
            assert!(
                sentence.contains(&format!("its engines take {}; it takes", super::bytes(bytes)))
            );
        }
    }
}
