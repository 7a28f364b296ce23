//! Claims about plans.

mod beside;

use super::*;
use proptest::prelude::*;
use protocol::Design;
use scenarios::scenario::{
    Activity, Arrivals, ClusterShape, Expect, ExpectedOutcome, JourneyMix, LoadPhase, Mix,
    NetworkShape, PhaseLengths, Rate, Size, Thresholds, Users, Vanishing,
};
use std::collections::BTreeSet;

/// A scenario with these users.
fn scenario_of(count: u32, direct: u32, groups: u32, rate: f64) -> Scenario {
    let second = Duration::from_secs(1);
    Scenario {
        name: "planned".into(),
        question: String::new(),
        lesson: String::new(),
        tries: Vec::new(),
        cluster: ClusterShape {
            gateways: 2,
            brokers: 1,
            stores: 1,
            partitions: 4,
            replication: 1,
            engine: protocol::StoreEngine::Redb,
            limits: protocol::LimitSet::Default,
            token_lifetime: Duration::from_hours(1),
            heartbeat: protocol::limits::CLIENT_HEARTBEAT,
            link_timeout: protocol::limits::LINK_IDLE_TIMEOUT,
        },
        design: Design::default(),
        users: Users {
            count,
            devices: 2,
            direct,
            groups,
            group_size: Size::Uniform(2, 5),
            offline: 1,
            renewing: 1.0,
            connect_over: second,
            transport: Transport::Socket,
            codec: CodecChoice::Binary,
        },
        load: load(rate),
        journeys: None,
        network: NetworkShape {
            latency_min: Duration::from_millis(1),
            latency_max: Duration::from_millis(2),
            tick: Duration::from_millis(1),
            disk_sync: Duration::from_millis(1),
        },
        faults: Vec::new(),
        random_faults: None,
        expect: Expect {
            outcome: ExpectedOutcome::Valid,
            delivered_after_heal: 5 * second,
            no_stuck_session: 20 * second,
            recovers_within: 10 * second,
            revocation_within: second,
            pushed_within: second,
            thresholds: Thresholds::default(),
            may_be_idle: Vec::new(),
        },
        phases: PhaseLengths { warm_up: 5 * second, heal: second, settle: 5 * second },
    }
}

fn load(rate: f64) -> Load {
    let second = Duration::from_secs(1);
    Load {
        arrivals: Arrivals::Poisson,
        phases: vec![
            LoadPhase { lasts: 2 * second, rate: Rate::Constant(rate) },
            LoadPhase { lasts: 2 * second, rate: Rate::Constant(2.0 * rate) },
        ],
        mix: Mix {
            send: 0.6,
            reply: 0.1,
            edit: 0.05,
            delete: 0.05,
            read_history: 0.05,
            join_leave: 0.05,
            reconnect: 0.05,
            typing: 0.03,
            revoke: 0.01,
            log_out: 0.01,
        },
        activity: Activity { users: 0.0, conversations: 0.0 },
        visits: None,
        body: Size::Zipf(20, 400, 1.1),
        poison: 3,
        slow_readers: None,
        vanishing: None,
        receipts_every: second,
    }
}

proptest! {
    #[test]
    fn everybody_is_in_a_conversation(
        count in 2_u32..60, direct in 0_u32..40, groups in 1_u32..6, seed: u64,
    ) {
        let plan = Plan::new(&scenario_of(count, direct, groups, 10.0), seed);
        prop_assert_eq!(plan.conversations(), direct + groups);
        for user in plan.users().map(|user| UserId(u64::from(user))) {
            let own = plan.conversations_of(user);
            prop_assert!(!own.is_empty(), "{user} is alone");
            prop_assert!(own.is_sorted());
            prop_assert!(own.iter().all(|id| plan.conversation(*id).members.contains(&user)));
        }
        for id in (1..=u64::from(plan.conversations())).map(ConversationId) {
            let planned = plan.conversation(id);
            let distinct: BTreeSet<_> = planned.members.iter().collect();
            prop_assert_eq!(distinct.len(), planned.members.len(), "{:?}", planned);
            prop_assert!(planned.kind == ConversationKind::Group || distinct.len() == 2);
        }
    }

    #[test]
    fn the_plan_does_not_depend_on_the_slices(seed: u64, cut in 1_u32..30) {
        let plan = Plan::new(&scenario_of(30, 10, 2, 50.0), seed);
        let whole: Vec<Operation> = plan.schedule(plan.users()).collect();
        let mut parts: Vec<Operation> =
            plan.schedule(1..cut).chain(plan.schedule(cut..31)).collect();
        parts.sort_by_key(|operation| operation.at);
        prop_assert_eq!(whole, parts);
    }
}

#[test]
fn the_schedule_follows_its_rates() {
    let plan = Plan::new(&scenario_of(100, 50, 2, 1_000.0), 1);
    let operations: Vec<Operation> = plan.schedule(plan.users()).collect();
    assert!(operations.is_sorted_by_key(|operation| operation.at));
    let within = |from: u64, to: u64| {
        let span = Duration::from_secs(from)..Duration::from_secs(to);
        operations.iter().filter(|operation| span.contains(&operation.at)).count()
    };
    // Five standard deviations of a Poisson count.
    assert!((1_775..2_225).contains(&within(0, 2)), "{}", within(0, 2));
    assert!((3_680..4_320).contains(&within(2, 4)), "{}", within(2, 4));
    assert!((1_775..2_225).contains(&within(4, 5)), "the heal phase goes on at the last rate");
    assert_eq!(within(5, 1_000), 0);
    assert_eq!(operations.iter().filter(|operation| operation.kind == Kind::Poison).count(), 3);
}

#[test]
fn offline_users_do_nothing() {
    let plan = Plan::new(&scenario_of(10, 5, 1, 500.0), 3);
    assert!(plan.is_offline(UserId(10)) && !plan.is_offline(UserId(9)));
    assert!(plan.schedule(plan.users()).all(|operation| operation.user != UserId(10)));
}

#[test]
fn operations_in_a_left_group_mostly_move() {
    let plan = Plan::new(&scenario_of(30, 30, 6, 1_000.0), 3);
    let (mut stayed, mut moved) = (0, 0);
    for operation in plan.schedule(plan.users()) {
        let own = plan.conversations_of(operation.user);
        assert_eq!(operation.moved(own, |_| false), operation);
        assert_eq!(operation.moved(own, |_| true), operation, "there is nowhere to go");
        let left = operation.conversation;
        let now = operation.moved(own, |id| id == left);
        assert_eq!(now, operation.moved(own, |id| id == left), "it is no new draw");
        assert_eq!(Operation { conversation: left, ..now }, operation, "nothing else changes");
        assert!(own.contains(&now.conversation));
        if operation.kind == Kind::JoinLeave {
            assert_eq!(now, operation);
        } else if own.len() > 1 {
            assert_eq!(now == operation, operation.is_stubborn());
            *(if now == operation { &mut stayed } else { &mut moved }) += 1;
        }
    }
    let share = f64::from(moved) / f64::from(moved + stayed);
    assert!(moved > 1_000 && (0.88..0.92).contains(&share), "{moved} moved, {stayed} stayed");
}

#[test]
fn constant_arrivals_are_evenly_spaced() {
    let mut scenario = scenario_of(10, 5, 1, 100.0);
    scenario.load.arrivals = Arrivals::Constant;
    scenario.load.poison = 0;
    let plan = Plan::new(&scenario, 3);
    let first: Vec<Duration> = plan.schedule(plan.users()).take(3).map(|op| op.at).collect();
    assert_eq!(first, [10, 20, 30].map(Duration::from_millis));
}

#[test]
fn another_attempt_goes_to_another_gateway() {
    let plan = Plan::new(&scenario_of(10, 5, 1, 100.0), 3);
    let tried: BTreeSet<usize> =
        (0..4).map(|attempt| plan.gateway_of(UserId(1), DeviceId(1), attempt, 4)).collect();
    assert_eq!(tried.len(), 4);
}

#[test]
fn neighbouring_seeds_plan_different_things() {
    let first = |seed| {
        let plan = Plan::new(&scenario_of(30, 10, 2, 50.0), seed);
        plan.schedule(plan.users()).take(20).collect::<Vec<_>>()
    };
    assert_ne!(first(1), first(2));
    assert_eq!(first(1), first(1));
}

#[test]
fn the_last_users_who_connect_vanish() {
    let mut scenario = scenario_of(10, 5, 1, 10.0);
    scenario.users.offline = 3;
    let after = Duration::from_secs(4);
    scenario.load.vanishing = Some(Vanishing { users: 2, after });
    let plan = Plan::new(&scenario, 1);
    let vanish: Vec<u32> =
        plan.users().filter(|user| plan.vanishes(UserId(u64::from(*user))).is_some()).collect();
    assert_eq!(vanish, [6, 7]);
    assert_eq!(plan.vanishes(UserId(7)), Some(after));
}

fn visited(seed: u64, count: u32, per_second: f64) -> Plan {
    let mut scenario = scenario_of(count, count, 4, per_second);
    scenario.load.phases =
        vec![LoadPhase { lasts: Duration::from_mins(1), rate: Rate::Constant(per_second) }];
    scenario.load.poison = 0;
    scenario.load.visits = Some(scenarios::scenario::Visits {
        stay: Duration::from_secs(6),
        think: Duration::from_millis(500),
        replies: 0.5,
        reply_after_min: Duration::from_secs(1),
        reply_after_max: Duration::from_secs(3),
    });
    Plan::new(&scenario, seed)
}

proptest! {
    /// A model of who is there, from the operations alone.
    #[test]
    fn visitors_act_while_they_are_there(seed: u64, count in 20_u32..80) {
        let plan = visited(seed, count, 2.0);
        let mut there: BTreeSet<(UserId, DeviceId)> = plan
            .users()
            .map(|user| UserId(user.into()))
            .filter(|user| !plan.is_offline(*user))
            .flat_map(|user| plan.devices().map(move |device| (user, device)))
            .filter(|(user, device)| !plan.is_away_at_first(*user, *device))
            .collect();
        let (mut at, mut ids) = (Duration::ZERO, 0);
        for operation in plan.schedule(plan.users()) {
            prop_assert!(operation.at >= at && operation.at <= plan.scheduled_for());
            prop_assert!(operation.id > ids && plan.knows(&operation));
            (at, ids) = (operation.at, operation.id);
            let who = (operation.user, operation.device);
            match operation.kind {
                Kind::Come => {
                    prop_assert!(there.iter().all(|(user, _)| *user != operation.user));
                    there.insert(who);
                }
                Kind::Go => {
                    prop_assert!(there.remove(&who) && operation.at < plan.load_for());
                }
                _ => prop_assert!(there.contains(&who), "{:?}", operation),
            }
        }
    }

    #[test]
    fn visits_do_not_depend_on_the_slices(seed: u64, cut in 1_u32..60) {
        let plan = visited(seed, 60, 3.0);
        let whole: Vec<Operation> = plan.schedule(plan.users()).collect();
        let mut parts: Vec<Operation> =
            plan.schedule(1..cut).chain(plan.schedule(cut..61)).collect();
        parts.sort_by_key(|operation| operation.id);
        prop_assert_eq!(whole, parts);
    }
}

#[test]
fn visits_are_steady_from_the_beginning() {
    let plan = visited(5, 2_000, 50.0);
    let operations: Vec<Operation> = plan.schedule(plan.users()).collect();
    let count = |kind: fn(Kind) -> bool, from: u64, to: u64| {
        let span = Duration::from_secs(from)..Duration::from_secs(to);
        let found = operations.iter().filter(|it| kind(it.kind) && span.contains(&it.at));
        found.count()
    };
    let acts = |kind| !matches!(kind, Kind::Come | Kind::Go);
    // 50 visits a second of 6 s with 2 operations a second each: 600 operations a second, from the first
    // second on. Visits vary in length, so the count varies more than a Poisson one.
    for second in [0, 10, 30, 50] {
        let found = count(acts, second, second + 5);
        assert!((2_500..3_500).contains(&found), "{found} from second {second} on");
    }
    let come = count(|kind| kind == Kind::Come, 0, 60);
    assert!((2_725..3_275).contains(&come), "{come} of 3,000");
    let told = plan.operations() as f64;
    // A part of the visits has not ended, and replies are in no plan.
    let planned = operations.len() as f64;
    assert!(planned < told && planned * 2.2 > told, "{planned} of {told}");
}

#[test]
fn a_message_gets_as_many_replies_as_the_scenario_wants() {
    let plan = visited(5, 40, 1.0);
    let mut replies = 0;
    let group = ConversationId(u64::from(plan.conversations()));
    let members = plan.conversation(group).members;
    for sequence in (1..=4_000).map(protocol::Sequence) {
        for user in &members[1..] {
            for device in plan.devices() {
                let reply = plan.reply((*user, device), (group, sequence));
                assert_eq!(reply, plan.reply((*user, device), (group, sequence)));
                if let Some((after, _)) = reply {
                    assert!((1.0..=3.0).contains(&after.as_secs_f64()), "{after:?}");
                    replies += 1;
                }
            }
        }
    }
    assert!((1_780..2_220).contains(&replies), "{replies} of 2,000");
}

fn with_journeys(users: u32, groups_each: u32) -> Scenario {
    let mix = JourneyMix {
        page_backlog: 0.4,
        create_conversation: 0.2,
        change_members: 0.3,
        sign_in: 0.1,
    };
    let think = Duration::from_millis(100);
    let journeys = scenarios::scenario::Journeys { users, think, groups: groups_each, mix };
    Scenario { journeys: Some(journeys), ..scenario_of(30, 10, 4, 50.0) }
}

proptest! {
    #[test]
    fn rest_users_are_members_beside_the_others(
        users in 1_u32..40, groups_each in 1_u32..=4, seed: u64,
    ) {
        let plain = Plan::new(&scenario_of(30, 10, 4, 50.0), seed);
        let plan = Plan::new(&with_journeys(users, groups_each), seed);
        let journeys = plan.journeys().expect("it has some");
        for id in (1..=u64::from(plan.conversations())).map(ConversationId) {
            let members = plan.conversation(id).members;
            let others = plain.conversation(id).members;
            prop_assert!(members.starts_with(others), "the others are the same");
            let more: BTreeSet<UserId> = members[others.len()..].iter().copied().collect();
            prop_assert_eq!(more.len(), members.len() - others.len());
            let told = journeys.users().filter(|user| journeys.groups_of(*user).any(|of| of == id));
            prop_assert_eq!(more, told.collect::<BTreeSet<_>>());
        }
        let operations = |plan: &Plan| plan.schedule(plan.users()).collect::<Vec<_>>();
        prop_assert_eq!(operations(&plan), operations(&plain));
    }

    #[test]
    fn rest_users_never_run_out_of_numbers_for_conversations(users in 1_u32..20, seed: u64) {
        let plan = Plan::new(&with_journeys(users, 1), seed);
        let journeys = plan.journeys().expect("it has some");
        let steps = plan.scheduled_for().as_millis() as u64 / 100;
        let mut next = u64::from(plan.conversations()) + 1;
        for user in journeys.users() {
            let made: Vec<u64> = journeys.conversations_made_by(user).map(|id| id.0).collect();
            let creations = (0..=steps)
                .filter(|step| journeys.journey(user, *step) == Journey::CreateConversation);
            prop_assert_eq!(creations.count(), made.len());
            for id in made {
                prop_assert_eq!(id, next, "without gaps");
                next += 1;
                let members = journeys.first_members(user, ConversationId(id));
                let distinct: BTreeSet<_> = members.iter().collect();
                prop_assert!(members[0] == user && distinct.len() == members.len());
            }
        }
        prop_assert_eq!(next, u64::from(journeys.conversations()) + 1);
    }
}
