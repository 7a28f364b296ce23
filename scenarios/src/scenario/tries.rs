//! What is worth trying in a scenario, and what it brings.

use super::ExpectedOutcome;
use crate::overrides::{Override, sweep};
use crate::shell::quoted;

/// A change of a scenario that is worth trying, with a prediction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Try {
    /// What is set; several values of a key are a run each.
    pub set: Vec<Override>,
    /// A seed that shows it; `None`: most do.
    pub seed: Option<u64>,
    /// What comes out.
    pub predicted: ExpectedOutcome,
    /// Why, and what else there is to see.
    pub because: String,
}

impl Try {
    /// The runs that it takes: overrides with one value each.
    pub fn runs(&self) -> Vec<Vec<Override>> {
        sweep(&self.set)
    }

    /// The options of a command that makes it: `--set design.accept=before_persist`.
    pub fn options(&self) -> String {
        let seed = self.seed.map(|seed| format!("--seed {seed}"));
        let sets = self.set.iter().map(|one| format!("--set {}", quoted(&one.to_string())));
        seed.into_iter().chain(sets).collect::<Vec<_>>().join(" ")
    }

    /// Whether a run with this seed and these overrides, in whatever order, is one of its runs.
    pub fn is_made_by(&self, seed: u64, overrides: &[String]) -> bool {
        let sorted = |mut all: Vec<String>| {
            all.sort();
            all
        };
        let given = sorted(overrides.to_vec());
        let is_given =
            |run: &Vec<Override>| sorted(run.iter().map(ToString::to_string).collect()) == given;
        self.seed.is_none_or(|wanted| wanted == seed) && self.runs().iter().any(is_given)
    }

    /// The prediction in words: `valid`, or `violated: no_duplicate_delivery`.
    pub fn prediction(&self) -> String {
        match &self.predicted {
            ExpectedOutcome::Valid => "valid".to_owned(),
            ExpectedOutcome::Violates(names) => format!("violated: {}", names.join(", ")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tried(set: &[&str], seed: Option<u64>) -> Try {
        let set = set.iter().map(|one| Override::parse(one).expect("a good override"));
        let predicted = ExpectedOutcome::Violates(vec!["no_gap_in_sequence".to_owned()]);
        Try { set: set.collect(), seed, predicted, because: String::new() }
    }

    fn given(set: &[&str]) -> Vec<String> {
        set.iter().map(|&one| one.to_owned()).collect()
    }

    #[test]
    fn a_run_is_a_try_if_nothing_more_and_nothing_else_is_set() {
        let one = tried(&["users.count=40", "cluster.gateways=2,4"], None);
        assert!(one.is_made_by(9, &given(&["cluster.gateways=4", "users.count=40"])));
        for other in [
            &["cluster.gateways=3", "users.count=40"][..],
            &["cluster.gateways=4"],
            &["cluster.gateways=4", "users.count=40", "users.devices=2"],
            &[],
        ] {
            assert!(!one.is_made_by(9, &given(other)), "{other:?}");
        }
        let seeded = tried(&["users.count=40"], Some(7));
        assert!(seeded.is_made_by(7, &given(&["users.count=40"])));
        assert!(!seeded.is_made_by(8, &given(&["users.count=40"])));
    }

    #[test]
    fn its_options_can_be_pasted_into_a_shell() {
        let one = tried(&["load.phases.1.rate=ramp(1/s..9/s)", "design.push=at_once"], Some(7));
        let options =
            "--seed 7 --set 'load.phases.1.rate=ramp(1/s..9/s)' --set design.push=at_once";
        assert_eq!(one.options(), options);
        assert_eq!(one.prediction(), "violated: no_gap_in_sequence");
    }
}
