//! Runs that end when a threshold is lost, and the search for the rate at which none is.
#![cfg(target_os = "linux")]
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod processes;

use processes::{FRACAS, Playground, output, soon};
use std::process::{Command, Stdio};

const SCENARIO: &str = r#"
question = "How much is too much?"
lesson = "A microsecond is too little."
[cluster]
gateways = 1
stores = 1
partitions = 2
[users]
count = 6
conversations = { direct = 3 }
[load]
phases = [{ for = "60s", rate = "30/s" }]
mix = { send = 1.0 }
[phases]
heal = "1s"
settle = "5s"
[expect]
verdict = "valid"
may_be_idle = ["reply_after_parent", "own_message_visible", "edits_converge", "recovers_to_baseline"]
delivered_after_heal = "4s"
no_stuck_session = "4s"
pushed_within = "4s"
"#;

/// What a machine lacks meanwhile makes a run unknown, never the cluster's failure.
const LIMITED: [&str; 2] = ["limit of its own", "other work had the processors"];

fn is_limited(said: &str) -> bool {
    LIMITED.iter().any(|why| said.contains(why))
}

#[test]
fn a_run_ends_when_a_threshold_cannot_be_met_any_more() {
    let playground = Playground::new("abort", "a.toml", SCENARIO);
    let load = Command::new(FRACAS)
        .args(["load", "a.toml", "--one-process", "--quiet", "--out=run"])
        .args(["--set", "expect.accept.send.max=< 1us", "--set", "expect.abort_after=2s"])
        .current_dir(playground.path())
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn();
    let ended = output(load.unwrap());
    let said = String::from_utf8_lossy(&ended.stdout);
    let said = said.split_whitespace().collect::<Vec<_>>().join(" ");
    let status = if is_limited(&said) { 2 } else { 1 };
    assert_eq!(ended.status.code(), Some(status), "{said}");
    assert!(
        said.contains("accept_send_max cannot be met any more: one took longer than 1 µs"),
        "{said}"
    );
    let file = std::fs::read_to_string(playground.path().join("run/verdict.json")).unwrap();
    let file: serde_json::Value = serde_json::from_str(&file).unwrap();
    let why = file["measured"]["unmeetable"].as_str().unwrap();
    assert!(why.starts_with("accept_send_max cannot"), "{why}");
    let ended_us = file["measured"]["ended_us"].as_u64().unwrap();
    assert!(ended_us < 40_000_000, "a minute of load was not waited for: {ended_us}");
}

#[test]
fn a_search_that_is_interrupted_tells_what_it_has_seen() {
    let playground = Playground::new("knee", "a.toml", SCENARIO);
    let knee = Command::new(FRACAS)
        .args(["knee", "a.toml", "--one-process", "--for=3s", "--from=40/s", "--out=knee"])
        .current_dir(playground.path())
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let at = |name: &str| playground.path().join("knee").join(name);
    soon("the second level has begun", || at("2").exists());
    Command::new("kill").args(["-INT", &knee.id().to_string()]).status().unwrap();
    let ended = output(knee);
    let said = String::from_utf8_lossy(&ended.stdout);
    assert_eq!(ended.status.code(), Some(2), "{said}");
    assert!(said.contains("then the search was interrupted"), "{said}");
    let page = std::fs::read_to_string(at("knee.html")).unwrap();
    assert!(page.contains("href=\"1/report.html\"") && at("1/report.html").exists());
    let told: serde_json::Value =
        serde_json::from_str(&std::fs::read_to_string(at("knee.json")).unwrap()).unwrap();
    assert_eq!((&told["end"], &told["levels"][0]["rate"]), (&"interrupted".into(), &40.0.into()));
    assert_eq!(told["levels"].as_array().unwrap().len(), 2, "one is over, one is not: {told:#}");
    let first = told["levels"][0]["outcome"].as_str().unwrap();
    assert!(["sustained", "generator_limited"].contains(&first), "{told:#}");
}
