//! What the judge keeps in memory over a long run of constant load.
//!
//! `cargo run --release -p verify --example judge_soak [MESSAGES [KEEP]]`: 1,080,000 messages unless it is
//! told otherwise, which are 3 hours at 100 a second; with KEEP the judge keeps so many entries of each
//! conversation in any case. Prints the memory of the process after each tenth of
//! them, and fails if it grows by more than a tenth after the sixth one: until then
//! the logs fill up to what the judge keeps in any case.

#![expect(clippy::print_stdout, reason = "an example prints its result")]

use std::cell::RefCell;
use std::rc::Rc;
use verify::history::soak::{self, Soak};
use verify::{CATALOGUE, Judge, JudgeOptions, Verdict};

fn main() {
    let messages: u64 = std::env::args().nth(1).and_then(|n| n.parse().ok()).unwrap_or(1_080_000);
    let keep = std::env::args().nth(2).and_then(|n| n.parse().ok());
    let may_be_idle = CATALOGUE.iter().map(|claim| claim.name.to_owned()).collect();
    let options = JudgeOptions { may_be_idle, evidence_max: 5, keep };
    let judge = Rc::new(RefCell::new((Judge::new(&soak::header(), options), 0_u64)));
    let observer = Rc::clone(&judge);
    let mut soak = Soak::begin(move |event| {
        let (judge, events) = &mut *observer.borrow_mut();
        judge.observe(&event);
        *events += 1;
    });
    let mut resident = Vec::new();
    for tenth in 1..=10 {
        (0..messages / 10).for_each(|_| soak.say());
        resident.push(resident_bytes());
        println!(
            "{:>9} messages, {:>10} events: {:>6.1} MiB resident",
            messages / 10 * tenth,
            judge.borrow().1,
            resident[resident.len() - 1] as f64 / f64::from(1 << 20)
        );
    }
    soak.end();
    println!(
        "after the final read: {:>6.1} MiB resident",
        resident_bytes() as f64 / f64::from(1 << 20)
    );
    let (judge, events) = Rc::into_inner(judge).expect("the observer is gone").into_inner();
    let judgement = judge.finish();
    assert_eq!(judgement.verdict, Verdict::Valid, "the history is clean: {judgement:#?}");
    let judged: u64 = judgement.findings.iter().map(|finding| finding.judged).sum();
    println!("{events} events, {judged} judgements, valid");
    assert!(resident[9] * 10 <= resident[5] * 11, "the memory grows with the length of the run");
}

/// The resident memory of this process.
fn resident_bytes() -> u64 {
    let statm = std::fs::read_to_string("/proc/self/statm").expect("Linux tells the memory");
    let pages = statm.split(' ').nth(1).and_then(|n| n.parse::<u64>().ok());
    pages.expect("the second field is the number of resident pages") * 4_096
}
