//! What a knee says, in sentences that every form of its report has.

use super::saturation::MACHINE;
use super::{End, Estimate, Fit, Knee, Level, Outcome};
use crate::number;

impl Outcome {
    /// One character that says it without colour.
    pub(crate) const fn sign(self) -> &'static str {
        match self {
            Self::Sustained => "✓",
            Self::Broken => "✗",
            Self::GeneratorLimited | Self::Unknown => "?",
        }
    }

    /// The same in words.
    pub(crate) const fn word(self) -> &'static str {
        match self {
            Self::Sustained => "sustained",
            Self::Broken => "not sustained",
            Self::GeneratorLimited => "generator limited",
            Self::Unknown => "unknown",
        }
    }
}

/// The heads of the columns of levels.
pub(crate) const COLUMNS: [&str; 6] =
    ["rate", "sent", "accepted", "accept p99", "deliver p99", "CPU"];

impl Level {
    /// The cells of its row.
    pub(crate) fn cells(&self) -> [String; 6] {
        let rate = |rate: Option<f64>| rate.map_or_else(|| "–".to_owned(), per_second);
        [
            per_second(self.rate),
            rate(self.sent),
            rate(self.accepted),
            number::latency_or_dash(self.accept_p99_us),
            number::latency_or_dash(self.deliver_p99_us),
            self.cpu_words(),
        ]
    }

    /// A line that tells of it when it is over.
    pub fn line(&self) -> String {
        let [rate, _, accepted, accept, ..] = self.cells();
        let told = self.told();
        format!("{} {rate}: {accepted} accepted, p99 {accept}, {told}", self.outcome.sign())
            .replace(number::NARROW, ",")
    }

    /// Processors that each process kept busy: "store-1 0.42 gateway-1 0.31".
    fn cpu_words(&self) -> String {
        let busy = self.cpu.iter().filter(|(_, busy)| *busy >= 0.005);
        let told = busy.map(|(name, busy)| format!("{name} {busy:.2}"));
        told.collect::<Vec<_>>().join(" ")
    }

    /// What became of it; the long run says that it is one.
    pub(crate) fn word(&self) -> String {
        format!("{}{}", self.outcome.word(), if self.is_hold { " (hold)" } else { "" })
    }

    /// What became of it, and why: "not sustained: accept_p99: ...".
    pub(crate) fn told(&self) -> String {
        let why =
            if self.why.is_empty() { String::new() } else { format!(": {}", self.why.join("; ")) };
        format!("{}{why}", self.word())
    }
}

impl Knee {
    /// The rate, or that there is none: "1,240/s".
    pub(crate) fn headline(&self) -> String {
        match (&self.end, self.sustained) {
            (End::NothingSustained, _) | (_, None) => "no knee".to_owned(),
            (End::Held, Some(rate)) => per_second(rate),
            (End::NotHeld | End::HoldUnknown, Some(rate)) => {
                format!("{} at most", per_second(rate))
            }
            (_, Some(rate)) => format!("{} at least", per_second(rate)),
        }
    }

    /// What was found, and how sure that is.
    pub(crate) fn sentence(&self) -> String {
        let rate = |rate: Option<f64>| rate.map_or_else(|| "nothing".to_owned(), per_second);
        let (sustained, broken) = (rate(self.sustained), rate(self.broken));
        let between = match (self.sustained, self.broken) {
            (Some(_), Some(_)) => format!("{sustained} were sustained, {broken} were not"),
            (Some(_), None) => format!("{sustained} were sustained, and no rate was too much"),
            (None, Some(_)) => format!("{broken} were not sustained, and no lower rate was"),
            (None, None) => "no level has shown anything".to_owned(),
        };
        let then = match self.end {
            End::Held => "; held for longer, it was sustained too",
            End::NotHeld => "; held for longer, it was not sustained: the knee is below it",
            End::HoldUnknown => "; whether it holds for longer could not be told",
            End::NothingSustained => "",
            End::UsersLimited => ": the users of the scenario, not the cluster, are the limit",
            End::GeneratorLimited => {
                "; beyond, the generator or its machine, not the cluster, is the limit: this says \
                 nothing of the cluster"
            }
            End::Unknown => "; a level said nothing, and the search ended there",
            End::Interrupted => "; then the search was interrupted",
        };
        format!("{between}{then}.")
    }

    /// All processes that were seen, the busiest first, the machine last.
    pub(crate) fn processes(&self) -> Vec<&str> {
        let mut names: Vec<&str> = Vec::new();
        for (name, _) in self.levels.iter().rev().flat_map(|level| &level.cpu) {
            if !names.contains(&name.as_str()) {
                names.push(name);
            }
        }
        let (machine, mut names): (Vec<_>, Vec<_>) =
            names.into_iter().partition(|name| *name == MACHINE);
        names.extend(machine);
        names
    }

    /// What was used up, or that nothing was seen to be.
    pub(crate) fn saturation(&self) -> Vec<String> {
        if self.saturated.is_empty() && self.breaking().is_some() {
            return vec![
                "nothing that was measured was at its limit: what binds is within a process (a lock, \
                 one thread, the time of a sync)"
                    .to_owned(),
            ];
        }
        self.saturated.iter().map(|found| found.told.clone()).collect()
    }

    /// What the law says; why it says nothing.
    pub(crate) fn law(&self) -> Vec<String> {
        match (&self.fit, &self.no_fit) {
            (Some(fit), _) => fit.sentences(),
            (None, Some(why)) => vec![format!("not fitted: {why}")],
            (None, None) => Vec::new(),
        }
    }
}

impl Fit {
    fn sentences(&self) -> Vec<String> {
        let mut told = vec![
            format!("λ = {}: with one operation in flight", self.lambda.words(per_second)),
            format!("σ = {}: contention", self.sigma.words(share)),
            format!("κ = {}: coherency", self.kappa.words(share)),
        ];
        told.push(match self.peak_in_flight {
            Some(peak) => format!(
                "throughput peaks at {} with {} in flight, and falls beyond",
                self.ceiling.words(per_second),
                number::three_digits(peak)
            ),
            None if self.ceiling.value.is_finite() => format!(
                "no retrograde region seen (the interval of κ begins at 0); the curve ends at {}",
                self.ceiling.words(per_second)
            ),
            None => "no retrograde region seen, and no ceiling: throughput rose with what was in \
                     flight"
                .to_owned(),
        });
        told.push(format!("fitted to {} levels; 95 % intervals in brackets", self.points.len()));
        told
    }
}

impl Estimate {
    fn words(&self, value: impl Fn(f64) -> String) -> String {
        let high = if self.high.is_finite() { value(self.high) } else { "∞".to_owned() };
        format!("{} [{}, {high}]", value(self.value), value(self.low))
    }
}

/// "1 240/s".
pub(crate) fn per_second(rate: f64) -> String {
    if rate.is_finite() { format!("{}/s", number::three_digits(rate)) } else { "∞".to_owned() }
}

/// "0.0497", "8.0e-6".
fn share(value: f64) -> String {
    match value.abs() {
        zero if zero < 1e-12 => "0".to_owned(),
        small if small < 1e-3 => format!("{value:.1e}"),
        _ => format!("{value:.4}"),
    }
}
