//! A scenario for the gallery.

use protocol::Design;
use scenarios::scenario::{
    Activity, Arrivals, ClusterShape, CodecChoice, Expect, ExpectedOutcome, LatencyBounds, Load,
    LoadPhase, Mix, NetworkShape, PercentileBounds, PhaseLengths, Rate, Size, Thresholds,
    Transport, Try, Users,
};
use scenarios::{Override, Scenario};
use std::time::Duration;
use verify::verdict::Verdict;

/// Shown as the scenario in effect; the angle brackets are there to see them escaped.
pub(crate) const TOML: &str = r#"name     = "owner-paused"
question = "Does a store node that wakes up from a long pause corrupt a conversation?"
lesson   = "A lease is not a lock: only a fencing number, checked by the storage itself, stops a stale owner."

[cluster]
gateways = 3
brokers  = 1
stores   = 3
partitions = 16

[users]
count = 60          # <script>alert("escaped")</script>
conversations = { direct = 8, groups = 12, group_size = "uniform(3..12)" }

[load]
phases = [ { for = "18s", rate = "400/s" } ]

[[fault]]
at = "5s"
kind = "pause"
target = "owner(conversation=3)"
for = "4s"

[expect]
verdict = "valid"
accept = { p99 = "< 5s" }
"#;

fn mix(verdict: Verdict) -> Mix {
    let mut mix = Mix {
        send: 0.9,
        reply: 0.05,
        edit: 0.02,
        delete: 0.01,
        read_history: 0.0,
        join_leave: 0.0,
        reconnect: 0.02,
        typing: 0.0,
        revoke: 0.0,
        log_out: 0.0,
    };
    if verdict == Verdict::Unknown {
        mix.send = 1.0;
    }
    mix
}

/// The scenario of a show.
pub(crate) fn scenario(name: &str, verdict: Verdict) -> Scenario {
    let ms = Duration::from_millis;
    Scenario {
        name: name.to_owned(),
        question: "Does a store node that wakes up from a long pause corrupt a conversation?"
            .to_owned(),
        lesson: "A lease is not a lock: only a fencing number, checked by the storage itself, \
                 stops a stale owner."
            .to_owned(),
        tries: vec![Try {
            set: vec![Override::parse("design.fencing=none").expect("a key and a value")],
            seed: None,
            predicted: ExpectedOutcome::Violates(vec!["one_owner_per_partition".to_owned()]),
            because: "The owner that wakes up writes what the new one has written already."
                .to_owned(),
        }],
        cluster: ClusterShape {
            gateways: 3,
            brokers: 1,
            stores: 3,
            partitions: 16,
            replication: 1,
            engine: protocol::StoreEngine::Redb,
            limits: protocol::LimitSet::Default,
            token_lifetime: Duration::from_hours(1),
            heartbeat: protocol::limits::CLIENT_HEARTBEAT,
            link_timeout: protocol::limits::LINK_IDLE_TIMEOUT,
        },
        design: Design::default(),
        users: Users {
            count: 60,
            devices: 1,
            direct: 8,
            groups: 12,
            group_size: Size::Uniform(3, 12),
            offline: 0,
            renewing: 1.0,
            connect_over: ms(2_000),
            transport: Transport::Socket,
            codec: CodecChoice::Binary,
        },
        load: load(mix(verdict)),
        network: NetworkShape {
            latency_min: ms(1),
            latency_max: ms(5),
            tick: ms(1),
            disk_sync: ms(2),
        },
        faults: Vec::new(),
        random_faults: None,
        journeys: None,
        expect: expect(),
        phases: PhaseLengths { warm_up: ms(3_000), heal: ms(3_000), settle: ms(3_000) },
    }
}

fn expect() -> Expect {
    let ms = Duration::from_millis;
    let below_5s = PercentileBounds { p99: Some(ms(5_000)), ..PercentileBounds::default() };
    Expect {
        outcome: ExpectedOutcome::Valid,
        delivered_after_heal: ms(10_000),
        no_stuck_session: ms(15_000),
        recovers_within: ms(20_000),
        revocation_within: ms(1_000),
        pushed_within: Duration::from_secs(20),
        thresholds: Thresholds {
            accept: LatencyBounds { all: below_5s, ..LatencyBounds::default() },
            deliver: LatencyBounds { all: below_5s, ..LatencyBounds::default() },
            ..Thresholds::default()
        },
        may_be_idle: vec!["receipts_only_rise".to_owned()],
    }
}

fn load(mix: Mix) -> Load {
    let ms = Duration::from_millis;
    Load {
        arrivals: Arrivals::Poisson,
        phases: vec![LoadPhase { lasts: ms(18_000), rate: Rate::Constant(400.0) }],
        mix,
        activity: Activity { users: 0.0, conversations: 0.0 },
        visits: None,
        body: Size::Fixed(64),
        poison: 0,
        slow_readers: None,
        vanishing: None,
        receipts_every: ms(1_000),
    }
}
