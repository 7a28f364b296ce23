//! The design choices under test: those of a run that are not the default, with what the documentation
//! says of each.
//!
//! The page of the choices is the only place where they are explained; a report quotes it.

use crate::run::Run;
use protocol::Design;
use serde_json::Value;
use verify::verdict::Verdict;

const PAGE: &str = include_str!("../../docs/design-choices.md");

/// A choice that a run made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Choice {
    /// `accept`.
    pub(crate) key: &'static str,
    /// What was chosen: `before_persist`.
    pub(crate) option: &'static str,
    /// The default: `after_persist`.
    pub(crate) sound: &'static str,
    /// Why it is wrong; `None`: it is as sound as the default.
    pub(crate) why: Option<&'static str>,
}

/// The choices that are not the default, in the order of the documentation of scenarios.
pub(crate) fn choices(design: &Design) -> Vec<Choice> {
    let chosen = serde_json::to_value(design).unwrap_or_default();
    let choice = |key: &&'static str| {
        let options = scenarios::design_options(key);
        let option = chosen.get(*key).and_then(Value::as_str)?;
        let option = options.iter().find(|other| **other == option)?;
        let sound = options.first().filter(|sound| *sound != option)?;
        let why = if scenarios::is_sound_design(key) { None } else { why(key, option) };
        Some(Choice { key, option, sound, why })
    };
    scenarios::design_choices().iter().filter_map(choice).collect()
}

/// How the sentence of a bad choice goes on if nothing shows that it is bad.
pub(crate) fn not_caught(run: &Run) -> &'static str {
    match run.judgement.verdict {
        Verdict::Violated => "",
        Verdict::Valid => "; nothing here has caught it",
        Verdict::Unknown => "; nothing here has caught it so far as is known",
    }
}

/// The paragraph of an option, without its heading.
fn why(key: &str, option: &str) -> Option<&'static str> {
    let number = number(key, option)?;
    let heading = format!("**{number}, `{key}`: ");
    let paragraph = PAGE.lines().find_map(|line| line.strip_prefix(&heading))?;
    Some(paragraph.split_once(".** ")?.1)
}

/// The number of an option in the table of the page.
fn number(key: &str, option: &str) -> Option<&'static str> {
    let cells = format!(" `{key}` | `{option}` |");
    PAGE.lines().find_map(|line| {
        let (number, rest) = line.strip_prefix("| ")?.split_once(" |")?;
        rest.starts_with(&cells).then_some(number)
    })
}

#[cfg(test)]
mod tests {
    use super::{choices, why};
    use protocol::Design;
    use protocol::design::{Accept, FanOut};

    #[test]
    fn every_bad_option_has_its_paragraph() {
        let mut paragraphs = std::collections::BTreeSet::new();
        for key in scenarios::design_choices().iter().filter(|key| !scenarios::is_sound_design(key))
        {
            for option in &scenarios::design_options(key)[1..] {
                let why =
                    why(key, option).unwrap_or_else(|| panic!("no paragraph for {key}={option}"));
                assert!(why.ends_with('.') && why.len() > 60, "{key}={option}: {why}");
                paragraphs.insert(why);
            }
        }
        // The two options of the de-duplication share theirs.
        assert_eq!(paragraphs.len(), 23);
    }

    #[test]
    fn only_what_is_not_the_default_is_under_test() {
        assert!(choices(&Design::default()).is_empty());
        let design =
            Design { accept: Accept::BeforePersist, fan_out: FanOut::Direct, ..Design::default() };
        let [accept, fan_out] = choices(&design)[..] else { panic!("two were chosen") };
        assert_eq!(
            (accept.key, accept.option, accept.sound),
            ("accept", "before_persist", "after_persist")
        );
        assert!(accept.why.is_some_and(|why| why.starts_with("The owner answers")), "{accept:?}");
        assert_eq!((fan_out.option, fan_out.why), ("direct", None));
    }
}
