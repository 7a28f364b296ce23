//! A child process that tells when it dies, and that does not outlive this one.
//!
//! Its standard input is a pipe that nobody writes to: its end tells the child that this process is
//! gone, however it went. The child leads a process group of its own: Ctrl-C reaches this process
//! alone, and if this process dies while the child is stopped, the system wakes the child up with
//! SIGHUP and SIGCONT (POSIX: an orphaned group with a stopped member).

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::io;
use std::path::Path;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, BufReader};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};
use tokio::runtime::Handle;
use tokio::sync::watch;
use tokio::task::AbortHandle;
use tokio::time::timeout;

/// How long the status of a process is waited for that has closed its output.
const STATUS: Duration = Duration::from_secs(2);

/// A child process. It is killed when this is dropped.
pub struct Process {
    child: Child,
    output: Option<BufReader<ChildStdout>>,
    watcher: Option<AbortHandle>,
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
        Ok(Self { child, output, watcher: None, lifeline })
    }

    /// The first line of its output; empty if it ended without one.
    pub async fn first_line(&mut self) -> io::Result<String> {
        let mut line = String::new();
        if let Some(output) = &mut self.output {
            output.read_line(&mut line).await?;
        }
        Ok(line)
    }

    /// From now on, its end without [`Self::kill`] or [`Self::end`] is told: a process that dies
    /// closes its output.
    pub fn watch(&mut self, died: watch::Sender<bool>) {
        let Some(mut output) = self.output.take() else { return };
        let watcher = Handle::current().spawn(async move {
            let mut ignored = [0; 512];
            while output.read(&mut ignored).await.is_ok_and(|read| read > 0) {}
            died.send_replace(true);
        });
        self.watcher = Some(watcher.abort_handle());
    }

    /// How it ended, if it has.
    pub async fn status(&mut self) -> Option<ExitStatus> {
        timeout(STATUS, self.child.wait()).await.ok()?.ok()
    }

    /// Sends it a signal.
    pub fn signal(&self, signal: Signal) -> nix::Result<()> {
        kill(self.pid()?, signal)
    }

    /// Kills it, even if it is stopped, and waits until it is gone.
    pub async fn kill(&mut self) -> io::Result<()> {
        self.forget();
        self.child.kill().await
    }

    /// Asks it to end; its status, if it does so in time.
    pub async fn end(&mut self, patience: Duration) -> io::Result<Option<ExitStatus>> {
        self.forget();
        self.signal(Signal::SIGTERM).map_err(io::Error::from)?;
        timeout(patience, self.child.wait()).await.ok().transpose()
    }

    /// Whether the system says that it is stopped: `T` in `/proc/PID/stat`, see proc(5).
    pub fn is_stopped(&self) -> bool {
        let Ok(pid) = self.pid() else { return false };
        std::fs::read_to_string(format!("/proc/{pid}/stat"))
            .is_ok_and(|stat| stat.rsplit_once(") ").is_some_and(|(_, rest)| rest.starts_with('T')))
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

    async fn is_told(died: &mut watch::Receiver<bool>, within: Duration) -> bool {
        timeout(within, died.wait_for(|died| *died)).await.is_ok_and(|told| told.is_ok())
    }

    #[tokio::test]
    async fn an_end_that_nobody_asked_for_is_told_at_once() {
        let (sender, mut died) = watch::channel(false);
        let mut process = shell("echo ready; sleep 0.2; exit 3");
        assert_eq!(process.first_line().await.unwrap(), "ready\n");
        process.watch(sender);
        assert!(is_told(&mut died, Duration::from_secs(5)).await);
        assert_eq!(process.status().await.and_then(|status| status.code()), Some(3));
    }

    #[tokio::test]
    async fn a_process_that_is_killed_on_purpose_is_not_said_to_have_died() {
        let (sender, mut died) = watch::channel(false);
        let mut process = shell("echo ready; exec sleep 60");
        process.first_line().await.unwrap();
        process.watch(sender);
        process.signal(Signal::SIGSTOP).unwrap();
        while !process.is_stopped() {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        process.kill().await.unwrap();
        assert!(!is_told(&mut died, Duration::from_millis(200)).await);
    }

    #[tokio::test]
    async fn a_process_sees_the_end_of_its_input_when_its_parent_lets_go() {
        let mut process = shell("echo ready; cat; exit 7");
        process.first_line().await.unwrap();
        process.let_go();
        assert_eq!(process.status().await.and_then(|status| status.code()), Some(7));
    }
}
