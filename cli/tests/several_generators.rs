//! One run by several generators: real processes, real sockets, real signals.
#![cfg(target_os = "linux")]
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod processes;

use processes::{
    FRACAS, Playground, children, command_line, is_gone, output, soon, takes_sigterm, terminate,
};
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};

/// Users of both generators talk to each other all the time.
const SCENARIO: &str = r#"
question = "Do several generators see what one sees?"
lesson = "Yes."
[cluster]
gateways = 1
stores = 1
partitions = 4
[users]
count = 8
conversations = { direct = 6, groups = 2, group_size = 5 }
connect = { over = "200ms" }
[load]
phases = [{ for = "FOR", rate = "30/s" }]
mix = { send = 0.8, reply = 0.1, edit = 0.05, delete = 0.05 }
receipts_every = "500ms"
[phases]
warm_up = "5s"
heal = "1s"
settle = "4s"
[expect]
verdict = "valid"
delivered_after_heal = "4s"
no_stuck_session = "4s"
pushed_within = "4s"
may_be_idle = ["reply_after_parent", "own_message_visible", "edits_converge", "recovers_to_baseline",
  "reads_never_go_back", "nobody_present_is_pushed", "away_member_is_pushed"]
"#;

fn playground(name: &str, lasts: &str) -> Playground {
    Playground::new(name, "talk.toml", &SCENARIO.replace("FOR", lasts))
}

fn fracas(playground: &Playground, words: &[&str]) -> Child {
    Command::new(FRACAS)
        .args(words)
        .current_dir(playground.path())
        .env("TMPDIR", playground.path().join("tmp"))
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap()
}

fn load(playground: &Playground, words: &[&str]) -> Child {
    fracas(playground, &[&["load", "talk.toml", "--one-process", "--quiet"], words].concat())
}

fn said(output: &Output) -> String {
    let all = [&output.stdout[..], &output.stderr[..]].concat();
    String::from_utf8_lossy(&all).split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Whether nothing is wrong; on a busy machine the generator may be late, and says so.
fn is_fine(output: &Output) -> bool {
    let is_limited = || said(output).contains("the load generator met a limit of its own");
    output.status.code() == Some(0) || output.status.code() == Some(2) && is_limited()
}

/// How much a claim has judged.
fn judged(folder: &Path, claim: &str) -> u64 {
    let text = std::fs::read_to_string(folder.join("verdict.json")).unwrap();
    let verdict: serde_json::Value = serde_json::from_str(&text).unwrap();
    let findings = verdict["findings"].as_array().unwrap();
    let finding = findings.iter().find(|finding| finding["invariant"] == claim).unwrap();
    finding["judged"].as_u64().unwrap()
}

#[test]
fn two_generators_see_what_one_sees_and_their_parts_are_refused_where_they_do_not_fit() {
    let playground = playground("two-generators", "3s");
    let alone = output(load(&playground, &["--out", "alone"]));
    let two = output(load(&playground, &["--out", "two", "--agents", "2", "--tls"]));
    for run in [&alone, &two] {
        assert!(is_fine(run), "{}", said(run));
    }
    assert!(said(&two).contains("2 generators of one host"), "{}", said(&two));
    // What is planned is the same, whoever does it.
    let path = |name: &str| playground.path().join(name);
    for claim in ["every_message_accounted", "accepted_message_survives"] {
        let [alone, two] = ["alone", "two"].map(|run| judged(&path(run), claim));
        assert!(alone > 50 && two == alone, "{claim}: {alone} alone, {two} by two");
    }

    let merge = |words: &[&str]| output(fracas(&playground, &[&["merge"], words].concat()));
    let again = merge(&["two/agents/1", "two/agents/0", "--out", "again"]);
    assert_eq!(again.status.code(), two.status.code(), "{}", said(&again));
    for run in ["two", "again"] {
        let told = std::fs::read_to_string(path(run).join("repro.txt")).unwrap();
        assert!(told.contains(" --one-process --tls --agents 2"), "{told}");
    }
    let [first, again] = ["two", "again"].map(|run| judged(&path(run), "no_phantom_message"));
    assert_eq!(first, again);
    let refused = |words: &[&str], why: &str| {
        let refused = merge(words);
        assert_eq!(refused.status.code(), Some(64), "{words:?}: {}", said(&refused));
        assert!(said(&refused).contains(why), "{words:?}: {}", said(&refused));
    };
    refused(&["two/agents/1"], "the run had 2 agents; missing: 0");
    let twice = ["two/agents/0", "two/agents/1", "two/agents/1"];
    refused(&twice, "are both of agent 1 of 2");
    refused(&["two/agents/0", "alone"], "alone is not the folder of an agent");
    let into_itself = ["two/agents/0", "two/agents/1", "--out", "two/agents/1"];
    refused(&into_itself, "cannot go into the folder of an agent");
    let part = path("two/agents/1/agent.json");
    let text = std::fs::read_to_string(&part).unwrap();
    let run = text.lines().find(|line| line.contains("\"run\"")).unwrap();
    std::fs::write(&part, text.replace(run, "  \"run\": \"0123456789abcdef\",")).unwrap();
    refused(&["two/agents/0", "two/agents/1"], "are of different runs");
    let alone = output(fracas(&playground, &["judge", "two/agents/1/history.jsonl.gz"]));
    assert_eq!(alone.status.code(), Some(64), "{}", said(&alone));
}

/// A run that lasts longer than any test, and its agents, once the load is under way.
fn under_way(playground: &Playground) -> (Child, Vec<u32>) {
    let run = load(playground, &["--agents", "3"]);
    let mut agents = Vec::new();
    soon("three agents run", || {
        agents = (0..3).filter_map(|k| agent(run.id(), k)).collect();
        agents.len() == 3 && agents.iter().all(|agent| takes_sigterm(*agent))
    });
    let temporary = playground.path().join("tmp");
    soon("they have met", || {
        let found = Command::new("find").arg(&temporary).args(["-name", "agent.json"]).output();
        String::from_utf8_lossy(&found.unwrap().stdout).lines().count() == 3
    });
    // Conversations are made, and everybody connects.
    std::thread::sleep(std::time::Duration::from_secs(3));
    (run, agents)
}

fn agent(of: u32, number: u32) -> Option<u32> {
    let named = format!("--agent {number}/3");
    children(of).into_iter().find(|child| command_line(*child).contains(&named))
}

fn kill(process: u32) {
    assert!(Command::new("kill").args(["-KILL", &process.to_string()]).status().unwrap().success());
}

fn all_of(agents: &[u32]) -> Vec<u32> {
    agents.iter().copied().chain(agents.iter().flat_map(|agent| children(*agent))).collect()
}

#[test]
fn an_agent_that_vanishes_is_named_and_nobody_is_accused() {
    for (victim, named) in [(1, "agent 1 of 3 vanished"), (0, "agent 0 of 3 vanished")] {
        let playground = playground(&format!("vanished-{victim}"), "100s");
        let (run, agents) = under_way(&playground);
        let all = all_of(&agents);
        kill(agents[victim]);
        let ended = output(run);
        assert_eq!(ended.status.code(), Some(2), "{}", said(&ended));
        assert!(said(&ended).starts_with("unknown"), "{}", said(&ended));
        assert!(said(&ended).contains(named), "{}", said(&ended));
        soon("all are gone", || all.iter().all(|process| is_gone(*process)));
        assert_eq!(playground.left(), 0, "{}", playground.leftovers());
    }
}

#[test]
fn agents_go_with_the_one_that_started_them() {
    let playground = playground("killed-start", "100s");
    let (mut run, agents) = under_way(&playground);
    let all = all_of(&agents);
    run.kill().unwrap();
    run.wait().unwrap();
    soon("all are gone", || all.iter().all(|process| is_gone(*process)));
}

#[test]
fn several_generators_that_are_asked_to_end_judge_and_leave_nothing() {
    let playground = playground("asked-several", "100s");
    let (run, agents) = under_way(&playground);
    let all = all_of(&agents);
    terminate(run.id());
    let ended = output(run);
    assert_eq!(ended.status.code(), Some(2), "{}", said(&ended));
    assert!(said(&ended).contains("SIGTERM (load)"), "{}", said(&ended));
    assert!(all.iter().all(|process| is_gone(*process)));
    assert_eq!(playground.left(), 0, "{}", playground.leftovers());
}

#[test]
fn agents_that_run_something_else_are_refused_by_the_lead() {
    let playground = playground("other-plan", "1s");
    let port = 20_000 + std::process::id() % 9_000;
    let lead = format!("127.0.0.1:{port}");
    let part = |number: &str, seed: &str| {
        let words = ["--agent", number, "--lead", &lead, "--seed", seed, "--out", &number[..1]];
        load(&playground, &words)
    };
    let mut first = part("0/2", "1");
    let other = output(part("1/2", "2"));
    assert_eq!(other.status.code(), Some(2), "{}", said(&other));
    assert!(said(&other).contains("refuses: it runs talk with seed 2"), "{}", said(&other));
    let second = output(part("1/2", "1"));
    assert_eq!(second.status.code(), Some(0), "{}", said(&second));
    assert!(processes::ended(&mut first).success());
    let merged = output(fracas(&playground, &["merge", "0", "1"]));
    assert!(said(&merged).contains("2 generators of one host"), "{}", said(&merged));
}
