//! Draws: a value by seed, any key, and all mistakes whatever the seed.

use crate::fixtures::SMALL;
use expect_test::expect;
use scenarios::{Drawn, Override, parse_with_seed};
use std::collections::BTreeSet;

fn drawn(overrides: &[&str], seed: u64) -> Result<Drawn, String> {
    let overrides: Vec<Override> =
        overrides.iter().map(|given| Override::parse(given).expect("a good override")).collect();
    parse_with_seed(SMALL, "smoke.toml", &overrides, seed).map_err(|mistakes| mistakes.to_string())
}

#[test]
fn every_value_is_drawn_and_the_same_seed_draws_the_same() {
    let given = ["cluster.gateways={ draw = [1, 2, 4] }", "users.codec={ draw = [\"json\"] }"];
    let of = |seed| drawn(&given, seed).expect("every value is good");
    let gateways: BTreeSet<u16> = (1..50).map(|seed| of(seed).scenario.cluster.gateways).collect();
    assert_eq!(gateways, BTreeSet::from([1, 2, 4]));
    assert_eq!(of(7), of(7));
    let gateways = of(7).scenario.cluster.gateways;
    let told = ["users.codec = \"json\"".to_owned(), format!("cluster.gateways = {gateways}")];
    assert_eq!(of(7).lots, told);
    assert_eq!(drawn(&[], 7).expect("no draw").lots, [""; 0]);
}

#[test]
fn one_more_draw_disturbs_no_other() {
    let gateways = "cluster.gateways={ draw = [1, 2, 3, 4] }";
    for seed in 1..20 {
        let alone = drawn(&[gateways], seed).expect("good").scenario;
        let both = drawn(&[gateways, "cluster.stores={ draw = [1, 2] }"], seed).expect("good");
        assert_eq!(alone.cluster.gateways, both.scenario.cluster.gateways);
    }
}

#[test]
fn a_table_and_what_is_in_it_can_be_drawn() {
    let given = ["load.mix={ draw = [{ send = { draw = [1.0] } }, { send = 0.5, reply = 0.5 }] }"];
    let shares: BTreeSet<String> =
        (1..20).map(|seed| drawn(&given, seed).expect("both are good").lots.join(", ")).collect();
    let expected = [
        "load.mix = { reply = 0.5, send = 0.5 }",
        "load.mix = { send = { draw = [1.0] } }, load.mix.send = 1.0",
    ];
    assert_eq!(shares, expected.map(str::to_owned).into());
}

#[test]
fn mistakes_of_all_values_are_told_whatever_the_seed() {
    let given = [
        "cluster.gateways={ draw = [1, 0, \"x\"] }",
        "cluster.stores={ draw = [1, 20] }",
        "users.codec={ draw = [] }",
        "load.mix={ draw = [{ send = 1.0 }, { sent = 1.0 }] }",
    ];
    let told = drawn(&given, 1).expect_err("there are five mistakes");
    assert_eq!(told, drawn(&given, 5).expect_err("the same"));
    expect![[r#"
        --set cluster.gateways={ draw = [1, 0, "x"] }: cluster.gateways.draw.2: expected a whole number from 1 to 64, found 0
        --set cluster.gateways={ draw = [1, 0, "x"] }: cluster.partitions: 16 partitions are not enough for 20 stores
        --set cluster.gateways={ draw = [1, 0, "x"] }: cluster.gateways.draw.3: expected a whole number from 1 to 64, found "x"
        --set load.mix={ draw = [{ send = 1.0 }, { sent = 1.0 }] }: unknown key "sent" in [load.mix.draw.2]; did you mean "send"?
        --set load.mix={ draw = [{ send = 1.0 }, { sent = 1.0 }] }: load.mix: the shares must add up to 1, not 0
        --set users.codec={ draw = [] }: users.codec.draw: expected a list of the values to draw from, found an empty list"#]].assert_eq(&told);
}

#[test]
fn a_draw_without_values_is_one_mistake() {
    for key in ["cluster.gateways", "users.codec", "load.mix", "load.phases", "load"] {
        for values in ["[]", "3"] {
            let told = drawn(&[&format!("{key}={{ draw = {values} }}")], 1).expect_err("a mistake");
            assert_eq!(told.lines().count(), 1, "{told}");
            let expected = format!("{key}.draw: expected a list of the values to draw from");
            assert!(told.contains(&expected), "{told}");
        }
    }
}
