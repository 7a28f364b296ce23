//! `cargo xtask deny`: what `deny.toml` asks of the dependencies: licences, bans and sources; and their
//! advisories, where the database of them can be had. Where not, that is said.

use crate::repository::root;
use crate::{cargo_program, say, tool};
use std::process::{Command, Stdio};

/// What needs nothing but the lock file and the crates.
const ALWAYS: [&str; 3] = ["licenses", "bans", "sources"];
const ADVISORIES: &str = "advisories";

/// Whether nothing is denied; an error says why there is no cargo-deny.
pub fn run() -> anyhow::Result<bool> {
    tool::have("deny")?;
    if !passes(&ALWAYS)? {
        return Ok(false);
    }
    // Without its database the check ends before it has looked at anything.
    let fetched = deny(&["fetch", "db"]).stdout(Stdio::null()).stderr(Stdio::null()).status()?;
    if !fetched.success() {
        say("advisories NOT CHECKED: their database cannot be had from here");
        return Ok(true);
    }
    passes(&[ADVISORIES])
}

fn passes(what: &[&str]) -> anyhow::Result<bool> {
    say(&format!("== deny {}", what.join(", ")));
    Ok(deny(&["--all-features", "check", "--hide-inclusion-graph"]).args(what).status()?.success())
}

fn deny(words: &[&str]) -> Command {
    let mut command = Command::new(cargo_program());
    command.arg("deny").args(words).current_dir(root());
    command
}
