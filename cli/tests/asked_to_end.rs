//! A load that is asked to end, at any moment, ends soon, accuses nobody and leaves nothing.
#![cfg(target_os = "linux")]
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod processes;

use processes::{
    FRACAS, Playground, children, command_line, is_gone, output, soon, takes_sigterm, terminate,
};
use std::process::{Child, Command, Stdio};
use std::time::Duration;
use tokio::time::Instant;

/// Moments at which somebody asks, spread over the run.
const MOMENTS: u32 = 20;
/// Runs at once: they wait more than they work.
const LANES: u32 = 2;
/// How long an end may take: the users say goodbye, and the cluster is killed.
const SOON: Duration = Duration::from_secs(20);

/// Every phase in a few seconds, with the cluster killed and started again in the middle.
const SCENARIO: &str = r#"
question = "What is said of a run that ends early?"
lesson = "Only what was seen."
[cluster]
gateways = 1
stores = 1
partitions = 4
[users]
count = 20
conversations = { direct = 10, groups = 2, group_size = 4 }
connect = { over = "300ms" }
[load]
phases = [{ for = "2s", rate = "60/s" }]
mix = { send = 0.75, reply = 0.05, edit = 0.05, read_history = 0.05, join_leave = 0.05, reconnect = 0.05 }
receipts_every = "500ms"
[phases]
warm_up = "2s"
heal = "2s"
settle = "3s"
[[fault]]
at = "500ms"
for = "200ms"
kind = "kill"
target = "store-1"
[expect]
verdict = "valid"
delivered_after_heal = "3s"
no_stuck_session = "3s"
recovers_within = "1500ms"
pushed_within = "3s"
may_be_idle = [
    "edits_converge", "recovers_to_baseline", "reply_after_parent",
    "away_member_is_pushed", "nobody_present_is_pushed",
]
"#;

fn load(playground: &Playground, mode: &[&str]) -> Child {
    Command::new(FRACAS)
        .args(["load", "early.toml", "--quiet"])
        .args(mode)
        .current_dir(playground.path())
        .env("TMPDIR", playground.path().join("tmp"))
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap()
}

#[test]
fn a_load_that_is_asked_to_end_at_any_moment_accuses_nobody() {
    let began = Instant::now();
    let whole = output(load(&Playground::new("whole-run", "early.toml", SCENARIO), &[]));
    let lasts = began.elapsed();
    // On a busy machine the generator may be late.
    assert!(matches!(whole.status.code(), Some(0 | 2)), "{whole:?}");
    std::thread::scope(|scope| {
        for lane in 0..LANES {
            let moments = (lane..MOMENTS).step_by(LANES as usize);
            scope.spawn(move || moments.for_each(|moment| asked_after(lasts * moment / MOMENTS)));
        }
    });
}

#[test]
fn a_cluster_that_somebody_else_asks_to_end_is_not_blamed_for_its_farewell() {
    for (mode, node, told) in
        [(&["--one-process"][..], "cluster", "the cluster"), (&[], "node store", "store-1")]
    {
        let playground =
            Playground::new(&format!("farewell-{}", mode.len()), "early.toml", SCENARIO);
        let load = load(&playground, mode);
        // Past the fault, which ends one process and starts another.
        let first = process_of(&load, node, None);
        let second = process_of(&load, node, Some(first));
        soon("it listens to signals", || takes_sigterm(second));
        // It has started by then, whatever else the machine does.
        std::thread::sleep(Duration::from_secs(3));
        let others = children(load.id());
        terminate(second);
        let asked = Instant::now();
        let ended = output(load);
        let (took, said) = (asked.elapsed(), String::from_utf8_lossy(&ended.stdout));
        assert!(took < SOON, "{took:?}\n{said}");
        assert_eq!(ended.status.code(), Some(2), "{said}");
        assert!(said.contains(&format!("something else stopped {told} (")), "{said}");
        assert!(others.iter().all(|child| is_gone(*child)));
    }
}

#[test]
fn a_node_that_somebody_kills_is_named_and_no_other_is_blamed() {
    let playground = Playground::new("murdered-node", "early.toml", SCENARIO);
    let load = load(&playground, &[]);
    let broker = process_of(&load, "node broker", None);
    soon("it listens to signals", || takes_sigterm(broker));
    std::thread::sleep(Duration::from_secs(2));
    assert!(Command::new("kill").args(["-KILL", &broker.to_string()]).status().unwrap().success());
    let ended = output(load);
    let said = String::from_utf8_lossy(&ended.stdout);
    assert_eq!(ended.status.code(), Some(2), "{said}");
    let folded = said.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(folded.contains("broker-1 ended by itself") && folded.contains("signal: 9"), "{said}");
    assert!(folded.contains("broker-1 exited on its own"), "{said}");
}

/// The process of a load that runs `fracas NODE`, other than that one.
fn process_of(load: &Child, node: &str, other: Option<u32>) -> u32 {
    let mut found = None;
    soon("it runs", || {
        let own = children(load.id()).into_iter().filter(|child| Some(*child) != other);
        found = own.into_iter().find(|child| command_line(*child).contains(node));
        found.is_some()
    });
    found.unwrap()
}

/// Asks a run to end so long after it has begun to listen.
fn asked_after(wait: Duration) {
    let playground =
        Playground::new(&format!("asked-{}", wait.as_millis()), "early.toml", SCENARIO);
    let load = load(&playground, &[]);
    soon("it listens to signals", || takes_sigterm(load.id()));
    std::thread::sleep(wait);
    let cluster = children(load.id());
    terminate(load.id());
    let asked = Instant::now();
    let ended = output(load);
    let took = asked.elapsed();
    let told = String::from_utf8_lossy(&ended.stdout);
    let context = format!("asked after {wait:?}, ended {took:?} later, {}:\n{told}", ended.status);
    assert!(took < SOON, "{context}");
    // It may have been over by then.
    let expected = if told.starts_with("valid") { 0 } else { 2 };
    assert_eq!(ended.status.code(), Some(expected), "{context}");
    assert!(expected == 0 || told.starts_with("unknown"), "{context}");
    soon("the cluster is gone", || cluster.iter().all(|child| is_gone(*child)));
    assert_eq!(playground.left(), 0, "{context}\n{}", playground.leftovers());
}
