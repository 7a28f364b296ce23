//! `cargo xtask compose`: the stack of `docker-compose.yml`, run for real: up, loaded through HAProxy, broken in three
//! places, judged, looked at through its own monitoring, down.
//!
//! The images of a registry are not needed: what has Debian packages is made from them (`stand_ins`), Grafana is left
//! out, and its dashboards are asked of Prometheus instead.

mod breaking;
mod dashboards;
mod docker;
mod expressions;
mod lint;
mod monitoring;
mod stack;
mod stand_ins;

use crate::repository::root;
use crate::say;
use anyhow::Context;
use docker::with_docker;
use monitoring::Monitoring;
use stack::Stack;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// How long the targets may take to be found, and to be up.
const TARGETS: Duration = Duration::from_mins(1);
/// Queries are asked for the time of the run, in seconds at most.
const RUN_SECONDS: u64 = 900;
/// The image of `docker-compose.yml` that is built here.
const OWN_IMAGE: &str = "fracas:0.1.0";

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
        let stack = Stack::new(docker)?;
        let checked = check(&stack, &folder);
        if checked.is_err() {
            keep_words(&stack, &folder);
        }
        // Whatever became of it.
        let down = stack.down();
        Ok(checked.and(down))
    })
}

fn check(stack: &Stack<'_>, folder: &Path) -> anyhow::Result<()> {
    stack.up()?;
    let chat = stack.port("CHAT_PORT");
    say(&format!("up and healthy; clients at 127.0.0.1:{chat}"));
    let monitoring = Monitoring { port: stack.port("PROMETHEUS_PORT") };
    all_targets_are_up(&monitoring)?;
    stack.start_load()?;
    breaking::under_load(stack, &monitoring)?;
    // While the load is still there to be asked.
    all_targets_are_up(&monitoring)?;
    let answered = everything_is_answered(&monitoring).and_then(|()| alertmanager_was_told(stack));
    let status = breaking::verdict(stack)?;
    let report = report(stack, folder)?;
    say(&stack.last_words("load", 40));
    say(&format!("the report is in {}", report.display()));
    anyhow::ensure!(status == 0, "fracas load ended with {status}");
    answered
}

fn all_targets_are_up(monitoring: &Monitoring) -> anyhow::Result<()> {
    let mut seen = (Vec::new(), 0);
    breaking::wait(TARGETS, "all targets are up", || {
        seen = monitoring.targets()?;
        Ok(seen.0.is_empty() && seen.1 > 0)
    })
    .with_context(|| seen.0.join("\n"))?;
    say(&format!("all {} targets of Prometheus are up", seen.1));
    Ok(())
}

fn everything_is_answered(monitoring: &Monitoring) -> anyhow::Result<()> {
    let (queries, alerts) = (dashboards::queries()?, dashboards::alerts()?);
    let page =
        std::fs::read_to_string(root().join("docs/running.md")).context("docs/running.md")?;
    let mut wrong = monitoring.unanswered(&queries, RUN_SECONDS)?;
    wrong.extend(monitoring.misunderstood(&alerts, &page)?);
    anyhow::ensure!(wrong.is_empty(), "Prometheus does not answer:\n{}", wrong.join("\n"));
    let (panels, alerts) = (queries.len(), alerts.len());
    say(&format!("{panels} queries of panels have data, {alerts} alerts are understood"));
    Ok(())
}

/// That PostgreSQL is down is over by now; that it was told stays for minutes.
fn alertmanager_was_told(stack: &Stack<'_>) -> anyhow::Result<()> {
    let alertmanager = Monitoring { port: stack.port("ALERTMANAGER_PORT") };
    breaking::wait(TARGETS, "Alertmanager has an alert", || {
        let alerts = alertmanager.get("/api/v2/alerts")?;
        Ok(alerts.as_array().is_some_and(|alerts| !alerts.is_empty()))
    })
}

fn report(stack: &Stack<'_>, folder: &Path) -> anyhow::Result<PathBuf> {
    let report = folder.join("run");
    if report.exists() {
        std::fs::remove_dir_all(&report).context("an earlier report")?;
    }
    stack.copy("load", "/var/lib/fracas/run", &report.display().to_string())?;
    Ok(report)
}

/// What the nodes said, for whoever wants to know what went wrong.
fn keep_words(stack: &Stack<'_>, folder: &Path) {
    let words = folder.join("words");
    for service in ["gateway-1", "gateway-2", "store-1", "store-2", "notifier", "auth", "haproxy"]
        .iter()
        .chain(&["rabbitmq-1", "rabbitmq-2", "rabbitmq-3", "postgres", "prometheus", "load"])
    {
        let text = stack.last_words(service, 1_000);
        // The check has failed anyway: that is said, whatever can be kept.
        let _ = std::fs::create_dir_all(&words);
        let _ = std::fs::write(words.join(format!("{service}.log")), text);
    }
    say(&format!("the last words of all containers are in {}", words.display()));
}
