//! Loads behind HAProxy, which has to notice that each gateway drains, goes away and comes back; in plaintext, and
//! encrypted on both of its sides.

use crate::{asserting, say};
use anyhow::{Context, bail};

const PLAIN: [&str; 1] = ["scenarios/faults/drain.toml"];
const ENCRYPTED: [&str; 2] = ["scenarios/load/rest-journeys.toml", "--tls"];
/// A machine that is too busy to tell is asked so often.
const TRIES: u32 = 3;

/// Runs them; an error says that HAProxy cannot be had, or that nothing could be judged.
pub fn run() -> anyhow::Result<bool> {
    engines::haproxy::installed()?;
    Ok(is_valid(&PLAIN)? && is_valid(&ENCRYPTED)?)
}

fn is_valid(load: &[&str]) -> anyhow::Result<bool> {
    for _ in 0..TRIES {
        say(&format!("{} behind HAProxy", load.join(" ")));
        let mut command = asserting::fracas()?;
        command.arg("load").args(load).args(["--engines", "haproxy", "--quiet"]);
        match command.status().context("running fracas")?.code() {
            Some(0) => return Ok(true),
            Some(2) => {}
            _ => return Ok(false),
        }
    }
    bail!("the verdict was unknown {TRIES} times: this machine is too busy to tell")
}
