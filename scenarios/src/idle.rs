//! What is known of a run before it begins: invariants for which its users do nothing that could be judged.

use crate::scenario::Scenario;

/// A sentence for each invariant that will have judged nothing, so that the verdict will be unknown. None for
/// those that the scenario allows to be idle.
pub fn idle(scenario: &Scenario) -> Vec<String> {
    let load = &scenario.load;
    let mix = &load.mix;
    let replies = mix.reply + load.visits.map_or(0.0, |visits| visits.replies);
    let needs = [
        ("reply_after_parent", replies, "nobody replies: `load.mix.reply` is 0"),
        ("own_message_visible", mix.read_history, "nobody reads: `load.mix.read_history` is 0"),
        (
            "edits_converge",
            mix.edit + mix.delete,
            "nobody changes anything: `load.mix.edit` and `load.mix.delete` are 0",
        ),
    ];
    let is_allowed = |name: &str| scenario.expect.may_be_idle.iter().any(|idle| idle == name);
    let idle = needs.into_iter().filter(|(name, share, _)| *share <= 0.0 && !is_allowed(name));
    idle.map(|(name, _, why)| {
        format!(
            "{name} will judge nothing, and without it a run is not valid but unknown: {why}; or name it \
             in `expect.may_be_idle`"
        )
    })
    .collect()
}

#[cfg(test)]
mod tests {
    use crate::{Override, parse};

    const FILE: &str = include_str!("../safety/smoke.toml");

    fn idle(overrides: &[&str]) -> Vec<String> {
        let overrides = overrides.iter().map(|set| Override::parse(set).expect("a good override"));
        let scenario = parse(FILE, "smoke.toml", &overrides.collect::<Vec<_>>());
        super::idle(&scenario.unwrap_or_else(|mistakes| panic!("{mistakes}")))
    }

    #[test]
    fn what_nobody_does_is_named_with_its_key() {
        assert!(idle(&[]).is_empty());
        let told = idle(&["load.mix={ send = 1.0 }"]);
        assert_eq!(told.len(), 3, "{told:?}");
        assert!(told[0].starts_with("reply_after_parent") && told[0].contains("load.mix.reply"));
        let allowed = "expect.may_be_idle=[\"edits_converge\", \"own_message_visible\"]";
        let told = idle(&["load.mix={ send = 1.0 }", allowed]);
        assert_eq!(told.len(), 1, "{told:?}");
        assert!(
            idle(&["load.mix={ send = 0.8, reply = 0.1, delete = 0.05, read_history = 0.05 }"])
                .is_empty()
        );
    }
}
