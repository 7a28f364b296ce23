//! How many events a second the judge takes, on one core, with every invariant on.
//!
//! `cargo run --release -p verify --example judge_speed [EVENTS]`: makes a clean history of realistic
//! shape in memory (`verify::history::fixture`), then times `Judge::observe` over it. Making the history
//! and `Judge::finish` are not in the rate.

#![expect(clippy::print_stdout, reason = "an example prints its result")]

use std::hint::black_box;
use verify::history::{event::Event, fixture};
use verify::{CATALOGUE, Judge, JudgeOptions, Verdict};

fn main() {
    let wanted = std::env::args().nth(1).and_then(|n| n.parse().ok()).unwrap_or(4_000_000);
    let header = fixture::header();
    let events = fixture::events(wanted);
    let may_be_idle = CATALOGUE.iter().map(|claim| claim.name.to_owned()).collect();
    let options = JudgeOptions { may_be_idle, evidence_max: 5, keep: None };
    let mut judge = Judge::new(&header, options);
    let began = cpu_seconds();
    for event in &events {
        judge.observe(black_box(event));
    }
    let took = cpu_seconds() - began;
    let judgement = judge.finish();
    assert_eq!(judgement.verdict, Verdict::Valid, "the history is clean: {judgement:#?}");
    let judged: u64 = judgement.findings.iter().map(|finding| finding.judged).sum();
    println!(
        "{} events of {} bytes in {took:.3} s of CPU time: {:.2} million events/s, {:.0} ns each; {judged} judgements",
        events.len(),
        size_of::<Event>(),
        events.len() as f64 / took / 1e6,
        took * 1e9 / events.len() as f64
    );
}

/// CPU seconds of this process, from the kernel: other work on the machine does not count.
fn cpu_seconds() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/schedstat").expect("Linux counts CPU time");
    let nanoseconds = stat.split(' ').next().and_then(|n| n.parse::<f64>().ok());
    nanoseconds.expect("the first field is the time on the CPU in nanoseconds") / 1e9
}
