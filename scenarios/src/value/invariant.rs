//! The name of an invariant, as the judge's catalogue has it.

use settings::value::TextForm;

/// A claim of the catalogue: `accepted_message_survives`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InvariantName(pub String);

impl TextForm for InvariantName {
    fn expected() -> String {
        "the name of an invariant, such as \"accepted_message_survives\"".into()
    }

    fn from_text(text: &str) -> Option<Self> {
        Self::words().contains(&text).then(|| Self(text.to_owned()))
    }

    fn text(&self) -> String {
        self.0.clone()
    }

    fn words() -> Vec<&'static str> {
        verify::CATALOGUE.iter().map(|claim| claim.name).collect()
    }
}
