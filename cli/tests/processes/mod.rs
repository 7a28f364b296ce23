//! Real processes and real signals for tests; children and states are found in `/proc`.
#![allow(dead_code, reason = "each test file uses a part")]

use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Output};
use std::time::Duration;

/// The program under test.
pub const FRACAS: &str = env!("CARGO_BIN_EXE_fracas");

/// A folder for one test, gone afterwards.
pub struct Playground(PathBuf);

impl Playground {
    /// With a scenario, and a folder for temporary files.
    pub fn new(name: &str, file: &str, scenario: &str) -> Self {
        let path = std::env::temp_dir().join(format!("fracas-{name}-{}", std::process::id()));
        std::fs::create_dir_all(path.join("tmp")).unwrap();
        std::fs::write(path.join(file), scenario).unwrap();
        Self(path)
    }

    pub fn path(&self) -> &Path {
        &self.0
    }

    /// What is left in the temporary folder.
    pub fn left(&self) -> usize {
        std::fs::read_dir(self.0.join("tmp")).unwrap().count()
    }

    /// Everything in the folder for what is temporary.
    pub fn leftovers(&self) -> String {
        let found = Command::new("find").arg(self.0.join("tmp")).output().unwrap();
        String::from_utf8_lossy(&found.stdout).into_owned()
    }
}

impl Drop for Playground {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

pub fn soon(what: &str, mut holds: impl FnMut() -> bool) {
    for _ in 0..600 {
        if holds() {
            return;
        }
        std::thread::sleep(Duration::from_millis(100));
    }
    panic!("not within a minute: {what}");
}

/// The processes that any thread of a process has started.
pub fn children(process: u32) -> Vec<u32> {
    let Ok(threads) = std::fs::read_dir(format!("/proc/{process}/task")) else {
        return Vec::new();
    };
    let of = |thread: &Path| std::fs::read_to_string(thread.join("children")).unwrap_or_default();
    let all: String = threads.flatten().map(|thread| of(&thread.path())).collect();
    all.split_whitespace().filter_map(|child| child.parse().ok()).collect()
}

/// What a process was started with, its words separated by blanks.
pub fn command_line(process: u32) -> String {
    let line = std::fs::read(format!("/proc/{process}/cmdline")).unwrap_or_default();
    String::from_utf8_lossy(&line).replace('\0', " ")
}

/// The letter of proc(5); nothing if there is no such process.
pub fn state(process: u32) -> Option<char> {
    let stat = std::fs::read_to_string(format!("/proc/{process}/stat")).ok()?;
    stat.rsplit_once(") ")?.1.chars().next()
}

/// Gone, or dead and waiting for somebody who asks for its status.
pub fn is_gone(process: u32) -> bool {
    matches!(state(process), None | Some('Z' | 'X'))
}

/// Whether it handles SIGTERM by now, or is over: `SigCgt` in `/proc/PID/status`, see proc(5).
pub fn takes_sigterm(process: u32) -> bool {
    let Ok(status) = std::fs::read_to_string(format!("/proc/{process}/status")) else {
        return true;
    };
    let caught = status.lines().find_map(|line| line.strip_prefix("SigCgt:"));
    let caught = caught.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).unwrap_or(0);
    is_gone(process) || caught & (1 << (15 - 1)) != 0
}

pub fn terminate(process: u32) {
    // It may be over already.
    let _ = Command::new("sh").args(["-c", &format!("kill -TERM {process} 2>/dev/null")]).status();
}

/// How it ended, within a minute.
pub fn ended(child: &mut Child) -> ExitStatus {
    let mut status = None;
    soon("it ends", || {
        status = child.try_wait().unwrap();
        status.is_some()
    });
    status.unwrap()
}

/// How it ended and what it said, within a minute; what it says must fit into a pipe.
pub fn output(mut child: Child) -> Output {
    ended(&mut child);
    child.wait_with_output().unwrap()
}
