//! `fracas explain`: an invariant, a fault or a design choice, as the documentation has it.

use crate::explain::{Kind, Topic, topic, topics};
use crate::{console, markdown};
use campaign::InvalidUsage;
use clap::Args;
use clap::builder::{PossibleValue, StringValueParser, TypedValueParser};
use std::ffi::OsStr;

/// Explain an invariant, a kind of fault or a design choice; without an argument, list all of them.
#[derive(Debug, Args)]
pub struct Explain {
    /// `accepted_message_survives`, `kill`, `accept` or `accept=before_persist`.
    #[arg(value_name = "INVARIANT|FAULT|DESIGN", value_parser = Name, hide_possible_values = true)]
    name: Option<String>,
}

impl Explain {
    /// Prints it.
    pub fn execute(self) -> anyhow::Result<u8> {
        let Some(name) = self.name else {
            console::result(&listed());
            return Ok(0);
        };
        let Topic { name, page, .. } = topic(&name).map_err(|nearest| {
            let meant = nearest.map_or_else(String::new, |near| format!("; did you mean {near}?"));
            let all = "fracas explain lists all invariants, faults and design choices";
            InvalidUsage(format!("there is nothing called {name}{meant}; {all}"))
        })?;
        console::result(&format!("{name}\n\n{}", markdown::to_text(&page, console::terminal())));
        Ok(0)
    }
}

/// All of them, in a few words each.
fn listed() -> String {
    let topics = topics();
    let names = topics.iter().map(|topic| topic.name.len()).max().unwrap_or(0);
    let mut parts = Vec::new();
    for (kind, title) in [
        (Kind::Invariant, "Invariants: what is judged"),
        (Kind::Fault, "Faults: what goes wrong"),
        (Kind::Choice, "Design choices: the first option is the default"),
    ] {
        let of_kind = topics.iter().filter(|topic| topic.kind == kind);
        let row =
            |topic: &Topic| vec![format!("{:names$}", topic.name), topic.summary.replace('`', "")];
        parts.push(format!("{title}\n{}", console::list(&[], of_kind.map(row).collect(), 1)));
    }
    parts.join("\n\n")
}

/// Any text; shells complete the names.
#[derive(Clone)]
struct Name;

impl TypedValueParser for Name {
    type Value = String;

    fn parse_ref(
        &self,
        command: &clap::Command,
        argument: Option<&clap::Arg>,
        value: &OsStr,
    ) -> Result<String, clap::Error> {
        StringValueParser::new().parse_ref(command, argument, value)
    }

    fn possible_values(&self) -> Option<Box<dyn Iterator<Item = PossibleValue> + '_>> {
        Some(Box::new(topics().into_iter().map(|topic| PossibleValue::new(topic.name))))
    }
}
