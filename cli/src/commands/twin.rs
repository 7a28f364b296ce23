//! `fracas twin`: the same seed in two processes, line by line.

use crate::console::{self, ProgressLine};
use crate::opening::OpeningOfOne;
use anyhow::Context;
use clap::Args;
use std::io::{BufRead, BufReader};
use std::process::{Child, ChildStdout, Command, Stdio};

/// Prove that a seed decides everything.
#[derive(Debug, Args)]
pub struct Twin {
    #[command(flatten)]
    opening: OpeningOfOne,
    /// The seed.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// No progress line.
    #[arg(long)]
    quiet: bool,
}

/// A process that is ended when it is no longer needed.
struct Process(Child);

impl Drop for Process {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Twin {
    /// 0: not a byte differs. 1: the first difference is shown. 2: a run failed.
    pub fn execute(self) -> anyhow::Result<u8> {
        self.opening.open(self.seed)?;
        let (mut first, first_lines) = self.start()?;
        let (mut second, second_lines) = self.start()?;
        let mut progress = ProgressLine::new(self.quiet);
        let (mut first_lines, mut second_lines) = (first_lines.lines(), second_lines.lines());
        let mut number = 0_u64;
        loop {
            let (one, other) = (first_lines.next().transpose()?, second_lines.next().transpose()?);
            if one != other {
                progress.finish();
                console::result(&difference(number + 1, one.as_deref(), other.as_deref()));
                return Ok(1);
            }
            if one.is_none() {
                break;
            }
            number += 1;
            if number.is_multiple_of(1_000) {
                progress.show(&format!("{number} events are the same"));
            }
        }
        progress.finish();
        let failed = !first.0.wait()?.success() || !second.0.wait()?.success();
        let seed = self.seed;
        if failed {
            console::error(&format!("the runs of seed {seed} agree, but failed"));
            return Ok(2);
        }
        console::result(&format!("seed {seed}: {number} lines, the same in two processes"));
        Ok(0)
    }

    fn start(&self) -> anyhow::Result<(Process, BufReader<ChildStdout>)> {
        let mut command = Command::new(std::env::current_exe()?);
        command.arg("history").arg(&self.opening.scenario);
        command.arg("--seed").arg(self.seed.to_string());
        for set in &self.opening.overrides {
            command.arg("--set").arg(set);
        }
        let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn()?;
        let output = child.stdout.take().context("the output is piped")?;
        Ok((Process(child), BufReader::new(output)))
    }
}

fn difference(line: u64, one: Option<&str>, other: Option<&str>) -> String {
    let show = |text: Option<&str>| text.unwrap_or("(the history has ended)").to_owned();
    format!("line {line} differs:\n  first:  {}\n  second: {}", show(one), show(other))
}
