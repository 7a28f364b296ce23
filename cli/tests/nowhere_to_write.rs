//! A report or a log that cannot be written does not swallow the verdict.
#![cfg(target_os = "linux")]
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod processes;

use processes::{FRACAS, Playground};
use std::os::unix::fs::symlink;
use std::process::Command;

const SCENARIO: &str = r#"
question = "Is the verdict told if it cannot be written down?"
lesson = "It is."
[cluster]
gateways = 1
stores = 1
partitions = 1
[users]
count = 2
conversations = { direct = 1 }
[load]
phases = [{ for = "1s", rate = "20/s" }]
[phases]
warm_up = "2s"
heal = "2s"
settle = "5s"
[expect]
verdict = "valid"
delivered_after_heal = "5s"
no_stuck_session = "5s"
recovers_within = "1s"
pushed_within = "5s"
may_be_idle = [
    "edits_converge", "recovers_to_baseline", "reply_after_parent", "own_message_visible", "reads_never_go_back",
    "away_member_is_pushed", "nobody_present_is_pushed",
]
"#;

/// Runs with one file of the report on a full device: the status, the result, the complaints.
fn run(full: &str, set: &[&str]) -> (Option<i32>, String, String) {
    let playground = Playground::new(&format!("full-{full}-{}", set.len()), "s.toml", SCENARIO);
    let out = playground.path().join("out");
    std::fs::create_dir(&out).unwrap();
    symlink("/dev/full", out.join(full)).unwrap();
    let ended = Command::new(FRACAS)
        .args(["run", "s.toml", "--quiet", "--out", "out"])
        .args(set)
        .current_dir(playground.path())
        .output()
        .unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    (ended.status.code(), text(ended.stdout), text(ended.stderr))
}

#[test]
fn a_verdict_without_its_report_is_told_and_decides_the_status() {
    let (status, told, complaint) = run("report.html", &[]);
    assert!(told.starts_with("valid "), "{told}\n{complaint}");
    assert!(complaint.contains("cannot write out/report.html: No space left"), "{complaint}");
    assert_eq!(status, Some(2), "somebody who keeps the report has nothing to keep");

    let (status, told, complaint) = run("report.html", &["--set", "expect.accept.p99=< 1ms"]);
    assert!(told.contains("but not all else is"), "{told}\n{complaint}");
    assert!(complaint.contains("out/report.html"), "{complaint}");
    assert_eq!(status, Some(1), "what was found out stays");
}

#[test]
fn a_history_that_is_not_whole_makes_a_valid_run_unknown_and_leaves_a_violated_one() {
    let (status, told, complaint) = run("history.jsonl.gz", &[]);
    assert!(told.starts_with("unknown "), "{told}\n{complaint}");
    assert!(complaint.contains("out/history.jsonl.gz: No space left"), "{complaint}");
    assert_eq!(status, Some(2));

    let (status, told, complaint) =
        run("history.jsonl.gz", &["--set", "design.poison=drop", "--set", "load.poison=3"]);
    assert!(told.starts_with("violated "), "{told}\n{complaint}");
    assert!(complaint.contains("out/history.jsonl.gz: No space left"), "{complaint}");
    assert_eq!(status, Some(1));
}

#[test]
fn a_log_that_takes_nothing_ends_no_process() {
    let playground = Playground::new("full-log", "s.toml", SCENARIO);
    let full = std::fs::File::options().write(true).open("/dev/full").unwrap();
    let ended = Command::new(FRACAS)
        .args(["run", "s.toml", "--quiet"])
        .env("RUST_LOG", "info")
        .stderr(full)
        .current_dir(playground.path())
        .output()
        .unwrap();
    let told = String::from_utf8(ended.stdout).unwrap();
    assert!(told.starts_with("valid "), "{told}");
    assert_eq!(ended.status.code(), Some(0));
}
