//! `--set` changes any key, and its mistakes are told as those of the file are.

use crate::fixtures::SMALL;
use expect_test::expect;
use protocol::design::Accept;
use scenarios::scenario::Size;
use scenarios::{Override, Scenario, parse};
use std::time::Duration;

fn with(overrides: &[&str]) -> Result<Scenario, String> {
    let overrides: Vec<Override> =
        overrides.iter().map(|given| Override::parse(given).expect("a good override")).collect();
    parse(SMALL, "smoke.toml", &overrides).map_err(|mistakes| mistakes.to_string())
}

#[test]
fn any_key_can_be_set() {
    let scenario = with(&[
        "cluster.gateways=2",
        "design.accept=before_persist",
        "users.conversations.group_size=uniform(2..4)",
        "load.phases.1.rate=7/s",
        "phases.settle=30s",
        "question=\"Why?\"",
    ])
    .expect("all of them are good");
    assert_eq!(scenario.cluster.gateways, 2);
    assert_eq!(scenario.design.accept, Accept::BeforePersist);
    assert_eq!(scenario.users.group_size, Size::Uniform(2, 4));
    assert_eq!(scenario.load.phases[0].rate, scenarios::scenario::Rate::Constant(7.0));
    assert_eq!(scenario.phases.settle, Duration::from_secs(30));
    assert_eq!(scenario.question, "Why?");
}

#[test]
fn the_last_of_several_for_one_key_counts() {
    let scenario = with(&["cluster.gateways=2", "cluster.gateways=5"]).expect("both are good");
    assert_eq!(scenario.cluster.gateways, 5);
}

#[test]
fn a_default_that_does_not_fit_any_more_is_named() {
    let told = with(&["phases.settle=3s"]).expect_err("the default deadline is longer");
    expect![[r#"
        smoke.toml:1:1: expect.delivered_after_heal: a deadline of 15s would pass only after the judgement: phases.settle takes 3s and must take at least 15s
        smoke.toml:1:1: expect.no_stuck_session: a deadline of 15s would pass only after the judgement: phases.settle takes 3s and must take at least 15s
        smoke.toml:1:1: expect.pushed_within: a deadline of 20s would pass only after the judgement: phases.settle takes 3s and must take at least 20s"#]].assert_eq(&told);
}

#[test]
fn mistakes_say_set_instead_of_a_line() {
    let told = with(&[
        "cluster.gatways=2",
        "cluster.stores=none",
        "design.acept=x",
        "load.phases.2.rate=5/s",
        "users.count.x=1",
        "cluster.partitions=16,32",
    ])
    .expect_err("all of them are bad");
    expect![[r#"
        --set cluster.gatways=2: unknown key "gatways" in [cluster]; did you mean "gateways"?
        --set cluster.partitions=16,32: cluster.partitions: several values make a sweep; one run takes one of them
        --set cluster.stores=none: cluster.stores: expected a whole number from 1 to 64, found "none"
        --set design.acept=x: unknown key "acept" in [design]; did you mean "accept"?
        --set load.phases.2.rate=5/s: load.phases.2: a list of 1: pick one by its number, from 1
        --set users.count.x=1: users.count.x: there is nothing inside a plain value"#]].assert_eq(&told);
}
