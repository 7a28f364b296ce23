//! `fracas judge`: a recorded history, judged again.

use crate::console;
use anyhow::Context;
use clap::Args;
use std::fs::File;
use std::io::BufReader;
use std::path::PathBuf;
use verify::history::Reader;
use verify::{Judge, JudgeOptions};

/// Judge a recorded history again.
#[derive(Debug, Args)]
pub struct JudgeHistory {
    /// `history.jsonl`, plain or compressed.
    history: PathBuf,
    /// An invariant that may judge nothing.
    #[arg(long, value_name = "INVARIANT")]
    may_be_idle: Vec<String>,
}

impl JudgeHistory {
    /// Prints the judgement as JSON; its verdict's status.
    pub fn execute(self) -> anyhow::Result<u8> {
        let path = self.history.display();
        let file = File::open(&self.history).with_context(|| format!("cannot read {path}"))?;
        let mut reader = Reader::new(BufReader::new(file)).with_context(|| path.to_string())?;
        let options = JudgeOptions { may_be_idle: self.may_be_idle, evidence_max: 5 };
        let mut judge = Judge::new(reader.header(), options);
        for event in &mut reader {
            judge.observe(&event.with_context(|| path.to_string())?);
        }
        let judgement = judge.finish();
        console::result(&serde_json::to_string_pretty(&judgement)?);
        Ok(judgement.verdict.exit_code())
    }
}
