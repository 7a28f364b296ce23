//! A load behind HAProxy, which has to notice that each gateway drains, goes away and comes back.

use crate::{asserting, say};
use anyhow::{Context, bail};

const SCENARIO: &str = "scenarios/faults/drain.toml";
/// A machine that is too busy to tell is asked so often.
const TRIES: u32 = 3;

/// Runs it; an error says that HAProxy cannot be had, or that nothing could be judged.
pub fn run() -> anyhow::Result<bool> {
    engines::haproxy::installed()?;
    for _ in 0..TRIES {
        say(&format!("{SCENARIO} behind HAProxy"));
        let mut load = asserting::fracas()?;
        load.args(["load", SCENARIO, "--engines", "haproxy", "--quiet"]);
        match load.status().context("running fracas")?.code() {
            Some(0) => return Ok(true),
            Some(2) => {}
            _ => return Ok(false),
        }
    }
    bail!("the verdict was unknown {TRIES} times: this machine is too busy to tell")
}
