//! Following messages through the nodes of a run changes nothing of it: what is seen when a seed is run again is
//! what happened before.
#![cfg(target_os = "linux")]
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod processes;

use processes::{FRACAS, Playground};
use std::io::Write;
use std::process::{Command, Stdio};

/// Faults, pushes, and few steps of the network.
const RUN: [&str; 7] =
    ["history", "smoke", "--seed=1", "--set", "network.tick=5ms", "--set", "users.offline=8"];

/// The lines of a history, in which these messages are followed.
fn history(follow: Option<&[serde_json::Value]>) -> Vec<String> {
    let mut command = Command::new(FRACAS);
    command.args(RUN).args(follow.map(|_| "--follow"));
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let text = serde_json::to_vec(&follow.unwrap_or_default()).unwrap();
    child.stdin.take().unwrap().write_all(&text).unwrap_or_default();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success());
    String::from_utf8(output.stdout).unwrap().lines().map(str::to_owned).collect()
}

#[test]
fn a_run_is_the_same_whether_messages_are_followed_or_not() {
    let plain = history(None);
    let accepted = plain.iter().filter_map(|line| {
        let event: serde_json::Value = serde_json::from_str(line).ok()?;
        let accepted = event["is"].get("accepted")?;
        let user = &accepted["device"]["user"];
        Some(serde_json::json!([accepted["conversation"], user, accepted["message"]]))
    });
    let accepted: Vec<serde_json::Value> = accepted.collect();
    assert!(accepted.len() > 500, "{}", accepted.len());
    let (steps, events): (Vec<String>, Vec<String>) =
        history(Some(&accepted)).into_iter().partition(|line| line.starts_with("step "));
    let differs = plain.iter().zip(&events).position(|(one, other)| one != other);
    assert_eq!(differs.map(|at| (&plain[at], &events[at])), None);
    assert_eq!(plain.len(), events.len());
    for step in ["publish", "sequence", "commit", "fan_out", "deliver", "push"] {
        let told = format!("\"step\":\"{step}\"");
        assert!(steps.iter().any(|line| line.contains(&told)), "{step} is missing");
    }
    let is_durable =
        |line: &&String| line.contains("\"sequence\"") && !line.contains("\"to_us\":null");
    let durable = steps.iter().filter(is_durable).count();
    assert!(durable >= accepted.len() * 9 / 10, "{durable} of {}", accepted.len());
}

#[test]
fn a_report_draws_what_the_nodes_did() {
    let playground = Playground::new("followed", "unused.toml", "");
    let out = playground.path().join("run");
    let status = Command::new(FRACAS)
        .args(["run", "owner-killed", "--quiet", "--set", "design.accept=before_persist", "--out"])
        .arg(&out)
        .stdout(Stdio::null())
        .status()
        .unwrap();
    assert_eq!(status.code(), Some(1));
    let page = std::fs::read_to_string(out.join("report.html")).unwrap();
    for words in [
        "gateway-2 publishes 33/2 #7",
        "store-2 gets 33/2 #7 from its queue",
        "33/2 #7 is accepted as sequence 21, before it is durable",
        "a second run of the same seed",
    ] {
        assert!(page.contains(words), "{words}");
    }
}
