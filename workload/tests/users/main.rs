//! Virtual users against a small cluster in memory, on simulated time, judged like any run.

mod bulk;
mod fake_cluster;

use fake_cluster::FakeCluster;
use fakes::Memory;
use protocol::RejectReason;
use scenarios::scenario::{Scenario, Transport, Visits};
use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::{Instant, sleep};
use verify::history::event::{Engine, Phase, Said};
use verify::history::{Event, What};
use verify::{Judge, JudgeOptions, Verdict};
use workload::plan::Kind;
use workload::set_up::set_up;
use workload::{Plan, Recorder, Targets, final_reads, run_users};

/// Everything in one list.
struct Notes {
    began: Instant,
    events: Mutex<Vec<Event>>,
}

impl Recorder for Notes {
    fn record(&self, what: What) {
        let event = Event { at: self.now_us(), is: what };
        self.events.lock().expect("no holder panics").push(event);
    }

    fn now_us(&self) -> u64 {
        self.began.elapsed().as_micros() as u64
    }
}

const SCENARIO: &str = r#"
name = "users"
question = "Do groups keep their side of the promises?"
lesson = "They do."

[cluster]
gateways = 2
stores = 1
partitions = 4

[users]
count = 20
devices = 2
offline = 2
conversations = { direct = 12, groups = 3, group_size = "uniform(3..6)" }
connect = { over = "1s" }

[load]
phases = [{ for = "10s", rate = "50/s" }]
mix = { send = 0.6, reply = 0.1, edit = 0.05, delete = 0.05, read_history = 0.05, join_leave = 0.05, reconnect = 0.05, typing = 0.05 }
receipts_every = "500ms"

[expect]
verdict = "valid"
"#;

fn scenario() -> Scenario {
    scenarios::parse(SCENARIO, "users.toml", &[]).expect("it is a valid scenario")
}

/// Runs a scenario and returns its history.
async fn run(scenario: &Scenario, seed: u64, faults: bool) -> Vec<Event> {
    let memory = Memory::default();
    let gateways = ["gateway-1:80", "gateway-2:80"].map(str::to_owned);
    let cluster = FakeCluster::start(&memory, &gateways, faults).await;
    cluster.tokens_live(scenario.cluster.token_lifetime);
    let targets = Targets::development(gateways.into());
    let plan = Arc::new(Plan::new(scenario, seed));
    let notes = Arc::new(Notes { began: Instant::now(), events: Mutex::default() });
    let recorder: Arc<dyn Recorder> = notes.clone();
    let (phase, phases) = watch::channel(Phase::SetUp);
    let enter = |now: Phase| {
        notes.record(What::Phase(now));
        phase.send_replace(now);
    };

    enter(Phase::SetUp);
    let machine = memory.machine("clients-1");
    set_up(machine.clone(), plan.clone(), targets.clone(), recorder.clone())
        .await
        .expect("the cluster takes every conversation");
    enter(Phase::WarmUp);
    let mut groups = tokio::task::JoinSet::new();
    for (host, slice) in [("clients-1", 1..9), ("clients-2", 9..21)] {
        groups.spawn(run_users(
            memory.machine(host),
            plan.clone(),
            slice,
            targets.clone(),
            recorder.clone(),
            phases.clone(),
        ));
    }
    sleep(Duration::from_secs(3)).await;
    enter(Phase::Load);
    sleep(plan.load_for()).await;
    cluster.calm();
    enter(Phase::Heal);
    sleep(Duration::from_secs(2)).await;
    enter(Phase::Settle);
    sleep(Duration::from_secs(20)).await;
    enter(Phase::Judge);
    let doubts = final_reads(machine, plan, targets, recorder, BTreeSet::new()).await;
    assert!(doubts.is_empty(), "{doubts:?}");
    phase.send_replace(Phase::End);
    while let Some(users) = groups.join_next().await {
        let users = users.expect("it ends well");
        assert_eq!(users.lateness.doubt(), None);
        users.goodbye.say().await;
    }
    notes.record(What::Phase(Phase::End));
    std::mem::take(&mut *notes.events.lock().expect("no holder panics"))
}

/// What a cluster in memory has nothing to show for, and what a short heal leaves no time for.
const IDLE: [&str; 5] = [
    "queues_stay_bounded",
    "one_owner_per_partition",
    "recovers_to_baseline",
    "nobody_present_is_pushed",
    "no_node_panics",
];
/// What it does not do.
const UNDONE: &str = "away_member_is_pushed";

fn assert_valid(scenario: &Scenario, seed: u64, events: &[Event]) {
    let header = workload::header(scenario, seed, Engine::Simulated);
    let may_be_idle = IDLE.map(str::to_owned).into();
    let mut judge = Judge::new(&header, JudgeOptions { may_be_idle, evidence_max: 2, keep: None });
    for event in events {
        judge.observe(event);
    }
    let judgement = judge.finish();
    let violated = judgement.findings.iter().filter(|f| f.verdict == Verdict::Violated);
    let bad: Vec<_> = violated.filter(|finding| finding.invariant != UNDONE).collect();
    assert!(bad.is_empty(), "{bad:#?}");
    assert_eq!(judgement.doubts, [""; 0]);
}

fn count(events: &[Event], is: impl Fn(&What) -> bool) -> usize {
    events.iter().filter(|event| is(&event.is)).count()
}

#[tokio::test(start_paused = true)]
async fn a_quiet_run_is_valid_and_everything_is_answered() {
    let scenario = scenario();
    let events = run(&scenario, 1, false).await;
    assert_valid(&scenario, 1, &events);
    let sent = count(&events, |what| matches!(what, What::Sent { .. }));
    assert!(sent > 300, "{sent}");
    assert_eq!(count(&events, |what| matches!(what, What::Unanswered { .. })), 0);
    // The last two users are offline, from the beginning to the end.
    let opened_from = |user: u64| {
        count(&events, |what| matches!(what, What::Opened { device, .. } if device.user.0 >= user))
    };
    assert!(opened_from(18) > 0);
    assert_eq!(opened_from(19), 0);
    // Users who have left a group mostly talk elsewhere; a few go on, and are refused.
    let refused = count(&events, |what| matches!(what, What::Rejected { .. }));
    assert!((1..=sent / 50).contains(&refused), "{refused} of {sent}");
    for expected in [
        count(&events, |what| matches!(what, What::ReadEnded { whole: true, .. })),
        count(&events, |what| matches!(what, What::ReceiptSeen { .. })),
        count(&events, |what| matches!(what, What::MemberChanged { add: false, .. })),
        count(&events, |what| matches!(what, What::Closed { code: 1000, .. })),
        count(&events, |what| matches!(what, What::StoredCursor { .. })),
    ] {
        assert!(expected > 0);
    }
}

#[tokio::test(start_paused = true)]
async fn lost_answers_and_refusals_are_survived_over_sockets() {
    let scenario = scenario();
    let events = run(&scenario, 2, true).await;
    assert_valid(&scenario, 2, &events);
    assert!(count(&events, |what| matches!(what, What::Resent { .. })) > 10);
    assert!(count(&events, |what| matches!(what, What::Closed { code: 0, .. })) > 5);
    let began = count(&events, |what| matches!(what, What::ReadBegan { .. }));
    let ended = count(&events, |what| matches!(what, What::ReadEnded { .. }));
    let failed = count(&events, |what| matches!(what, What::ReadFailed { .. }));
    assert!(failed > 3 && ended + failed <= began, "{began} began, {ended} ended, {failed} failed");
    assert_eq!(count(&events, |what| matches!(what, What::Unanswered { .. })), 0);
}

#[tokio::test(start_paused = true)]
async fn lost_answers_and_refusals_are_survived_over_trunks() {
    let mut scenario = scenario();
    scenario.users.transport = Transport::Trunk;
    let events = run(&scenario, 3, true).await;
    assert_valid(&scenario, 3, &events);
    assert!(count(&events, |what| matches!(what, What::Resent { .. })) > 10);
    assert_eq!(count(&events, |what| matches!(what, What::Unanswered { .. })), 0);
}

#[tokio::test(start_paused = true)]
async fn whoever_loses_the_token_gets_another_one_and_sends_again() {
    for (seed, transport) in [(9, Transport::Socket), (10, Transport::Trunk)] {
        let mut scenario = scenario();
        scenario.users.transport = transport;
        (scenario.load.mix.send, scenario.load.mix.edit) = (0.55, 0.0);
        (scenario.load.mix.revoke, scenario.load.mix.log_out) = (0.05, 0.05);
        let events = run(&scenario, seed, false).await;
        assert_valid(&scenario, seed, &events);
        assert_eq!(count(&events, |what| matches!(what, What::Unanswered { .. })), 0);
        let unauthorised = |what: &What| match what {
            What::Rejected { reason, .. } => *reason == RejectReason::Unauthorised,
            _ => false,
        };
        for expected in [
            count(&events, unauthorised),
            count(&events, |what| matches!(what, What::Closed { code: 4401, .. })),
            count(&events, |what| matches!(what, What::Closed { code: 1000, .. })),
        ] {
            assert!(expected > 3, "{expected}");
        }
        // Revoked, granted, revoked, ...: and nobody gets in between.
        let mut revoked = BTreeSet::new();
        let mut times = 0;
        for event in &events {
            match event.is {
                What::Revoked { user } => {
                    times += 1;
                    assert!(revoked.insert(user));
                }
                What::Granted { user } => assert!(revoked.remove(&user)),
                What::Opened { device, .. } => assert!(!revoked.contains(&device.user)),
                _ => {}
            }
        }
        assert!(times > 5 && revoked.is_empty(), "{times}, {revoked:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_token_that_runs_out_costs_nothing_whether_it_is_renewed_or_not() {
    for (renew, seed) in [(true, 11), (false, 12)] {
        let mut scenario = scenario();
        scenario.cluster.token_lifetime = Duration::from_secs(10);
        scenario.users.renewing = f64::from(renew);
        let events = run(&scenario, seed, false).await;
        assert_valid(&scenario, seed, &events);
        assert_eq!(count(&events, |what| matches!(what, What::Unanswered { .. })), 0);
        let closed = count(&events, |what| matches!(what, What::Closed { code: 4401, .. }));
        assert_eq!(closed == 0, renew, "{closed}");
    }
}

/// A third of them is there at once, and comes and goes.
fn visited() -> Scenario {
    let mut scenario = scenario();
    scenario.load.phases[0].rate = scenarios::scenario::Rate::Constant(3.0);
    scenario.load.visits = Some(Visits {
        stay: Duration::from_secs(2),
        think: Duration::from_millis(100),
        replies: 0.4,
        reply_after_min: Duration::from_millis(100),
        reply_after_max: Duration::from_millis(800),
    });
    scenario
}

/// Who is there, from the history alone.
fn assert_visited(events: &[Event]) {
    let (mut there, mut away) = (BTreeSet::new(), BTreeSet::new());
    let (mut fewest, mut backs) = (usize::MAX, 0);
    let mut phase = Phase::SetUp;
    for event in events {
        match event.is {
            What::Phase(now) => phase = now,
            What::Opened { device, .. } => {
                assert!(!away.contains(&device), "{device:?} was put away");
                there.insert(device);
            }
            What::Closed { device, code } => {
                there.remove(&device);
                if code == 1000 && phase < Phase::Settle {
                    away.insert(device);
                    fewest = fewest.min(there.len());
                }
            }
            What::Back { device } => {
                backs += 1;
                assert!(away.remove(&device), "{device:?} was there");
            }
            What::Sent { device, .. } => assert!(!away.contains(&device), "{device:?} is away"),
            _ => {}
        }
    }
    // 18 users have 36 devices, of which 6 are there in the long run.
    assert!((1..13).contains(&fewest), "{fewest}");
    assert!(backs > 36 && away.is_empty(), "{backs}, {away:?}");
}

#[tokio::test(start_paused = true)]
async fn users_come_and_go_and_reply_to_what_they_see() {
    for (seed, transport) in [(21, Transport::Socket), (22, Transport::Trunk)] {
        let mut scenario = visited();
        scenario.users.transport = transport;
        scenario.load.mix.reconnect = 0.0;
        scenario.load.mix.send += 0.05;
        let events = run(&scenario, seed, false).await;
        assert_valid(&scenario, seed, &events);
        assert_visited(&events);
        let parents = |what: &What| {
            matches!(what, What::Sent { said: Said::Message { parent: Some(_), .. }, .. })
        };
        let planned = Plan::new(&scenario, seed);
        let acts = planned.schedule(planned.users()).filter(|it| it.kind == Kind::Reply).count();
        let replies = count(&events, parents);
        assert!(replies > acts + 10, "{replies} replies, {acts} of them of the plan");
        let ids = |what: &What| matches!(what, What::Unanswered { .. });
        assert_eq!(count(&events, ids), 0);
    }
}

#[tokio::test(start_paused = true)]
async fn visitors_survive_lost_answers_and_refusals() {
    let scenario = visited();
    let events = run(&scenario, 23, true).await;
    assert_valid(&scenario, 23, &events);
    assert_eq!(count(&events, |what| matches!(what, What::Unanswered { .. })), 0);
    let back = count(&events, |what| matches!(what, What::Back { .. }));
    assert!(back > 36, "{back}");
}

#[tokio::test(start_paused = true)]
async fn messages_are_sent_when_they_are_due_whatever_the_answers() {
    let events = run(&scenario(), 4, true).await;
    for event in &events {
        if let What::Sent { intended, .. } = event.is {
            assert!(event.at >= intended && event.at - intended < 5_000, "{event:?}");
        }
    }
}

#[test]
fn the_same_seed_makes_the_same_history() {
    let history = || {
        tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .start_paused(true)
            .build()
            .expect("a runtime")
            .block_on(run(&scenario(), 5, true))
    };
    let (first, second) = (history(), history());
    let differs = first.iter().zip(&second).find(|(first, second)| first != second);
    assert_eq!(differs, None);
    assert_eq!(first.len(), second.len());
}
