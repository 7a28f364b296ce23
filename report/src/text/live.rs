//! A run under way, for a terminal and as one line.

use crate::live::{Extent, Live, Unit};
use crate::number::{COMMA, counted, grouped, latency_or_dash, span};

/// Cells of the bar.
const BAR: u64 = 24;
/// Processes that are shown, the busiest first.
const PROCESSES: usize = 6;
/// Faults that are named.
const FAULTS: usize = 3;

/// One line, for a log. `recorded`: events so far, judged or not.
pub fn live_line(live: &Live, extent: &Extent, recorded: u64) -> String {
    let mut parts = vec![standing(live, extent, recorded)];
    let second = &live.second;
    if live.sent > 0 {
        parts.push(format!("{} sent/s", grouped(second.sent.into(), COMMA)));
        parts.push(format!("{} accepted/s", grouped(second.accepted.into(), COMMA)));
        parts.push(format!("{} delivered/s", grouped(second.delivered.into(), COMMA)));
        if second.rejected > 0 {
            parts.push(format!("{} refused/s", grouped(second.rejected.into(), COMMA)));
        }
        parts.push(format!("accept p99 {}", latency_or_dash(second.accept_p99_us)));
        parts.push(format!("deliver p99 {}", latency_or_dash(second.deliver_p99_us)));
    }
    parts.extend(faults(live));
    parts.push(counted(live.violations, "violations", COMMA));
    parts.join("  ")
}

/// Several lines, for a terminal of so many columns.
pub fn live_panel(live: &Live, extent: &Extent, recorded: u64, width: u16) -> String {
    let second = &live.second;
    let bar = live.done(extent, recorded).map_or_else(String::new, |(done, all, _)| bar(done, all));
    let number = |number: u32| grouped(number.into(), COMMA);
    let mut lines = vec![
        format!("{}  {bar}", standing(live, extent, recorded)),
        format!(
            "a second   {} sent, {} accepted, {} refused, {} delivered, {} resent",
            number(second.sent),
            number(second.accepted),
            number(second.rejected),
            number(second.delivered),
            number(second.resent),
        ),
        format!(
            "latency    accept p50 {} p99 {}, deliver p50 {} p99 {}",
            latency_or_dash(second.accept_p50_us),
            latency_or_dash(second.accept_p99_us),
            latency_or_dash(second.deliver_p50_us),
            latency_or_dash(second.deliver_p99_us),
        ),
        format!(
            "so far     {} sent, {} accepted, {} refused, {} delivered; {} of {} online; {}",
            grouped(live.sent, COMMA),
            grouped(live.accepted, COMMA),
            grouped(live.refused, COMMA),
            grouped(live.delivered, COMMA),
            number(second.connected),
            grouped(extent.sessions, COMMA),
            counted(live.violations, "violations", COMMA),
        ),
        format!("faults     {}", faults(live).unwrap_or_else(|| "none".to_owned())),
    ];
    if !live.processes.is_empty() {
        lines.push(format!("CPU        {}", processes(live)));
    }
    let width = usize::from(width.max(20)) - 1;
    let cut = |line: String| line.chars().take(width).collect::<String>();
    lines.into_iter().map(cut).collect::<Vec<_>>().join("\n")
}

/// The phase, and how far it is.
fn standing(live: &Live, extent: &Extent, recorded: u64) -> String {
    let Some((phase, _)) = live.phase else { return "starting".to_owned() };
    let words = phase.words();
    match live.done(extent, recorded) {
        Some((done, all, Unit::Time)) => format!("{words}: {} of {}", span(done), span(all)),
        Some((done, all, unit)) => {
            format!("{words}: {} of {} {}", grouped(done, COMMA), grouped(all, COMMA), unit.words())
        }
        None => words.to_owned(),
    }
}

fn bar(done: u64, all: u64) -> String {
    let filled = (done.min(all) * BAR).checked_div(all).unwrap_or(0);
    let percent = (done.min(all) * 100).checked_div(all).unwrap_or(0);
    let cells = |count: u64, cell: &str| cell.repeat(count as usize);
    format!("{}{} {percent:>3} %", cells(filled, "█"), cells(BAR - filled, "░"))
}

fn faults(live: &Live) -> Option<String> {
    let (named, more) = live.faults.split_at(live.faults.len().min(FAULTS));
    let more = (!more.is_empty()).then(|| format!("{} more", more.len()));
    let told: Vec<String> = named.iter().cloned().chain(more).collect();
    (!told.is_empty()).then(|| told.join(", "))
}

fn processes(live: &Live) -> String {
    let mut busiest = live.processes.clone();
    busiest.sort_by(|(a, busy_a, _), (b, busy_b, _)| busy_b.cmp(busy_a).then_with(|| a.cmp(b)));
    let told = |(process, percent, memory): &(_, u64, u64)| {
        format!("{process} {percent} % {} MiB", grouped(memory >> 20, COMMA))
    };
    busiest.iter().take(PROCESSES).map(told).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::measured::Second;
    use verify::history::event::Phase;

    fn live(phase: Phase) -> Live {
        let second = Second {
            sent: 1_670,
            accepted: 1_668,
            delivered: 4_900,
            connected: 98_123,
            accept_p50_us: Some(4_200),
            accept_p99_us: Some(60_100),
            ..Second::default()
        };
        Live {
            phase: Some((phase, 10_000_000)),
            now_us: 22_300_000,
            second,
            events: 400,
            sent: 20_000,
            accepted: 19_990,
            made: 1_500,
            violations: u64::from(phase == Phase::Load),
            faults: ["a", "b", "c", "d", "e"].map(str::to_owned).to_vec(),
            processes: vec![("store-1".into(), 40, 80 << 20), ("generator".into(), 61, 200 << 20)],
            ..Live::default()
        }
    }

    const EXTENT: Extent = Extent {
        members: 3_000,
        conversations: 1_000,
        sessions: 100_000,
        lengths_us: [20_000_000, 6_000_000, 20_000_000],
    };

    #[test]
    fn a_line_names_the_phase_and_what_happens() {
        assert_eq!(
            live_line(&live(Phase::Load), &EXTENT, 500),
            "load: 12.3 s of 20.0 s  1,670 sent/s  1,668 accepted/s  4,900 delivered/s  \
             accept p99 60.1 ms  deliver p99 –  a, b, c, 2 more  1 violation"
        );
        let quiet = Live { sent: 0, faults: Vec::new(), ..live(Phase::SetUp) };
        assert_eq!(
            live_line(&quiet, &EXTENT, 500),
            "set up: 1,500 of 3,000 members made  0 violations"
        );
        assert_eq!(live_line(&Live::default(), &EXTENT, 0), "starting  0 violations");
        let judging = live_line(&live(Phase::End), &EXTENT, 500);
        assert!(judging.starts_with("end: 400 of 500 events judged"), "{judging}");
    }

    #[test]
    fn a_panel_shows_a_bar_and_fits_its_terminal() {
        let panel = live_panel(&live(Phase::WarmUp), &EXTENT, 500, 100);
        let lines: Vec<&str> = panel.lines().collect();
        assert_eq!(lines[0], "warm up: 98,123 of 100,000 online  ███████████████████████░  98 %");
        assert_eq!(lines[5], "CPU        generator 61 % 200 MiB, store-1 40 % 80 MiB");
        let narrow = live_panel(&live(Phase::Load), &EXTENT, 500, 40);
        assert!(narrow.lines().all(|line| line.chars().count() < 40), "{narrow}");
    }
}
