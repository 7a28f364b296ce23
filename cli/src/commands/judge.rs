//! `fracas judge`: a recorded history, judged again.

use crate::console;
use campaign::InvalidUsage;
use campaign::lookup::open;
use clap::Args;
use clap::builder::PossibleValuesParser;
use std::error::Error;
use std::io::BufReader;
use std::path::PathBuf;
use verify::history::{Event, Reader, What};
use verify::{CATALOGUE, Judge, JudgeOptions};

/// Judge a recorded history again.
#[derive(Debug, Args)]
pub struct JudgeHistory {
    /// `history.jsonl.gz`, or a plain one.
    history: PathBuf,
    /// An invariant that may have nothing to judge.
    #[arg(long, value_name = "INVARIANT", hide_possible_values = true)]
    #[arg(value_parser = PossibleValuesParser::new(CATALOGUE.iter().map(|claim| claim.name)))]
    may_be_idle: Vec<String>,
}

impl JudgeHistory {
    /// Prints the judgement as JSON; its verdict's status. 64 if the file is no history. Where it is torn or
    /// damaged further on, the run ends for the judge: what stands before is judged, and nothing can be
    /// valid any more.
    pub fn execute(self) -> anyhow::Result<u8> {
        let path = self.history.display();
        let file = open(&self.history)?;
        let mut reader = Reader::new(BufReader::new(file))
            .map_err(|error| InvalidUsage(format!("{path}: {}", told_once(&error))))?;
        if let Some(agent) = reader.header().agent {
            return Err(InvalidUsage(format!(
                "{path} is what {agent} saw, and says nothing alone: fracas merge judges all agents of a run \
                 together"
            ))
            .into());
        }
        let options = JudgeOptions { may_be_idle: self.may_be_idle, evidence_max: 5, keep: None };
        let mut judge = Judge::new(reader.header(), options);
        let mut at = 0;
        for event in &mut reader {
            let event = event.unwrap_or_else(|error| {
                let why = format!("the rest of the history cannot be read: {}", told_once(&error));
                console::note(&format!("{path}: {why}"));
                Event { at, is: What::Stopped { why: why.into() } }
            });
            at = event.at;
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
    use std::io;
    use verify::history::builder::{Builder, History};
    use verify::history::{Header, Writer};

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        judge: JudgeHistory,
    }

    fn wrong(words: &str) -> String {
        let judge = Line::try_parse_from(words.split(' ')).map(|line| line.judge).ok().unwrap();
        judge.execute().unwrap_err().downcast::<InvalidUsage>().unwrap().0
    }

    #[test]
    fn what_is_no_history_is_invalid_usage_and_told_once() {
        assert!(wrong("judge /nope").contains("cannot read /nope"));
        let told = wrong(concat!("judge ", env!("CARGO_MANIFEST_DIR"), "/Cargo.toml"));
        assert!(told.contains("expected the header of a history"), "{told}");
        assert_eq!(told.matches("what is no JSON").count(), 1, "{told}");
        assert!(Line::try_parse_from(["judge", "a", "--may-be-idle", "nope"]).is_err());
    }

    #[test]
    fn what_stands_before_a_torn_line_is_judged() {
        let status = |history: &History, writer: fn(Vec<u8>, &Header) -> io::Result<_>| {
            let mut writer: Writer<Vec<u8>> = writer(Vec::new(), &history.header).expect("begun");
            history.events.iter().for_each(|event| writer.write(event).expect("an event"));
            let mut text = writer.finish().expect("written");
            text.truncate(text.len() - 7);
            let name = format!("fracas-torn-{}.jsonl", std::process::id());
            let path = std::env::temp_dir().join(name);
            std::fs::write(&path, &text).expect("written");
            let words = ["judge", path.to_str().expect("a path")];
            let line = Line::try_parse_from(words);
            let status = line.ok().and_then(|line| line.judge.execute().ok());
            std::fs::remove_file(&path).expect("removed");
            status
        };
        let talk = || Builder::new(2, 1).group(1, &[1, 2]).connect_all().say(1, 1);
        for writer in [Writer::plain, Writer::gzip] {
            assert_eq!(status(&talk().finish(), writer), Some(2));
            let twice = talk().show(2, 1, 1, 3).show(2, 1, 1, 3);
            assert_eq!(status(&twice.finish(), writer), Some(1));
        }
    }
}
