//! What a run used up: queues, processors, disks.

use super::level::load;
use crate::measured::processors::USED_UP;
use crate::measured::{Look, Measured, Used};
use crate::number;
use serde::Serialize;

/// What can be used up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Resource {
    /// A queue, or another level with a limit, of a node.
    Queue,
    /// The processors of the machine.
    Processors,
    /// A processor's worth by one process.
    Process,
    /// The disks of the machine.
    Disk,
}

/// Something that was at its limit.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Saturated {
    /// What it is.
    pub resource: Resource,
    /// Which, and how far, in a sentence.
    pub told: String,
}

/// The name of everything on the machine together.
pub(super) const MACHINE: &str = "machine";
/// Processes that are named, the busiest first.
const NAMED_MAX: usize = 4;
/// Disks are the limit if some task waited for one for this share of the time.
const WAITING: f64 = 0.5;

/// Processors that each process kept busy during the load, the busiest first, the machine last.
pub(super) fn cpu(measured: &Measured) -> Vec<(String, f64)> {
    let busy = |used: &Used| {
        let share = over_the_load(measured, used, |look| Some(look.cpu_us))?;
        Some((used.process.to_string(), share))
    };
    let mut all: Vec<_> = measured.processes.iter().filter_map(busy).collect();
    all.sort_by(|a, b| (a.0 == MACHINE).cmp(&(b.0 == MACHINE)).then(b.1.total_cmp(&a.1)));
    all
}

/// How fast a counter of microseconds rose during the load.
fn over_the_load(
    measured: &Measured,
    used: &Used,
    counter: fn(&Look) -> Option<u64>,
) -> Option<f64> {
    let (from_us, to_us) = load(measured)?;
    let mut looks = used.looks.iter().filter(|look| (from_us..=to_us).contains(&look.at_us));
    let (first, last) = (looks.next()?, looks.next_back()?);
    let us = last.at_us - first.at_us;
    let rise = counter(last)?.saturating_sub(counter(first)?);
    (us > 0).then(|| rise as f64 / us as f64)
}

/// What was at its limit, on a machine with so many processors.
pub(super) fn saturated(measured: &Measured, processors: u64) -> Vec<Saturated> {
    let mut found: Vec<Saturated> = queues(measured).collect();
    found.extend(of_processors(&cpu(measured), processors));
    let waits = measured.processes.iter().find(|used| &*used.process == MACHINE);
    let waits = waits.and_then(|used| over_the_load(measured, used, |look| look.disk_wait_us));
    found.extend(waits.filter(|share| *share >= WAITING).map(|share| Saturated {
        resource: Resource::Disk,
        told: format!(
            "disk: something waited for one for {:.0} % of the time",
            share.min(1.0) * 100.0
        ),
    }));
    found
}

/// Levels of nodes that were near their limits.
fn queues(measured: &Measured) -> impl Iterator<Item = Saturated> {
    let full = measured
        .levels
        .iter()
        .filter(|level| level.limit > 0 && level.highest as f64 >= level.limit as f64 * USED_UP);
    full.map(|level| {
        let [highest, limit] = [level.highest, level.limit].map(number::count);
        Saturated {
            resource: Resource::Queue,
            told: format!("queue: {} of {} was at {highest} of {limit}", level.name, level.node),
        }
    })
}

/// How the processors of the machine were shared.
struct Shares<'a> {
    processes: Vec<&'a (String, f64)>,
    /// Processors that were busy, with whatever.
    busy: f64,
    /// Of these, with other work; zero if the machine as a whole was not seen.
    others: f64,
    is_used_up: bool,
}

fn shares(cpu: &[(String, f64)], processors: u64) -> Shares<'_> {
    let (machine, processes): (Vec<_>, Vec<_>) = cpu.iter().partition(|(name, _)| name == MACHINE);
    let ours: f64 = processes.iter().map(|(_, busy)| busy).sum();
    let busy = machine.first().map_or(ours, |(_, busy)| *busy);
    let is_used_up = processors > 0 && busy >= processors as f64 * USED_UP;
    Shares { processes, busy, others: busy - ours, is_used_up }
}

fn of_processors(cpu: &[(String, f64)], processors: u64) -> Option<Saturated> {
    let Shares { processes, busy, others, is_used_up } = shares(cpu, processors);
    if is_used_up {
        let told = |(name, busy): &(String, f64)| format!("{name} {busy:.2}");
        let mut parts: Vec<String> =
            processes.iter().take(NAMED_MAX).map(|one| told(one)).collect();
        // What ticks and looks leave over is no other work.
        if others > 0.1 * processors as f64 {
            parts.push(format!("others {others:.2}"));
        }
        let told = format!("CPU: {busy:.2} of {processors} processors: {}", parts.join(", "));
        return Some(Saturated { resource: Resource::Processors, told });
    }
    let (name, busy) = processes.first()?;
    (*busy >= USED_UP).then(|| Saturated {
        resource: Resource::Process,
        told: format!("CPU: {name} alone kept {busy:.2} processors busy"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::measured::{Level, PhaseMark};
    use verify::history::event::Phase;

    /// A process that kept so many processors busy from second 2 to 12, and idled before; tasks waited
    /// for a disk for so much of the time.
    fn used(process: &str, busy: f64, waits: Option<f64>) -> Used {
        let look = |second: u64| {
            let loaded = second.saturating_sub(2) as f64 * 1e6;
            Look {
                at_us: second * 1_000_000,
                cpu_us: (busy * loaded) as u64,
                memory_bytes: 1,
                open_files: 1,
                disk_bytes: None,
                disk_wait_us: waits.map(|share| (share * loaded) as u64 + 77),
                disk_stalled_us: None,
            }
        };
        Used { process: process.into(), looks: (0..13).map(look).collect(), ..Used::default() }
    }

    fn run(processes: Vec<Used>) -> Measured {
        let phases = [(Phase::Load, 2_000_000), (Phase::Heal, 12_000_000)]
            .map(|(phase, at_us)| PhaseMark { phase, at_us })
            .to_vec();
        Measured { phases, processes, ended_us: 20_000_000, ..Measured::default() }
    }

    fn told(measured: &Measured, processors: u64) -> Vec<String> {
        saturated(measured, processors).into_iter().map(|found| found.told).collect()
    }

    #[test]
    fn the_busiest_processes_are_named_where_processors_are_used_up() {
        let one = |name, busy| used(name, busy, None);
        let measured = run(vec![one("generator", 0.5), one("store-1", 0.9), one("machine", 1.9)]);
        assert_eq!(
            told(&measured, 2),
            ["CPU: 1.90 of 2 processors: store-1 0.90, generator 0.50, others 0.50"]
        );
        assert_eq!(told(&measured, 8), ["CPU: store-1 alone kept 0.90 processors busy"]);
        let idle = run(vec![one("generator", 0.5), one("store-1", 0.3), one("machine", 0.9)]);
        assert_eq!(told(&idle, 2), [""; 0]);
        let unseen = run(vec![one("store-1", 1.2), one("generator", 0.7)]);
        assert_eq!(told(&unseen, 2), ["CPU: 1.90 of 2 processors: store-1 1.20, generator 0.70"]);
    }

    #[test]
    fn disks_and_queues_are_told() {
        let mut measured = run(vec![used("machine", 0.2, Some(0.8))]);
        let level = |highest| Level {
            node: "broker-1".into(),
            name: "broker_inbound_messages".into(),
            highest,
            limit: 1_000,
            over_time: None,
        };
        measured.levels = vec![level(899), level(950)];
        assert_eq!(
            told(&measured, 2),
            [
                "queue: broker_inbound_messages of broker-1 was at 950 of 1\u{202f}000",
                "disk: something waited for one for 80 % of the time",
            ]
        );
    }

    #[test]
    fn what_was_not_seen_is_not_told() {
        assert_eq!(told(&Measured::default(), 2), [""; 0]);
        assert_eq!(cpu(&run(vec![Used::default()])), []);
    }
}
