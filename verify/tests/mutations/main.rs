//! Sound histories are broken in every way that somebody thought of, at random positions: the named
//! invariant must be violated, or the mutation is allowed for a reason.
//!
//! `UPDATE_EXPECT=1 cargo test -p verify` writes `docs/mutations.md`. `MUTATION_SEEDS=200` breaks
//! each history at that many positions.

#![expect(
    clippy::unnecessary_wraps,
    reason = "a mutation says whether it found a position, also if it always does"
)]

mod acceptances;
mod allowed;
mod built;
mod case;
mod cursors;
#[path = "../in_parts/mod.rs"]
mod in_parts;
mod kind;
mod members;
mod notifications;
mod observations;
mod reads;
mod refusals;
mod run;
mod sends;
mod sessions;
mod shows;
mod store;
mod streams;

use case::{Case, Truth};
use kind::{Expected, Kind};
use std::collections::BTreeSet;
use std::fmt::Write;
use verify::history::Reader;
use verify::history::builder::History;
use verify::{CATALOGUE, Judge, JudgeOptions, Judgement, Verdict};

/// Kinds by what they break.
const PARTS: [(&str, &[Kind]); 12] = [
    ("The store", store::KINDS),
    ("What devices show", shows::KINDS),
    ("Sends and answers", sends::KINDS),
    ("Refusals", refusals::KINDS),
    ("Sessions and streams", sessions::KINDS),
    ("Streams", streams::KINDS),
    ("Reads", reads::KINDS),
    ("Cursors", cursors::KINDS),
    ("Members", members::KINDS),
    ("Notifications", notifications::KINDS),
    ("The run", run::KINDS),
    ("Allowed", allowed::KINDS),
];

const RECORDED: &[u8] = include_bytes!("recorded.jsonl.gz");

fn recorded() -> History {
    let reader = Reader::new(RECORDED).expect("the recorded history has a header");
    let header = reader.header().clone();
    let events = reader.collect::<Result<_, _>>().expect("the recorded history can be read");
    History { header, events }
}

fn truths() -> Vec<(&'static str, Truth)> {
    vec![("built", Truth::new(built::history())), ("recorded", Truth::new(recorded()))]
}

fn options() -> JudgeOptions {
    let may_be_idle = CATALOGUE.iter().map(|claim| claim.name.to_owned()).collect();
    JudgeOptions { may_be_idle, evidence_max: 1, keep: None }
}

fn judge(history: &History) -> Judgement {
    let mut judge = Judge::new(&history.header, options());
    for event in &history.events {
        judge.observe(event);
    }
    judge.finish()
}

fn violated(judgement: &Judgement) -> BTreeSet<&str> {
    let found = judgement.findings.iter().filter(|finding| finding.violations > 0);
    found.map(|finding| finding.invariant.as_str()).collect()
}

/// What is wrong with what was said of a broken history.
fn objection(kind: &Kind, judgement: &Judgement) -> Option<String> {
    let violated = violated(judgement);
    match kind.expected {
        Expected::Caught(invariant) => (!violated.contains(invariant))
            .then(|| format!("{invariant} is not violated, but {violated:?}")),
        Expected::Allowed(_) => (judgement.verdict == Verdict::Violated).then(|| {
            let what: Vec<&str> = judgement
                .findings
                .iter()
                .flat_map(|finding| finding.evidence.iter().map(|evidence| evidence.what.as_str()))
                .collect();
            format!("{violated:?} are violated: {what:?}")
        }),
    }
}

fn kinds() -> impl Iterator<Item = &'static Kind> {
    PARTS.iter().flat_map(|(_, kinds)| kinds.iter())
}

#[test]
fn the_sound_histories_are_sound() {
    for (name, truth) in truths() {
        let judgement = judge(&truth.sound);
        assert_eq!(judgement.verdict, Verdict::Valid, "{name}: {judgement:#?}");
    }
}

#[test]
fn every_mutation_is_caught_by_the_named_invariant_or_allowed() {
    let seeds = std::env::var("MUTATION_SEEDS").map_or(3, |seeds| seeds.parse().expect("a number"));
    let only = std::env::var("MUTATION").unwrap_or_default();
    let truths = truths();
    let mut objections = Vec::new();
    for kind in kinds().filter(|kind| kind.name.contains(&only)) {
        let mut broken = 0;
        for (history, truth) in &truths {
            for seed in 0..seeds {
                let mut case = Case::new(truth, seed);
                if (kind.apply)(&mut case).is_none() {
                    continue;
                }
                broken += 1;
                if let Some(objection) = objection(kind, &judge(&case.history)) {
                    objections.push(format!("{} ({history}, {seed}): {objection}", kind.name));
                }
            }
        }
        if broken == 0 {
            objections.push(format!("{}: no history has a position for it", kind.name));
        }
    }
    assert!(objections.is_empty(), "{} objections:\n{}", objections.len(), objections.join("\n"));
}

#[test]
fn several_judges_of_one_run_find_together_what_one_finds() {
    let (truths, mut differences) = (truths(), Vec::new());
    for (number, kind) in kinds().enumerate() {
        // One of the histories in turns, if it has a position for it.
        let turns = [&truths[number % 2], &truths[(number + 1) % 2]];
        let broken = turns.iter().find_map(|(name, truth)| {
            let mut case = Case::new(truth, number as u64);
            (kind.apply)(&mut case).map(|()| (name, case.history))
        });
        let (name, history) = broken.expect("one of them has a position for each kind");
        let parts = in_parts::parts(2 + number as u32 % 3, true);
        let merged = in_parts::judge(&history, &parts, &options());
        let found = in_parts::differences(&judge(&history), &merged, &parts);
        if !found.is_empty() {
            differences.push(format!("{} ({name}, {number}): {found:#?}", kind.name));
        }
    }
    assert!(
        differences.is_empty(),
        "{} differences:\n{}",
        differences.len(),
        differences.join("\n")
    );
}

#[test]
fn every_kind_has_a_name_of_its_own_and_every_claim_has_kinds() {
    let names: BTreeSet<&str> = kinds().map(|kind| kind.name).collect();
    assert_eq!(names.len(), kinds().count());
    assert!(names.len() >= 100, "{}", names.len());
    let caught: BTreeSet<&str> = kinds()
        .filter_map(|kind| match kind.expected {
            Expected::Caught(invariant) => Some(invariant),
            Expected::Allowed(_) => None,
        })
        .collect();
    let claims: BTreeSet<&str> = CATALOGUE.iter().map(|claim| claim.name).collect();
    assert_eq!(caught, claims);
}

const PAGE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/mutations.md");

#[test]
fn the_page_lists_every_kind() {
    let page = page();
    if std::env::var_os("UPDATE_EXPECT").is_some() {
        std::fs::write(PAGE, page).expect("the page can be written");
        return;
    }
    let found = std::fs::read_to_string(PAGE).expect("the page is there");
    assert!(found == page, "{PAGE} is out of step: run UPDATE_EXPECT=1 cargo test -p verify");
}

fn page() -> String {
    let count = kinds().count();
    let mut page = format!(
        "# Mutations\n\n<!-- Written by `UPDATE_EXPECT=1 cargo test -p verify`. -->\n\nSound histories, one \
         recorded by `fracas run` and one built by hand, are broken in {count} ways, each at several random \
         positions (`verify/tests/mutations`, in CI). Of each broken history the \
         named invariant of [invariants.md](invariants.md) must be violated, whatever else is; or nothing \
         may be violated, for the reason that stands there.\n"
    );
    for (part, kinds) in PARTS.iter().filter(|(_, kinds)| !kinds.is_empty()) {
        let last = if kinds.iter().all(|kind| matches!(kind.expected, Expected::Allowed(_))) {
            "allowed because"
        } else {
            "caught by"
        };
        write!(page, "\n## {part}\n\n| mutation | {last} |\n| --- | --- |\n").expect("a string");
        for kind in *kinds {
            let expected = match kind.expected {
                Expected::Caught(invariant) => format!("`{invariant}`"),
                Expected::Allowed(reason) => reason.to_owned(),
            };
            writeln!(page, "| {} | {expected} |", kind.name).expect("a string");
        }
    }
    page
}
