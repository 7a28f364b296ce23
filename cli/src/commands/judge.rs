//! `fracas judge`: a recorded history, judged again.

use crate::console;
use crate::opening::WrongUse;
use clap::Args;
use clap::builder::PossibleValuesParser;
use std::error::Error;
use std::fs::File;
use std::io::BufReader;
use std::path::PathBuf;
use verify::history::Reader;
use verify::{CATALOGUE, Judge, JudgeOptions};

/// Judge a recorded history again.
#[derive(Debug, Args)]
pub struct JudgeHistory {
    /// `history.jsonl`, plain or compressed.
    history: PathBuf,
    /// An invariant that may judge nothing.
    #[arg(long, value_name = "INVARIANT", hide_possible_values = true)]
    #[arg(value_parser = PossibleValuesParser::new(CATALOGUE.iter().map(|claim| claim.name)))]
    may_be_idle: Vec<String>,
}

impl JudgeHistory {
    /// Prints the judgement as JSON; its verdict's status. 64 if the file is no history, 2 if it is
    /// damaged further on.
    pub fn execute(self) -> anyhow::Result<u8> {
        let path = self.history.display();
        let file = File::open(&self.history)
            .map_err(|error| WrongUse(format!("cannot read {path}: {error}")))?;
        let mut reader = Reader::new(BufReader::new(file))
            .map_err(|error| WrongUse(format!("{path}: {}", told_once(&error))))?;
        let options = JudgeOptions { may_be_idle: self.may_be_idle, evidence_max: 5, keep: None };
        let mut judge = Judge::new(reader.header(), options);
        for event in &mut reader {
            let event = event.map_err(|error| anyhow::anyhow!("{path}: {}", told_once(&error)))?;
            judge.observe(&event);
        }
        let judgement = judge.finish();
        console::result(&serde_json::to_string_pretty(&judgement)?);
        Ok(judgement.verdict.exit_code())
    }
}

/// An error with its causes, but for those that it tells itself.
fn told_once(error: &dyn Error) -> String {
    let (mut text, mut cause) = (error.to_string(), error.source());
    while let Some(next) = cause {
        let words = next.to_string();
        if !text.contains(&words) {
            text = format!("{text}: {words}");
        }
        cause = next.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        judge: JudgeHistory,
    }

    fn wrong(words: &str) -> String {
        let judge = Line::try_parse_from(words.split(' ')).map(|line| line.judge).ok().unwrap();
        judge.execute().unwrap_err().downcast::<WrongUse>().unwrap().0
    }

    #[test]
    fn what_is_no_history_is_wrong_use_and_told_once() {
        assert!(wrong("judge /nope").contains("cannot read /nope"));
        let told = wrong(concat!("judge ", env!("CARGO_MANIFEST_DIR"), "/Cargo.toml"));
        assert!(told.contains("expected the header of a history"), "{told}");
        assert_eq!(told.matches("at line 1 column").count(), 1, "{told}");
        assert!(Line::try_parse_from(["judge", "a", "--may-be-idle", "nope"]).is_err());
    }
}
