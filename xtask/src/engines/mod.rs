//! `cargo xtask engines`: the adapters of real engines, tested against real engines.
//!
//! Each engine is installed if it is missing and this user may; started as a private instance on loopback,
//! with ports and a folder of its own; and stopped when its tests are over. Nothing is left out in silence: an
//! engine that cannot be had has a status of its own. `rest`, `oidc`, `haproxy` and `traces` are no engines: they need a tool or a
//! server that has to be had, too.

mod cassandra;
mod cluster;
mod haproxy;
mod kafka;
mod oidc;
mod postgres;
mod python;
mod rabbitmq;
mod rest;
mod suite;
mod traces;

use crate::repository::root;
use crate::say;
use anyhow::Context;
use engines::{Instance, Running};
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc;
use std::time::Duration;
use suite::test;

/// The engines, by their names on the command line.
pub const ENGINES: [&str; 8] =
    ["rest", "oidc", "haproxy", "traces", "rabbitmq", "kafka", "postgres", "cassandra"];

/// Between two looks at whether a server has ended.
const LOOK: Duration = Duration::from_millis(100);

/// How the tests of engines ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tested {
    /// All of them, and none failed.
    Passed,
    /// One failed.
    Failed,
    /// None failed, but some engine could not be had or started.
    InPart,
}

/// Runs the tests of these engines, or of all of them.
pub fn run(names: &[&str]) -> anyhow::Result<Tested> {
    let mut tested = Tested::Passed;
    for name in ENGINES.iter().filter(|name| names.is_empty() || names.contains(name)) {
        say(&format!("== engine {name}"));
        let passed = match *name {
            "rabbitmq" => rabbitmq::run(),
            "postgres" => postgres::run(),
            "kafka" => kafka::run(),
            "cassandra" => cassandra::run(),
            "haproxy" => haproxy::run(),
            "rest" => rest::run(),
            "oidc" => oidc::run(),
            "traces" => traces::run(),
            _ => anyhow::bail!("{name} has no tests"),
        };
        match passed {
            Ok(true) => {}
            Ok(false) => {
                say(&format!("== engine {name} failed; again: cargo xtask engines {name}"));
                return Ok(Tested::Failed);
            }
            // It could not be had or started here: that says nothing of its adapter.
            Err(error) => {
                say(&format!("== engine {name} NOT TESTED: {error:#}"));
                tested = Tested::InPart;
            }
        }
    }
    Ok(tested)
}

/// A new folder for the data of an instance; a previous run's is removed.
fn folder(name: &str) -> anyhow::Result<PathBuf> {
    let folder = root().join("target/engines").join(name);
    if folder.exists() {
        std::fs::remove_dir_all(&folder).with_context(|| folder.display().to_string())?;
    }
    std::fs::create_dir_all(&folder).with_context(|| folder.display().to_string())?;
    Ok(folder)
}

/// The folder with the jars of an engine and of what it needs, kept between runs.
fn jars(name: &str) -> anyhow::Result<PathBuf> {
    let project = root().join("xtask/engines").join(name).with_extension("xml");
    let folder = root().join("target/engines").join(format!("{name}-jars"));
    engines::maven::fetch(&project, &folder)?;
    Ok(folder)
}

/// Keeps instances running while something is tested, whatever the tests do to them. Each is ready before the
/// next one is started; those that make one engine `together` are started at once.
fn serve_during(
    before: &[&dyn Instance],
    together: &[&dyn Instance],
    tests: impl FnOnce() -> anyhow::Result<bool>,
) -> anyhow::Result<bool> {
    let (is_ready, ready) = mpsc::channel();
    let over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let over = &over;
        // The system ends the servers with the thread that has started them.
        let serving = scope.spawn(move || {
            let mut running = Vec::new();
            for instance in before {
                running.push((*instance, Running::start(*instance)?));
                running.last_mut().expect("just put there").1.wait_until_ready()?;
            }
            for instance in together {
                running.push((*instance, Running::start(*instance)?));
            }
            for (_, server) in &mut running {
                server.wait_until_ready()?;
            }
            // Whoever waits for it has not gone away.
            let _ = is_ready.send(());
            while !over.load(Ordering::Relaxed) {
                for (instance, server) in &mut running {
                    if server.ended()?.is_some() {
                        *server = Running::start(*instance)?;
                    }
                }
                std::thread::sleep(LOOK);
            }
            for (_, server) in &running[before.len()..] {
                server.ask_to_end()?;
            }
            running.into_iter().rev().try_for_each(|(_, server)| server.stop())
        });
        // Nothing is tested on what did not start.
        let tested = ready.recv().ok().map(|()| {
            let names: Vec<&str> = together.iter().map(|instance| instance.name()).collect();
            say(&format!("ready: {}", names.join(", ")));
            tests()
        });
        over.store(true, Ordering::Relaxed);
        let served = serving.join().expect("serving does not panic");
        tested_on(tested, served)
    })
}

/// Whether tests passed on servers that were kept running; an error: they could not be run. Tests that failed have
/// failed, even if the servers came to harm as well: it may have been their doing.
fn tested_on(
    tested: Option<anyhow::Result<bool>>,
    served: anyhow::Result<()>,
) -> anyhow::Result<bool> {
    if let Some(Ok(false)) = tested {
        if let Err(error) = served {
            say(&format!("beside the tests that failed: {error:#}"));
        }
        return Ok(false);
    }
    served?;
    tested.unwrap_or(Ok(false))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tests_that_fail_have_failed_whatever_their_servers_do() {
        let harmed = || Err(anyhow::anyhow!("it did not end in 30 s"));
        assert!(!tested_on(Some(Ok(false)), harmed()).expect("they were run"));
        assert!(tested_on(Some(Ok(true)), Ok(())).expect("they were run"));
        for nothing in [Some(Ok(true)), Some(Err(anyhow::anyhow!("no cargo"))), None] {
            assert!(tested_on(nothing, harmed()).is_err());
        }
    }

    /// It tries one engine at a time, so that a failure of one costs no second run of the others.
    #[test]
    fn continuous_integration_tests_every_engine() {
        let script = std::fs::read_to_string(root().join(".ci/run")).expect("it is there");
        assert!(script.contains(&format!("for name in {}; do", ENGINES.join(" "))), "{script}");
    }

    #[test]
    fn every_engine_has_its_row_on_the_page() {
        let page = std::fs::read_to_string(root().join("docs/engines.md")).expect("it is there");
        let (_, tests) = page.split_once("\n## Tests\n").expect("a section");
        for name in ENGINES {
            assert!(tests.contains(&format!("\n| `{name}` |")), "{name} has no row");
        }
    }
}
