//! A generator without descriptors says so, and accuses nobody.
#![cfg(target_os = "linux")]
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod processes;

use processes::{FRACAS, Playground, output, soon, terminate};
use std::process::{Child, Command, Stdio};

/// A hundred users on sockets of their own.
const SCENARIO: &str = r#"
question = "Whose fault is a connection that could not be made?"
lesson = "Not the cluster's."
[cluster]
gateways = 1
stores = 1
partitions = 4
[users]
count = 100
conversations = { direct = 50 }
connect = { over = "10s" }
[load]
phases = [{ for = "60s", rate = "50/s" }]
mix = { send = 1.0 }
[phases]
warm_up = "15s"
heal = "6s"
settle = "5s"
[expect]
verdict = "valid"
delivered_after_heal = "5s"
no_stuck_session = "5s"
pushed_within = "5s"
"#;

/// `fracas load` against a gateway, with so many open files and no more.
fn load(playground: &Playground, open_files: u32, gateway: &str) -> Child {
    let command = format!("ulimit -n {open_files}; exec {FRACAS} load a.toml --target {gateway}");
    let load = Command::new("sh")
        .args(["-c", &command])
        .current_dir(playground.path())
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn();
    load.unwrap()
}

fn open_files(process: u32) -> usize {
    std::fs::read_dir(format!("/proc/{process}/fd")).unwrap().count()
}

fn cluster(playground: &Playground, port: u16) -> Child {
    Command::new(FRACAS)
        .args(["cluster", "--data=data", "--users=100", &format!("--port={port}")])
        .current_dir(playground.path())
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap()
}

#[test]
fn what_cannot_work_at_all_is_refused() {
    let playground = Playground::new("few-files", "a.toml", SCENARIO);
    let ended = output(load(&playground, 30, "127.0.0.1:1"));
    let told = String::from_utf8_lossy(&ended.stderr);
    assert_eq!(ended.status.code(), Some(2), "{told}");
    assert!(
        told.contains("100 sessions need at least 31 open files of a slice of users, but only 30 are available"),
        "{told}"
    );
    assert!(told.contains("ulimit -Hn"), "{told}");
}

#[test]
fn a_generator_that_runs_out_of_files_ends_soon_and_names_its_limit() {
    let playground = Playground::new("out-of-files", "a.toml", SCENARIO);
    // Below the ports that connections get.
    let port = 10_000 + (std::process::id() % 2_000 * 5) as u16;
    let gateway = format!("127.0.0.1:{port}");
    let mut cluster = cluster(&playground, port);
    soon("the cluster listens", || std::net::TcpStream::connect(&gateway).is_ok());
    let idle = open_files(cluster.id());
    // Enough to begin with: one slice of users, with one table. While they connect, it gets too
    // small for most of them.
    let load = load(&playground, 1_024, &gateway);
    soon("the first users connect", || open_files(cluster.id()) > idle + 2);
    let process = format!("--pid={}", load.id());
    assert!(Command::new("prlimit").args([&process, "--nofile=33:33"]).status().unwrap().success());
    let ended = output(load);
    terminate(cluster.id());
    cluster.wait().unwrap();
    let told = String::from_utf8_lossy(&ended.stdout);
    assert_eq!(ended.status.code(), Some(2), "{told}");
    assert!(told.starts_with("unknown"), "{told}");
    assert!(told.contains("a limit of its own, EMFILE"), "{told}");
    assert!(told.contains("the load generator could not continue"), "{told}");
}
