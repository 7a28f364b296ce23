//! Parts of the stack are stopped under load and started again, one after another, while somebody watches.

use super::monitoring::Monitoring;
use super::stack::{LOOK, Stack};
use crate::say;
use anyhow::{Context, bail};
use std::time::Duration;

/// What is done to which service, and which alert must tell of it.
const BREAKS: [(&str, &str, &str); 3] = [
    // It drains: its clients go to the other one.
    ("stop", "gateway-1", "NodeDown"),
    // What follows is like a power failure of its machine.
    ("kill", "rabbitmq-2", "RabbitMqNodeDown"),
    ("kill", "postgres", "PostgresDown"),
];
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
pub fn under_load(stack: &Stack<'_>, monitoring: &Monitoring) -> anyhow::Result<()> {
    wait(BEGINS, "the load has begun", || is_in_phase(monitoring, "load"))
        .with_context(|| stack.last_words("load", 20))?;
    for (what, service, alert) in BREAKS {
        std::thread::sleep(REST);
        let state = stack.state("load", "{{.State.Status}}")?;
        if state != "running" {
            bail!(
                "the load is {state} before {service} was stopped:\n{}",
                stack.last_words("load", 60)
            );
        }
        say(&format!("{what} {service}"));
        stack.act(what, service)?;
        let fires = format!("ALERTS{{alertname=\"{alert}\",alertstate=\"firing\"}}");
        wait(ALERTED, &format!("{alert} fires"), || Ok(monitoring.value(&fires)? == Some(1.0)))?;
        say(&format!("{alert} fires; start {service}"));
        stack.act("start", service)?;
        stack.wait_until_healthy(service)?;
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
pub fn verdict(stack: &Stack<'_>) -> anyhow::Result<i32> {
    let is_over = || Ok(stack.state("load", "{{.State.Status}}")? == "exited");
    wait(ENDS, "the load ends", is_over).with_context(|| stack.last_words("load", 20))?;
    stack.state("load", "{{.State.ExitCode}}")?.parse().context("an exit status")
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
