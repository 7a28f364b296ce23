//! A validated scenario, written as TOML, is read as the same scenario.

use proptest::prelude::*;
use protocol::design::{Accept, Deduplication, Requeue};
use protocol::{ConversationId, Design, LimitSet, StoreEngine, UserId};
use scenarios::scenario::*;
use scenarios::{Override, Scenario, effective_toml, parse};
use std::time::Duration;

const INVARIANTS: [&str; 3] = ["no_gap_in_sequence", "edits_converge", "no_duplicate_delivery"];

fn time(from_ms: u64, to_ms: u64) -> impl Strategy<Value = Duration> {
    (from_ms * 1_000..to_ms * 1_000).prop_map(Duration::from_micros)
}

fn text() -> impl Strategy<Value = String> {
    "[a-z\"\\\\é\n]{0,20}x"
}

fn overrides() -> impl Strategy<Value = Vec<Override>> {
    let given = "[a-z]{1,5}\\.[a-z]{1,5}=[a-z0-9\"'(){}]{1,5}x(,[0-9]{1,3}){0,2}";
    let parsed = given.prop_filter_map("it is none", |given| Override::parse(&given).ok());
    prop::collection::vec(parsed, 1..3)
}

fn tried() -> impl Strategy<Value = Try> {
    let seed = prop::option::of(0..1_000_u64);
    let outcome = prop::sample::subsequence(INVARIANTS.to_vec(), 0..3).prop_map(outcome);
    (overrides(), seed, outcome, text()).prop_map(|(set, seed, predicted, because)| Try {
        set,
        seed,
        predicted,
        because,
    })
}

/// Valid, if nothing is violated.
fn outcome(violated: Vec<&str>) -> ExpectedOutcome {
    match violated.into_iter().map(Into::into).collect::<Vec<String>>() {
        none if none.is_empty() => ExpectedOutcome::Valid,
        some => ExpectedOutcome::Violates(some),
    }
}

fn size(from: u32, to: u32) -> impl Strategy<Value = Size> {
    let range = (from..to, from..to).prop_map(|(a, b)| (a.min(b), a.max(b)));
    prop_oneof![
        (from..to).prop_map(Size::Fixed),
        range.clone().prop_map(|(a, b)| Size::Uniform(a, b)),
        (range, 0.01..5.0_f64).prop_map(|((a, b), exponent)| Size::Zipf(a, b, exponent)),
    ]
}

fn target() -> impl Strategy<Value = Target> {
    prop_oneof![
        (1..4_u16).prop_map(|n| Target::Node(format!("store-{n}"))),
        (1..20_u64).prop_map(|n| Target::Owner(ConversationId(n))),
        (1..20_u64).prop_map(|n| Target::BrokerOf(ConversationId(n))),
        (1..20_u64).prop_map(|n| Target::GatewayOf(UserId(n))),
        (1..20_u64).prop_map(|n| Target::ClientOf(UserId(n))),
        (0..6_usize).prop_map(|n| Target::Any(Role::ALL[n])),
        (0..6_usize).prop_map(|n| Target::Every(Role::ALL[n])),
    ]
}

fn mortal() -> impl Strategy<Value = Target> {
    let clients = [Target::Any(Role::Clients), Target::Every(Role::Clients)];
    target().prop_filter("the clients observe", move |target| {
        !clients.contains(target) && !matches!(target, Target::ClientOf(_))
    })
}

fn sides() -> impl Strategy<Value = Sides> {
    (prop::collection::vec(target(), 1..3), prop::collection::vec(target(), 0..3))
        .prop_map(|(from, to)| Sides { from, to })
}

/// Of roles whose links carry checksums.
fn checked_side() -> impl Strategy<Value = Vec<Target>> {
    let roles = vec![Role::Gateway, Role::Broker, Role::Store, Role::Notifier];
    let target = (prop::sample::select(roles), any::<bool>());
    let target = target
        .prop_map(|(role, every)| if every { Target::Every(role) } else { Target::Any(role) });
    prop::collection::vec(target, 1..3)
}

fn kind() -> impl Strategy<Value = FaultKind> {
    let latencies = (time(0, 50), time(50, 100));
    prop_oneof![
        sides().prop_map(|between| FaultKind::Blip { between }),
        (sides(), any::<bool>()).prop_map(|(between, one_way)| FaultKind::Cut { between, one_way }),
        (sides(), time(1, 100), time(1, 100)).prop_map(|(between, down, up)| FaultKind::Flap {
            between,
            down,
            up
        }),
        (sides(), latencies).prop_map(|(between, (latency_min, latency_max))| {
            FaultKind::SlowLink { between, latency_min, latency_max }
        }),
        (checked_side(), checked_side())
            .prop_map(|(from, to)| FaultKind::Corrupt { between: Sides { from, to } }),
        (sides(), 1_024..10_000_000_u64).prop_map(|(between, bytes_per_second)| {
            FaultKind::NarrowLink { between, bytes_per_second }
        }),
        mortal().prop_map(|target| FaultKind::Kill { target }),
        mortal().prop_map(|target| FaultKind::PowerLoss { target }),
        target().prop_map(|target| FaultKind::Pause { target }),
        (target(), 1..10_000_i64, -500..500_i64).prop_map(|(target, offset_ms, drift_ppm)| {
            FaultKind::Skew { target, offset_ms: -offset_ms, drift_ppm }
        }),
    ]
}

fn fault() -> impl Strategy<Value = Fault> {
    (time(0, 5_000), prop::option::of(time(3_000, 9_000)), time(200, 3_000), kind())
        .prop_map(|(at, every, lasts, kind)| Fault { at, every, lasts, kind })
}

fn random_faults() -> impl Strategy<Value = RandomFaults> {
    let kinds = prop::sample::subsequence(vec!["blip", "kill", "skew"], 1..3);
    let roles = prop::sample::subsequence(Role::ALL[..5].to_vec(), 1..5);
    (time(1, 9_000), time(1, 100), time(100, 2_000), time(0, 5_000), kinds, roles).prop_map(
        |(every, lasts_min, lasts_max, lead, kinds, roles)| RandomFaults {
            lead,
            roles,
            every,
            lasts_min,
            lasts_max,
            kinds: kinds.into_iter().map(Into::into).collect(),
        },
    )
}

fn cluster() -> impl Strategy<Value = ClusterShape> {
    let engine = prop::sample::select(&StoreEngine::ALL[..]);
    let limits = prop::sample::select(&LimitSet::ALL[..]);
    (1..9_u16, 3..9_u16, 9..99_u16, engine, limits, (10..9_999_u64, 5..9_u64, 1..60_u64)).prop_map(
        |(gateways, stores, partitions, engine, limits, (token_s, heartbeat_s, link_s))| {
            ClusterShape {
                gateways,
                brokers: 1,
                stores,
                partitions,
                replication: 1,
                engine,
                limits,
                token_lifetime: Duration::from_secs(token_s),
                heartbeat: Duration::from_secs(heartbeat_s),
                link_timeout: Duration::from_secs(link_s),
            }
        },
    )
}

fn design() -> impl Strategy<Value = Design> {
    (any::<bool>(), any::<bool>(), any::<bool>()).prop_map(|(accept, keys, requeue)| Design {
        accept: if accept { Accept::BeforePersist } else { Accept::AfterPersist },
        deduplication: if keys { Deduplication::Memory } else { Deduplication::Durable },
        requeue: if requeue { Requeue::Back } else { Requeue::Front },
        ..Design::default()
    })
}

fn users() -> impl Strategy<Value = Users> {
    let carried = (any::<bool>(), any::<bool>(), time(0, 9_000), 0.0..1.0_f64);
    (30..99_u32, 1..4_u32, 20..99_u32, 0..9_u32, size(2, 30), 0..5_u32, carried).prop_map(
        |(
            count,
            devices,
            direct,
            groups,
            group_size,
            offline,
            (trunk, json, connect_over, renewing),
        )| {
            Users {
                count,
                devices,
                direct,
                groups,
                group_size,
                offline,
                renewing,
                connect_over,
                transport: if trunk { Transport::Trunk } else { Transport::Socket },
                codec: if json { CodecChoice::Json } else { CodecChoice::Binary },
            }
        },
    )
}

fn load() -> impl Strategy<Value = Load> {
    let rate = (0..5, 0.01..50.0_f64, 0.0..50.0_f64, 2..9_u32);
    let rate = rate.prop_map(|(shape, a, b, steps)| match shape {
        0 => Rate::Constant(a),
        1 => Rate::Ramp(b, a),
        2 => Rate::Staircase(b, a, steps),
        3 => Rate::Spike(b, a),
        _ => Rate::Diurnal(b, a),
    });
    let phase = (time(9_000, 19_000), rate).prop_map(|(lasts, rate)| LoadPhase { lasts, rate });
    let slow = (1..9_u32, time(1, 999), time(1, 999));
    let slow = slow.prop_map(|(users, stall, read)| SlowReaders { users, stall, read });
    let phases = prop::collection::vec(phase, 1..4);
    let vanishing = (1..9_u32, time(0, 9_000));
    let vanishing = vanishing.prop_map(|(users, after)| Vanishing { users, after });
    let (slow, vanishing) = (prop::option::of(slow), prop::option::of(vanishing));
    let rest = (size(1, 999), 0..9_u32, slow, vanishing, time(1, 9_000));
    let activity = (0.0..0.5_f64, 0.0..9.0_f64);
    let activity = activity.prop_map(|(users, conversations)| Activity { users, conversations });
    let visits = (time(1, 500), time(250, 9_000), 0.0..0.9_f64, time(0, 5), time(5, 9));
    let visits = visits.prop_map(|(stay, think, replies, reply_after_min, reply_after_max)| {
        Visits { stay, think, replies, reply_after_min, reply_after_max }
    });
    (any::<bool>(), phases, 0.0..1.0_f64, rest, (activity, prop::option::of(visits))).prop_map(
        |(
            poisson,
            phases,
            reply,
            (body, poison, slow_readers, vanishing, receipts_every),
            (activity, visits),
        )| Load {
            arrivals: if poisson { Arrivals::Poisson } else { Arrivals::Constant },
            phases,
            mix: Mix {
                send: 1.0 - reply,
                reply,
                edit: 0.0,
                delete: 0.0,
                read_history: 0.0,
                join_leave: 0.0,
                reconnect: 0.0,
                typing: 0.0,
                revoke: 0.0,
                log_out: 0.0,
            },
            activity,
            visits,
            body,
            // Neither is of users who are away.
            poison: if visits.is_some() { 0 } else { poison },
            slow_readers,
            vanishing: vanishing.filter(|_| visits.is_none()),
            receipts_every,
        },
    )
}

fn journeys() -> impl Strategy<Value = Journeys> {
    (1..9_u32, time(10, 9_000), 1..9_u32, 0.0..1.0_f64).prop_map(
        |(users, think, groups, sign_in)| {
            let page_backlog = 1.0 - sign_in;
            let mix =
                JourneyMix { page_backlog, create_conversation: 0.0, change_members: 0.0, sign_in };
            Journeys { users, think, groups, mix }
        },
    )
}

fn percentiles() -> impl Strategy<Value = PercentileBounds> {
    prop::array::uniform5(prop::option::of(time(1, 999)))
        .prop_map(|[p50, p90, p95, p99, max]| PercentileBounds { p50, p90, p95, p99, max })
        // By value, a strategy of seven of them is more than the stack of a test.
        .boxed()
}

fn thresholds() -> impl Strategy<Value = Thresholds> {
    let latency = || {
        let parts = prop::array::uniform8(percentiles());
        parts.prop_map(|[all, calm, under_faults, steady, send, reply, edit, delete]| {
            LatencyBounds {
                all,
                calm,
                under_faults,
                steady,
                operations: OperationBounds { send, reply, edit, delete },
            }
        })
    };
    let times = (prop::option::of(time(1, 9_000)), prop::option::of(time(1, 9_000)));
    let rates = (prop::option::of(0.001..100.0_f64), prop::option::of(0.001..1e6_f64));
    (latency(), latency(), (percentiles(), request_bounds()), rates, times).prop_map(
        |(accept, deliver, (lateness, requests), rates, (recovery, abort_after))| {
            let (refused_percent, throughput) = rates;
            Thresholds {
                accept,
                deliver,
                lateness,
                requests,
                refused_percent,
                throughput,
                recovery,
                abort_after,
            }
        },
    )
}

fn request_bounds() -> impl Strategy<Value = RequestBounds> {
    let failed = prop::option::of(0.001..100.0_f64);
    (prop::array::uniform6(percentiles()), failed).prop_map(
        |([all, page_backlog, create_conversation, add_member, remove_member, sign_in], failed)| {
            RequestBounds {
                all,
                page_backlog,
                create_conversation,
                add_member,
                remove_member,
                sign_in,
                failed_percent: failed,
            }
        },
    )
}

fn expectation() -> impl Strategy<Value = Expect> {
    let claims = || prop::sample::subsequence(INVARIANTS.to_vec(), 0..3);
    let deadlines =
        [time(1, 10_000), time(1, 10_000), time(1, 9_000), time(1, 9_000), time(20_000, 29_000)];
    (claims(), claims(), deadlines, thresholds()).prop_map(
        |(violated, idle, [delivered, stuck, recovers, revoked, pushed], thresholds)| {
            let owned =
                |names: Vec<&str>| names.into_iter().map(Into::into).collect::<Vec<String>>();
            Expect {
                outcome: outcome(violated),
                delivered_after_heal: delivered,
                no_stuck_session: stuck,
                recovers_within: recovers,
                revocation_within: revoked,
                pushed_within: pushed,
                thresholds,
                may_be_idle: owned(idle),
            }
        },
    )
}

fn surroundings() -> impl Strategy<Value = (NetworkShape, PhaseLengths)> {
    (
        time(0, 5),
        time(5, 9),
        time(1, 99),
        time(0, 9),
        [time(9_000, 19_000), time(9_000, 19_000), time(29_000, 39_000)],
    )
        .prop_map(|(latency_min, latency_max, tick, disk_sync, [warm_up, heal, settle])| {
            let network = NetworkShape { latency_min, latency_max, tick, disk_sync };
            (network, PhaseLengths { warm_up, heal, settle })
        })
}

prop_compose! {
    fn scenario()(
        (name, question, lesson) in ("[a-z-]{1,12}", text(), text()),
        tries in prop::collection::vec(tried(), 0..3),
        (cluster, design, users, load) in (cluster(), design(), users(), load()),
        journeys in prop::option::of(journeys()),
        (network, phases) in surroundings(),
        faults in prop::collection::vec(fault(), 0..4),
        random_faults in prop::option::of(random_faults()),
        mut expect in expectation(),
    ) -> Scenario {
        // Nobody vanishes from a trunk.
        let lasts = load.lasts();
        let vanishing = load
            .vanishing
            .filter(|gone| users.transport == Transport::Socket && gone.after < lasts);
        let load = Load { vanishing, ..load };
        let journeys = journeys.filter(|journeys| journeys.groups <= users.groups);
        let thresholds = &mut expect.thresholds;
        if !load.has_one_rate() || !faults.is_empty() || random_faults.is_some() {
            thresholds.accept.steady = PercentileBounds::default();
            thresholds.deliver.steady = PercentileBounds::default();
        }
        if journeys.is_none() {
            thresholds.requests = RequestBounds::default();
        }
        Scenario {
            name, question, lesson, tries, cluster, design, users, load, journeys, network, faults,
            random_faults, expect, phases,
        }
    }
}

proptest! {
    #[test]
    fn an_effective_scenario_is_read_as_the_same(scenario in scenario()) {
        let text = effective_toml(&scenario);
        let read = parse(&text, "other.toml", &[])
            .unwrap_or_else(|mistakes| panic!("{mistakes}\n{text}"));
        prop_assert_eq!(read, scenario);
    }

    #[test]
    fn no_text_makes_the_reader_panic(text in "[\\[\\]{}a-z=\"\n.0-9, ]{0,80}") {
        let _ = parse(&text, "any.toml", &[]);
        let known = text.replace('a', "users").replace('b', "load").replace('c', "fault");
        let _ = parse(&known, "any.toml", &[]).map_err(|mistakes| mistakes.to_string());
    }
}
