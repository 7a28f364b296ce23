//! A run made again, in a process of its own, to follow some of its messages through the nodes. Its seed
//! decides that it is the same.

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Command, Stdio};
use verify::history::PathStep;
use verify::history::path::Message;

/// How a line of `fracas history --follow` begins that is a step; every other one is the header or an event.
pub const STEP: &str = "step ";

/// Which run.
#[derive(Clone, Copy, Debug)]
pub struct Again<'a> {
    /// The scenario: a file, or a name of the library.
    pub scenario: &'a Path,
    /// Its overrides.
    pub overrides: &'a [String],
    /// Its seed.
    pub seed: u64,
    /// The recording that it replays.
    pub replay: Option<&'a Path>,
    /// How many events it had. One that has others is another run, for whatever reason, and shows nothing.
    pub events: u64,
}

impl Again<'_> {
    /// The steps of these messages; nothing, if the run cannot be made again, or somebody asks for the end.
    pub fn follow(&self, messages: &[Message], is_over: impl Fn() -> bool) -> Vec<PathStep> {
        if is_over() { Vec::new() } else { self.steps(messages, is_over).unwrap_or_default() }
    }

    fn steps(&self, messages: &[Message], is_over: impl Fn() -> bool) -> Option<Vec<PathStep>> {
        let mut command = Command::new(std::env::current_exe().ok()?);
        command.arg("history").arg(self.scenario).arg("--follow");
        match self.replay {
            Some(recording) => command.arg("--replay").arg(recording),
            None => command.arg("--seed").arg(self.seed.to_string()),
        };
        for set in self.overrides {
            command.arg("--set").arg(set);
        }
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut child = command.spawn().ok()?;
        // It reads all of them before it writes anything.
        let sent = child.stdin.take().map(|mut stdin| {
            serde_json::to_writer(&mut stdin, messages).is_ok() && stdin.flush().is_ok()
        });
        let (mut events, mut steps) = (0, Vec::new());
        for line in BufReader::new(child.stdout.take()?).lines() {
            let Ok(line) = line else { break };
            if is_over() {
                // It may have ended already; who reads its output waits for it.
                let _ = child.kill();
                break;
            }
            match line.strip_prefix(STEP).map(serde_json::from_str) {
                Some(step) => steps.extend(step.ok()),
                None => events += 1,
            }
        }
        let has_ended = child.wait().is_ok_and(|status| status.code().is_some());
        // The header is a line, too.
        (sent == Some(true) && has_ended && events == self.events + 1).then_some(steps)
    }
}
