//! Writes a gallery of reports of fabricated runs, to look at a page while working on it:
//! `cargo run -p report --example gallery -- /tmp/gallery`.
//!
//! Nothing here comes from a cluster: the events are made up, and so is each judgement. Such pages
//! are for looking at, and are never published.

mod judgement;
mod scenario;
mod stream;

use report::{Machine, Measurements, Run, Took, expectations, write};
use std::path::{Path, PathBuf};
use std::time::Duration;
use stream::Shape;
use verify::verdict::Verdict;

#[expect(clippy::print_stdout, reason = "an example tells what it wrote")]
fn main() -> Result<(), report::ReportError> {
    let into = std::env::args_os().nth(1).map_or_else(|| PathBuf::from("."), PathBuf::from);
    let shows = [
        ("held", Shape::faults(), Verdict::Valid),
        ("violated", Shape::power_loss(), Verdict::Violated),
        ("unknown", Shape::empty(), Verdict::Unknown),
        ("short", Shape::short(), Verdict::Valid),
        ("dense", Shape::dense(), Verdict::Valid),
    ];
    for (name, shape, verdict) in shows {
        let text = show(&into.join(name), name, &shape, verdict)?;
        println!("{text}");
    }
    Ok(())
}

fn show(
    into: &Path,
    name: &str,
    shape: &Shape,
    verdict: Verdict,
) -> Result<String, report::ReportError> {
    let scenario = scenario::scenario(name, verdict);
    let header = stream::header(name, shape);
    let events = stream::events(shape);
    let mut measurements = Measurements::new(&header);
    for event in &events {
        measurements.observe(event);
    }
    let measured = measurements.finish();
    let judgement = judgement::judgement(verdict, &header, &events);
    let expectations = expectations(&scenario, &judgement, &measured);
    let reproduce = format!("fracas run scenarios/safety/{name}.toml --seed {}", header.seed);
    let run = Run {
        scenario: &scenario,
        scenario_toml: scenario::TOML,
        tried: None,
        path: &[],
        header: &header,
        judgement: &judgement,
        measured: &measured,
        expectations: &expectations,
        reproduce: &reproduce,
        reproduce_here: &reproduce,
        version: env!("CARGO_PKG_VERSION"),
        history_file: "history.jsonl",
        notes: &[],
        took: Took {
            ended_at_ms: Some(1_700_000_000_000),
            wall: Duration::from_millis(2_310),
            cpu: Duration::from_millis(1_870),
            simulated: Duration::from_micros(measured.ended_us),
        },
        machine: &Machine::here(),
    };
    write(into, &run)?;
    Ok(report::terminal(&run, true, 100))
}
