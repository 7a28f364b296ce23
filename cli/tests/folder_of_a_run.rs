//! What a run leaves in its folder, also when it is interrupted, and what it does not touch.
#![cfg(target_os = "linux")]
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod processes;

use processes::{FRACAS, Playground, output, soon, takes_sigterm, terminate};
use std::path::Path;
use std::process::{Command, Output, Stdio};

const SCENARIO: &str = r#"
name = "folder"
question = "What is left of a run?"
lesson = "Everything that was seen, and nothing else."
[cluster]
gateways = { draw = [1, 2] }
stores = 1
partitions = 4
[users]
count = 8
conversations = { direct = 4 }
[load]
phases = [{ for = "6s", rate = "10/s" }]
mix = { send = 1.0 }
[[fault]]
kind = "kill"
target = "store-1"
at = "2s"
for = "1s"
[phases]
heal = "14s"
settle = "6s"
[expect]
verdict = "valid"
recovers_within = "10s"
delivered_after_heal = "5s"
no_stuck_session = "5s"
pushed_within = "5s"
"#;

fn fracas(folder: &Path, arguments: &[&str]) -> Output {
    Command::new(FRACAS).args(arguments).current_dir(folder).output().unwrap()
}

fn names(folder: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(folder).unwrap();
    let mut names: Vec<_> =
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

const ALL: [&str; 9] = [
    "history.jsonl.gz",
    "junit.xml",
    "latency.hlog",
    "recording.jsonl",
    "report.html",
    "report.md",
    "repro.txt",
    "scenario.toml",
    "verdict.json",
];

#[test]
fn a_target_that_does_not_answer_is_one_sentence_and_no_report() {
    let playground = Playground::new("no-answer", "s.toml", SCENARIO);
    let load = ["load", "s.toml", "--target", "127.0.0.1:1", "--without-faults", "--out", "o"];
    let ended = fracas(playground.path(), &load);
    let told = String::from_utf8(ended.stderr).unwrap();
    assert_eq!((ended.status.code(), ended.stdout.as_slice()), (Some(2), &b""[..]), "{told}");
    assert!(told.starts_with("error: --target 127.0.0.1:1: no answer"), "{told}");
    assert!(
        told.contains("; expected a gateway of a running cluster") && told.lines().count() == 1
    );
    assert!(!playground.path().join("o").exists());
}

#[test]
fn the_command_in_the_folder_reproduces_the_run_from_anywhere() {
    let playground = Playground::new("repro", "s.toml", SCENARIO);
    let first = playground.path().join("first");
    let run = ["run", "s.toml", "--seed=3", "--set", "users.count=9", "--quiet", "--out", "first"];
    let ended = fracas(playground.path(), &run);
    assert!(ended.status.code().is_some_and(|code| code < 3), "{ended:?}");
    assert_eq!(names(&first), ALL);
    let script = std::fs::read_to_string(first.join("repro.txt")).unwrap();
    assert!(
        script.starts_with("# Fracas ") && script.ends_with("fracas run scenario.toml --seed 3\n"),
        "{script}"
    );

    let bin = Path::new(FRACAS).parent().unwrap().display().to_string();
    let path = format!("{bin}:{}", std::env::var("PATH").unwrap());
    let again = Command::new("sh")
        .args(["-c", &format!("{} --quiet --out again", script.lines().last().unwrap())])
        .arg(first.join("repro.txt"))
        .env("PATH", path)
        .current_dir("/")
        .output()
        .unwrap();
    assert_eq!(again.status.code(), ended.status.code(), "{again:?}");
    let read = |folder: &Path| std::fs::read(folder.join("history.jsonl.gz")).unwrap();
    assert!(read(&first) == read(&first.join("again")), "another history");
}

#[test]
fn results_of_an_earlier_run_go_and_what_is_no_result_is_refused() {
    let playground = Playground::new("earlier", "s.toml", SCENARIO);
    let out = playground.path().join("out");
    std::fs::create_dir(&out).unwrap();
    std::fs::write(out.join("thesis.tex"), "mine").unwrap();
    let refused = fracas(playground.path(), &["run", "s.toml", "--quiet", "--out", "out"]);
    let said = String::from_utf8_lossy(&refused.stderr);
    assert_eq!(refused.status.code(), Some(64), "{said}");
    assert!(said.contains("out/thesis.tex was not written by Fracas"), "{said}");
    assert_eq!(names(&out), ["thesis.tex"]);
}

#[test]
fn an_interrupted_run_is_judged_as_far_as_it_got() {
    let playground = Playground::new("interrupted", "s.toml", SCENARIO);
    let child = Command::new(FRACAS)
        .args([
            "run",
            "s.toml",
            "--set",
            "load.phases=[{ for = \"30m\", rate = \"10/s\" }]",
            "--out",
            "out",
        ])
        .current_dir(playground.path())
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    soon("it listens", || takes_sigterm(child.id()));
    let history = playground.path().join("out/history.jsonl.gz.part");
    soon("the history is begun", || history.exists());
    terminate(child.id());
    let ended = output(child);
    let said = String::from_utf8(ended.stdout).unwrap();
    assert_eq!(ended.status.code(), Some(2), "{said}");
    assert!(said.starts_with("unknown ") && said.contains("SIGTERM"), "{said}");
    assert_eq!(names(&playground.path().join("out")), ALL);
}

#[test]
fn a_result_that_cannot_be_written_is_an_error() {
    let full = std::fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
    let ended = Command::new(FRACAS).arg("schema").stdout(full).output().unwrap();
    assert_eq!(ended.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&ended.stderr).contains("cannot write the result"));
}
