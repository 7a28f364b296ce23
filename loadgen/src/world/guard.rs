//! A process that kills others when this one goes, however it goes: for those who stand still and cannot notice it.

use nix::unistd::Pid;
use std::io;
use std::process::Stdio;
use tokio::io::AsyncWriteExt;
use tokio::process::{Child, ChildStdin, Command};

/// Reads the numbers of processes, each on a line, and kills them at the end of its input.
const SCRIPT: &str = r#"pids=; while read -r pid; do pids="$pids $pid"; done; kill -KILL $pids"#;

/// Kills stopped processes if this process goes. Dropping it ends it without that.
#[must_use]
pub struct Guard {
    shell: Child,
    told: ChildStdin,
}

impl Guard {
    /// One that guards nobody yet. It leads a process group of its own, so that Ctrl-C does not reach it.
    pub fn start() -> io::Result<Self> {
        let mut shell = Command::new("sh")
            .args(["-c", SCRIPT])
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .process_group(0)
            .kill_on_drop(true)
            .spawn()?;
        let told = shell.stdin.take().ok_or(io::ErrorKind::BrokenPipe)?;
        Ok(Self { shell, told })
    }

    /// From now on it kills these as well.
    pub async fn keeps(&mut self, pids: &[Pid]) -> io::Result<()> {
        for pid in pids {
            self.told.write_all(format!("{pid}\n").as_bytes()).await?;
        }
        self.told.flush().await
    }

    /// They may go on.
    pub async fn dismiss(mut self) -> io::Result<()> {
        self.shell.kill().await
    }

    /// What it sees when this process goes.
    #[cfg(test)]
    pub async fn let_go(mut self) -> io::Result<()> {
        drop(self.told);
        self.shell.wait().await.map(|_| ())
    }
}
