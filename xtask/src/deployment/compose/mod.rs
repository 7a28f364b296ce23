//! `cargo xtask compose`: the stack of `docker-compose.yml`, run for real: up, loaded through HAProxy, broken in three
//! places, judged, looked at through its own monitoring, down.
//!
//! The images of a registry are not needed: what has Debian packages is made from them (`stand_ins`), Grafana is left
//! out, and its dashboards are asked of Prometheus instead.

mod containers;
pub mod docker;
mod lint;
pub mod stand_ins;

use super::{Deployment, all_targets_are_up};
use crate::repository::root;
use crate::say;
use anyhow::Context;
use containers::Containers;
use docker::with_docker;
use std::path::{Path, PathBuf};

/// The image of `docker-compose.yml` that is built here.
pub const OWN_IMAGE: &str = "fracas:0.1.0";

/// Checks the files alone; true if nothing is wrong with them.
///
/// # Errors
/// A file cannot be read.
pub fn lint() -> anyhow::Result<bool> {
    let findings = lint::findings()?;
    for finding in &findings {
        say(finding);
    }
    Ok(findings.is_empty())
}

/// Runs the stack. An outer error says that it cannot be run here, an inner one what was wrong with it.
pub fn run() -> anyhow::Result<anyhow::Result<()>> {
    let findings = lint::findings()?;
    if !findings.is_empty() {
        return Ok(Err(anyhow::anyhow!(findings.join("\n"))));
    }
    let folder = root().join("target/compose");
    with_docker(&folder, |docker| {
        say(&docker.versions()?);
        stand_ins::make(docker, &folder)?;
        if let Err(error) = stand_ins::make_own(docker, OWN_IMAGE) {
            return Ok(Err(error));
        }
        let left_out = stand_ins::LEFT_OUT.join(", ");
        say(&format!("left out, for want of a package: {left_out}"));
        let mut containers = Containers::new(docker)?;
        let checked = check(&mut containers, &folder);
        if checked.is_err() {
            keep_words(&containers, &folder);
        }
        // Whatever became of it.
        let down = containers.down();
        Ok(checked.and(down))
    })
}

fn check(containers: &mut Containers<'_>, folder: &Path) -> anyhow::Result<()> {
    containers.up()?;
    let chat = containers.port("CHAT_PORT");
    say(&format!("up and healthy; clients at 127.0.0.1:{chat}"));
    all_targets_are_up(&containers.prometheus())?;
    let status = super::check(containers);
    let report = report(containers, folder)?;
    say(&format!("the report is in {}", report.display()));
    let status = status?;
    anyhow::ensure!(status == 0, "fracas load ended with {status}");
    Ok(())
}

fn report(containers: &Containers<'_>, folder: &Path) -> anyhow::Result<PathBuf> {
    let report = folder.join("run");
    if report.exists() {
        std::fs::remove_dir_all(&report).context("an earlier report")?;
    }
    containers.copy("load", "/var/lib/fracas/run", &report.display().to_string())?;
    Ok(report)
}

/// What the nodes said, for whoever wants to know what went wrong.
fn keep_words(containers: &Containers<'_>, folder: &Path) {
    let words = folder.join("words");
    for service in ["gateway-1", "gateway-2", "store-1", "store-2", "notifier", "auth", "haproxy"]
        .iter()
        .chain(&["rabbitmq-1", "rabbitmq-2", "rabbitmq-3", "postgres", "prometheus", "load"])
    {
        let text = containers.last_words(service, 1_000);
        // The check has failed anyway: that is said, whatever can be kept.
        let _ = std::fs::create_dir_all(&words);
        let _ = std::fs::write(words.join(format!("{service}.log")), text);
    }
    say(&format!("the last words of all containers are in {}", words.display()));
}
