//! What a machine lacks.

use super::*;
use crate::limits::supply::Supply;
use crate::run::Engines;

fn scenario(users: u32, transport: Transport) -> Scenario {
    let mut scenario = crate::fixture::scenario(users, 1, 0);
    (scenario.users.devices, scenario.users.offline) = (1, 0);
    (scenario.cluster.gateways, scenario.users.transport) = (2, transport);
    scenario
}

fn ours(processes: Processes) -> Against {
    Against::Started { binary: "fracas".into(), processes, data: "data".into() }
}

/// A cluster on other machines.
fn elsewhere() -> Against {
    Against::Given((1..=2).map(|n| format!("gateway-{n}.example:80")).collect())
}

fn system(open_files: u64, ports: u64, mebibytes: u64) -> System {
    let memory = Some(mebibytes * MEBIBYTE);
    let (open_files, ports) = (Some(open_files), Some(ports));
    System {
        supply: Supply { open_files, ports, memory, disk: None },
        files_left: Some(2_000_000),
        listen_backlog: Some(4_096),
        syn_backlog: Some(2_048),
        buffer_pages: Some(575_802),
        threads: Some(190_000),
        tracked_connections: None,
        swap: None,
    }
}

#[test]
fn what_cannot_work_is_told_apart_from_what_may_be_short() {
    let scenario = scenario(400, Transport::Socket);
    let told = |against: &Against, system| {
        let fit = fit(&scenario, against, &system, Share::WHOLE);
        (fit.short.len(), fit.impossible.len())
    };
    let (one, each) = (ours(Processes::One), ours(Processes::EachNode(Engines::NONE)));
    for against in [&one, &each, &elsewhere()] {
        assert_eq!(told(against, system(10_000, 10_000, 1_000)), (0, 0));
        assert_eq!(told(against, System::default()), (0, 0), "nothing is known");
    }
    assert_eq!(told(&one, system(911, 10_000, 80)), (3, 0), "cluster, slice, memory");
    assert_eq!(told(&one, system(912, 10_000, 1_000)), (0, 0));
    assert_eq!(told(&one, system(544, 10_000, 1_000)), (2, 0), "a cluster keeps 128 back");
    assert_eq!(told(&one, system(543, 10_000, 1_000)).1, 1);
    assert_eq!(told(&each, system(300, 10_000, 1_000)).1, 0, "a table for each gateway");
    assert_eq!(told(&elsewhere(), system(10_000, 711, 1_000)), (1, 0), "ports");
    assert_eq!(told(&elsewhere(), system(10_000, 199, 1_000)), (0, 1));
    let refused = fit(&scenario, &one, &system(30, 10_000, 1_000), Share::WHOLE).impossible;
    assert!(
        refused[0]
            .contains("400 sessions need at least 423 open files of the cluster, but only 30"),
        "{refused:?}"
    );
    assert!(refused[0].contains("ulimit -Hn"), "{refused:?}");
}

#[test]
fn a_disk_without_room_for_the_data_is_told() {
    let scenario = scenario(400, Transport::Socket);
    let mut system = system(10_000, 10_000, 1_000);
    system.supply.disk = Some(1 << 20);
    let short = fit(&scenario, &ours(Processes::One), &system, Share::WHOLE).short;
    assert!(matches!(&short[..], [told] if told.contains("of disk") && told.contains("--out")));
}

#[test]
fn a_run_that_needs_far_more_memory_than_there_is_cannot_work() {
    let scenario = scenario(100_000, Transport::Trunk);
    let (one, mut system) = (ours(Processes::One), system(20_000, 28_232, 1_000));
    let needs = examine(&scenario, &one, &system, Share::WHOLE).0.memory / MEBIBYTE;
    let mut told = |mebibytes: u64, swap: u64| {
        system.supply.memory = Some(mebibytes * MEBIBYTE);
        system.swap = Some(swap * MEBIBYTE);
        let fit = fit(&scenario, &one, &system, Share::WHOLE);
        (fit.short.len(), fit.impossible)
    };
    assert_eq!(told(needs + 1, 0), (0, vec![]));
    let least = needs * 2 / 3;
    assert_eq!(told(least + 1, 0), (1, vec![]));
    let (_, refused) = told(least - 1, 0);
    assert!(matches!(&refused[..], [told] if told.contains("MiB of memory")), "{refused:?}");
    assert_eq!(told(least - 1, 10), (1, vec![]), "it may swap");
}

#[test]
fn the_tightest_limit_says_how_far_the_machine_reaches() {
    let system = system(20_000, 28_232, 20 << 10);
    let each = ours(Processes::EachNode(Engines::NONE));
    let (_, checks) = examine(&scenario(30_000, Transport::Socket), &each, &system, Share::WHOLE);
    assert!(checks.iter().all(|check| check.grade() == Grade::Enough), "{checks:?}");
    let tightest = ("open files of a gateway", 2 * (20_000 - BASE - 128));
    assert_eq!(reach(&checks), Some(tightest));
    let (_, checks) = examine(&scenario(100_000, Transport::Socket), &each, &system, Share::WHOLE);
    let impossible = checks.iter().filter(|check| check.grade() == Grade::Impossible);
    assert_eq!(impossible.map(|check| check.what).collect::<Vec<_>>(), [tightest.0]);
    assert_eq!(reach(&[]), None);
}

#[test]
fn over_trunks_memory_is_what_binds() {
    let million = scenario(1_000_000, Transport::Trunk);
    let system = system(20_000, 28_232, 20 << 10);
    let (_, checks) =
        examine(&million, &ours(Processes::EachNode(Engines::NONE)), &system, Share::WHOLE);
    assert!(checks.iter().all(|check| check.grade() == Grade::Enough), "{checks:?}");
    let (what, sessions) = reach(&checks).expect("there are limits");
    assert_eq!(what, "MiB of memory");
    assert!((2_700_000..2_800_000).contains(&sessions), "{sessions}");
}

#[test]
fn a_balancer_needs_two_descriptors_for_each_session() {
    let scenario = scenario(400, Transport::Socket);
    let behind = ours(Processes::EachNode(Engines { haproxy: true, ..Engines::NONE }));
    let refused = fit(&scenario, &behind, &system(700, 10_000, 1_000), Share::WHOLE).impossible;
    assert!(refused[0].contains("open files of HAProxy, but only 700"), "{refused:?}");
    assert!(!refused[0].contains("over more gateways"), "{refused:?}");
    let each = ours(Processes::EachNode(Engines::NONE));
    let fits = fit(&scenario, &each, &system(700, 10_000, 1_000), Share::WHOLE);
    assert_eq!(fits.impossible, [""; 0]);
}
