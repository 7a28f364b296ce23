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

/// The file with a line below `[load]`, and `--set` laid over it.
fn with_mix(mix: &str, overrides: &[&str]) -> Result<scenarios::scenario::Mix, String> {
    let text = SMALL.replace("[load]\n", &format!("[load]\n{mix}"));
    let overrides: Vec<Override> =
        overrides.iter().map(|given| Override::parse(given).expect("a good override")).collect();
    let parsed = parse(&text, "smoke.toml", &overrides);
    parsed.map(|scenario| scenario.load.mix).map_err(|mistakes| mistakes.to_string())
}

#[test]
fn the_rest_of_a_mix_scales_with_the_shares_that_are_set() {
    let mix = "mix = { send = 0.6, reply = 0.3, edit = 0.1 }\n";
    let near = |a: f64, b: f64| (a - b).abs() < 1e-9;
    let one = with_mix(mix, &["load.mix.edit=0.4"]).expect("it scales");
    assert!(near(one.send, 0.4) && near(one.reply, 0.2) && near(one.edit, 0.4), "{one:?}");
    let two = with_mix(mix, &["load.mix.edit=0.4", "load.mix.typing=0.15"]).expect("it scales");
    assert!(near(two.send, 0.3) && near(two.reply, 0.15) && near(two.typing, 0.15), "{two:?}");
    let all = with_mix(mix, &["load.mix.send=1"]).expect("the others are nothing");
    assert!(near(all.send, 1.0) && near(all.reply, 0.0) && near(all.edit, 0.0), "{all:?}");
    // Without a mix, all of it is messages.
    let none = with_mix("", &["load.mix.typing=0.25"]).expect("it scales");
    assert!(near(none.send, 0.75) && near(none.typing, 0.25), "{none:?}");
    let whole = with_mix(mix, &["load.mix={ send = 0.5, edit = 0.5 }", "load.mix.reply=0.5"]);
    assert!(whole.is_ok_and(|mix| near(mix.send, 0.25) && near(mix.edit, 0.25)));
}

#[test]
fn shares_that_cannot_add_up_are_told_and_never_made_to() {
    let mix = "mix = { send = 0.6, reply = 0.4 }\n";
    let told = |mix: &str, overrides: &[&str]| with_mix(mix, overrides).expect_err("it is bad");
    expect![[r#"--set load.mix.edit=0.5: load.mix: the shares must add up to 1, not 1.2"#]]
        .assert_eq(&told(mix, &["load.mix.send=0.7", "load.mix.edit=0.5"]));
    expect![[r#"--set load.mix.reply=0.3: load.mix: the shares must add up to 1, not 0.8"#]]
        .assert_eq(&told(mix, &["load.mix.send=0.5", "load.mix.reply=0.3"]));
    expect![[
        r#"--set load.mix.edit=many: load.mix.edit: expected a share from 0.0 to 1.0, found "many""#
    ]]
    .assert_eq(&told(mix, &["load.mix.edit=many"]));
    let broken = told("mix = { send = 0.6, reply = 0.3 }\n", &["load.mix.edit=0.2"]);
    assert!(broken.contains("the shares must add up to 1, not 1.1"), "{broken}");
    let drawn = "mix = { draw = [{ send = 1.0 }, { send = 0.5, reply = 0.5 }] }\n";
    expect![[
        r#"--set load.mix.edit=0.2: load.mix: the seed draws it: set the whole of it, or nothing"#
    ]]
    .assert_eq(&told(drawn, &["load.mix.edit=0.2"]));
    let unknown = told(mix, &["load.mix.edits=0.2"]);
    assert!(unknown.contains("did you mean \"edit\"?"), "{unknown}");
}

#[test]
fn what_stands_instead_of_a_key_makes_room() {
    use scenarios::scenario::ExpectedOutcome;
    let text = format!(
        "{SMALL}\n[[fault]]\nat = \"1s\"\nfor = \"1s\"\nkind = \"blip\"\n\
                        between = [[\"store-1\"], [\"broker-1\"]]\n[expect]\nverdict = \"valid\"\n"
    );
    let with = |overrides: &[&str]| {
        let overrides: Vec<Override> =
            overrides.iter().map(|given| Override::parse(given).expect("good")).collect();
        parse(&text, "smoke.toml", &overrides).map_err(|mistakes| mistakes.to_string())
    };
    let violates = with(&["expect.violates=no_duplicate_delivery"]).map(|one| one.expect.outcome);
    let name = "no_duplicate_delivery".to_owned();
    assert_eq!(violates, Ok(ExpectedOutcome::Violates(vec![name])));
    let from = with(&["fault.1.from=gateway-1", "fault.1.to=store-1"]);
    assert!(from.is_ok(), "{from:?}");
    let both = with(&["expect.verdict=valid", "expect.violates=no_duplicate_delivery"]);
    expect![[r#"--set expect.violates=no_duplicate_delivery: expect.violates: set either verdict = "valid" or violates, not both"#]]
        .assert_eq(&both.expect_err("both are asked for"));
}
