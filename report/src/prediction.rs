//! What a scenario predicts of a run that is one of its tries, beside what came out.

use crate::expectation::{Expectation, outcome};
use crate::run::Run;
use scenarios::scenario::{ExpectedOutcome, Try};
use serde::{Deserialize, Serialize};
use verify::verdict::Judgement;

/// A prediction, and what became of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Prediction {
    /// `valid`, or `violated:` with invariants.
    pub predicted: String,
    /// What the run showed.
    pub got: String,
    /// Whether it came true; `None` if this run leaves it open: it is unknown, or a violation that needs
    /// luck has not come about.
    pub came_true: Option<bool>,
    /// Why it was to be expected.
    pub because: String,
}

impl Prediction {
    /// What became of the prediction of a try.
    pub(crate) fn of(tried: &Try, judgement: &Judgement) -> Self {
        let Expectation { wanted, got, met, .. } = outcome(&tried.predicted, judgement);
        // Another seed may show it.
        let needs_luck = matches!(tried.predicted, ExpectedOutcome::Violates(_));
        let came_true = met.filter(|met| *met || !needs_luck);
        Self { predicted: wanted, got, came_true, because: tried.because.clone() }
    }

    /// In sentences, without why.
    pub(crate) fn told(&self) -> String {
        let predicted = &self.predicted;
        match self.came_true {
            Some(true) => format!("Predicted by the scenario, and so it came out: {predicted}."),
            Some(false) => format!("The scenario predicts something else: {predicted}."),
            None if self.got != "unknown" => {
                format!("The scenario predicts: {predicted}. This run does not show it.")
            }
            None => format!("The scenario predicts: {predicted}. That stays open."),
        }
    }
}

impl Run<'_> {
    /// What its scenario predicts of it, if it is one of its tries.
    pub(crate) fn prediction(&self) -> Option<Prediction> {
        self.tried.map(|tried| Prediction::of(tried, self.judgement))
    }

    /// Whether its scenario predicts what came out.
    pub(crate) fn is_as_predicted(&self) -> bool {
        self.prediction().is_some_and(|prediction| prediction.came_true == Some(true))
    }
}

#[cfg(test)]
mod tests {
    use super::Prediction;
    use crate::sample::Stage;
    use scenarios::Override;
    use scenarios::scenario::{ExpectedOutcome, Try};
    use verify::verdict::Verdict;

    fn told(predicted: &ExpectedOutcome, verdict: Verdict) -> (Option<bool>, String) {
        let set = vec![Override::parse("design.accept=before_persist").expect("good")];
        let because = "It answers early.".to_owned();
        let tried = Try { set, seed: None, predicted: predicted.clone(), because };
        let prediction = Prediction::of(&tried, &Stage::of(verdict).judgement);
        (prediction.came_true, prediction.told())
    }

    #[test]
    fn a_violation_that_one_seed_does_not_show_is_no_refutation() {
        let violates = |name: &str| ExpectedOutcome::Violates(vec![name.to_owned()]);
        let lost = violates("accepted_message_survives");
        let (came_true, words) = told(&lost, Verdict::Violated);
        assert_eq!(came_true, Some(true));
        assert_eq!(
            words,
            "Predicted by the scenario, and so it came out: violated: accepted_message_survives."
        );
        let (came_true, words) = told(&lost, Verdict::Valid);
        assert!(came_true.is_none() && words.ends_with("This run does not show it."), "{words}");
        let (came_true, words) = told(&lost, Verdict::Unknown);
        assert!(came_true.is_none() && words.ends_with("That stays open."), "{words}");
        let (came_true, words) = told(&violates("receipts_only_rise"), Verdict::Violated);
        assert!(came_true.is_none() && words.ends_with("This run does not show it."), "{words}");
        let (came_true, words) = told(&ExpectedOutcome::Valid, Verdict::Violated);
        assert!(came_true == Some(false) && words.starts_with("The scenario predicts something"));
        assert_eq!(told(&ExpectedOutcome::Valid, Verdict::Valid).0, Some(true));
        assert_eq!(told(&ExpectedOutcome::Valid, Verdict::Violated).0, Some(false));
        assert_eq!(told(&ExpectedOutcome::Valid, Verdict::Unknown).0, None);
    }
}
