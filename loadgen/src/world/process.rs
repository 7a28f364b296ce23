//! A child process that tells when it dies, and that does not outlive this one.
//!
//! Its standard input is a pipe that nobody writes to: its end tells the child that this process is
//! gone, however it went. A child that is stopped cannot see that; for that time a guard, a shell that
//! waits for the end of such a pipe, kills it instead. Both lead process groups of their own, so that
//! Ctrl-C reaches this process alone.

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::io;
use std::path::Path;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};
use tokio::runtime::Handle;
use tokio::sync::watch;
use tokio::task::AbortHandle;
use tokio::time::timeout;

/// What a child says on a line of its output as soon as somebody else than this process has asked it to
/// end: what comes now is its farewell.
pub const ASKED_TO_END: &str = r#"{"ending":"asked"}"#;

/// How far a process has got that nobody here has asked to end.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Course {
    /// It goes on.
    #[default]
    Running,
    /// Somebody else has asked it to end: see [`ASKED_TO_END`].
    Asked,
    /// It has ended by itself.
    Died,
}

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

/// Kills a stopped process if this process goes. Dropping it ends it without that.
#[must_use]
pub struct Guard(Child);

impl Guard {
    /// The process may go on.
    pub async fn dismiss(mut self) -> io::Result<()> {
        self.0.kill().await
    }
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
    /// closes its output, and one that is asked to end says so.
    pub fn watch(&mut self, course: watch::Sender<Course>) {
        let Some(output) = self.output.take() else { return };
        let watcher = Handle::current().spawn(async move {
            let mut lines = output.lines();
            while let Ok(Some(line)) = lines.next_line().await {
                if line == ASKED_TO_END {
                    course.send_replace(Course::Asked);
                    // Its end follows from that.
                    return;
                }
            }
            course.send_replace(Course::Died);
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

    /// Stops it, until it gets SIGCONT. For as long as the guard is kept, it is killed if this process
    /// goes.
    pub fn stop(&self) -> io::Result<Guard> {
        let pid = self.pid().map_err(io::Error::from)?;
        let guard = Command::new("sh")
            .args(["-c", &format!("read -r _; kill -KILL {pid}")])
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .process_group(0)
            .kill_on_drop(true)
            .spawn()?;
        // A guard that is dropped by now dies before it sees the end of its input.
        self.signal(Signal::SIGSTOP).map_err(io::Error::from)?;
        Ok(Guard(guard))
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

    async fn told(course: &mut watch::Receiver<Course>, within: Duration) -> Course {
        // Without an end there is nothing to wait for.
        let _ = timeout(within, course.wait_for(|course| *course != Course::Running)).await;
        *course.borrow()
    }

    #[tokio::test]
    async fn an_end_that_nobody_asked_for_is_told_at_once() {
        let (sender, mut course) = watch::channel(Course::Running);
        let mut process = shell("echo ready; echo more; sleep 0.2; exit 3");
        assert_eq!(process.first_line().await.unwrap(), "ready\n");
        process.watch(sender);
        assert_eq!(told(&mut course, Duration::from_secs(5)).await, Course::Died);
        assert_eq!(process.status().await.and_then(|status| status.code()), Some(3));
    }

    #[tokio::test]
    async fn an_end_that_somebody_else_has_asked_for_is_told_before_it_comes() {
        let (sender, mut course) = watch::channel(Course::Running);
        let script = format!("echo ready; sleep 0.1; echo '{ASKED_TO_END}'; exec sleep 60");
        let mut process = shell(&script);
        process.first_line().await.unwrap();
        process.watch(sender);
        assert_eq!(told(&mut course, Duration::from_secs(5)).await, Course::Asked);
        process.kill().await.unwrap();
        assert_eq!(*course.borrow(), Course::Asked, "its end is no news");
    }

    #[tokio::test]
    async fn a_process_that_load_itself_asks_to_end_does_not_count_as_asked_by_others() {
        let (sender, mut course) = watch::channel(Course::Running);
        let script = format!(
            "trap 'echo {ASKED_TO_END:?}; exit 0' TERM; echo ready; while :; do sleep 0.05; done"
        );
        let mut process = shell(&script);
        process.first_line().await.unwrap();
        process.watch(sender);
        let status = process.end(Duration::from_secs(5)).await.unwrap();
        assert!(status.is_some(), "it ends in time");
        assert_eq!(told(&mut course, Duration::from_millis(200)).await, Course::Running);
    }

    #[tokio::test]
    async fn a_process_that_is_killed_on_purpose_is_not_said_to_have_died() {
        let (sender, mut course) = watch::channel(Course::Running);
        let mut process = shell("echo ready; exec sleep 60");
        process.first_line().await.unwrap();
        process.watch(sender);
        let guard = process.stop().unwrap();
        while !process.is_stopped() {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        guard.dismiss().await.unwrap();
        assert!(process.is_stopped());
        process.kill().await.unwrap();
        assert_eq!(told(&mut course, Duration::from_millis(200)).await, Course::Running);
    }

    #[tokio::test]
    async fn a_process_sees_the_end_of_its_input_when_its_parent_lets_go() {
        let mut process = shell("echo ready; cat; exit 7");
        process.first_line().await.unwrap();
        process.let_go();
        assert_eq!(process.status().await.and_then(|status| status.code()), Some(7));
    }
    #[tokio::test]
    async fn a_stopped_process_is_killed_by_its_guard_when_its_parent_goes() {
        let mut process = shell("echo ready; exec sleep 60");
        process.first_line().await.unwrap();
        let mut guard = process.stop().unwrap();
        guard.0.stdin.take();
        let status = process.status().await.expect("it ends");
        assert_eq!(std::os::unix::process::ExitStatusExt::signal(&status), Some(9));
    }
}
