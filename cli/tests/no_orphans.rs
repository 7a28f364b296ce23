//! A cluster that somebody starts for himself does not outlive him, however he goes. Real processes
//! and real signals; the children are found in `/proc`.
#![cfg(target_os = "linux")]
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

const FRACAS: &str = env!("CARGO_BIN_EXE_fracas");

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

/// A folder for one test, gone afterwards.
struct Playground(PathBuf);

impl Playground {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("fracas-{name}-{}", std::process::id()));
        std::fs::create_dir_all(path.join("tmp")).unwrap();
        std::fs::write(path.join("pause.toml"), SCENARIO).unwrap();
        Self(path)
    }

    /// `fracas load`, and the cluster that it has started and stopped.
    fn load(&self) -> (Child, u32) {
        let load = Command::new(FRACAS)
            .args(["load", "pause.toml", "--quiet"])
            .current_dir(&self.0)
            .env("TMPDIR", self.0.join("tmp"))
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

    /// What is left in the temporary folder.
    fn left(&self) -> usize {
        std::fs::read_dir(self.0.join("tmp")).unwrap().count()
    }
}

impl Drop for Playground {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn soon(what: &str, mut holds: impl FnMut() -> bool) {
    for _ in 0..600 {
        if holds() {
            return;
        }
        std::thread::sleep(Duration::from_millis(100));
    }
    panic!("not within a minute: {what}");
}

/// The processes that any thread of a process has started.
fn children(process: u32) -> Vec<u32> {
    let Ok(threads) = std::fs::read_dir(format!("/proc/{process}/task")) else {
        return Vec::new();
    };
    let of = |thread: &Path| std::fs::read_to_string(thread.join("children")).unwrap_or_default();
    let all: String = threads.flatten().map(|thread| of(&thread.path())).collect();
    all.split_whitespace().filter_map(|child| child.parse().ok()).collect()
}

/// The letter of proc(5); nothing if there is no such process.
fn state(process: u32) -> Option<char> {
    let stat = std::fs::read_to_string(format!("/proc/{process}/stat")).ok()?;
    stat.rsplit_once(") ")?.1.chars().next()
}

/// Gone, or dead and waiting for somebody who asks for its status.
fn is_gone(process: u32) -> bool {
    matches!(state(process), None | Some('Z' | 'X'))
}

fn ended(child: &mut Child) -> ExitStatus {
    let mut status = None;
    soon("it ends", || {
        status = child.try_wait().unwrap();
        status.is_some()
    });
    status.unwrap()
}

#[test]
fn a_stopped_cluster_goes_with_a_load_that_is_killed() {
    let playground = Playground::new("killed-load");
    let (mut load, cluster) = playground.load();
    load.kill().unwrap();
    load.wait().unwrap();
    soon("the cluster is gone", || is_gone(cluster));
}

#[test]
fn a_load_that_is_asked_to_end_judges_and_leaves_nothing() {
    let playground = Playground::new("asked-load");
    let (mut load, cluster) = playground.load();
    assert_eq!(playground.left(), 1);
    let kill = format!("kill -TERM {}", load.id());
    assert!(Command::new("sh").args(["-c", &kill]).status().unwrap().success());
    assert_eq!(ended(&mut load).code(), Some(2), "the verdict is unknown");
    assert!(is_gone(cluster));
    assert_eq!(playground.left(), 0);
}

#[test]
fn a_cluster_ends_with_the_input_that_it_watches() {
    let playground = Playground::new("watched-input");
    let port = std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap().local_addr().unwrap().port();
    let mut cluster = Command::new(FRACAS)
        .args(["cluster", "--json", "--ends-with-stdin", "--data=data"])
        // Five ports in a row, none of which may be beyond the last one.
        .arg(format!("--port={}", port.min(u16::MAX - 5)))
        .current_dir(&playground.0)
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
