//! The deployed shape, run for real under a judged load: parts of it are broken meanwhile, and its own monitoring is
//! asked. In containers (`compose`), as pods (`kubernetes`) or as processes on loopback (`stack`).

mod breaking;
pub mod compose;
mod dashboards;
mod expressions;
pub mod kubernetes;
mod monitoring;
pub mod stack;

use crate::repository::root;
use crate::say;
use anyhow::Context;
use breaking::{Break, wait};
use monitoring::Monitoring;
use std::time::Duration;

/// How long the targets may take to be found, and to be up.
const TARGETS: Duration = Duration::from_mins(1);
/// Queries are asked for the time of the run, in seconds at most.
const RUN_SECONDS: u64 = 900;

/// A deployment that is up.
trait Deployment {
    /// What is done to which part of it, and which alert must tell of it.
    fn breaks(&self) -> [Break; 3];
    /// Does something to a part: `stop`, `kill`, `start`.
    fn act(&self, what: &str, part: &str) -> anyhow::Result<()>;
    /// Waits until a part is well again.
    fn wait_until_well(&self, part: &str) -> anyhow::Result<()>;
    /// Starts a load on it, which nobody waits for.
    fn start_load(&mut self) -> anyhow::Result<()>;
    /// With which status the load has ended, if it has.
    fn load_status(&mut self) -> anyhow::Result<Option<i32>>;
    /// The end of what the load has said.
    fn words_of_load(&self, lines: usize) -> String;
    /// Its Prometheus.
    fn prometheus(&self) -> Monitoring;
}

/// Puts load on a deployment, breaks it and asks its monitoring: the exit status of the load.
fn check(deployment: &mut dyn Deployment) -> anyhow::Result<i32> {
    let monitoring = deployment.prometheus();
    deployment.start_load()?;
    breaking::under_load(deployment, &monitoring)?;
    // While the load is still there to be asked.
    all_targets_are_up(&monitoring)?;
    let answered =
        everything_is_answered(&monitoring).and_then(|()| was_told_of_alerts(&monitoring));
    let status = breaking::verdict(deployment)?;
    say(&deployment.words_of_load(40));
    answered.map(|()| status)
}

fn all_targets_are_up(monitoring: &Monitoring) -> anyhow::Result<()> {
    let mut seen = (Vec::new(), 0);
    wait(TARGETS, "all targets are up", || {
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

/// That a part is down is over by now, and Alertmanager shows it no more; it counts what it was told.
fn was_told_of_alerts(monitoring: &Monitoring) -> anyhow::Result<()> {
    let told = "sum(alertmanager_alerts_received_total{status=\"firing\"}) > 0";
    wait(TARGETS, "Alertmanager was told of an alert", || Ok(monitoring.value(told)?.is_some()))
}
