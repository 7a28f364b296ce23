//! One history judged as a whole and in parts: what is found must be the same.

mod split;

use split::split;
use std::collections::BTreeSet;
use verify::history::builder::History;
use verify::{CATALOGUE, Finding, Judge, JudgeOptions, Judgement, Part, Scope};

/// The judgement of several judges, merged.
pub fn judge(history: &History, parts: &[Part], options: &JudgeOptions) -> Judgement {
    let judges = split(history, parts).into_iter().zip(parts).map(|(events, part)| {
        let mut judge = Judge::of_part(&history.header, options.clone(), *part);
        for event in events {
            judge.observe(&event);
        }
        judge
    });
    merged(judges.collect()).finish()
}

/// One judge of all: of the first half, and of the second.
fn merged(mut judges: Vec<Judge>) -> Judge {
    let rest = judges.split_off(judges.len().div_ceil(2));
    let first = if judges.len() > 1 { merged(judges) } else { judges.remove(0) };
    if rest.is_empty() { first } else { first.merge(merged(rest)) }
}

/// A run in so many parts.
pub fn parts(of: u32, splits_users: bool) -> Vec<Part> {
    (0..of).map(|number| Part::new(number, of, splits_users)).collect()
}

/// Whether a claim is not judged in such parts.
pub fn is_left_out(name: &str, parts: &[Part]) -> bool {
    let of_user = |scope| matches!(scope, Scope::User(_));
    CATALOGUE.iter().any(|claim| claim.name == name && of_user(claim.scope))
        && parts.iter().any(|part| part.splits_users())
}

/// What the judges of the parts say differently from the judge of the whole.
pub fn differences(whole: &Judgement, merged: &Judgement, parts: &[Part]) -> Vec<String> {
    let mut differences = Vec::new();
    for (whole, merged) in whole.findings.iter().zip(&merged.findings) {
        let name = &whole.invariant;
        // What only several parts show together counts once, and not once for each event that shows it.
        let shown_by_several = ["one_owner_per_partition", "nobody_present_is_pushed"];
        let violations = |f: &Finding| {
            if shown_by_several.contains(&name.as_str()) { 0 } else { f.violations }
        };
        let counts = |f: &Finding| (f.verdict, f.judged, violations(f), f.unit.clone());
        if !is_left_out(name, parts) && counts(whole) != counts(merged) {
            differences.push(format!("{name}: whole {whole:#?}, in parts {merged:#?}"));
        }
    }
    let doubts = |judgement: &Judgement| -> BTreeSet<String> {
        let is_compared = |doubt: &&String| {
            doubt.split([' ', ':']).next().is_none_or(|name| !is_left_out(name, parts))
        };
        judgement.doubts.iter().filter(is_compared).cloned().collect()
    };
    let [all, some] = [whole, merged].map(doubts);
    differences.extend(all.symmetric_difference(&some).map(|doubt| format!("doubt: {doubt}")));
    if whole.events != merged.events {
        differences.push(format!("{} events, in parts {}", whole.events, merged.events));
    }
    differences
}
