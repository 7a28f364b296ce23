//! The keys of the scenario file as Markdown: the generated part of `docs/scenarios.md`.

use crate::file::{
    File, cluster, expect, fault, journeys, load, network, phases, random_faults, tries, users,
    visits,
};
use settings::section::{KeyInfo, Section};
use settings::value::design;
use std::fmt::Write;

/// A table of keys for each section, in the order of the file.
pub fn reference() -> String {
    let mut page = String::new();
    for part in [
        part::<File>("At the top"),
        part::<cluster::Cluster>("`[cluster]`"),
        design_part(),
        part::<users::Users>("`[users]`"),
        part::<users::Conversations>("`[users]` `conversations = { .. }`"),
        part::<users::Connect>("`[users]` `connect = { .. }`"),
        part::<load::Load>("`[load]`"),
        part::<load::LoadPhase>("`[load]` `phases = [ { .. } ]`"),
        part::<load::Mix>("`[load]` `mix = { .. }`"),
        part::<visits::Activity>("`[load]` `activity = { .. }`"),
        part::<visits::Visits>("`[load]` `visits = { .. }`"),
        part::<load::SlowReaders>("`[load]` `slow_readers = { .. }`"),
        part::<load::Vanishing>("`[load]` `vanishing = { .. }`"),
        part::<journeys::Journeys>("`[journeys]`"),
        part::<journeys::JourneyMix>("`[journeys]` `mix = { .. }`"),
        part::<network::Network>("`[network]`"),
        part::<phases::Phases>("`[phases]`"),
        part::<fault::Fault>("`[[fault]]`"),
        part::<random_faults::RandomFaults>("`[random_faults]`"),
        part::<expect::Expect>("`[expect]`"),
        part::<expect::Latency>("`[expect]` `accept = { .. }` and `deliver = { .. }`"),
        part::<expect::Percentiles>("`[expect]` `accept_calm = { .. }` and the like"),
        part::<expect::Requests>("`[expect]` `requests = { .. }`"),
        part::<tries::Try>("`[[try]]`"),
    ] {
        page.push_str(&part);
    }
    page
}

fn part<S: Section>(title: &str) -> String {
    let mut page = format!(
        "### {title}\n\n{}\n\n| key | takes | default | meaning |\n| --- | --- | --- | --- |\n",
        S::meaning()
    );
    for key in S::keys() {
        let (name, takes) = (key.name, cell(&takes(&key)));
        let default = default_of(&key);
        let meaning = cell(&key.meaning);
        writeln!(page, "| `{name}` | {takes} | {default} | {meaning} |")
            .expect("text takes all text");
    }
    page.push('\n');
    page
}

/// What a key takes; a section inside of a section has a table of its own.
fn takes(key: &KeyInfo) -> String {
    let holds_table = |schema: &serde_json::Value| schema["type"] == "object";
    match &key.schema {
        schema if holds_table(schema) => "a table, see below".into(),
        schema if holds_table(&schema["items"]) => "a list of tables, see below".into(),
        _ => key.takes.clone(),
    }
}

fn default_of(key: &KeyInfo) -> String {
    match &key.default {
        Some(toml::Value::Table(_)) => "its defaults".into(),
        Some(value) => format!("`{}`", cell(&value.to_string())),
        None if key.required => "required".into(),
        None => "none".into(),
    }
}

fn design_part() -> String {
    let mut page =
        "### `[design]`\n\nDesign choices; docs/design-choices.md explains each. The first \
                    option is the default. It is the only sound one, except where the options are \
                    called equally sound.\n\n| key | options |\n| --- | --- |\n"
            .to_owned();
    for name in design::names() {
        let options = design::options(name).join("`, `");
        let equally = if design::is_sound(name) { ", equally sound" } else { "" };
        writeln!(page, "| `{name}` | `{options}`{equally} |").expect("text takes all text");
    }
    page.push('\n');
    page
}

fn cell(text: &str) -> String {
    text.replace('|', "\\|")
}
