//! A validated scenario as TOML again, with every default spelled out.

use crate::file::File;
use crate::file::fault::Fault;
use crate::file::tries::Try;
use crate::scenario::Scenario;
use settings::section::{Field, Section};
use settings::value::design::Choices;
use std::fmt::Write;
use toml::Value;

/// The scenario as TOML that `parse` reads as the same scenario.
pub fn effective_toml(scenario: &Scenario) -> String {
    let mut plain = String::new();
    let mut sections = String::new();
    for (key, value) in File::from(scenario).entries() {
        match value {
            Value::Table(table) => {
                write!(sections, "\n[{key}]\n{}", lines(&table)).expect("text takes all text");
            }
            Value::Array(tables) if tables.iter().any(Value::is_table) => {
                for table in tables.iter().filter_map(Value::as_table) {
                    write!(sections, "\n[[{key}]]\n{}", lines(table)).expect("text takes all text");
                }
            }
            // `fault = []` would stand in the way of nothing, but says nothing either.
            Value::Array(list) if list.is_empty() => {}
            value => writeln!(plain, "{key} = {value}").expect("text takes all text"),
        }
    }
    plain + &sections
}

fn lines(table: &toml::Table) -> String {
    let lines: Vec<String> = table.iter().map(|(key, value)| format!("{key} = {value}")).collect();
    lines.join("\n") + "\n"
}

impl From<&Scenario> for File {
    fn from(scenario: &Scenario) -> Self {
        Self {
            name: Field::of(Some(scenario.name.clone())),
            question: Field::of(scenario.question.clone()),
            lesson: Field::of(scenario.lesson.clone()),
            r#try: Field::of(scenario.tries.iter().map(Try::from).collect()),
            cluster: Field::of((&scenario.cluster).into()),
            design: Field::of(Choices(scenario.design)),
            users: Field::of((&scenario.users).into()),
            load: Field::of((&scenario.load).into()),
            journeys: Field::of(scenario.journeys.as_ref().map(Into::into)),
            network: Field::of((&scenario.network).into()),
            phases: Field::of((&scenario.phases).into()),
            fault: Field::of(scenario.faults.iter().map(Fault::from).collect()),
            random_faults: Field::of(scenario.random_faults.as_ref().map(Into::into)),
            expect: Field::of((&scenario.expect).into()),
        }
    }
}
