//! A level of load: one whole run at one rate, and whether it was sustained.

use super::saturation::{self, Saturated};
use super::usl::Point;
use crate::measured::{Measured, Second};
use crate::number;
use crate::verdict_file::VerdictFile;
use serde::Serialize;
use verify::history::event::Phase;
use verify::verdict::Verdict;

const SECOND_US: u64 = 1_000_000;
/// At least this share of what was sent is accepted as fast as it is sent, where a rate is sustained.
const ACHIEVED: f64 = 0.99;
/// The beginning of the load that is left out, as a part of it: nothing is in flight yet.
const BEGINNING: u64 = 10;

/// What became of a level.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// Valid, within the thresholds, and accepted as fast as it was sent.
    Sustained,
    /// The cluster did not manage.
    Broken,
    /// The generator, or its machine, met a limit of its own, or other work had the machine: it says nothing
    /// of the cluster.
    GeneratorLimited,
    /// Nothing is known, for another reason.
    Unknown,
}

/// One run at one rate.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Level {
    /// Operations per second that were asked for.
    pub rate: f64,
    /// The seed.
    pub seed: u64,
    /// Whether it is the long run at the end.
    pub is_hold: bool,
    /// What became of it.
    pub outcome: Outcome,
    /// Why it is not sustained: a sentence each.
    pub why: Vec<String>,
    /// Messages, edits and deletions sent per second, after the beginning of the load.
    pub sent: Option<f64>,
    /// Of these, accepted per second.
    pub accepted: Option<f64>,
    /// Whether what was sent was accepted as fast, so that no backlog grew.
    pub is_steady: bool,
    /// The mean time until accepted.
    pub mean_us: Option<f64>,
    /// The 99th percentile of the same.
    pub accept_p99_us: Option<u64>,
    /// The 99th percentile until shown elsewhere.
    pub deliver_p99_us: Option<u64>,
    /// Processors that each process kept busy during the load.
    pub cpu: Vec<(String, f64)>,
    /// What was at its limit.
    pub saturated: Vec<Saturated>,
    /// Where its report is, seen from the page.
    pub folder: Option<String>,
}

impl Level {
    /// What a run at a rate has shown.
    pub fn of(rate: f64, is_hold: bool, folder: Option<String>, file: &VerdictFile) -> Self {
        let measured = &file.measured;
        let rates = rates(measured);
        let (outcome, why) = judged(file, rates);
        let processors = file.machine.as_ref().map_or(0, |machine| machine.processors);
        Self {
            rate,
            seed: file.seed,
            is_hold,
            outcome,
            why,
            sent: rates.map(|rates| rates.sent),
            accepted: rates.map(|rates| rates.accepted),
            is_steady: rates.is_some_and(|rates| keeps_up(rates, measured)),
            mean_us: measured.accept.mean_us,
            accept_p99_us: measured.accept.all.p99_us,
            deliver_p99_us: measured.deliver.all.p99_us,
            cpu: saturation::cpu(measured),
            saturated: saturation::saturated(measured, processors),
            folder,
        }
    }

    /// As the law of scalability sees it; `None`: more and more was in flight, so that its number says
    /// how long the level lasted, or the generator was the limit.
    pub fn point(&self) -> Option<Point> {
        let says_something = matches!(self.outcome, Outcome::Sustained | Outcome::Broken);
        let throughput = self.accepted.filter(|_| self.is_steady && says_something)?;
        let in_flight = throughput * self.mean_us? / 1e6;
        (in_flight > 0.0).then_some(Point { in_flight, throughput })
    }
}

/// What was sent and accepted per second of a window, and how many operations that were.
#[derive(Clone, Copy, Debug)]
struct Rates {
    sent: f64,
    accepted: f64,
    seconds: f64,
}

/// Of the whole seconds of the load, without its beginning.
fn rates(measured: &Measured) -> Option<Rates> {
    let (from_us, to_us) = load(measured)?;
    let from_us = from_us + (to_us.saturating_sub(from_us) / BEGINNING).max(SECOND_US / 2);
    let from = from_us.div_ceil(SECOND_US) as usize;
    let seconds = measured.seconds.get(from..(to_us / SECOND_US) as usize)?;
    let sum = |of: fn(&Second) -> u32| seconds.iter().map(|one| f64::from(of(one))).sum::<f64>();
    let count = seconds.len() as f64;
    (count > 0.0).then(|| Rates {
        sent: sum(|second| second.sent) / count,
        accepted: sum(|second| second.accepted) / count,
        seconds: count,
    })
}

/// From when to when the load lasted.
pub(super) fn load(measured: &Measured) -> Option<(u64, u64)> {
    let load = measured.phases.iter().position(|mark| mark.phase == Phase::Load)?;
    let ends_us = measured.phases.get(load + 1).map_or(measured.ended_us, |mark| mark.at_us);
    Some((measured.phases[load].at_us, ends_us))
}

fn judged(file: &VerdictFile, rates: Option<Rates>) -> (Outcome, Vec<String>) {
    let limits = &file.measured.totals.limits;
    if let (Verdict::Unknown, true, Some(why)) =
        (file.verdict, limits.is_empty(), &file.measured.unmeetable)
    {
        let processors = file.machine.as_ref().map_or(0, |machine| machine.processors);
        return match saturation::other_work(&file.measured, processors) {
            Some(crowded) => (Outcome::GeneratorLimited, vec![crowded]),
            None => (Outcome::Broken, vec![why.clone()]),
        };
    }
    if file.verdict == Verdict::Unknown {
        if limits.is_empty() {
            return (Outcome::Unknown, file.doubts.first().cloned().into_iter().collect());
        }
        let met = limits.iter().map(|(limit, times)| match times {
            1 => format!("{limit} once"),
            more => format!("{limit} {} times", number::count(*more)),
        });
        return (Outcome::GeneratorLimited, met.collect());
    }
    let mut broken = Vec::new();
    let violated = file.findings.iter().filter(|found| found.verdict == Verdict::Violated);
    broken.extend(violated.map(|found| format!("violated: {}", found.invariant)));
    let bounds = file.expectations.iter().filter(|one| one.what != "outcome");
    let unmet = bounds.clone().filter(|one| one.met == Some(false));
    broken.extend(unmet.map(|one| format!("{}: {}, wanted {}", one.what, one.got, one.wanted)));
    let Some(rates) = rates else {
        return (Outcome::Unknown, vec!["it had no whole second of load".to_owned()]);
    };
    if !keeps_up(rates, &file.measured) {
        let words = [rates.accepted, rates.sent].map(number::three_digits);
        broken.push(format!("{}/s were accepted of {}/s that were sent", words[0], words[1]));
    }
    if !broken.is_empty() {
        let processors = file.machine.as_ref().map_or(0, |machine| machine.processors);
        // What an invariant says stands; time is what other work takes away.
        let crowded = saturation::other_work(&file.measured, processors);
        return match crowded.filter(|_| file.verdict == Verdict::Valid) {
            Some(why) => (Outcome::GeneratorLimited, vec![why]),
            None => (Outcome::Broken, broken),
        };
    }
    let open = bounds.filter(|one| one.met.is_none());
    let open: Vec<String> = open.map(|one| format!("{}: {}", one.what, one.got)).collect();
    if open.is_empty() { (Outcome::Sustained, open) } else { (Outcome::Unknown, open) }
}

/// Whether what was sent was accepted as fast. What is in flight differs between the beginning and the
/// end of the window by chance, even where it does not grow: by the deviation of two Poisson counts.
fn keeps_up(rates: Rates, measured: &Measured) -> bool {
    let mean_us = measured.accept.mean_us.unwrap_or(0.0);
    let in_flight = rates.accepted * mean_us.min(1e6) / 1e6;
    let by_chance = 3.0 * (2.0 * in_flight).sqrt() + 1.0;
    rates.accepted * rates.seconds + by_chance >= rates.sent * rates.seconds * ACHIEVED
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sample::Stage;
    use verify::history::event::Phase;

    /// A run of ten seconds of load, from 1.2 s on, with so much sent and accepted in each.
    fn file(verdict: Verdict, sent: u32, accepted: u32) -> VerdictFile {
        let mut stage = Stage::of(verdict);
        let load = Second { sent, accepted, ..Second::default() };
        stage.measured.seconds = vec![load; 13];
        stage.measured.seconds[1] = Second { sent, ..Second::default() };
        let marks = [(Phase::Load, 1_200_000), (Phase::Heal, 11_300_000)];
        stage.measured.phases =
            marks.map(|(phase, at_us)| crate::measured::PhaseMark { phase, at_us }).to_vec();
        VerdictFile::of(&stage.run())
    }

    fn outcome(file: &VerdictFile) -> (Outcome, String) {
        let level = Level::of(100.0, false, None, file);
        (level.outcome, level.why.join("; "))
    }

    #[test]
    fn a_level_is_sustained_only_if_all_of_it_is() {
        assert_eq!(
            outcome(&file(Verdict::Valid, 1_000, 1_000)),
            (Outcome::Sustained, String::new())
        );
        let (broken, why) = outcome(&file(Verdict::Valid, 1_000, 980));
        assert_eq!(
            (broken, &*why),
            (Outcome::Broken, "980/s were accepted of 1\u{202f}000/s that were sent")
        );
        assert_eq!(outcome(&file(Verdict::Valid, 1_000, 992)).0, Outcome::Sustained);
        let (broken, why) = outcome(&file(Verdict::Violated, 1_000, 1_000));
        assert_eq!((broken, &*why), (Outcome::Broken, "violated: accepted_message_survives"));
        let mut slow = file(Verdict::Valid, 1_000, 1_000);
        slow.expectations[1].met = Some(false);
        assert_eq!(outcome(&slow).0, Outcome::Broken);
        slow.expectations[1].met = None;
        assert_eq!(outcome(&slow).0, Outcome::Unknown);
    }

    #[test]
    fn a_generator_at_its_limit_never_accuses_the_cluster() {
        let mut late = file(Verdict::Unknown, 1_000, 100);
        assert_eq!(outcome(&late).0, Outcome::Unknown);
        late.measured.totals.limits.insert("lateness".to_owned(), 7);
        let (limited, why) = outcome(&late);
        assert_eq!(limited, Outcome::GeneratorLimited);
        assert_eq!(why, "lateness 7 times");
        assert_eq!(Level::of(1.0, false, None, &late).point(), None);
    }

    #[test]
    fn what_is_slow_beside_other_work_is_not_the_clusters_doing() {
        let mut slow = file(Verdict::Valid, 1_000, 900);
        slow.machine.as_mut().expect("this one").processors = 2;
        let look = |second: u64| crate::measured::Look {
            at_us: second * 1_000_000,
            cpu_us: second * 1_900_000,
            memory_bytes: 0,
            open_files: 0,
            disk_wait_us: None,
        };
        let looks = (0..13).map(look).collect();
        let machine =
            crate::measured::Used { process: "machine".into(), looks, ..Default::default() };
        slow.measured.processes = vec![machine];
        let (limited, why) = outcome(&slow);
        assert_eq!(limited, Outcome::GeneratorLimited);
        assert_eq!(why, "other work kept 1.90 of 2 processors busy");
        slow.verdict = Verdict::Violated;
        assert_eq!(outcome(&slow).0, Outcome::Broken);
    }

    #[test]
    fn a_run_that_ended_because_of_a_threshold_was_not_sustained() {
        let mut ended = file(Verdict::Unknown, 1_000, 1_000);
        ended.measured.unmeetable = Some("accept_p99 cannot be met any more".to_owned());
        let expected = (Outcome::Broken, "accept_p99 cannot be met any more".to_owned());
        assert_eq!(outcome(&ended), expected);
        ended.measured.totals.limits.insert("lateness".to_owned(), 7);
        assert_eq!(outcome(&ended).0, Outcome::GeneratorLimited, "it may be the generator's doing");
    }

    #[test]
    fn a_few_messages_that_are_under_way_are_no_backlog() {
        // 9 s of 10/s: one message is more than a hundredth of them.
        assert_eq!(outcome(&file(Verdict::Valid, 10, 10)).0, Outcome::Sustained);
        let mut one_missing = file(Verdict::Valid, 10, 10);
        one_missing.measured.seconds[9].accepted = 9;
        assert_eq!(outcome(&one_missing).0, Outcome::Sustained);
    }

    #[test]
    fn what_is_in_flight_follows_from_littles_law() {
        let level = Level::of(1_000.0, false, None, &file(Verdict::Valid, 1_000, 1_000));
        let point = level.point().expect("a steady level");
        assert!((point.throughput - 1_000.0).abs() < 1e-9);
        assert!((point.in_flight - 12.0).abs() < 1e-9, "1000/s for 12 ms each: {point:?}");
        let growing = Level::of(1_000.0, false, None, &file(Verdict::Valid, 1_000, 900));
        assert_eq!(growing.point(), None, "its number grows for as long as the level lasts");
    }
}
