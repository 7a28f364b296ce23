//! A cluster that somebody starts for himself does not outlive him, however he goes. Real processes
//! and real signals; the children are found in `/proc`.
#![cfg(target_os = "linux")]
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod processes;

use processes::{FRACAS, Playground, children, ended, is_gone, soon, state, terminate};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

/// A load that lasts longer than any test, in which the cluster is soon stopped.
const SCENARIO: &str = r#"
question = "Who is left?"
lesson = "Nobody."
[cluster]
gateways = 1
stores = 1
partitions = 4
[users]
count = 4
conversations = { direct = 2 }
[load]
phases = [{ for = "120s", rate = "10/s" }]
mix = { send = 1.0 }
[phases]
warm_up = "1s"
[[fault]]
at = "100ms"
for = "100s"
kind = "pause"
target = "store-1"
[expect]
verdict = "valid"
"#;

/// `fracas load`, and the cluster that it has started and stopped.
fn load(playground: &Playground) -> (Child, u32) {
    let load = Command::new(FRACAS)
        .args(["load", "pause.toml", "--quiet"])
        .current_dir(playground.path())
        .env("TMPDIR", playground.path().join("tmp"))
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut cluster = None;
    soon("the cluster is stopped", || {
        let stopped = |child: &u32| state(*child) == Some('T');
        cluster = children(load.id()).into_iter().find(stopped);
        cluster.is_some()
    });
    (load, cluster.unwrap())
}

#[test]
fn a_stopped_cluster_goes_with_a_load_that_is_killed() {
    let playground = Playground::new("killed-load", "pause.toml", SCENARIO);
    let (mut running, cluster) = load(&playground);
    running.kill().unwrap();
    running.wait().unwrap();
    soon("the cluster is gone", || is_gone(cluster));
}

#[test]
fn a_load_that_is_asked_to_end_judges_and_leaves_nothing() {
    let playground = Playground::new("asked-load", "pause.toml", SCENARIO);
    let (mut running, cluster) = load(&playground);
    assert_eq!(playground.left(), 1);
    terminate(running.id());
    assert_eq!(ended(&mut running).code(), Some(2), "the verdict is unknown");
    assert!(is_gone(cluster));
    assert_eq!(playground.left(), 0);
}

#[test]
fn a_cluster_ends_with_the_input_that_it_watches() {
    let playground = Playground::new("watched-input", "pause.toml", SCENARIO);
    // Five ports in a row, below those that connections get: the other tests make many.
    let port = 20_000 + std::process::id() % 2_000 * 5;
    let mut cluster = Command::new(FRACAS)
        .args(["cluster", "--json", "--ends-with-stdin", "--data=data"])
        .arg(format!("--port={port}"))
        .current_dir(playground.path())
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    std::thread::sleep(Duration::from_millis(500));
    assert_eq!(cluster.try_wait().unwrap(), None, "it runs for as long as the input is open");
    drop(cluster.stdin.take());
    assert_eq!(ended(&mut cluster).code(), Some(2));
}
