//! Agents as processes of this machine, started by one that does no work of its own.
//!
//! The standard input of each is a pipe that nobody writes to: its end tells them that whoever has started
//! them is gone. They lead process groups of their own, so that Ctrl-C reaches that one alone.

use crate::run::{Progress, thread};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde::{Deserialize, Serialize};
use std::fs::File;
use std::io::{self, BufRead, BufReader};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::Duration;

/// What a lead says on its standard output, a line each.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Line {
    /// The others find it there.
    Listens(String),
    /// How far all of them have got.
    Progress(Progress),
}

/// Agents that were started, the lead first. Those that still run when this is dropped are killed.
pub struct Generators {
    agents: Vec<One>,
    told: Receiver<Line>,
    tell: Sender<Line>,
}

struct One {
    child: Child,
    ended: Option<ExitStatus>,
}

impl Generators {
    /// Nobody yet.
    pub fn new() -> Self {
        let (tell, told) = channel();
        Self { agents: Vec::new(), told, tell }
    }

    /// Starts the next one, the lead first; its complaints go to `log`.
    ///
    /// # Errors
    /// The system refused.
    pub fn start(&mut self, program: &Path, arguments: &[String], log: &Path) -> io::Result<()> {
        let is_lead = self.agents.is_empty();
        let mut child = Command::new(program)
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(if is_lead { Stdio::piped() } else { Stdio::null() })
            .stderr(File::create(log)?)
            .process_group(0)
            .spawn()?;
        if let Some(output) = child.stdout.take() {
            let tell = self.tell.clone();
            thread("lead", move || {
                let lines = BufReader::new(output).lines().map_while(Result::ok);
                for line in lines.filter_map(|line| serde_json::from_str(&line).ok()) {
                    if tell.send(line).is_err() {
                        return;
                    }
                }
            });
        }
        self.agents.push(One { child, ended: None });
        Ok(())
    }

    /// What the lead says next, if it does so within a while.
    pub fn heard(&self, within: Duration) -> Option<Line> {
        self.told.recv_timeout(within).ok()
    }

    /// Passes on to the lead what somebody has sent to this process; the others hear of it from the lead.
    pub fn pass_on(&self, signal: &str) {
        let signal = signal.parse().unwrap_or(Signal::SIGTERM);
        let lead = self.agents.first().filter(|lead| lead.ended.is_none());
        if let Some(id) = lead.and_then(|lead| i32::try_from(lead.child.id()).ok()) {
            // It may just have ended.
            let _ = kill(Pid::from_raw(id), signal);
        }
    }

    /// How many were started.
    pub const fn len(&self) -> usize {
        self.agents.len()
    }

    /// Whether none was.
    pub const fn is_empty(&self) -> bool {
        self.agents.is_empty()
    }

    /// Those that have ended by now, with their numbers.
    pub fn ended(&mut self) -> Vec<(usize, ExitStatus)> {
        for agent in &mut self.agents {
            if agent.ended.is_none() {
                agent.ended = agent.child.try_wait().ok().flatten();
            }
        }
        let ended = self.agents.iter().enumerate();
        ended.filter_map(|(number, agent)| Some((number, agent.ended?))).collect()
    }

    /// Ends those that still run.
    pub fn kill(&mut self) {
        for agent in self.agents.iter_mut().filter(|agent| agent.ended.is_none()) {
            // It may just have ended.
            let _ = agent.child.kill();
            agent.ended = agent.child.wait().ok();
        }
    }
}

impl Default for Generators {
    fn default() -> Self {
        Self::new()
    }
}

impl Drop for Generators {
    fn drop(&mut self) {
        self.kill();
    }
}
