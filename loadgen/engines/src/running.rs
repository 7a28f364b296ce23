//! The process of a server, which does not outlive this one.

use anyhow::{Context, bail};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

/// How long a server may take until it is ready.
const START: Duration = Duration::from_mins(2);
/// How long what it needs may take.
const NEEDED: Duration = Duration::from_secs(20);
/// How long it may take to shut down before it is killed.
const STOP: Duration = Duration::from_secs(30);
/// Between two looks at something.
const LOOK: Duration = Duration::from_millis(50);
/// Lines of its output that an error shows.
const LAST_LINES: usize = 30;

/// A server that can be started, and started again on the same data.
pub trait Instance: Sync {
    /// What it is called.
    fn name(&self) -> &'static str;
    /// What it is started from.
    fn program(&self) -> Program;
    /// Whether what it needs is there; it is not started before.
    fn may_start(&self) -> bool {
        true
    }
    /// Whether it takes work.
    fn is_ready(&self) -> bool;
}

/// A program that stays in the foreground.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Program {
    /// Its file.
    pub file: PathBuf,
    /// What it is called with.
    pub arguments: Vec<String>,
    /// What its environment has besides ours.
    pub variables: Vec<(&'static str, String)>,
    /// Who it runs as, if not as this process.
    pub user: Option<&'static str>,
    /// Where its output goes. What an earlier process wrote is kept.
    pub console: PathBuf,
    /// The signal that asks it to shut down.
    pub end: Signal,
}

/// The process of an instance. It is killed when this is dropped, and by the system when the thread that has
/// started it ends.
pub struct Running<'a> {
    instance: &'a dyn Instance,
    program: Program,
    server: Child,
}

impl<'a> Running<'a> {
    /// Starts it, as soon as it may.
    ///
    /// # Errors
    /// Its program cannot be started, or what it needs does not come.
    pub fn start(instance: &'a dyn Instance) -> anyhow::Result<Self> {
        let mut patience = looks(NEEDED);
        while !instance.may_start() {
            patience = patience.checked_sub(1).with_context(|| {
                format!("{}: what it needs is not there after {NEEDED:?}", instance.name())
            })?;
            std::thread::sleep(LOOK);
        }
        let program = instance.program();
        let server = program.start()?;
        // `setpriv` becomes the server.
        crate::write(&program.console.with_file_name("pid"), &server.id().to_string())?;
        Ok(Self { instance, program, server })
    }

    /// Waits until it takes work.
    ///
    /// # Errors
    /// It ended, or took too long: with the last lines of what it said.
    pub fn wait_until_ready(&mut self) -> anyhow::Result<()> {
        for _ in 0..looks(START) {
            if self.instance.is_ready() {
                return Ok(());
            }
            if let Some(status) = self.ended()? {
                bail!("{} ended with {status}; it said:\n{}", self.instance.name(), self.said());
            }
            std::thread::sleep(LOOK);
        }
        let name = self.instance.name();
        bail!("{name} is not ready after {START:?}; it said:\n{}", self.said())
    }

    /// How it ended, if it has by now.
    ///
    /// # Errors
    /// The system does not say.
    pub fn ended(&mut self) -> anyhow::Result<Option<ExitStatus>> {
        self.server.try_wait().context("waiting for a server")
    }

    /// Asks it to shut down. Nodes of one engine are asked before any of them is waited for: the last ones
    /// alone would wait for a majority.
    ///
    /// # Errors
    /// It has no number.
    pub fn ask_to_end(&self) -> anyhow::Result<()> {
        // It may have ended by itself just now.
        let _ = kill(pid(&self.server)?, self.program.end);
        Ok(())
    }

    /// Asks it to shut down, and waits until it has.
    ///
    /// # Errors
    /// It takes too long. It is killed then.
    pub fn stop(mut self) -> anyhow::Result<()> {
        self.ask_to_end()?;
        for _ in 0..looks(STOP) {
            if self.ended()?.is_some() {
                return Ok(());
            }
            std::thread::sleep(LOOK);
        }
        bail!("{} does not shut down in {STOP:?}", self.instance.name())
    }

    /// The last lines of its output.
    fn said(&self) -> String {
        let said = std::fs::read(&self.program.console).unwrap_or_default();
        let said = String::from_utf8_lossy(&said);
        let lines: Vec<&str> = said.lines().collect();
        lines[lines.len().saturating_sub(LAST_LINES)..].join("\n")
    }
}

impl Drop for Running<'_> {
    fn drop(&mut self) {
        // It may have ended.
        let _ = self.server.kill();
        let _ = self.server.wait();
    }
}

impl Program {
    /// One that has nothing special: it runs as this process does, and says what it has to say into the folder.
    pub fn new(file: &Path, arguments: Vec<String>, folder: &Path) -> Self {
        Self {
            file: file.to_owned(),
            arguments,
            variables: Vec::new(),
            user: None,
            console: folder.join("console"),
            end: Signal::SIGTERM,
        }
    }

    /// `setpriv` asks the system to kill it when we are gone, however we went.
    fn start(&self) -> anyhow::Result<Child> {
        let with = crate::program(&["setpriv"], "util-linux")?;
        let console = File::options().create(true).append(true).open(&self.console);
        let console = console.with_context(|| self.console.display().to_string())?;
        let mut command = Command::new(with);
        if let Some(user) = self.user {
            command.args(["--reuid", user, "--regid", user, "--clear-groups"]);
        }
        command
            .args(["--pdeathsig", "KILL", "--"])
            .arg(&self.file)
            .args(&self.arguments)
            .envs(self.variables.iter().map(|(name, value)| (name, value)))
            // Another user may not read where we are.
            .current_dir("/")
            .stdin(Stdio::null())
            .stdout(console.try_clone().context("its output")?)
            .stderr(console)
            .spawn()
            .with_context(|| format!("starting {}", self.file.display()))
    }
}

/// How many there are in this time, at least.
const fn looks(time: Duration) -> u128 {
    time.as_millis() / LOOK.as_millis()
}

fn pid(child: &Child) -> anyhow::Result<Pid> {
    Ok(Pid::from_raw(i32::try_from(child.id()).context("the number of a process")?))
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Shell(&'static str, PathBuf);

    impl Instance for Shell {
        fn name(&self) -> &'static str {
            "a shell"
        }

        fn program(&self) -> Program {
            Program {
                file: "/bin/sh".into(),
                arguments: vec!["-c".to_owned(), self.0.to_owned()],
                variables: vec![("SAID", "more".to_owned())],
                console: self.1.clone(),
                user: None,
                end: Signal::SIGTERM,
            }
        }

        fn is_ready(&self) -> bool {
            std::fs::read_to_string(&self.1).is_ok_and(|said| said.contains("ready"))
        }
    }

    fn console(name: &str) -> PathBuf {
        let console = std::env::temp_dir().join(format!("fracas-{name}-{}", std::process::id()));
        // A previous process with this number may have left it.
        let _ = std::fs::remove_file(&console);
        console
    }

    #[test]
    fn a_server_is_waited_for_and_asked_to_end() {
        let shell = Shell("echo ready $SAID; exec sleep 60", console("ready"));
        let mut running = Running::start(&shell).unwrap();
        running.wait_until_ready().unwrap();
        assert_eq!(running.ended().unwrap(), None);
        assert_eq!(running.said(), "ready more");
        running.stop().unwrap();
        std::fs::remove_file(&shell.1).unwrap();
    }

    #[test]
    fn a_server_that_ends_says_why() {
        let shell = Shell("echo no room; exit 3", console("ends"));
        let error = Running::start(&shell).unwrap().wait_until_ready().unwrap_err().to_string();
        assert_eq!(error, "a shell ended with exit status: 3; it said:\nno room");
        std::fs::remove_file(&shell.1).unwrap();
    }
}
