//! A load that is asked to end, at any moment, ends soon, accuses nobody and leaves nothing.
#![cfg(target_os = "linux")]
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod processes;

use processes::{FRACAS, Playground, children, is_gone, output, soon, takes_sigterm, terminate};
use std::process::{Child, Command, Stdio};
use std::time::Duration;
use tokio::time::Instant;

/// Moments at which somebody asks.
const MOMENTS: u32 = 20;
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
offline = 2
conversations = { direct = 10, groups = 2, group_size = "4" }
connect = { over = "300ms" }
[load]
phases = [{ for = "2s", rate = "60/s" }]
mix = { send = 0.8, edit = 0.05, read_history = 0.05, join_leave = 0.05, reconnect = 0.05 }
receipts_every = "500ms"
[phases]
warm_up = "2s"
heal = "1s"
settle = "4s"
[[fault]]
at = "500ms"
for = "200ms"
kind = "kill"
target = "store-1"
[expect]
verdict = "valid"
delivered_after_heal = "4s"
no_stuck_session = "4s"
recovers_within = "4s"
pushed_within = "4s"
"#;

fn load(playground: &Playground) -> Child {
    Command::new(FRACAS)
        .args(["load", "early.toml", "--quiet"])
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
    let playground = Playground::new("early-end", "early.toml", SCENARIO);
    let began = Instant::now();
    let whole = output(load(&playground));
    let lasts = began.elapsed();
    assert_ne!(whole.status.code(), Some(1), "{whole:?}");
    for moment in 0..MOMENTS {
        let load = load(&playground);
        soon("it listens to signals", || takes_sigterm(load.id()));
        std::thread::sleep(lasts * moment / MOMENTS);
        let cluster = children(load.id());
        terminate(load.id());
        let asked = Instant::now();
        let ended = output(load);
        let told = String::from_utf8_lossy(&ended.stdout);
        let context = format!("moment {moment} of {MOMENTS} in {lasts:?}: {ended:?}");
        assert!(asked.elapsed() < SOON, "{context}");
        // It may have been over by then.
        let expected = if told.starts_with("valid") { 0 } else { 2 };
        assert_eq!(ended.status.code(), Some(expected), "{context}");
        let said = told.contains("SIGTERM ended the run") || told.contains("unknown");
        assert!(expected == 0 || said, "{context}");
        assert!(!told.contains("violated"), "{context}");
        soon("the cluster is gone", || cluster.iter().all(|child| is_gone(*child)));
        assert_eq!(playground.left(), 0, "{context}");
    }
}
