//! Several values of a key end in one table and one page, in `run` and in `explore`.
#![cfg(target_os = "linux")]
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod processes;

use processes::{FRACAS, Playground};
use std::path::Path;
use std::process::{Command, Output};

const SCENARIO: &str = r#"
question = "How fast is it with more of it?"
lesson = "One table says it."
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
[network]
tick = "5ms"
[phases]
heal = "5s"
settle = "5s"
[expect]
verdict = "valid"
may_be_idle = ["reply_after_parent", "own_message_visible", "edits_converge", "recovers_to_baseline"]
recovers_within = "4s"
delivered_after_heal = "4s"
no_stuck_session = "4s"
pushed_within = "4s"
"#;

fn fracas(folder: &Path, arguments: &[&str]) -> (Option<i32>, String) {
    let ended: Output = Command::new(FRACAS).args(arguments).current_dir(folder).output().unwrap();
    let said = [ended.stdout, ended.stderr].concat();
    (ended.status.code(), String::from_utf8_lossy(&said).into_owned())
}

/// The table at the end: its lines with single spaces.
fn table(said: &str) -> Vec<String> {
    let lines = said.lines().skip_while(|line| !line.contains("accept p50"));
    let words = lines.map(|line| line.split_whitespace().collect::<Vec<_>>().join(" "));
    words.take_while(|line| !line.is_empty()).collect()
}

#[test]
fn several_values_end_in_one_table_and_one_page() {
    let playground = Playground::new("sweep", "s.toml", SCENARIO);
    let at = |name: &str| playground.path().join(name);
    let set = ["--set", "load.phases.1.rate=20/s,60/s", "--quiet", "--out"];
    let words = |first: [&'static str; 2], out| first.into_iter().chain(set).chain([out]);
    let (status, said) =
        fracas(playground.path(), &words(["run", "s.toml"], "run").collect::<Vec<_>>());
    assert_eq!(status, Some(0), "{said}");
    let rows = table(&said);
    assert_eq!(
        rows[0],
        "load.phases.1.rate verdict accepted/s accept p50 accept p99 deliver p50 deliver p99 refused recovery"
    );
    assert!(rows[1].starts_with("20/s valid ") && rows[2].starts_with("60/s valid "), "{said}");
    assert_eq!(rows.len(), 3, "{said}");
    let index = std::fs::read_to_string(at("run/index.html")).unwrap();
    for run in ["1", "2"] {
        assert!(index.contains(&format!("href=\"{run}/report.html\"")), "{index}");
        assert!(at("run").join(run).join("report.html").exists());
    }

    let seeds = words(["explore", "s.toml"], "seeds").chain(["--seeds", "2"]);
    let (status, said) = fracas(playground.path(), &seeds.collect::<Vec<_>>());
    assert_eq!(status, Some(0), "{said}");
    assert!(said.contains("s load.phases.1.rate=60/s"), "{said}");
    let rows = table(&said);
    assert!(rows[2].starts_with("60/s 2 valid "), "{said}");
    let index = std::fs::read_to_string(at("seeds/index.md")).unwrap();
    assert!(index.contains("[1](2/1/report.md) [2](2/2/report.md)"), "{index}");
    assert!(at("seeds/2/2/report.md").exists());
    let junit = std::fs::read_to_string(at("seeds/junit.xml")).unwrap();
    let case = "classname=\"fracas.seed-2\" name=\"s load.phases.1.rate=60/s\"";
    assert!(junit.contains("tests=\"4\" failures=\"0\"") && junit.contains(case), "{junit}");

    let (status, said) = fracas(playground.path(), &["report", "run", "seeds", "--out", "all"]);
    assert_eq!(status, Some(0), "{said}");
    let rows = table(&said);
    assert!(rows[1].starts_with("s simulation --set 'load.phases.1.rate=20/s' 3 valid "), "{said}");
    assert_eq!(rows.iter().filter(|row| row.starts_with("s ")).count(), 2, "{said}");
    let index = std::fs::read_to_string(at("all/index.html")).unwrap();
    assert!(index.contains("href=\"../seeds/2/1/report.html\""), "{index}");
    let (status, said) = fracas(playground.path(), &["report", "tmp"]);
    assert_eq!((status, said.contains("there is no run in tmp")), (Some(64), true), "{said}");
    let (status, said) = fracas(playground.path(), &["compare", "seeds", "--", "seeds/2"]);
    assert_eq!(status, Some(2));
    assert!(
        said.contains("seeds is not the folder of a run; runs are in its folders 1, 2"),
        "{said}"
    );
    let page = ["compare", "seeds/1", "seeds/index.md", "--", "seeds/2"];
    let (status, said) = fracas(playground.path(), &page);
    assert_eq!(status, Some(0), "{said}");
    assert!(said.contains("A  s, 2 runs, seeds 1, 2: seeds/1/1 … seeds/1/2"), "{said}");

    let target = ["load", "s.toml", "--target", "127.0.0.1:1", "--set", "users.count=6,8"];
    let (status, said) = fracas(playground.path(), &target);
    assert_eq!(status, Some(64), "{said}");
    assert!(said.contains("one value per --set"), "{said}");
}

#[test]
fn github_is_told_what_went_wrong() {
    let playground = Playground::new("github", "s.toml", SCENARIO);
    let summary = playground.path().join("summary.md");
    let ended = Command::new(FRACAS)
        .args(["run", "s.toml", "--quiet", "--json", "--set", "expect.accept.p99=< 1us"])
        .envs([("GITHUB_ACTIONS", "true")])
        .env("GITHUB_STEP_SUMMARY", &summary)
        .current_dir(playground.path())
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&ended.stderr);
    assert_eq!(ended.status.code(), Some(1), "{said}");
    assert!(said.contains("::error title=s%2C seed 1::accept_p99: wanted at most 1 µs"), "{said}");
    let summary = std::fs::read_to_string(&summary).unwrap();
    assert!(
        summary.contains("| verdict |") && summary.contains("    fracas run s.toml"),
        "{summary}"
    );
    let text = String::from_utf8_lossy(&ended.stdout);
    assert!(text.starts_with('{') && text.trim_end().ends_with('}'), "one document: {text}");
}

#[test]
fn real_runs_of_several_scenarios_end_in_one_table() {
    let playground = Playground::new("many", "s.toml", SCENARIO);
    let folder = playground.path();
    std::fs::copy(folder.join("s.toml"), folder.join("t.toml")).unwrap();
    let both = ["load", "s.toml", "t.toml", "--one-process", "--quiet", "--out", "real"];
    let (status, said) = fracas(folder, &both);
    // A busy machine makes a verdict unknown.
    assert!(matches!(status, Some(0 | 2)), "{said}");
    for scenario in ["s", "t"] {
        // Its name, its runs, and how many of them are valid, violated and unknown, with their shares.
        let is_row = |line: &str| {
            let words: Vec<&str> = line.split_whitespace().collect();
            let counts = [1, 2, 8, 11].map(|at| words.get(at).copied());
            let [valid, unknown] = [["1", "1", "0", "0"], ["1", "0", "0", "1"]];
            words.first() == Some(&scenario)
                && [valid.map(Some), unknown.map(Some)].contains(&counts)
        };
        assert!(said.lines().any(is_row), "{said}");
        assert!(folder.join("real").join(scenario).join("1/report.html").exists());
    }
    for (words, why) in [
        (["--target=127.0.0.1:1", "--seeds=2"], "a cluster is fresh for one run only"),
        (["--quiet", "--seeds=0"], "expected a whole number from 1"),
    ] {
        let (status, said) = fracas(folder, &[&["load", "s.toml"][..], &words].concat());
        assert_eq!((status, said.contains(why)), (Some(64), true), "{said}");
    }
}
