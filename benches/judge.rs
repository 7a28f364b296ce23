//! The streaming judge with every invariant on, over a clean history of realistic shape.

use benches::cpu_time;
use criterion::{BatchSize, Throughput};
use std::hint::black_box;
use verify::history::fixture;
use verify::{CATALOGUE, Judge, JudgeOptions, Verdict};

/// Enough for the judge's tables to outgrow the caches of a processor.
const EVENTS: usize = 500_000;

fn main() {
    let mut criterion = cpu_time::criterion();
    let header = fixture::header();
    let events = fixture::events(EVENTS);
    let judge = || {
        // A history without faults leaves some invariants without anything to judge.
        let may_be_idle = CATALOGUE.iter().map(|claim| claim.name.to_owned()).collect();
        Judge::new(&header, JudgeOptions { may_be_idle, evidence_max: 5, keep: None })
    };
    let observe = |mut judge: Judge| {
        for event in &events {
            judge.observe(black_box(event));
        }
        judge
    };
    let judgement = observe(judge()).finish();
    assert_eq!(judgement.verdict, Verdict::Valid, "the history is clean: {judgement:#?}");
    let mut group = criterion.benchmark_group("judge");
    group.sample_size(10);
    group.throughput(Throughput::Elements(events.len() as u64));
    // Making a judge and dropping it are not in the time.
    group.bench_function("observe", |bencher| {
        bencher.iter_batched(judge, observe, BatchSize::PerIteration);
    });
    group.finish();
    criterion.final_summary();
}
