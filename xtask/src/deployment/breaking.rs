//! Parts of a deployment are stopped under load and started again, one after another, while somebody watches.

use super::Deployment;
use super::monitoring::Monitoring;
use crate::say;
use anyhow::{Context, bail};
use std::time::Duration;

/// What is done to which part, and which alert must tell of it.
pub type Break = (&'static str, &'static str, &'static str);

/// Between two looks.
pub const LOOK: Duration = Duration::from_secs(1);
/// How long an alert may take: numbers are asked for every 5 s, and alerts wait for 10.
const ALERTED: Duration = Duration::from_secs(45);
/// How long a load may take until it begins, and from the last break to its verdict.
const BEGINS: Duration = Duration::from_mins(2);
const ENDS: Duration = Duration::from_mins(5);
/// Between two breaks: everybody finds each other again.
const REST: Duration = Duration::from_secs(8);

/// Breaks one part after another under a load, which has begun by then and still goes on afterwards.
///
/// # Errors
/// A part does not come back, nobody was alerted, or the load was over too soon.
pub fn under_load(deployment: &mut dyn Deployment, monitoring: &Monitoring) -> anyhow::Result<()> {
    wait(BEGINS, "the load has begun", || is_in_phase(monitoring, "load"))
        .with_context(|| deployment.words_of_load(20))?;
    for (what, part, alert) in deployment.breaks() {
        std::thread::sleep(REST);
        if let Some(status) = deployment.load_status()? {
            let words = deployment.words_of_load(60);
            bail!("the load has ended with {status} before {part} was broken:\n{words}");
        }
        say(&format!("{what} {part}"));
        deployment.act(what, part)?;
        let fires = format!("ALERTS{{alertname=\"{alert}\",alertstate=\"firing\"}}");
        wait(ALERTED, &format!("{alert} fires"), || Ok(monitoring.value(&fires)? == Some(1.0)))?;
        say(&format!("{alert} fires; start {part}"));
        deployment.act("start", part)?;
        deployment.wait_until_well(part)?;
    }
    if !is_in_phase(monitoring, "load")? && !is_in_phase(monitoring, "heal")? {
        bail!("the load was over before everything was back; it should last longer");
    }
    Ok(())
}

/// The exit status of the load.
///
/// # Errors
/// It does not end.
pub fn verdict(deployment: &mut dyn Deployment) -> anyhow::Result<i32> {
    let mut status = None;
    let ended = wait(ENDS, "the load ends", || {
        status = deployment.load_status()?;
        Ok(status.is_some())
    });
    ended.with_context(|| deployment.words_of_load(20))?;
    status.context("it has ended")
}

fn is_in_phase(monitoring: &Monitoring, phase: &str) -> anyhow::Result<bool> {
    let value = monitoring.value(&format!("fracas_load_phase{{phase=\"{phase}\"}}"))?;
    Ok(value == Some(1.0))
}

/// Looks until something is so.
///
/// # Errors
/// It is not in time, or cannot be looked at.
pub fn wait(
    patience: Duration,
    what: &str,
    mut is_so: impl FnMut() -> anyhow::Result<bool>,
) -> anyhow::Result<()> {
    for _ in 0..patience.as_secs() {
        if is_so()? {
            return Ok(());
        }
        std::thread::sleep(LOOK);
    }
    bail!("after {patience:?} it is not so that {what}")
}
