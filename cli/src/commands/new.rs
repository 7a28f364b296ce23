//! `fracas new`: a scenario of one's own to begin with.

use crate::console;
use anyhow::Context;
use campaign::lookup::scenario_text;
use campaign::{InvalidUsage, Opening};
use clap::Args;
use scenarios::shell::quoted;
use scenarios::starting_point;
use std::fs::File;
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};

/// Write a scenario of your own to begin with.
#[derive(Debug, Args)]
pub struct New {
    /// What it is called: NAME.toml is written, and nothing is overwritten.
    name: PathBuf,
    /// What it begins as: a scenario file, or the name of a scenario of the library.
    #[arg(long, value_name = "SCENARIO", default_value = "smoke")]
    from: PathBuf,
}

impl New {
    /// Writes it.
    pub fn execute(self) -> anyhow::Result<u8> {
        let (file, name) = named(&self.name)?;
        let from = Opening { scenario: self.from.clone(), overrides: Vec::new() };
        let question = from.open_one(1)?.scenario.question;
        let text = scenario_text(&self.from)?;
        let shown = quoted(&file.display().to_string());
        let page = format!("{}\n{}", head(&name, &self.from, &shown), starting_point(&text, &name));
        let written = File::create_new(&file).and_then(|mut file| file.write_all(page.as_bytes()));
        match written {
            Ok(()) => {}
            Err(error) if error.kind() == ErrorKind::AlreadyExists => {
                let why = format!("{} exists already: choose another name", file.display());
                return Err(InvalidUsage(why).into());
            }
            Err(error) => {
                return Err(error).with_context(|| format!("cannot write {}", file.display()));
            }
        }
        console::result(&format!(
            "{}, begun as {}: {question}",
            file.display(),
            self.from.display()
        ));
        console::result(&format!("fracas run {shown}"));
        Ok(0)
    }
}

/// What stands above the scenario: what can be done with it.
fn head(name: &str, from: &Path, file: &str) -> String {
    let lines = [
        (format!("fracas run {file}"), "simulate it"),
        (format!("fracas explore {file} --seeds 100"), "with many seeds"),
        (format!("fracas load {file}"), "on real sockets"),
        ("fracas explain".to_owned(), "invariants, faults and design choices"),
        (
            "fracas schema > schema.json".to_owned(),
            "for editors, with the first line #:schema ./schema.json",
        ),
    ];
    let width = lines.iter().map(|(command, _)| command.chars().count()).max().unwrap_or(0);
    let lines = lines.map(|(command, what)| format!("#   {command:width$}  {what}\n")).concat();
    format!("# {name}: begun as {}. Say below what you want to know.\n#\n{lines}", from.display())
}

/// The file and the name of a scenario; the ending may be given or left out.
fn named(given: &Path) -> Result<(PathBuf, String), InvalidUsage> {
    let bad = || InvalidUsage(format!("{:?} is no name for a file", given.display().to_string()));
    let last = given.file_name().and_then(|name| name.to_str()).ok_or_else(bad)?;
    let name = last.strip_suffix(".toml").unwrap_or(last);
    if name.trim().is_empty() || name.contains(char::is_control) {
        return Err(bad());
    }
    Ok((given.with_file_name(format!("{name}.toml")), name.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_ending_may_be_given_or_left_out() {
        let told = |given: &str| {
            named(Path::new(given)).map(|(file, name)| (file.display().to_string(), name))
        };
        let expected = |file: &str, name: &str| Ok((file.to_owned(), name.to_owned()));
        assert_eq!(told("mine"), expected("mine.toml", "mine"));
        assert_eq!(told("mine.toml"), expected("mine.toml", "mine"));
        assert_eq!(told("some/v1.2"), expected("some/v1.2.toml", "v1.2"));
        for bad in ["", "..", "/", ".toml", " ", "two\nlines"] {
            assert!(named(Path::new(bad)).is_err(), "{bad:?}");
        }
    }
}
