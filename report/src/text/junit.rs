//! `junit.xml`: one suite per run, one case per invariant and per expectation, for CI systems.
//!
//! The form is the one that Jenkins, GitLab and GitHub's reporters read (the schema of Ant's JUnit
//! task). A violation that the scenario wants is no failure: CI must be red exactly when
//! somebody has to look.

use crate::compare::{self, Comparison};
use crate::expectation::Expectation;
use crate::number::{self, COMMA};
use crate::run::{Run, Status};
use std::borrow::Cow;
use std::fmt::Write as _;
use verify::verdict::{Evidence, Finding, Verdict};

/// What became of one case.
enum Outcome {
    Passed,
    Failed { kind: &'static str, message: String, text: String },
    Skipped(String),
}

struct Case {
    class: Cow<'static, str>,
    name: String,
    seconds: f64,
    outcome: Outcome,
    said: String,
}

/// A suite: one run, or one comparison.
struct Suite<'a> {
    name: &'a str,
    seconds: f64,
    properties: Vec<(&'static str, String)>,
    cases: Vec<Case>,
    /// What else was said.
    said: String,
}

/// The file of a run.
pub(crate) fn junit(run: &Run) -> String {
    let invariants = run.judgement.findings.iter().map(|found| invariant(run, found));
    let suite = Suite {
        name: &run.header.scenario,
        seconds: run.took.wall.as_secs_f64(),
        properties: vec![
            ("verdict", run.verdict_word().to_owned()),
            ("engine", run.engine().to_owned()),
            ("seed", run.header.seed.to_string()),
            ("version", run.version.to_owned()),
            ("reproduce", run.reproduce.to_owned()),
        ],
        cases: run.expectations.iter().map(expectation).chain(invariants).collect(),
        said: run.judgement.doubts.join("\n"),
    };
    suite.file()
}

/// The file of a comparison: what is worse fails only where somebody demands that it is not.
pub(crate) fn comparison(compared: &Comparison) -> String {
    let gates = compared.gates.iter().map(|gate| {
        let outcome = match gate.failed {
            Some(false) => Outcome::Passed,
            Some(true) => {
                let message = format!("{}: {}", gate.fail_if, gate.got);
                Outcome::Failed { kind: "worse", message, text: String::new() }
            }
            None => Outcome::Skipped(format!("cannot be told: {}", gate.got)),
        };
        let name = format!("fail if {}", gate.fail_if);
        Case { class: "demand".into(), name, seconds: 0.0, outcome, said: gate.got.clone() }
    });
    let metrics = compared.metrics.iter().map(|one| Case {
        class: "figure".into(),
        name: one.metric.to_owned(),
        seconds: 0.0,
        outcome: match one.outcome {
            compare::Outcome::NotClear => Outcome::Skipped("not clear".to_owned()),
            _ => Outcome::Passed,
        },
        said: format!(
            "{}: A {}, B {}, {}",
            one.outcome.word(),
            one.a_words(),
            one.b_words(),
            one.change()
        ),
    });
    let suite = Suite {
        name: "comparison",
        seconds: 0.0,
        properties: vec![
            ("outcome", compared.outcome().word().to_owned()),
            ("a", compared.a.folders.join(" ")),
            ("b", compared.b.folders.join(" ")),
            ("version", compared.version.clone()),
        ],
        cases: gates.chain(metrics).collect(),
        said: compared.differences.join("\n"),
    };
    suite.file()
}

/// A run among many.
#[derive(Clone, Debug)]
pub struct Member {
    /// What tells it from others but for its seed.
    pub name: String,
    /// Its seed.
    pub seed: u64,
    /// Valid: all came out as its scenario expects.
    pub outcome: Verdict,
    /// Why it is not valid.
    pub why: String,
    /// The violation to look at first, as a sentence.
    pub first: Option<String>,
    /// How long it took.
    pub seconds: f64,
    /// The command that reproduces it.
    pub reproduce: String,
}

/// The file of many runs: a case for each, with its seed in the name of the class.
pub fn members(title: &str, version: &str, runs: &[Member]) -> String {
    let case = |run: &Member| {
        let outcome = match run.outcome {
            Verdict::Valid => Outcome::Passed,
            Verdict::Violated => Outcome::Failed {
                kind: "violated",
                message: run.why.clone(),
                text: run
                    .first
                    .iter()
                    .chain([&run.reproduce])
                    .cloned()
                    .collect::<Vec<_>>()
                    .join("\n"),
            },
            Verdict::Unknown => Outcome::Skipped(format!("unknown: {}", run.why)),
        };
        let class = format!("seed-{}", run.seed).into();
        let (name, said) = (run.name.clone(), run.reproduce.clone());
        Case { class, name, seconds: run.seconds, outcome, said }
    };
    let suite = Suite {
        name: title,
        seconds: runs.iter().map(|run| run.seconds).sum(),
        properties: vec![("version", version.to_owned())],
        cases: runs.iter().map(case).collect(),
        said: String::new(),
    };
    suite.file()
}

impl Suite<'_> {
    fn file(&self) -> String {
        let count = |wanted: fn(&Outcome) -> bool| {
            self.cases.iter().filter(|case| wanted(&case.outcome)).count()
        };
        let failures = count(|outcome| matches!(outcome, Outcome::Failed { .. }));
        let skipped = count(|outcome| matches!(outcome, Outcome::Skipped(_)));
        let (tests, time) = (self.cases.len(), self.seconds);
        let sums = format!(
            "tests=\"{tests}\" failures=\"{failures}\" errors=\"0\" skipped=\"{skipped}\" \
             time=\"{time:.3}\""
        );
        let name = escape(self.name);
        let mut out = String::from("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n");
        let _ = writeln!(out, "<testsuites name=\"fracas\" {sums}>");
        let _ = writeln!(out, "  <testsuite name=\"{name}\" {sums}>");
        out.push_str("    <properties>\n");
        for (name, value) in &self.properties {
            let value = escape(value);
            let _ = writeln!(out, "      <property name=\"{name}\" value=\"{value}\"/>");
        }
        out.push_str("    </properties>\n");
        for case in &self.cases {
            write_case(case, &name, &mut out);
        }
        if !self.said.is_empty() {
            let _ = writeln!(out, "    <system-out>{}</system-out>", escape(&self.said));
        }
        out.push_str("  </testsuite>\n</testsuites>\n");
        out
    }
}

fn expectation(expectation: &Expectation) -> Case {
    let Expectation { what, wanted, got, met } = expectation;
    let said = format!("wanted {wanted}; got {got}");
    let outcome = match met {
        Some(true) => Outcome::Passed,
        Some(false) => {
            Outcome::Failed { kind: "unmet", message: said.clone(), text: String::new() }
        }
        None => Outcome::Skipped(said.clone()),
    };
    Case { class: "expectation".into(), name: what.clone(), seconds: 0.0, outcome, said }
}

fn invariant(run: &Run, found: &Finding) -> Case {
    let judged = format!("{} {}", number::grouped(found.judged, COMMA), found.unit);
    let outcome = match run.status(found) {
        Status::Held | Status::ViolatedAsWanted => Outcome::Passed,
        Status::Violated => Outcome::Failed {
            kind: "violated",
            message: found.evidence.first().map_or_else(String::new, |shown| shown.what.clone()),
            text: found.evidence.iter().map(evidence).collect::<Vec<_>>().join("\n"),
        },
        Status::Idle => Outcome::Skipped("idle here, as the scenario allows".to_owned()),
        Status::Unknown => Outcome::Skipped(if found.judged == 0 {
            "unknown: nothing was judged".to_owned()
        } else {
            "unknown: what was judged allows no verdict".to_owned()
        }),
    };
    let said = format!(
        "{}; judged {judged}; {}",
        run.status(found).word(),
        number::counted(found.violations, "violations", COMMA)
    );
    let name = found.invariant.clone();
    Case { class: "invariant".into(), name, seconds: 0.0, outcome, said }
}

fn evidence(shown: &Evidence) -> String {
    let mut text = format!("{}: {}\n", number::moment(shown.at), shown.what);
    for fault in &shown.faults {
        let _ = writeln!(text, "  fault: {fault}");
    }
    for line in &shown.history {
        let _ = writeln!(text, "  {line}");
    }
    text
}

fn write_case(case: &Case, suite: &str, out: &mut String) {
    let (class, name, time) = (escape(&case.class), escape(&case.name), case.seconds);
    let _ = writeln!(
        out,
        "    <testcase classname=\"{suite}.{class}\" name=\"{name}\" time=\"{time:.3}\">"
    );
    match &case.outcome {
        Outcome::Passed => {}
        Outcome::Failed { kind, message, text } => {
            let (message, text) = (escape(message), escape(text));
            let _ = writeln!(
                out,
                "      <failure type=\"{kind}\" message=\"{message}\">{text}</failure>"
            );
        }
        Outcome::Skipped(why) => {
            let _ = writeln!(out, "      <skipped message=\"{}\"/>", escape(why));
        }
    }
    let _ = writeln!(out, "      <system-out>{}</system-out>", escape(&case.said));
    out.push_str("    </testcase>\n");
}

/// Text for XML 1.0, in which most control characters may not even be written as references.
fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\t' | '\n' => out.push(character),
            '\u{0}'..'\u{20}' | '\u{7f}'..='\u{9f}' | '\u{fffe}' | '\u{ffff}' => {
                out.extend(character.escape_unicode());
            }
            _ => out.push(character),
        }
    }
    out
}

#[cfg(test)]
mod tests;
