//! What a scenario predicts of its tries is compared with what comes out, and what CI is told of many runs.
#![cfg(target_os = "linux")]
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod processes;

use processes::{FRACAS, Playground};
use std::path::Path;
use std::process::{Command, Output};

const SCENARIO: &str = r#"
question = "What becomes of two messages that nobody can process?"
lesson = "A prediction is worth something if it can fail."
[cluster]
gateways = 1
stores = 1
partitions = 2
[users]
count = 6
conversations = { direct = 3 }
[load]
phases = [{ for = "3s", rate = "20/s" }]
mix = { send = 1.0 }
poison = 2
[network]
tick = "5ms"
[phases]
heal = "5s"
settle = "30s"
[expect]
verdict = "valid"
may_be_idle = ["reply_after_parent", "own_message_visible", "edits_converge", "recovers_to_baseline"]
recovers_within = "4s"
delivered_after_heal = "4s"
no_stuck_session = "25s"
pushed_within = "4s"
[[try]]
set = ["design.poison=drop"]
violates = ["every_message_accounted"]
because = "They vanish."
[[try]]
set = ["users.devices=1,2"]
verdict = "valid"
because = "A device more is no harm."
"#;

/// The exit status, standard output and standard error of a command.
fn fracas(folder: &Path, words: &[&str], github: bool) -> (Option<i32>, String, String) {
    let mut command = Command::new(FRACAS);
    command.args(words).current_dir(folder).env_remove("GITHUB_ACTIONS");
    if github {
        let summary = folder.join("summary.md");
        command.env("GITHUB_ACTIONS", "true").env("GITHUB_STEP_SUMMARY", summary);
    }
    let Output { status, stdout, stderr } = command.output().unwrap();
    let [stdout, stderr] = [stdout, stderr].map(|said| String::from_utf8_lossy(&said).into_owned());
    (status.code(), stdout, stderr)
}

#[test]
fn predictions_come_true_or_are_said_not_to() {
    let playground = Playground::new("tries", "s.toml", SCENARIO);
    let folder = playground.path();
    let (status, said, _) = fracas(folder, &["try", "s.toml", "--quiet"], false);
    assert_eq!(status, Some(0), "{said}");
    let caught =
        "- ✓ `s --set design.poison=drop`: violated: every_message_accounted, as predicted";
    assert!(said.starts_with(caught), "{said}");
    let words = said.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(words.contains("neither accepted nor refused nor a dead letter"), "{said}");
    assert!(said.ends_with("3 of 3 tries came out as predicted\n"), "{said}");

    let wrong = SCENARIO.replace("[\"every_message_accounted\"]", "[\"receipts_only_rise\"]");
    let wrong = wrong.replace("[[try]]\nset", "[[try]]\nseed = 3\nset");
    std::fs::write(folder.join("w.toml"), wrong).unwrap();
    let (status, said, _) = fracas(folder, &["try", "w.toml", "--quiet"], false);
    assert_eq!(status, Some(1), "{said}");
    let words = said.split_whitespace().collect::<Vec<_>>().join(" ");
    let came =
        "predicted violated: receipts_only_rise; came out every_message_accounted with seed 3.";
    assert!(words.contains(came), "{said}");
    assert!(said.ends_with("fracas run w.toml --seed 3 --set 'design.poison=drop'\n"), "{said}");

    let run = ["run", "s.toml", "--set", "design.poison=drop", "--quiet", "--out", "run"];
    let (status, said, _) = fracas(folder, &run, false);
    assert_eq!(status, Some(1), "{said}");
    let words = said.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(words.contains("Predicted by the scenario, and so it came out"), "{said}");
    assert!(said.contains("what it predicts of this change"), "{said}");
    let verdict = std::fs::read(folder.join("run/verdict.json")).unwrap();
    let verdict: serde_json::Value = serde_json::from_slice(&verdict).unwrap();
    assert_eq!(verdict["prediction"]["came_true"], true);
    assert!(verdict["first"].as_str().unwrap().contains("nor a dead letter"));
}

#[test]
fn ci_is_told_of_each_run_once() {
    let playground = Playground::new("told-once", "s.toml", SCENARIO);
    let folder = playground.path();
    let explore = ["explore", "s.toml", "--seeds", "3", "--set", "design.poison=drop", "--quiet"];
    let more = ["--json", "--junit", "reports.xml"];
    let words = [&explore[..], &more].concat();
    let (status, said, errors) = fracas(folder, &words, true);
    assert_eq!(status, Some(1), "{said}{errors}");
    let runs: serde_json::Value = serde_json::from_str(&said).unwrap();
    let runs = runs.as_array().unwrap();
    assert_eq!(runs.len(), 3, "{said}");
    for run in runs {
        assert_eq!(run["outcome"], "violated");
        assert_eq!(run["violated"][0], "every_message_accounted");
        assert!(run["first"].as_str().unwrap().contains("nor a dead letter"), "{run}");
        assert!(run["took_s"].as_f64().unwrap() > 0.0, "{run}");
    }
    let summary = std::fs::read_to_string(folder.join("summary.md")).unwrap();
    assert_eq!(summary.matches("    fracas run s.toml --seed").count(), 3, "{summary}");
    assert_eq!(summary.matches("neither accepted nor refused").count(), 3, "{summary}");
    assert_eq!(errors.matches("::error title=").count(), 3, "{errors}");
    let junit = std::fs::read_to_string(folder.join("reports.xml")).unwrap();
    assert!(junit.contains("failures=\"3\"") && junit.contains("neither accepted"), "{junit}");

    let (status, _, errors) =
        fracas(folder, &[&explore[..], &["--junit", "no/f.xml"]].concat(), false);
    assert!(status == Some(64) && errors.contains("there is no folder for no/f.xml"), "{errors}");
    let (_, said, _) = fracas(folder, &explore, false);
    let lines: Vec<&str> = said.lines().collect();
    let last = lines.last().unwrap();
    assert_eq!(*last, "fracas run s.toml --seed 3 --set 'design.poison=drop'");
    assert!(said.contains("s, seed 3: every_message_accounted. Message"), "{said}");
}
