//! A child process that tells when it dies, and that does not outlive this one.
//!
//! Its standard input is a pipe that nobody writes to: its end tells the child that this process is gone, however
//! it went. A child that is stopped cannot see that; for that time a [guard](Guard), which waits for the end of such
//! a pipe, kills it instead. Both lead process groups of their own, so that Ctrl-C reaches this process alone.

use crate::world::family::family;
use crate::world::guard::Guard;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::collections::BTreeSet;
use std::io;
use std::path::Path;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};
use tokio::runtime::Handle;
use tokio::sync::oneshot;
use tokio::task::AbortHandle;
use tokio::time::{Instant, sleep, timeout, timeout_at};

/// What a child says on a line of its output, after the first one, as soon as somebody else than this
/// process has asked it to end: what comes now is its farewell.
pub const ASKED_TO_END: &str = r#"{"ending":"asked"}"#;

/// How a process leaves that nobody here has asked to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Departure {
    /// Somebody else has asked it to end: see [`ASKED_TO_END`].
    Asked,
    /// It has ended by itself.
    Died,
}

/// How long the status of a process is waited for that has closed its output.
const STATUS: Duration = Duration::from_secs(2);
/// How long those may take to be gone that were killed with it.
const ORPHANS: Duration = Duration::from_secs(10);
/// Between two looks at them.
const LOOK_AGAIN: Duration = Duration::from_millis(5);

/// A child process. It is killed when this is dropped.
pub struct Process {
    child: Child,
    output: Option<BufReader<ChildStdout>>,
    watcher: Option<AbortHandle>,
    is_asked: bool,
    /// What it had started when it was killed.
    orphans: Vec<Pid>,
    /// Held apart from the child: waiting for a child closes its input.
    lifeline: Option<ChildStdin>,
}

impl Process {
    /// Starts a program whose complaints are appended to `log`.
    pub fn start(program: &Path, arguments: &[String], log: &Path) -> io::Result<Self> {
        let log = std::fs::File::options().create(true).append(true).open(log)?;
        let mut child = Command::new(program)
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(log)
            .process_group(0)
            .kill_on_drop(true)
            .spawn()?;
        let output = child.stdout.take().map(BufReader::new);
        let lifeline = child.stdin.take();
        let (watcher, orphans) = (None, Vec::new());
        Ok(Self { child, output, watcher, is_asked: false, orphans, lifeline })
    }

    /// Begins to watch it: the receiver gets the first line of its output, empty if it ended without one.
    /// From that line on, its end without [`Self::kill`] or [`Self::ask_to_end`] is told to `departed`:
    /// a process that dies closes its output, and one that is asked to end says so.
    pub fn watch(
        &mut self,
        departed: impl FnOnce(Departure) + Send + 'static,
    ) -> oneshot::Receiver<String> {
        let (begun, begins) = oneshot::channel();
        let Some(output) = self.output.take() else { return begins };
        let watcher = Handle::current().spawn(async move {
            let mut lines = output.lines();
            let Ok(Some(first)) = lines.next_line().await else {
                // Nobody waits for it any more, or whoever does learns of its end.
                let _ = begun.send(String::new());
                return;
            };
            let _ = begun.send(first);
            while let Ok(Some(line)) = lines.next_line().await {
                if line == ASKED_TO_END {
                    // Its end follows from that.
                    return departed(Departure::Asked);
                }
            }
            departed(Departure::Died);
        });
        self.watcher = Some(watcher.abort_handle());
        begins
    }

    /// How it ended, if it has.
    pub async fn status(&mut self) -> Option<ExitStatus> {
        timeout(STATUS, self.child.wait()).await.ok()?.ok()
    }

    /// How it ended, if it has by now.
    pub fn status_now(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().ok().flatten()
    }

    /// Sends it a signal.
    pub fn signal(&self, signal: Signal) -> nix::Result<()> {
        kill(self.pid()?, signal)
    }

    /// Stops it with all that it has started, until it may [go on](Self::go_on). For as long as the guard
    /// is kept, they are killed if this process goes.
    pub async fn stop(&self) -> io::Result<Guard> {
        let pid = self.pid().map_err(io::Error::from)?;
        let mut guard = Guard::start()?;
        guard.keeps(&[pid]).await?;
        self.stand_still(pid).map_err(io::Error::from)?;
        // Whoever stands still does not notice that the one is gone that has started it.
        guard.keeps(self.family().get(1..).unwrap_or_default()).await?;
        Ok(guard)
    }

    /// Tells it and all that it has started to stop.
    fn stand_still(&self, pid: Pid) -> nix::Result<()> {
        let mut stopped = BTreeSet::new();
        // Whoever stands still starts nobody: after the last one there is nobody new.
        while let Some(next) = self.family().into_iter().find(|id| !stopped.contains(id)) {
            match kill(next, Signal::SIGSTOP) {
                // One that has just ended, other than itself, is not missed.
                Err(nix::Error::ESRCH) if next != pid => {}
                done => done?,
            }
            stopped.insert(next);
        }
        Ok(())
    }

    /// Lets a stopped one go on.
    pub fn go_on(&self) -> nix::Result<()> {
        let pid = self.pid()?;
        for member in self.family() {
            match kill(member, Signal::SIGCONT) {
                Err(nix::Error::ESRCH) if member != pid => {}
                done => done?,
            }
        }
        Ok(())
    }

    /// Kills it at once with all that it has started, as `kill -9` does, even if it is stopped.
    pub fn kill(&mut self) -> io::Result<()> {
        self.forget();
        if self.family().len() > 1
            && let Ok(pid) = self.pid()
        {
            // One that is started while the others die would outlive them: PostgreSQL does not start beside it.
            let _ = self.stand_still(pid);
        }
        self.orphans = self.family().into_iter().skip(1).collect();
        self.child.start_kill()?;
        for member in &self.orphans {
            // It may have ended with the one that has started it.
            let _ = kill(*member, Signal::SIGKILL);
        }
        Ok(())
    }

    /// Waits until nobody is left of those that were killed with it. They take their time to give their memory
    /// back, and PostgreSQL does not start while the system knows the number of an earlier one.
    pub async fn orphans_gone(&mut self) {
        let deadline = Instant::now() + ORPHANS;
        let is_there = |orphan: &Pid| kill(*orphan, None) != Err(nix::Error::ESRCH);
        while self.orphans.iter().any(is_there) && Instant::now() < deadline {
            sleep(LOOK_AGAIN).await;
        }
        self.orphans.clear();
    }

    /// Asks it to end.
    pub fn ask_to_end(&mut self) -> nix::Result<()> {
        self.forget();
        self.is_asked = true;
        self.signal(Signal::SIGTERM)
    }

    /// Whether it was asked to end.
    pub const fn is_asked(&self) -> bool {
        self.is_asked
    }

    /// Whether it has ended as it was asked to.
    pub fn has_ended_as_asked(&mut self) -> bool {
        self.is_asked && self.status_now().is_some()
    }

    /// How it ended, if it does so before the deadline.
    pub async fn ended_by(&mut self, deadline: Instant) -> io::Result<Option<ExitStatus>> {
        timeout_at(deadline, self.child.wait()).await.ok().transpose()
    }

    /// Whether the system says that all of it is stopped: `T` in `/proc/PID/stat`, see proc(5).
    pub fn is_stopped(&self) -> bool {
        let is_stopped = |pid: Pid| {
            std::fs::read_to_string(format!("/proc/{pid}/stat")).is_ok_and(|stat| {
                stat.rsplit_once(") ").is_some_and(|(_, rest)| rest.starts_with('T'))
            })
        };
        self.pid().is_ok() && self.family().into_iter().all(is_stopped)
    }

    /// It, first, and all that it has started; nobody if it has ended.
    fn family(&self) -> Vec<Pid> {
        let family = self.child.id().map(|id| family(Path::new("/proc"), id)).unwrap_or_default();
        family.into_iter().filter_map(|id| i32::try_from(id).ok()).map(Pid::from_raw).collect()
    }

    /// Whoever reads its input sees the end of it.
    fn let_go(&mut self) {
        self.lifeline.take();
    }

    fn forget(&mut self) {
        if let Some(watcher) = self.watcher.take() {
            watcher.abort();
        }
    }

    /// Its number.
    pub fn id(&self) -> Option<u32> {
        self.child.id()
    }

    fn pid(&self) -> nix::Result<Pid> {
        let pid = self.child.id().and_then(|id| i32::try_from(id).ok());
        pid.map(Pid::from_raw).ok_or(nix::Error::ESRCH)
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.forget();
        self.let_go();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(script: &str) -> Process {
        let arguments = ["-c".to_owned(), script.to_owned()];
        Process::start(Path::new("/bin/sh"), &arguments, Path::new("/dev/null")).unwrap()
    }

    /// A process with that script, once it has said its first line, and where its departure is told.
    async fn begun(script: &str) -> (Process, oneshot::Receiver<Departure>) {
        let (sender, departure) = oneshot::channel();
        let mut process = shell(script);
        let first = process.watch(|departure| {
            // Nobody may listen.
            let _ = sender.send(departure);
        });
        assert_eq!(first.await.as_deref(), Ok("ready"));
        (process, departure)
    }

    async fn told(departure: oneshot::Receiver<Departure>) -> Option<Departure> {
        timeout(Duration::from_secs(5), departure).await.expect("it is told or forgotten").ok()
    }

    #[tokio::test]
    async fn an_end_that_nobody_asked_for_is_told_at_once() {
        let (mut process, departure) = begun("echo ready; echo more; sleep 0.2; exit 3").await;
        assert_eq!(told(departure).await, Some(Departure::Died));
        assert_eq!(process.status().await.and_then(|status| status.code()), Some(3));
    }

    #[tokio::test]
    async fn an_end_before_the_first_line_is_told_to_who_waits_for_it() {
        let (sender, departure) = oneshot::channel();
        let mut process = shell("exit 3");
        let first = process.watch(|departure| {
            // Nobody may listen.
            let _ = sender.send(departure);
        });
        assert_eq!(first.await.as_deref(), Ok(""));
        assert_eq!(told(departure).await, None);
    }

    #[tokio::test]
    async fn an_end_that_somebody_else_has_asked_for_is_told_before_it_comes() {
        let script = format!("echo ready; sleep 0.1; echo '{ASKED_TO_END}'; exec sleep 60");
        let (mut process, departure) = begun(&script).await;
        assert_eq!(told(departure).await, Some(Departure::Asked));
        process.kill().unwrap();
        assert!(process.status().await.is_some(), "it is gone");
    }

    #[tokio::test]
    async fn a_process_that_load_itself_asks_to_end_does_not_count_as_asked_by_others() {
        let script = format!(
            "trap 'echo {ASKED_TO_END:?}; exit 0' TERM; echo ready; while :; do sleep 0.05; done"
        );
        let (mut process, departure) = begun(&script).await;
        process.ask_to_end().unwrap();
        let status = process.ended_by(Instant::now() + Duration::from_secs(5)).await.unwrap();
        assert!(status.is_some(), "it ends in time");
        assert_eq!(told(departure).await, None);
    }

    #[tokio::test]
    async fn a_process_that_is_killed_on_purpose_is_not_said_to_have_died() {
        let (mut process, departure) = begun("echo ready; exec sleep 60").await;
        let guard = process.stop().await.unwrap();
        while !process.is_stopped() {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        guard.dismiss().await.unwrap();
        assert!(process.is_stopped());
        process.kill().unwrap();
        assert!(process.status().await.is_some(), "it is gone");
        assert_eq!(told(departure).await, None);
    }

    #[tokio::test]
    async fn what_a_process_has_started_stops_goes_on_and_dies_with_it() {
        let (mut process, _) = begun("sleep 60 & echo ready; wait").await;
        let family = process.family();
        let [_, child] = family[..] else { panic!("{family:?}") };
        let state = || std::fs::read_to_string(format!("/proc/{child}/stat")).unwrap_or_default();
        let until = |wanted: &'static str| {
            let state = &state;
            async move {
                while !state().contains(wanted) {
                    tokio::time::sleep(Duration::from_millis(1)).await;
                }
            }
        };
        let guard = process.stop().await.unwrap();
        until(") T ").await;
        process.go_on().unwrap();
        until(") S ").await;
        guard.dismiss().await.unwrap();
        process.kill().unwrap();
        assert!(process.status().await.is_some(), "it is gone");
        process.orphans_gone().await;
        assert_eq!(state(), "", "nobody knows its number any more");
    }

    #[tokio::test]
    async fn a_process_sees_the_end_of_its_input_when_its_parent_lets_go() {
        let (mut process, _) = begun("echo ready; cat; exit 7").await;
        process.let_go();
        assert_eq!(process.status().await.and_then(|status| status.code()), Some(7));
    }

    #[tokio::test]
    async fn a_stopped_process_is_killed_by_its_guard_when_its_parent_goes_with_all_it_has_started()
    {
        let (mut process, _) = begun("sleep 60 & echo ready; wait").await;
        let [_, child] = process.family()[..] else { panic!("{:?}", process.family()) };
        let guard = process.stop().await.unwrap();
        guard.let_go().await.unwrap();
        let status = process.status().await.expect("it ends");
        assert_eq!(std::os::unix::process::ExitStatusExt::signal(&status), Some(9));
        process.orphans.push(child);
        process.orphans_gone().await;
        let state = std::fs::read_to_string(format!("/proc/{child}/stat")).unwrap_or_default();
        assert!(state.is_empty() || state.contains(") Z "), "{state}");
    }
}
