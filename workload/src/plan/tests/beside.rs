//! Claims about what faults add to the other operations of a plan.

use super::*;
use scenarios::scenario::{Fault, FaultKind};

/// The load of `scenario_of`, and storms.
fn stormy(storms: &[(u64, u64, f64)], seed: u64) -> Plan {
    let storm = |(at, lasts, share): &(u64, u64, f64)| Fault {
        at: Duration::from_millis(*at),
        every: None,
        lasts: Duration::from_millis(*lasts),
        kind: FaultKind::Storm { share: *share, reconnects: 0 },
    };
    let mut scenario = scenario_of(30, 10, 2, 50.0);
    (scenario.users.offline, scenario.users.devices) = (6, 2);
    scenario.faults = storms.iter().map(storm).collect();
    Plan::new(&scenario, seed)
}

#[test]
fn in_a_storm_every_session_reconnects_once() {
    let plan = stormy(&[(1_000, 500, 1.0)], 3);
    let is_storm = |operation: &Operation| operation.id > 1 << 50;
    let all: Vec<Operation> = plan.schedule(plan.users()).collect();
    assert!(all.is_sorted_by_key(|operation| operation.at));
    let storm: Vec<&Operation> = all.iter().filter(|operation| is_storm(operation)).collect();
    let sessions: BTreeSet<_> = storm.iter().map(|it| (it.user, it.device)).collect();
    assert_eq!((storm.len(), sessions.len()), (48, 48), "24 users with 2 devices");
    let within = Duration::from_secs(1)..Duration::from_millis(1_500);
    for reconnect in storm {
        assert_eq!(reconnect.kind, Kind::Reconnect);
        assert!(within.contains(&reconnect.at) && plan.knows(reconnect), "{reconnect:?}");
    }
    // All others do what they would do without.
    let others: Vec<Operation> = all.iter().copied().filter(|it| !is_storm(it)).collect();
    let calm = stormy(&[], 3);
    assert_eq!(others, calm.schedule(calm.users()).collect::<Vec<_>>());
}

#[test]
fn storms_overlap_and_hit_their_share() {
    let plan = stormy(&[(500, 1_000, 0.5), (1_000, 100, 0.25)], 4);
    let all: Vec<Operation> = plan.schedule(plan.users()).filter(|it| it.id > 1 << 50).collect();
    assert!(all.is_sorted_by_key(|operation| operation.at));
    assert_eq!(all.len(), 24 + 12);
    let ids: BTreeSet<u64> = all.iter().map(|operation| operation.id).collect();
    assert_eq!(ids.len(), all.len());
    // Client hosts have slices of the users: each of them is hit from the beginning.
    let first: Vec<u64> = all.iter().take(6).map(|operation| operation.user.0).collect();
    assert!(first.iter().any(|user| *user <= 12) && first.iter().any(|user| *user > 12));
    let users = plan.users();
    let parts = plan.schedule(users.start..9).chain(plan.schedule(9..users.end));
    let parts: BTreeSet<u64> = parts.filter(|it| it.id > 1 << 50).map(|it| it.id).collect();
    assert_eq!(parts, ids, "they do not depend on the slices");
}

#[test]
fn attacks_come_as_often_as_they_are_wanted_and_each_is_another() {
    let mut scenario = scenario_of(3, 2, 1, 50.0);
    let (at, lasts) = (Duration::from_secs(1), Duration::from_millis(900));
    let kind = FaultKind::Hostile { attacks: 90 };
    scenario.faults = vec![Fault { at, every: None, lasts, kind }];
    let plan = Plan::new(&scenario, 2);
    let attacks: Vec<Operation> =
        plan.schedule(plan.users()).filter(|it| it.kind == Kind::Attack).collect();
    assert_eq!(attacks.len(), 90, "more than there are sessions");
    for (nth, attack) in attacks.iter().enumerate() {
        assert_eq!(attack.at.as_millis(), 1_000 + 10 * nth as u128);
    }
    let picks: BTreeSet<u64> = attacks.iter().map(|attack| attack.pick).collect();
    assert_eq!(picks.len(), 90);
    assert!(attacks.iter().all(|attack| plan.knows(attack)));
}
