//! One run in a process of its own, whatever becomes of the process.

use super::Case;
use super::finished::{Finished, Outcome};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use ports::entered;
use std::collections::BTreeMap;
use std::io::Read;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::{Mutex, MutexGuard};

/// Where runs take place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum World {
    /// In the simulator: `fracas run`.
    Simulated,
    /// On this machine: `fracas load` with these options.
    Real(Vec<String>),
}

impl World {
    pub(super) const fn command(&self) -> &'static str {
        match self {
            Self::Simulated => "run",
            Self::Real(_) => "load",
        }
    }

    pub(super) fn options(&self) -> &[String] {
        match self {
            Self::Simulated => &[],
            Self::Real(options) => options,
        }
    }
}

/// The processes that run now.
#[derive(Default)]
pub struct Children(Mutex<State>);

#[derive(Default)]
struct State {
    running: BTreeMap<u32, Child>,
    is_over: bool,
}

impl Children {
    /// Runs one seed to its end, with its results in `out`. `None`: everything was ended meanwhile.
    pub fn run(
        &self,
        world: &World,
        (number, case): (usize, &Case),
        seed: u64,
        out: Option<&Path>,
    ) -> Option<Finished> {
        let (id, mut output, mut errors) = match self.start(world, case, seed, out) {
            Ok(started) => started?,
            Err(error) => {
                let doubts = vec![format!("cannot start a process: {error}")];
                let nothing = Finished::nothing(number, seed, Outcome::Unknown);
                return Some(Finished { doubts, ..nothing });
            }
        };
        // Both at once: a process that says much on one of them waits for its reader.
        let (said, complained) = std::thread::scope(|scope| {
            let complained = scope.spawn(move || all_of(&mut errors));
            (all_of(&mut output), complained.join().unwrap_or_default())
        });
        let mut child = self.lock().running.remove(&id)?;
        let status = child.wait().ok()?;
        if self.lock().is_over {
            return None;
        }
        let complained = String::from_utf8_lossy(&complained);
        Some(Finished::of(world, (number, seed), status, &said, &complained))
    }

    /// Ends all of them, and starts no more. A real run is asked once: it has a cluster to take down.
    pub fn end_all(&self, world: &World) {
        let mut state = self.lock();
        let is_first = !std::mem::replace(&mut state.is_over, true);
        for child in state.running.values_mut() {
            // It may have ended already; who reads its output waits for it.
            let _ = match world {
                World::Simulated => child.kill().ok(),
                World::Real(_) => is_first
                    .then(|| Pid::from_raw(child.id().cast_signed()))
                    .and_then(|id| kill(id, Signal::SIGTERM).ok()),
            };
        }
    }

    fn start(
        &self,
        world: &World,
        case: &Case,
        seed: u64,
        out: Option<&Path>,
    ) -> std::io::Result<Option<(u32, impl Read + Send + use<>, impl Read + Send + use<>)>> {
        let mut command = Command::new(std::env::current_exe()?);
        command.arg(world.command()).arg(&case.scenario).args(["--json", "--quiet"]);
        command.arg("--seed").arg(seed.to_string()).args(world.options());
        for set in &case.overrides {
            command.arg("--set").arg(set);
        }
        if let Some(out) = out {
            command.arg("--out").arg(out);
        }
        let stdin = match world {
            World::Simulated => Stdio::null(),
            // What it has started must not outlive this process, however that ends.
            World::Real(_) => {
                command.arg("--ends-with-stdin");
                Stdio::piped()
            }
        };
        // What GitHub is told of all runs, it is told once.
        command.env_remove("GITHUB_ACTIONS");
        command.stdin(stdin).stdout(Stdio::piped()).stderr(Stdio::piped());
        // A Ctrl-C is for this process alone, which ends its children: a run that a terminal has ended
        // must not look like one that died.
        command.process_group(0);
        let mut state = self.lock();
        if state.is_over {
            return Ok(None);
        }
        let mut child = command.spawn()?;
        let output = child.stdout.take().expect("it is piped");
        let errors = child.stderr.take().expect("it is piped");
        let id = child.id();
        state.running.insert(id, child);
        Ok(Some((id, output, errors)))
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        entered(self.0.lock())
    }
}

fn all_of(pipe: &mut impl Read) -> Vec<u8> {
    let mut bytes = Vec::new();
    // What was read before an error counts.
    let _ = pipe.read_to_end(&mut bytes);
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_starts_after_the_end() {
        let children = Children::default();
        children.end_all(&World::Simulated);
        let case = Case {
            scenario: "/nope.toml".into(),
            overrides: Vec::new(),
            values: Vec::new(),
            folder: "".into(),
        };
        assert!(children.run(&World::Simulated, (0, &case), 1, None).is_none());
    }
}
