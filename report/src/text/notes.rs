//! What a reader must know to trust the latencies, and what is special in this run.

use crate::measured::{Latency, Measured, Percentiles, Recovery, Steady};
use crate::number;

/// What the latency behind the warm-up is called.
pub(crate) const STEADY: &str = "steady";

/// Sentences for below the table of latencies.
pub(crate) fn latency_notes(measured: &Measured) -> Vec<String> {
    let totals = &measured.totals;
    let mut notes = vec![
        "Latency counts from the intended time, the moment at which the open-loop schedule wanted \
         the operation, so that a stall cannot hide the operations that it delayed (coordinated \
         omission). Percentiles are exact to 0.1\u{a0}%, and nothing is sampled."
            .to_owned(),
    ];
    let mut special = |count: u64, sentence: &str| {
        if count > 0 {
            notes.push(format!("{} {sentence}", number::count(count)));
        }
    };
    special(
        totals.unanswered,
        "operations had no answer at the end of the run; they count with the time that they had \
         waited until then, which is too short.",
    );
    special(
        totals.caught_up,
        "deliveries went to devices that connected for the first time, or whose users joined or came \
         back, after the message was intended; they have no latency.",
    );
    special(totals.untimed, "answers came so late that their intended time was forgotten.");
    special(totals.clipped, "latencies above ten minutes count as ten minutes in percentiles.");
    notes.extend(measured.crowded().map(|share| {
        format!(
            "For {:.1} % of the time all processors were busy, and a quarter of them or more with other work. What \
             that may have made late is not held against the cluster.",
            share * 100.0
        )
    }));
    notes.extend(measured.disk_stalled().map(|share| {
        format!(
            "A page that was written and synced beside the cluster's data says that the disk stalled for {:.1} % of \
             the time: the device wrote little meanwhile. What that may have made late is not held against the \
             cluster.",
            share * 100.0
        )
    }));
    notes.extend(steadiness(measured));
    notes
}

/// How much of the load was warm-up, with what the percentiles are behind it.
fn steadiness(measured: &Measured) -> Option<String> {
    let warm_up_s = match measured.steady? {
        Steady::Never => {
            return Some(
                "There was no steady state: until the end of the load the time until accepted \
                 drifted (MSER), so the percentiles say as much about its length as about its rate."
                    .to_owned(),
            );
        }
        Steady::From { warm_up_s: 0, .. } => {
            return Some("The load was steady from its beginning on (MSER).".to_owned());
        }
        Steady::From { warm_up_s, .. } => warm_up_s,
    };
    let seconds = if warm_up_s == 1 { "second" } else { "seconds" };
    Some(format!(
        "The first {warm_up_s} {seconds} of the load were warm-up (MSER); \"{STEADY}\" is what was \
         measured after that, to the end of the run."
    ))
}

/// The latency behind the warm-up, if there was one.
pub(crate) fn behind_warm_up<'a>(
    measured: &Measured,
    latency: &'a Latency,
) -> Option<&'a Percentiles> {
    let Some(Steady::From { warm_up_s: 1.., .. }) = measured.steady else { return None };
    latency.steady.as_ref()
}

/// How soon latency was back at its baseline after the faults, if that is known.
pub(crate) fn recovery(measured: &Measured) -> Option<String> {
    let baseline = measured.baseline?;
    let back = match measured.recovery() {
        Recovery::Unknown => return None,
        Recovery::After(us) => {
            format!("back at its baseline within {} of each fault", within(us))
        }
        Recovery::Never => "not back at its baseline when the run ended".to_owned(),
    };
    let (was, allowed) = (baseline.accept_p90_us, baseline.accept_allowed_us);
    Some(format!(
        "Latency was {back}: p90 until accepted {} before the faults, at most {} after them.",
        number::latency(was),
        number::latency(allowed)
    ))
}

/// The recovery after one fault, in a table's cell.
pub(crate) fn recovered(recovery: Recovery) -> String {
    match recovery {
        Recovery::Unknown => "–".to_owned(),
        Recovery::After(us) => within(us),
        Recovery::Never => "never".to_owned(),
    }
}

/// A recovery is known to a second.
pub(crate) fn within(us: u64) -> String {
    format!("{} s", number::count(us.div_ceil(1_000_000).max(1)))
}
