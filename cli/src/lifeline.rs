//! The end of a child process with the one that started it: its standard input is a pipe that nobody
//! writes to, and whose end says that the other one is gone, however it went.

use crate::console;
use clap::Args;

/// For a process that starts nodes for itself.
#[derive(Debug, Default, Args)]
pub struct Lifeline {
    /// End at once when the standard input ends: for a process that starts this one for itself, and must
    /// not leave it behind. It gets a line on standard output as soon as this one runs, and another one
    /// when somebody asks this one to end.
    #[arg(long, hide = true)]
    ends_with_stdin: bool,
}

impl Lifeline {
    /// Whether there is one.
    pub const fn is_on(&self) -> bool {
        self.ends_with_stdin
    }

    /// Begins to watch the standard input, on a thread that no task can keep from it.
    pub fn watch(&self) -> std::io::Result<()> {
        if !self.ends_with_stdin {
            return Ok(());
        }
        let watch = || {
            // An error is an end as well: there is nobody to say anything any more.
            let _ = std::io::copy(&mut std::io::stdin().lock(), &mut std::io::sink());
            console::note("the process that started this one is gone");
            std::process::exit(2);
        };
        std::thread::Builder::new().name("standard input".to_owned()).spawn(watch).map(drop)
    }

    /// It runs.
    pub fn running(&self, name: &str) {
        if self.ends_with_stdin {
            console::result(&serde_json::json!({ "running": name }).to_string());
        }
    }

    /// Somebody asks for its end.
    pub fn asked_to_end(&self) {
        if self.ends_with_stdin {
            console::result(loadgen::ASKED_TO_END);
        }
    }
}
