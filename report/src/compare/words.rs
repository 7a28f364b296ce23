//! A comparison in words, the same ones in every form.

use super::{Compared, Comparison, Outcome};

impl Outcome {
    pub(crate) const fn word(self) -> &'static str {
        match self {
            Self::Better => "better",
            Self::Same => "same",
            Self::Worse => "worse",
            Self::NotClear => "not clear",
        }
    }

    /// One character that says it without colour.
    pub(crate) const fn sign(self) -> &'static str {
        match self {
            Self::Better => "✓",
            Self::Same => "=",
            Self::Worse => "✗",
            Self::NotClear => "?",
        }
    }
}

/// A ratio as a change: "+12.3 %".
pub(crate) fn change(ratio: f64) -> String {
    if ratio >= 10.0 {
        return if ratio.is_finite() { format!("×{ratio:.1}") } else { "from none".to_owned() };
    }
    // What rounds to zero has no sign.
    let tenths = ((ratio - 1.0) * 1_000.0).round() + 0.0;
    format!("{:+.1} %", tenths / 10.0).replace('-', "−").replace("+0.0", "0.0")
}

fn interval(ends: Option<(f64, f64)>) -> String {
    let told = |(low, high)| format!("{} to {}", change(low), change(high));
    ends.map_or_else(|| "–".to_owned(), told)
}

/// "+12.3 % (+8.0 % to +16.1 %)", and why that is not clear.
pub(crate) fn changed(ratio: Option<f64>, ends: Option<(f64, f64)>, why: Option<&str>) -> String {
    let ratio = ratio.map_or_else(|| "–".to_owned(), change);
    let why = why.map_or_else(String::new, |why| format!("; {why}"));
    format!("{ratio} ({}){why}", interval(ends))
}

impl Compared {
    /// The value of A, in words.
    pub(crate) fn a_words(&self) -> String {
        self.a.map_or_else(|| "–".to_owned(), |value| self.unit().words(value))
    }

    /// The value of B, in words.
    pub(crate) fn b_words(&self) -> String {
        self.b.map_or_else(|| "–".to_owned(), |value| self.unit().words(value))
    }

    /// The change from A to B: "+12.3 %".
    pub(crate) fn ratio_words(&self) -> String {
        self.ratio.map_or_else(|| "–".to_owned(), change)
    }

    /// "+8.0 % to +16.1 %".
    pub(crate) fn interval_words(&self) -> String {
        interval(self.low.zip(self.high))
    }

    /// "+12.3 % (+8.0 % to +16.1 %)", and why that is not clear.
    pub(crate) fn change(&self) -> String {
        changed(self.ratio, self.low.zip(self.high), self.why.as_deref())
    }
}

impl Comparison {
    /// How many figures came out so.
    fn count(&self, outcome: Outcome) -> usize {
        self.metrics.iter().filter(|one| one.outcome == outcome).count()
    }

    /// What all figures say together: worse if any is.
    pub(crate) fn outcome(&self) -> Outcome {
        let any = |outcome| self.count(outcome) > 0;
        match () {
            () if any(Outcome::Worse) => Outcome::Worse,
            () if any(Outcome::Better) => Outcome::Better,
            () if any(Outcome::Same) => Outcome::Same,
            () => Outcome::NotClear,
        }
    }

    /// "3 of 12 figures worse, 8 same, 1 not clear".
    pub(crate) fn tally(&self) -> String {
        let all = [Outcome::Worse, Outcome::Better, Outcome::Same, Outcome::NotClear];
        let counts = all.map(|outcome| (self.count(outcome), outcome.word()));
        let counts = counts.into_iter().filter(|(count, _)| *count > 0);
        let mut parts: Vec<String> =
            counts.map(|(count, word)| format!("{count} {word}")).collect();
        if let Some(first) = parts.first_mut() {
            *first = first.replacen(' ', &format!(" of {} figures ", self.metrics.len()), 1);
        }
        parts.join(", ")
    }

    /// What the interval and the words mean.
    pub(crate) fn legend(&self) -> String {
        format!(
            "Intervals of B / A from whole runs (bootstrap), all of which hold together in 95 % of \
             comparisons. same: within {} of A; worse, better: the interval excludes no change, which is \
             beyond that; not clear: the runs do not show it.",
            change(1.0 + self.tolerance).replace('+', "±")
        )
    }
}
