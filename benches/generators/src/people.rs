//! Users who can talk: each with a token, and a conversation with one other.

use anyhow::Context;
use benches::sessions::Sessions;
use client::Carrier;
use protocol::codec::Codec;
use protocol::{DeviceId, UserId};
use serde::{Deserialize, Serialize};
use std::fmt::Write as _;
use std::path::Path;
use std::sync::Arc;
use workload::Targets;
use workload::rest::Api;

/// A user, as a line of the file that the generators read.
#[derive(Debug, Serialize, Deserialize)]
pub struct Person {
    pub user: u64,
    pub token: String,
    pub conversation: u64,
}

/// Makes conversations of two of all users, and writes everybody's token into a file.
pub async fn introduce(
    gateway: &str,
    users: u32,
    into: &Path,
    folder: &Path,
) -> anyhow::Result<()> {
    let machine = real::machine("people", &folder.join("people"))?;
    let targets = Arc::new(Targets::development(vec![gateway.to_owned()]));
    let api = Api::new(machine.clone(), targets);
    let carrier = Carrier::sockets(machine.clone(), Codec::Json);
    let users = u64::from(users);
    let sessions = Sessions::new(machine, carrier, api, gateway.to_owned());
    sessions.grant(1..=users).await?;
    sessions.acquaint(users, 1).await?;
    let mut lines = String::new();
    for user in 1..=users {
        let token = sessions.token(UserId(user), DeviceId(1)).await?.expose().to_owned();
        let person = Person { user, token, conversation: user.div_ceil(2) };
        writeln!(lines, "{}", serde_json::to_string(&person)?)?;
    }
    std::fs::write(into, lines).context("writing the people")
}

/// Reads such a file.
pub fn read(from: &Path) -> anyhow::Result<Vec<Person>> {
    let text = std::fs::read_to_string(from).with_context(|| from.display().to_string())?;
    text.lines().map(|line| serde_json::from_str(line).context("a line of the people")).collect()
}
