//! A small, fabricated run for this crate's own tests.

use crate::expectation::{Expectation, expectations};
use crate::machine::Machine;
use crate::measured::{
    Band, Baseline, FromSent, Latency, Look, Measured, Operations, Percentiles, PhaseMark, Point,
    Recovery, Requests, Second, Totals, Used,
};
use crate::run::{Run, Took};
use protocol::{
    ClientMessageId, ConversationId, Design, DeviceId, Epoch, NodeNumber, Sequence, UserId,
};
use scenarios::scenario::{
    Activity, Arrivals, ClusterShape, CodecChoice, Expect, ExpectedOutcome, LatencyBounds, Load,
    LoadPhase, Mix, NetworkShape, PercentileBounds, PhaseLengths, Rate, Size, Thresholds,
    Transport, Try, Users,
};
use scenarios::{Override, Scenario};
use std::time::Duration;
use verify::history::Header;
use verify::history::event::{Deadlines, Device, Engine, FORMAT, Phase, Request, Said, What};
use verify::verdict::{Evidence, Finding, Judgement, Verdict};

const fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

pub(crate) fn scenario() -> Scenario {
    Scenario {
        name: "owner-paused".to_owned(),
        question: "Does an owner that <script>sleeps</script> corrupt a conversation?".to_owned(),
        lesson: "A lease is not a lock.".to_owned(),
        tries: vec![Try {
            set: vec![Override::parse("design.accept=before_persist").expect("it has a key")],
            seed: None,
            predicted: ExpectedOutcome::Violates(vec!["accepted_message_survives".to_owned()]),
            because: "The owner answers too early.".to_owned(),
        }],
        cluster: ClusterShape {
            gateways: 2,
            brokers: 1,
            stores: 2,
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
            count: 3,
            devices: 2,
            direct: 1,
            groups: 0,
            group_size: Size::Fixed(3),
            offline: 0,
            renewing: 1.0,
            connect_over: ms(500),
            transport: Transport::Socket,
            codec: CodecChoice::Binary,
        },
        load: Load {
            arrivals: Arrivals::Poisson,
            phases: vec![LoadPhase { lasts: ms(3_000), rate: Rate::Constant(100.0) }],
            mix: Mix {
                send: 1.0,
                reply: 0.0,
                edit: 0.0,
                delete: 0.0,
                read_history: 0.0,
                join_leave: 0.0,
                reconnect: 0.0,
                typing: 0.0,
                revoke: 0.0,
                log_out: 0.0,
            },
            activity: Activity { users: 0.0, conversations: 0.0 },
            visits: None,
            body: Size::Fixed(64),
            poison: 0,
            slow_readers: None,
            vanishing: None,
            receipts_every: ms(1_000),
        },
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
        phases: PhaseLengths { warm_up: ms(1_000), heal: ms(1_000), settle: ms(1_000) },
    }
}

fn expect() -> Expect {
    Expect {
        outcome: ExpectedOutcome::Valid,
        delivered_after_heal: ms(10_000),
        no_stuck_session: ms(15_000),
        recovers_within: ms(20_000),
        revocation_within: ms(1_000),
        pushed_within: ms(20_000),
        thresholds: Thresholds {
            accept: LatencyBounds {
                all: PercentileBounds { p99: Some(ms(250)), ..PercentileBounds::default() },
                ..LatencyBounds::default()
            },
            ..Thresholds::default()
        },
        may_be_idle: Vec::new(),
    }
}

pub(crate) fn header(users: u32, devices_per_user: u32) -> Header {
    Header {
        format: FORMAT,
        scenario: "small".to_owned(),
        seed: 7,
        engine: Engine::Simulated,
        users,
        devices_per_user,
        conversations: 1,
        partitions: 4,
        slow_users: 0,
        hostile: false,
        tokens_run_out: false,
        idle_us: None,
        offline_users: Some(0),
        retention: None,
        unseen: Vec::new(),
        agent: None,
        deadlines: Deadlines {
            delivered_us: 10_000_000,
            stuck_us: 15_000_000,
            recovered_us: 20_000_000,
            revocation_us: 1_000_000,
            pushed_us: None,
        },
    }
}

pub(crate) fn finding(invariant: &str, verdict: Verdict, judged: u64) -> Finding {
    Finding {
        invariant: invariant.to_owned(),
        verdict,
        judged,
        unit: "accepted messages".to_owned(),
        violations: 0,
        evidence: Vec::new(),
    }
}

pub(crate) fn judgement_of(verdict: Verdict) -> Judgement {
    let mut survives = finding("accepted_message_survives", Verdict::Valid, 1_234);
    let mut doubts = Vec::new();
    match verdict {
        Verdict::Valid => {}
        Verdict::Unknown => {
            survives = finding("accepted_message_survives", Verdict::Unknown, 0);
            doubts.push("fault 0 (pause of store-1) had no effect".to_owned());
        }
        Verdict::Violated => {
            survives.verdict = Verdict::Violated;
            survives.violations = 2;
            survives.evidence = vec![Evidence {
                at: 2_345_678,
                what:
                    "message 17 of user 2 was accepted as 9 in conversation 1, and is not in the \
                       store | <b>at the end</b>"
                        .to_owned(),
                faults: vec!["power_loss of store-1 (2.000 s to 2.500 s)".to_owned()],
                history: vec![
                    r#"{"at":1999000,"is":{"sent":{"device":{"user":2,"device":1}}}}"#.to_owned(),
                    "not \u{1} JSON </script> ]]>".to_owned(),
                ],
            }];
        }
    }
    Judgement {
        verdict,
        doubts,
        findings: vec![survives, finding("no_phantom_message", Verdict::Valid, 4_321)],
        events: 5_555,
    }
}

/// Messages of one device, each intended then and accepted so much later, in microseconds.
pub(crate) fn accepted_after(latencies: &[(u64, u64)]) -> Vec<(u64, What)> {
    let device = Device { user: UserId(1), device: DeviceId(1) };
    let conversation = ConversationId(1);
    let mut events = Vec::new();
    for (counter, (intended, latency)) in (1_u64..).zip(latencies.iter().copied()) {
        let message = ClientMessageId(1 << 40 | counter);
        let said = Said::Message { hash: counter, parent: None };
        let sequence = Sequence(counter);
        let (epoch, owner) = (Epoch(1), NodeNumber(1));
        events.push((intended, What::Sent { device, conversation, message, said, intended }));
        events.push((
            intended + latency,
            What::Accepted { device, conversation, message, sequence, epoch, owner },
        ));
    }
    events.sort_by_key(|(at, _)| *at);
    events
}

fn percentiles(count: u64, p50_us: u64) -> Percentiles {
    Percentiles {
        count,
        p50_us: Some(p50_us),
        p90_us: Some(p50_us * 2),
        p95_us: Some(p50_us * 3),
        p99_us: Some(p50_us * 5),
        p999_us: Some(p50_us * 20),
        max_us: Some(p50_us * 40),
    }
}

fn operations(p50_us: u64) -> Operations {
    Operations {
        send: percentiles(1_000, p50_us),
        reply: percentiles(100, p50_us),
        edit: percentiles(100, p50_us + 2_000),
        delete: percentiles(34, p50_us + 4_000),
    }
}

fn distribution(p50_us: u64) -> Vec<Point> {
    [(0.0, 1), (0.5, 2), (0.9, 4), (0.99, 10), (0.999, 40), (1.0, 80)]
        .map(|(quantile, times)| Point { quantile, value_us: p50_us / 2 * times })
        .to_vec()
}

pub(crate) fn measured() -> Measured {
    let latency = |p50_us: u64| Latency {
        all: percentiles(1_234, p50_us),
        mean_us: Some(p50_us as f64 * 1.5),
        calm: percentiles(1_000, p50_us - 1_000),
        under_fault: percentiles(234, p50_us * 3),
        steady: None,
        operations: operations(p50_us),
        from_sent: FromSent::default(),
        distribution: distribution(p50_us),
    };
    let second = |sent: u32, p50_us: Option<u64>| Second {
        sent,
        accepted: sent,
        delivered: sent * 5,
        connected: 6,
        accept_p50_us: p50_us,
        accept_p99_us: p50_us.map(|us| us * 5),
        deliver_p50_us: p50_us.map(|us| us + 2_000),
        deliver_p99_us: p50_us.map(|us| us * 7),
        ..Second::default()
    };
    Measured {
        ended_us: 4_400_000,
        accept: latency(8_000),
        deliver: latency(12_000),
        lateness: percentiles(1_240, 100),
        seconds: vec![
            second(0, None),
            second(410, Some(8_000)),
            second(414, None),
            second(416, Some(90_000)),
            second(0, None),
        ],
        phases: [(Phase::SetUp, 0), (Phase::WarmUp, 200_000), (Phase::Load, 1_000_000)]
            .map(|(phase, at_us)| PhaseMark { phase, at_us })
            .to_vec(),
        faults: vec![Band {
            fault: 0,
            kind: "power_loss".into(),
            target: "store-1".into(),
            from_us: 2_000_000,
            to_us: Some(2_500_000),
            effect: Some(3),
            recovery: Recovery::After(1_500_000),
        }],
        baseline: Some(Baseline {
            accept_p90_us: 14_000,
            accept_allowed_us: 92_000,
            deliver_p90_us: Some(22_000),
            deliver_allowed_us: Some(116_000),
        }),
        levels: Vec::new(),
        steady: None,
        requests: Vec::new(),
        requests_all: None,
        processes: Vec::new(),
        unmeetable: None,
        totals: Totals {
            events: 5_555,
            messages: 1_240,
            accepted: 1_234,
            unanswered: 6,
            delivered: 6_170,
            opened: 8,
            connected_max: 6,
            faults: 1,
            ..Totals::default()
        },
    }
}

fn used(process: &str) -> Used {
    let look = |second: u64| Look {
        at_us: second * 1_000_000,
        cpu_us: second * 420_000,
        memory_bytes: (30 + second) << 20,
        open_files: 40 + second,
        disk_bytes: None,
        disk_wait_us: None,
        disk_stalled_us: None,
    };
    Used {
        process: process.into(),
        cpu_us: 1_680_000,
        memory_bytes_max: 34 << 20,
        open_files_max: 44,
        disk_bytes: (process == "store-1").then_some(1_300_000),
        processors: None,
        looks: (0..5).map(look).collect(),
    }
}

/// Everything that a `Run` borrows.
pub(crate) struct Stage {
    pub(crate) scenario: Scenario,
    pub(crate) tried: Option<Try>,
    pub(crate) header: Header,
    pub(crate) judgement: Judgement,
    pub(crate) measured: Measured,
    pub(crate) expectations: Vec<Expectation>,
    pub(crate) machine: Machine,
}

impl Stage {
    pub(crate) fn of(verdict: Verdict) -> Self {
        let (scenario, judgement, measured) = (scenario(), judgement_of(verdict), measured());
        let expectations = expectations(&scenario, &judgement, &measured);
        let (header, machine) = (header(3, 2), Machine::here());
        Self { scenario, tried: None, header, judgement, measured, expectations, machine }
    }

    /// The same on real sockets, where processes are seen.
    pub(crate) fn real(verdict: Verdict) -> Self {
        let mut stage = Self::of(verdict);
        stage.header.engine = Engine::Real;
        stage.measured.processes = ["store-1", "generator"].map(used).to_vec();
        stage.measured.requests = vec![Requests {
            request: Request::PageBacklog,
            all: percentiles(1_234, 2_000),
            calm: percentiles(1_000, 1_000),
            under_fault: percentiles(234, 5_000),
            failed: [(0, 1), (503, 12)].into(),
        }];
        stage
    }

    pub(crate) fn run(&self) -> Run<'_> {
        Run {
            scenario: &self.scenario,
            scenario_toml: "name = \"owner-paused\" # </script>\n",
            tried: self.tried.as_ref(),
            path: &[],
            header: &self.header,
            judgement: &self.judgement,
            measured: &self.measured,
            expectations: &self.expectations,
            reproduce: "fracas run scenarios/safety/owner-paused.toml --seed 7",
            reproduce_here: "fracas run scenario.toml --seed 7",
            version: "0.1.0",
            history_file: "history.jsonl",
            notes: &[],
            took: Took {
                ended_at_ms: Some(1_700_000_000_000),
                wall: ms(1_200),
                cpu: ms(800),
                simulated: ms(4_400),
            },
            machine: &self.machine,
        }
    }
}
