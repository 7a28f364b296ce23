//! The scenarios are in the program: whoever has nothing else names one and runs it.
#![cfg(target_os = "linux")]
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod processes;

use processes::{FRACAS, Playground};
use std::path::Path;
use std::process::Command;

const OWN: &str = r#"
question = "Which of the two is it?"
lesson = "The file."
users = { count = 2, conversations = { direct = 1 } }
load = { phases = [{ for = "1s", rate = 1 }] }
expect = { verdict = "valid" }
"#;

/// Its exit status, its result, its complaints.
fn fracas(folder: &Path, words: &str) -> (Option<i32>, String, String) {
    let ended = Command::new(FRACAS).args(words.split(' ')).current_dir(folder).output().unwrap();
    let [result, complaints] =
        [ended.stdout, ended.stderr].map(|bytes| String::from_utf8(bytes).unwrap());
    (ended.status.code(), result, complaints)
}

#[test]
fn a_name_runs_and_the_commands_in_the_result_reproduce_the_run() {
    let playground = Playground::new("by-name", "own.toml", OWN);
    // Its folder for temporary files is empty.
    let empty = playground.path().join("tmp");
    let bad = "owner-killed --set design.accept=before_persist";
    // A folder is no file, even if it is called like a scenario.
    let (status, result, _) = fracas(&empty, &format!("run {bad} --quiet --out owner-killed"));
    assert_eq!(status, Some(1), "{result}");
    let reproduce = "fracas run owner-killed --seed 1 --set 'design.accept=before_persist'";
    assert_eq!(result.lines().last(), Some(reproduce));
    let words = format!("run {bad} --seed 1 --quiet --json");
    let (status, again, _) = fracas(&empty, &words);
    assert_eq!(status, Some(1));
    let findings = |text: &str| {
        let file: serde_json::Value = serde_json::from_str(text).unwrap();
        assert_eq!(file["verdict"], "violated");
        file["findings"].as_array().unwrap().clone()
    };
    let read = |name: &str| std::fs::read_to_string(empty.join("owner-killed").join(name)).unwrap();
    assert_eq!(findings(&again), findings(&read("verdict.json")));
    assert!(read("scenario.toml").contains("name = \"owner-killed\""));
    assert!(read("repro.txt").ends_with("fracas run scenario.toml --seed 1\n"));

    let (status, result, _) = fracas(&empty, "explore order-race --seeds 1 --quiet");
    assert_eq!(status, Some(0), "{result}");
    let (status, result, _) = fracas(&empty, "doctor smoke");
    assert!(status.is_some_and(|status| status < 2) && result.starts_with("smoke: "), "{result}");
    let (status, result, _) = fracas(&empty, "scenarios");
    assert_eq!(status, Some(0));
    let rows = result.lines().filter(|line| line.contains(" safety ")).count();
    assert_eq!(rows, scenarios::BUILT_IN.iter().filter(|one| one.folder == "safety").count());
}

#[test]
fn what_is_begun_anew_runs_and_is_never_overwritten() {
    let playground = Playground::new("new", "own.toml", OWN);
    let fracas = |words: &str| fracas(playground.path(), words);
    let (status, result, _) = fracas("new mine --from own.toml");
    assert_eq!((status, result.lines().last()), (Some(0), Some("fracas run mine.toml")));
    let (status, _, complaints) = fracas("new mine");
    assert_eq!(status, Some(64));
    assert_eq!(complaints, "error: mine.toml exists already: choose another name\n");
    let users = |result: &str| result.split(' ').nth(1).map(str::to_owned);
    assert_eq!(users(&fracas("doctor mine.toml").1).as_deref(), Some("2"), "it was overwritten");
    assert_eq!(fracas("new other.toml").0, Some(0));
    let (status, result, _) = fracas("run other.toml --quiet");
    assert_eq!(status, Some(0), "{result}");
    assert!(
        result.starts_with("valid  other, seed 1, simulated: as the scenario expects"),
        "{result}"
    );
    let (status, _, complaints) = fracas("new third --from smok");
    assert!(status == Some(64) && complaints.contains("smoke of the library"), "{complaints}");
    assert!(!playground.path().join("third.toml").exists());
}

#[test]
fn a_file_wins_and_an_unknown_name_tells_the_nearest() {
    let playground = Playground::new("file-wins", "smoke", OWN);
    let doctor = |words: &str| fracas(playground.path(), &format!("doctor {words}"));
    let users = |result: &str| result.split(' ').nth(1).map(str::to_owned);
    assert_eq!(users(&doctor("smoke").1).as_deref(), Some("2"), "the file has two users");
    std::fs::remove_file(playground.path().join("smoke")).unwrap();
    assert_ne!(users(&doctor("smoke").1).as_deref(), Some("2"));
    let (status, _, complaints) = doctor("milion");
    assert_eq!(status, Some(64));
    let told = "error: there is no scenario milion; did you mean million of the library?; fracas \
                scenarios lists the library\n";
    assert_eq!(complaints, told);
}
