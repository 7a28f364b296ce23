//! What becomes of a judgement if the run is not to be believed entirely.

use verify::{Judgement, Verdict};

/// A judgement in the light of what happened to the run. That comes first: most of what the judge misses
/// follows from it.
pub fn told(mut judgement: Judgement, disorder: Option<String>, said: Vec<String>) -> Judgement {
    if disorder.is_some() {
        judgement.verdict = Verdict::Unknown;
        for found in judgement.findings.iter_mut().filter(|found| found.violations > 0) {
            let example = found.evidence.first().map_or("", |first| &*first.what);
            let (name, times) = (&found.invariant, found.violations);
            judgement
                .doubts
                .push(format!("{name}, {times} times if the order is right: {example}"));
            (found.verdict, found.violations) = (Verdict::Unknown, 0);
            found.evidence.clear();
        }
    }
    let own: Vec<String> = disorder.into_iter().chain(said).collect();
    judgement.doubts.retain(|doubt| !own.contains(doubt));
    judgement.doubts.splice(0..0, own);
    if !judgement.doubts.is_empty() && judgement.verdict == Verdict::Valid {
        judgement.verdict = Verdict::Unknown;
    }
    judgement
}

#[cfg(test)]
mod tests {
    use super::*;
    use verify::{Evidence, Finding};

    #[test]
    fn what_may_have_happened_in_another_order_is_no_violation() {
        let evidence = |what: &str| Evidence {
            at: 1,
            what: what.to_owned(),
            faults: Vec::new(),
            history: Vec::new(),
        };
        let judgement = |verdict| Judgement {
            verdict,
            doubts: vec!["the judge's".to_owned()],
            findings: vec![Finding {
                invariant: "no_phantom_message".to_owned(),
                verdict,
                judged: 9,
                unit: "entries".to_owned(),
                violations: 2,
                evidence: vec![evidence("nobody sent it")],
            }],
            events: 1,
        };
        let order = || Some("the clocks".to_owned());
        let found = told(judgement(Verdict::Violated), order(), vec!["lateness".to_owned()]);
        assert_eq!(found.verdict, Verdict::Unknown);
        let example = "no_phantom_message, 2 times if the order is right: nobody sent it";
        assert_eq!(found.doubts, ["the clocks", "lateness", "the judge's", example]);
        let of_claim = &found.findings[0];
        assert_eq!((of_claim.verdict, of_claim.violations), (Verdict::Unknown, 0));
        let found = told(judgement(Verdict::Violated), None, vec!["the judge's".to_owned()]);
        assert_eq!((found.verdict, found.doubts.len()), (Verdict::Violated, 1));
        assert_eq!(found.findings[0].violations, 2);
    }
}
