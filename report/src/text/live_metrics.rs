//! A run under way in Prometheus' text format (version 0.0.4).

use crate::live::{BUCKETS_US, Buckets, Live, LiveLatencies};
use std::fmt::Write as _;

/// What each second's latency is quoted at.
const QUANTILES: [&str; 2] = ["0.5", "0.99"];

/// The numbers of a run under way; `recorded`: events so far, judged or not.
pub fn live_metrics(live: &Live, latencies: &LiveLatencies, recorded: u64) -> String {
    let mut out = String::new();
    let mut put = |name: &str, kind: &str, help: &str, value: u64| {
        let _ = writeln!(
            out,
            "# HELP fracas_load_{name} {help}\n# TYPE fracas_load_{name} {kind}\nfracas_load_{name} {value}"
        );
    };
    put("sent_total", "counter", "Operations that were sent.", live.sent);
    put("accepted_total", "counter", "Operations that were accepted.", live.accepted);
    put("refused_total", "counter", "Operations that were refused.", live.refused);
    put("delivered_total", "counter", "Entries shown on other devices.", live.delivered);
    put("violations_total", "counter", "Violations of invariants.", live.violations);
    put("events_recorded_total", "counter", "Events of the history.", recorded);
    put("events_judged_total", "counter", "Events that the judge has seen.", live.events);
    put("sessions", "gauge", "Sessions that are connected.", live.second.connected.into());
    put("faults", "gauge", "Faults that are active.", live.faults.len() as u64);
    let second = &live.second;
    for (name, told) in [
        ("accept", [second.accept_p50_us, second.accept_p99_us]),
        ("deliver", [second.deliver_p50_us, second.deliver_p99_us]),
    ] {
        let metric = format!("fracas_load_{name}_latency_seconds");
        let help = "Latency from the intended time, of the last second.";
        let _ = writeln!(out, "# HELP {metric} {help}\n# TYPE {metric} gauge");
        for (quantile, us) in QUANTILES.into_iter().zip(told) {
            let seconds = us.map_or(f64::NAN, |us| us as f64 / 1e6);
            let value = if seconds.is_nan() { "NaN".to_owned() } else { seconds.to_string() };
            let _ = writeln!(out, "{metric}{{quantile=\"{quantile}\"}} {value}");
        }
    }
    for (name, help, buckets) in [
        ("accept", "From the intended time until accepted, of the whole run.", latencies.accept),
        ("deliver", "From the intended time until shown elsewhere.", latencies.deliver),
        ("lateness", "From the intended time until sent: the generator's own.", latencies.lateness),
    ] {
        histogram(&format!("fracas_load_{name}_seconds"), help, &buckets, &mut out);
    }
    if let Some((phase, _)) = live.phase {
        let words = phase.words();
        let _ = writeln!(
            out,
            "# HELP fracas_load_phase The phase of the run.\n# TYPE fracas_load_phase gauge\n\
             fracas_load_phase{{phase=\"{words}\"}} 1"
        );
    }
    out
}

fn histogram(metric: &str, help: &str, buckets: &Buckets, out: &mut String) {
    let Buckets { at_most, count, sum_us } = buckets;
    let _ = writeln!(out, "# HELP {metric} {help}\n# TYPE {metric} histogram");
    for (bound_us, at_most) in BUCKETS_US.iter().zip(at_most) {
        let le = *bound_us as f64 / 1e6;
        let _ = writeln!(out, "{metric}_bucket{{le=\"{le}\"}} {at_most}");
    }
    let _ = writeln!(out, "{metric}_bucket{{le=\"+Inf\"}} {count}");
    let _ = writeln!(out, "{metric}_sum {}\n{metric}_count {count}", sum_us / 1e6);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::measure::latency::Distribution;
    use crate::measured::Second;
    use verify::history::event::Phase;

    #[test]
    fn every_number_has_its_help_and_its_type() {
        let second = Second { accept_p50_us: Some(1_500), connected: 7, ..Second::default() };
        let live = Live { phase: Some((Phase::Load, 0)), sent: 12, second, ..Live::default() };
        let mut accept = Distribution::new();
        for us in [900, 2_400, 80_000, 40_000_000] {
            accept.record(us);
        }
        let latencies = LiveLatencies { accept: Buckets::of(&accept), ..LiveLatencies::default() };
        let text = live_metrics(&live, &latencies, 99);
        for line in [
            "fracas_load_sent_total 12",
            "fracas_load_events_recorded_total 99",
            "fracas_load_sessions 7",
            "fracas_load_accept_latency_seconds{quantile=\"0.5\"} 0.0015",
            "fracas_load_accept_latency_seconds{quantile=\"0.99\"} NaN",
            "fracas_load_phase{phase=\"load\"} 1",
            "fracas_load_accept_seconds_bucket{le=\"0.001\"} 1",
            "fracas_load_accept_seconds_bucket{le=\"0.0025\"} 2",
            "fracas_load_accept_seconds_bucket{le=\"30\"} 3",
            "fracas_load_accept_seconds_bucket{le=\"+Inf\"} 4",
            "fracas_load_accept_seconds_count 4",
            "fracas_load_lateness_seconds_count 0",
        ] {
            assert!(text.lines().any(|told| told == line), "{line}\n{text}");
        }
        let names = text.lines().filter_map(|line| line.strip_prefix("# TYPE "));
        for name in names.map(|line| line.split(' ').next().unwrap_or_default()) {
            assert!(text.contains(&format!("# HELP {name} ")), "{name}");
        }
    }
}
