//! Runs of one build are the same, those of a slowed cluster are worse, and what is no run is refused.
#![cfg(target_os = "linux")]
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod processes;

use processes::{FRACAS, Playground};
use std::path::Path;
use std::process::{Command, Output};

const SCENARIO: &str = r#"
question = "Is it faster?"
lesson = "A run is one observation."
[cluster]
gateways = 1
stores = 1
partitions = 2
[users]
count = 10
conversations = { direct = 5 }
[load]
phases = [{ for = "4s", rate = "80/s" }]
mix = { send = 1.0 }
[network]
tick = "1ms"
[phases]
heal = "6s"
settle = "6s"
[expect]
verdict = "valid"
may_be_idle = ["reply_after_parent", "own_message_visible", "edits_converge", "recovers_to_baseline"]
recovers_within = "4s"
delivered_after_heal = "4s"
no_stuck_session = "4s"
pushed_within = "4s"
"#;

fn fracas(folder: &Path, arguments: &[&str]) -> Output {
    Command::new(FRACAS).args(arguments).current_dir(folder).output().unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[test]
fn a_slowed_cluster_is_worse_and_its_own_runs_are_the_same() {
    let playground = Playground::new("compare", "s.toml", SCENARIO);
    let fracas = |arguments: &[&str]| fracas(playground.path(), arguments);
    for (seed, set) in (1..=6).map(|seed| (seed, "1ms")).chain((7..=9).map(|seed| (seed, "20ms"))) {
        let (seed, set) = (seed.to_string(), format!("network.disk_sync={set}"));
        let ended =
            fracas(&["run", "s.toml", "--seed", &seed, "--set", &set, "--quiet", "--out", &seed]);
        assert!(ended.status.success(), "{}", text(&ended.stdout));
    }
    let demand = ["--fail-if", "accept_p50 > 10%"];
    let compare = |b: [&str; 3]| {
        let words =
            ["compare", "1", "2", "3"].into_iter().chain(demand).chain(["--out", "c", "--"]);
        fracas(&words.chain(b).collect::<Vec<_>>())
    };
    let same = compare(["4", "5", "6"]);
    assert_eq!(same.status.code(), Some(0), "{}", text(&same.stdout));
    // What the machine does meanwhile changes CPU times; simulated ones are the cluster's alone.
    let told = text(&same.stdout);
    let row = told.lines().find(|line| line.contains("  accept_p50 ")).unwrap();
    assert!(row.starts_with(" =") && row.ends_with("same"), "{told}");
    let worse = compare(["7", "8", "9"]);
    assert_eq!(worse.status.code(), Some(1), "{}", text(&worse.stdout));
    let told = text(&worse.stdout);
    assert!(told.contains("network.disk_sync differs: A has \"1ms\", B has \"20ms\""), "{told}");
    assert!(told.contains("✗ fail if accept_p50 > 10%: fails"), "{told}");
    assert!(playground.path().join("c/comparison.html").exists());

    let unclear = fracas(&["compare", "1", "--fail-if", "accept_p50 > 1%", "--", "7"]);
    assert_eq!(unclear.status.code(), Some(2), "one run a side shows nothing");
    let missing = fracas(&["compare", "1", "--", "11"]);
    assert_eq!(missing.status.code(), Some(2));
    assert!(text(&missing.stderr).contains("11 does not exist; "), "{missing:?}");
    let late = fracas(&["compare", "1", "--", "2", "--json"]);
    assert_eq!(late.status.code(), Some(64), "{late:?}");
}
