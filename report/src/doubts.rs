//! The reasons for an unknown verdict, for people: kinds that come in dozens become one line each.

/// All reasons, the most important first: the order of the judgement, but what follows from other
/// causes (phases that never came, checks that had nothing to judge) is folded and comes last.
pub(crate) fn folded(doubts: &[String]) -> Vec<String> {
    let (mut idle, mut phases, mut folded) = (Vec::new(), Vec::new(), Vec::new());
    for doubt in doubts {
        if let Some(check) = one_word(doubt.strip_suffix(" judged nothing")) {
            idle.push(check);
        } else if let Some(phase) = one_word(doubt.strip_prefix("the history has no phase ")) {
            phases.push(phase);
        } else {
            folded.push(doubt.clone());
        }
    }
    match phases.as_slice() {
        [] => {}
        [phase] => folded.push(format!("the history has no phase {phase}")),
        several => folded.push(format!("the history has no phases {}", several.join(", "))),
    }
    match idle.as_slice() {
        [] => {}
        [check] => folded.push(format!("{check} judged nothing")),
        several => {
            folded.push(format!("{} checks judged nothing: {}", several.len(), several.join(", ")));
        }
    }
    folded
}

fn one_word(rest: Option<&str>) -> Option<&str> {
    rest.filter(|word| !word.is_empty() && !word.contains(' '))
}

#[cfg(test)]
mod tests {
    use super::folded;

    #[test]
    fn what_follows_from_other_causes_is_folded_and_comes_last() {
        let doubts = [
            "a_check judged nothing",
            "the history has no phase Judge",
            "the history has no phase End",
            "b_check judged nothing",
            "node store-1 died",
            "nobody who came judged nothing",
        ];
        let expected = [
            "node store-1 died",
            "nobody who came judged nothing",
            "the history has no phases Judge, End",
            "2 checks judged nothing: a_check, b_check",
        ];
        assert_eq!(folded(&doubts.map(str::to_owned)), expected);
    }

    #[test]
    fn a_single_one_stays_as_it_is() {
        let doubts =
            ["a_check judged nothing", "the history has no phase End", "x"].map(str::to_owned);
        let expected = ["x", "the history has no phase End", "a_check judged nothing"];
        assert_eq!(folded(&doubts), expected);
        assert!(folded(&[]).is_empty());
    }
}
