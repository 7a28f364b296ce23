//! A cluster that somebody starts for himself does not outlive him, however he goes. Real processes
//! and real signals; the children are found in `/proc`.
#![cfg(target_os = "linux")]
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod processes;

use processes::{FRACAS, Playground, children, ended, is_gone, soon, state, terminate};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

/// A load that lasts longer than any test, in which a store is soon stopped.
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

/// How a cluster is made: a process for each node, or one.
const MODES: [&[&str]; 2] = [&[], &["--one-process"]];

/// `fracas load`, all processes of its cluster, and the one that it has stopped.
fn load(playground: &Playground, mode: &[&str]) -> (Child, Vec<u32>, u32) {
    let load = Command::new(FRACAS)
        .args(["load", "pause.toml", "--quiet"])
        .args(mode)
        .current_dir(playground.path())
        .env("TMPDIR", playground.path().join("tmp"))
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let is_several = mode.contains(&"--seeds");
    let mut stopped = None;
    soon("a process is stopped", || {
        let is_stopped = |child: &u32| state(*child) == Some('T');
        let runs = children(load.id());
        let below = if is_several { runs.into_iter().flat_map(children).collect() } else { runs };
        stopped = below.into_iter().find(is_stopped);
        stopped.is_some()
    });
    let cluster = children(load.id());
    // A guard of the stopped one is among them.
    let count = match mode {
        [] => 6,
        ["--one-process"] => 2,
        _ => 1,
    };
    assert_eq!(cluster.len(), count, "{cluster:?}");
    (load, cluster, stopped.unwrap())
}

#[test]
fn stopped_and_running_nodes_go_with_a_load_that_is_killed() {
    for mode in MODES {
        let playground = Playground::new("killed-load", "pause.toml", SCENARIO);
        let (mut running, cluster, stopped) = load(&playground, mode);
        running.kill().unwrap();
        running.wait().unwrap();
        soon("the stopped one is gone", || is_gone(stopped));
        soon("the others are gone", || cluster.iter().all(|child| is_gone(*child)));
    }
}

#[test]
fn a_load_that_is_asked_to_end_judges_and_leaves_nothing() {
    for mode in MODES {
        let playground = Playground::new("asked-load", "pause.toml", SCENARIO);
        let (mut running, cluster, _) = load(&playground, mode);
        assert_eq!(playground.left(), 1);
        terminate(running.id());
        assert_eq!(ended(&mut running).code(), Some(2), "the verdict is unknown");
        assert!(cluster.iter().all(|child| is_gone(*child)));
        assert_eq!(playground.left(), 0);
    }
}

/// Several runs in a row: the first one, whose cluster runs.
#[test]
fn the_first_of_several_loads_leaves_nothing_when_all_are_ended() {
    for is_killed in [true, false] {
        let playground = Playground::new("several-loads", "pause.toml", SCENARIO);
        let (mut running, run, stopped) = load(&playground, &["--seeds", "2"]);
        let [run] = run[..] else { panic!("one run at a time: {run:?}") };
        let cluster = children(run);
        if is_killed {
            running.kill().unwrap();
            running.wait().unwrap();
        } else {
            terminate(running.id());
            assert_eq!(ended(&mut running).code(), Some(2), "not all have run");
            assert_eq!(playground.left(), 0);
        }
        soon("the run is gone", || is_gone(run) && is_gone(stopped));
        soon("its cluster is gone", || cluster.iter().all(|child| is_gone(*child)));
    }
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
