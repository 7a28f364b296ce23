//! `[[try]]`: what is worth trying, with a prediction of what comes out.

use super::expect::{claims, outcome, wanted};
use crate::overrides::Override;
use crate::scenario;
use crate::value::invariant::InvariantName;
use crate::value::word::ValidVerdict;
use settings::mistake::Mistakes;
use settings::section;
use settings::section::Field;
use settings::value::number::Whole;

section! {
    /// A change that is worth trying, and what it brings.
    Try {
        /// What is set, each as after `--set`; several values (`cluster.gateways=1,2`) are a run each.
        set: Vec<Override>,
        /// A seed that shows it; without one, most do.
        seed: Option<Whole<u64, 0, { i64::MAX as u64 }>> = None,
        /// The verdict that comes out.
        verdict: Option<ValidVerdict> = None,
        /// Instead of a verdict: the invariants that are violated, by some seeds at least.
        violates: Option<Vec<InvariantName>> = None,
        /// Why that comes out, and what else there is to see.
        because: String,
    }
}

impl Try {
    /// The validated section.
    pub fn validated(&self, mistakes: &mut Mistakes) -> Option<scenario::Try> {
        let predicted = outcome(&self.verdict, &self.violates, None, mistakes);
        if matches!((self.verdict.get(), self.violates.get()), (Some(None), Some(None))) {
            let what = "predict what comes out: verdict = \"valid\", or violates".into();
            self.verdict.conflict(mistakes, what);
        }
        let (set, seed) = (self.set.get()?, self.seed.get()?.map(|seed| seed.0));
        if set.is_empty() && seed.is_none() {
            self.set.conflict(mistakes, "set at least one key, or a seed".into());
            return None;
        }
        Some(scenario::Try { set, seed, predicted: predicted?, because: self.because.get()? })
    }
}

impl From<&scenario::Try> for Try {
    fn from(one: &scenario::Try) -> Self {
        let (verdict, violates) = wanted(&one.predicted);
        Self {
            set: Field::of(one.set.clone()),
            seed: Field::of(one.seed.map(Whole)),
            verdict: Field::of(verdict),
            violates: Field::of(violates.map(claims)),
            because: Field::of(one.because.clone()),
        }
    }
}
