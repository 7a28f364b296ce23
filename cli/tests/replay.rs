//! A run is replayed from its list of faults and operations: byte for byte, and with a line left out all
//! others stay as they were.
#![cfg(target_os = "linux")]
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::io::Cursor;
use std::path::{Path, PathBuf};
use std::process::Command;
use verify::history::{Event, ReadError, Reader};

const FRACAS: &str = env!("CARGO_BIN_EXE_fracas");
const SWARM: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../scenarios/safety/swarm.toml");
/// Its faults are of five kinds, a drain among them, and nothing is logged of them.
const SEED: &str = "4";

/// A recording with a fault of a node that is not there.
const STRANGER: &str = r#"{"recording":1,"scenario":"swarm","seed":3}
{"fault":{"id":3,"kind":"pause","injected":{"at_us":1,"for_us":1,"nodes":["store-99"]}}}"#;

/// A recording with two faults of one id.
const TWICE: &str = r#"{"recording":1,"scenario":"swarm","seed":3}
{"fault":{"id":3,"kind":"pause","injected":{"at_us":1,"for_us":1,"nodes":["store-1"]}}}
{"fault":{"id":3,"kind":"pause","injected":{"at_us":9,"for_us":1,"nodes":["store-1"]}}}"#;

/// A folder that is gone afterwards.
struct Folder(PathBuf);

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// A run of the swarm into a folder.
fn run(out: &Path, how: &[&str]) -> (Option<i32>, String) {
    let mut command = Command::new(FRACAS);
    let ended = command
        .args(["run", SWARM])
        .args(how)
        .arg("--quiet")
        .arg("--out")
        .arg(out)
        .output()
        .unwrap();
    (ended.status.code(), String::from_utf8_lossy(&ended.stderr).into_owned())
}

fn read(folder: &Path, name: &str) -> String {
    std::fs::read_to_string(folder.join(name)).unwrap()
}

/// The history of a run, as it stands in its folder.
fn history(folder: &Path) -> Vec<u8> {
    std::fs::read(folder.join("history.jsonl.gz")).unwrap()
}

/// The beginnings of faults in a history.
fn faults(history: Vec<u8>) -> Vec<serde_json::Value> {
    let began = |event: Result<Event, ReadError>| -> Option<serde_json::Value> {
        let event = serde_json::to_value(event.unwrap().is).unwrap();
        event.get("fault_began").cloned()
    };
    Reader::new(Cursor::new(history)).unwrap().filter_map(began).collect()
}

#[test]
fn a_recording_gives_the_same_history_and_one_fault_less_leaves_the_others() {
    let folder = Folder(std::env::temp_dir().join(format!("fracas-replay-{}", std::process::id())));
    let [first, second, third] = ["1", "2", "3"].map(|name| folder.0.join(name));
    // Nodes say what befalls them: a full disk, say.
    let (status, said) = run(&first, &["--seed", SEED]);
    assert_eq!(status, Some(0), "{said}");
    let (written, recording) = (history(&first), read(&first, "recording.jsonl"));

    let again = first.join("recording.jsonl").display().to_string();
    assert_eq!(run(&second, &["--replay", &again]), (Some(0), said));
    assert!(history(&second) == written, "another history");
    assert!(read(&second, "recording.jsonl") == recording, "another recording");

    let all = faults(written);
    assert!(all.len() > 3, "{all:?}");
    let removed = all[1].clone();
    let line =
        recording.lines().find(|line| line.contains(&format!("\"id\":{},", removed["fault"])));
    let fewer = recording.replacen(&format!("{}\n", line.unwrap()), "", 1);
    std::fs::write(first.join("fewer.jsonl"), fewer).unwrap();
    let fewer = first.join("fewer.jsonl").display().to_string();
    let (status, said) = run(&third, &["--replay", &fewer]);
    assert!(matches!(status, Some(0 | 2)), "{status:?} {said}");
    let left: Vec<_> = faults(history(&third));
    let expected: Vec<_> = all.iter().filter(|fault| **fault != removed).cloned().collect();
    let key = |fault: &serde_json::Value| (fault["fault"].clone(), fault["injected"].clone());
    assert_eq!(
        left.iter().map(key).collect::<Vec<_>>(),
        expected.iter().map(key).collect::<Vec<_>>()
    );
}

#[test]
fn what_is_no_recording_of_the_scenario_is_invalid_usage() {
    let folder = Folder(std::env::temp_dir().join(format!("fracas-wrong-{}", std::process::id())));
    std::fs::create_dir_all(&folder.0).unwrap();
    let file = folder.0.join("recording.jsonl");
    let replay = file.display().to_string();
    for (text, told) in [
        ("{\"format\":2}", "line 1: expected {\"recording\":1"),
        ("{\"recording\":1,\"scenario\":\"smoke\",\"seed\":2}", "a recording of smoke"),
        (
            "{\"recording\":1,\"scenario\":\"swarm\",\"seed\":2}\nfault",
            "line 2: expected {\"fault\"",
        ),
        (STRANGER, "fault 3 hits store-99, and the scenario has auth-1"),
        (TWICE, "there are two faults 3"),
    ] {
        std::fs::write(&file, text).unwrap();
        let (status, said) = run(&folder.0.join("out"), &["--replay", &replay]);
        assert_eq!(status, Some(64), "{said}");
        assert!(said.contains(told), "{said}");
    }
    assert!(!folder.0.join("out").exists(), "nothing is made for it");
}
