//! A process of the cluster ends with its first panic, whichever thread it is in: the test starts
//! itself as that process.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use ports::Tasks;
use ports::panics::Panicked;
use std::os::unix::process::ExitStatusExt;
use std::process::{Command, Output};

/// Names the place at which the process panics.
const WHERE: &str = "FRACAS_TEST_PANICS_IN";

fn process(place: &str) -> Output {
    let this = std::env::current_exe().unwrap();
    Command::new(this)
        .args(["--exact", "the_process", "--nocapture"])
        .env(WHERE, place)
        .output()
        .unwrap()
}

/// The process; a test without work if nobody asks for it.
#[tokio::test(flavor = "multi_thread")]
async fn the_process() {
    let Ok(place) = std::env::var(WHERE) else { return };
    real::panics::abort_on_panic();
    let tasks = real::tasks::TokioTasks;
    match place.as_str() {
        "task" => drop(tasks.spawn("task", Box::pin(async { panic!("in a\ntask") }))),
        "worker" => tasks.worker("worker").run(Box::new(|| panic!("in a worker"))).await,
        _ => return,
    }
    std::future::pending::<()>().await;
}

#[test]
fn a_panic_in_a_task_or_on_a_worker_ends_the_process() {
    for (place, message) in [("task", "in a | task"), ("worker", "in a worker")] {
        let output = process(place);
        assert_eq!(output.status.signal(), Some(6), "{place}: {:?}", output.status);
        let log = String::from_utf8(output.stderr).unwrap();
        let told = Panicked::read(log.lines().last().unwrap()).expect(&log);
        assert_eq!(told.message, message);
        assert!(told.place.starts_with("cluster/real/tests/panics.rs:"), "{told:?}");
    }
}

#[test]
fn a_process_that_does_not_panic_ends_well() {
    assert!(process("nowhere").status.success());
}
