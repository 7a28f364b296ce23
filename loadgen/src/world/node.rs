//! One process of the cluster: a node, or all of them.
//!
//! It is ended, killed and stopped by its own process id only. That it does not outlive this process is
//! the work of `process`, and of the child itself, which watches its standard input.

use super::{ClusterError, io_error};
use crate::world::guard::Guard;
use crate::world::layout::{Program, Tier};
use crate::world::process::{Departure, Process};
use nix::sys::signal::Signal;
use ports::panics::Panicked;
use std::collections::BTreeSet;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::ExitStatus;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::oneshot;
use tokio::time::{Instant, sleep, timeout};

/// How long a process may take until it says that it runs. An engine gives up by itself after two minutes, and
/// knows why.
const RUNNING: Duration = Duration::from_secs(150);
/// How long a process that was told to stop may take to stand still.
const STILL: Duration = Duration::from_secs(1);
/// Characters of its log's last line that are shown.
const LAST_WORDS: usize = 300;
/// What Rust's runtime says of a thread before it aborts.
const OVERFLOW: &str = "has overflowed its stack";

/// A node, which may run.
pub struct Node {
    program: Program,
    /// Where the part of the log begins that the process has written.
    log_from: u64,
    process: Option<Process>,
    /// The faults that stop the process.
    holds: BTreeSet<u32>,
    /// While they do.
    guard: Option<Guard>,
    /// Killed, and not seen to be gone yet.
    dying: Option<Process>,
}

/// How a process ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Obituary {
    /// By a panic.
    pub panicked: Option<Panicked>,
    /// The status, and the last line of the log.
    pub words: String,
}

/// What became of a start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Begun {
    /// It runs, or was killed on purpose meanwhile.
    Well,
    /// It ended.
    Ended,
    /// It did not say anything.
    Silent,
}

impl Node {
    /// Not started yet.
    pub const fn new(program: Program) -> Self {
        Self {
            program,
            log_from: 0,
            process: None,
            holds: BTreeSet::new(),
            guard: None,
            dying: None,
        }
    }

    /// Its name.
    pub const fn name(&self) -> &Arc<str> {
        &self.program.name
    }

    /// What it stands on, and what on it.
    pub const fn tier(&self) -> Tier {
        self.program.tier
    }

    /// Where its complaints go.
    pub fn log(&self) -> String {
        self.program.log.display().to_string()
    }

    /// The number of its process, if it has one and nobody has killed it.
    pub fn id(&self) -> Option<u32> {
        self.process.as_ref().and_then(Process::id)
    }

    /// Starts it, on the data and the ports that it had before; [`begun`] tells from its first line whether
    /// it runs. `departed` is told if it leaves afterwards without having been asked to by us.
    pub fn start(
        &mut self,
        binary: &Path,
        departed: impl FnOnce(Departure) + Send + 'static,
    ) -> Result<oneshot::Receiver<String>, ClusterError> {
        let Program { arguments, log, .. } = &self.program;
        // What another process has written is not this one's.
        self.log_from = std::fs::metadata(log).map_or(0, |log| log.len());
        let mut process = Process::start(binary, arguments, log)
            .map_err(io_error(format!("start {}", self.program.name)))?;
        let first = process.watch(departed);
        self.process = Some(process);
        Ok(first)
    }

    /// Whether it has a process that has not ended as it was asked to.
    pub fn is_running(&mut self) -> bool {
        self.process.as_mut().is_some_and(|process| !process.has_ended_as_asked())
    }

    /// Kills the process, even if it is stopped; whether there was one. [`Self::gone`] waits for its end.
    pub fn kill(&mut self) -> bool {
        let Some(mut process) = self.process.take() else { return false };
        // It may have ended by itself just now.
        let _ = process.kill();
        self.dying = Some(process);
        true
    }

    /// Waits until a killed process is gone: how it ended, which may be a panic just before.
    pub async fn gone(&mut self) -> Option<Obituary> {
        let mut process = self.dying.take()?;
        let status = process.status().await;
        process.orphans_gone().await;
        self.let_go().await;
        Some(self.obituary(status))
    }

    /// Its process is gone: nothing holds it, and its guard guards nothing.
    async fn let_go(&mut self) {
        self.holds.clear();
        if let Some(guard) = self.guard.take() {
            // It may have ended by itself.
            let _ = guard.dismiss().await;
        }
    }

    /// Stops the process until no fault holds it any more; whether it was seen to stand still.
    pub async fn pause(&mut self, fault: u32) -> Result<bool, ClusterError> {
        let Some(process) = &self.process else { return Ok(false) };
        if self.guard.is_none() {
            let guard = process.stop().await;
            self.guard = Some(guard.map_err(io_error(format!("stop {}", self.program.name)))?);
        }
        self.holds.insert(fault);
        let deadline = Instant::now() + STILL;
        while !process.is_stopped() && Instant::now() < deadline {
            sleep(Duration::from_millis(1)).await;
        }
        Ok(process.is_stopped())
    }

    /// Whether it has a process that stands still.
    pub fn is_still(&self) -> bool {
        self.process.as_ref().is_some_and(Process::is_stopped)
    }

    /// A fault lets go of the process, which goes on unless another one holds it.
    pub async fn resume(&mut self, fault: u32) -> Result<(), ClusterError> {
        if !self.holds.remove(&fault) || !self.holds.is_empty() {
            return Ok(());
        }
        let name = &self.program.name;
        if let Some(guard) = self.guard.take() {
            guard.dismiss().await.map_err(io_error(format!("dismiss the guard of {name}")))?;
        }
        let Some(process) = &self.process else { return Ok(()) };
        process.go_on().map_err(|source| ClusterError::Signal { node: name.to_string(), source })
    }

    /// Asks it to drain and end.
    pub fn ask_to_end(&mut self) {
        if let Some(process) = &mut self.process {
            // It may have ended by itself just now.
            let _ = process.ask_to_end();
        }
    }

    /// Waits until a process that was asked to end does so, and kills it if it takes too long: how it
    /// ended, and whether well.
    pub async fn ended_by(&mut self, deadline: Instant) -> Result<(bool, Obituary), ClusterError> {
        let Some(process) = &mut self.process else {
            return Ok((false, self.obituary(None)));
        };
        let status = process.ended_by(deadline).await;
        let status = status.map_err(io_error(format!("end {}", self.program.name)))?;
        if status.is_none() && self.kill() {
            let obituary = self.gone().await;
            return Ok((false, obituary.unwrap_or_else(|| self.obituary(None))));
        }
        self.process = None;
        self.let_go().await;
        Ok((status.is_some_and(|status| status.success()), self.obituary(status)))
    }

    /// How a process ended that was asked to, and whether well; it is killed if it has not. Nothing if there is
    /// none, or another one by now.
    pub async fn ended_as_asked(&mut self) -> Option<(bool, Obituary)> {
        let process = self.process.as_mut().filter(|process| process.is_asked())?;
        let Some(status) = process.status_now() else {
            self.kill();
            return self.gone().await.map(|obituary| (false, obituary));
        };
        self.process = None;
        self.let_go().await;
        Some((status.success(), self.obituary(Some(status))))
    }

    /// How a process ended that nobody has killed; nothing if it runs. `wait`: it is about to end.
    pub async fn left(&mut self, wait: bool) -> Option<Obituary> {
        let process = self.process.as_mut()?;
        let status = if wait { process.status().await } else { process.status_now() };
        if status.is_none() && !wait {
            return None;
        }
        self.process = None;
        self.let_go().await;
        Some(self.obituary(status))
    }

    /// A process has ended: what can be said of it.
    fn obituary(&self, status: Option<ExitStatus>) -> Obituary {
        let log = self.log_of_process();
        let words = status.map_or_else(|| "no status".to_owned(), |status| status.to_string());
        let last = log.lines().rev().map(str::trim).find(|line| !line.is_empty());
        let last: String = last.unwrap_or("(none)").chars().take(LAST_WORDS).collect();
        let words = format!("{words}; last line of its log: {last}");
        Obituary { panicked: panic_of(status, &log), words }
    }

    fn log_of_process(&self) -> String {
        let log = std::fs::read(&self.program.log).unwrap_or_default();
        let own = log.get(usize::try_from(self.log_from).unwrap_or(usize::MAX)..);
        String::from_utf8_lossy(own.unwrap_or_default()).into_owned()
    }
}

/// What becomes of a start, from the first line of the process.
pub async fn begun(first: oneshot::Receiver<String>) -> Begun {
    match timeout(RUNNING, first).await {
        Err(_) => Begun::Silent,
        Ok(Ok(line)) if line.is_empty() => Begun::Ended,
        // Without a line it was killed on purpose, and nobody watches it any more.
        Ok(_) => Begun::Well,
    }
}

/// A process that panicked says so in its log, and ends by SIGABRT. One that has no stack left can only
/// do the second, after a line of Rust's runtime.
fn panic_of(status: Option<ExitStatus>, log: &str) -> Option<Panicked> {
    let aborted = status.and_then(|status| status.signal()) == Some(Signal::SIGABRT as i32);
    let overflow = |line: &&str| line.starts_with("thread ") && line.ends_with(OVERFLOW);
    let read = || {
        log.lines().find_map(Panicked::read).or_else(|| {
            let line = log.lines().find(overflow)?;
            Some(Panicked { message: line.to_owned(), place: "unknown".to_owned() })
        })
    };
    aborted.then(read).flatten()
}
