//! What agents and their lead say to each other over one connection: a line of JSON each.

use super::clock::HostClock;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use std::io;
use tokio::io::{AsyncBufRead, AsyncBufReadExt, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use verify::history::event::{Agent, Phase};

/// No line is longer: a list of gateways is the longest thing that is ever said.
const LONGEST: u64 = 1 << 20;

/// What an agent says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FromAgent {
    /// First: who it is, and what it is about to run.
    Hello { agent: Agent, plan: String },
    /// Again and again: what it has reached by now, in the time of its own run.
    State { at_us: u64, connected: u64, events: u64 },
    /// It ends before its time.
    Leaves { why: String },
    /// All that happened to its users is written down.
    Finished,
}

/// What the lead says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FromLead {
    /// It may take part in the run of this number.
    Welcome { run: u64, host: Option<HostClock> },
    /// It may not.
    Refused { why: String },
    /// At once after each `State`, with its time and the time of the lead's run.
    Beat { sent_us: u64, at_us: u64 },
    /// The conversations are made: the cluster is here. `authority`: whom to trust, in PEM, if it is encrypted and
    /// was started for the run.
    Begin { gateways: Vec<String>, authority: Option<String> },
    /// A phase begins.
    Phase(Phase),
    /// The run ends before its time.
    Stop { why: String },
}

/// Says something.
pub async fn say(to: &mut (impl AsyncWrite + Unpin), what: &impl Serialize) -> io::Result<()> {
    let mut line = serde_json::to_vec(what)?;
    line.push(b'\n');
    to.write_all(&line).await?;
    to.flush().await
}

/// The next thing that is said; an error at the end. Whoever stops waiting in between must not go on.
pub async fn hear<T: DeserializeOwned>(from: &mut (impl AsyncBufRead + Unpin)) -> io::Result<T> {
    let mut line = Vec::new();
    from.take(LONGEST).read_until(b'\n', &mut line).await?;
    if line.is_empty() {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    Ok(serde_json::from_slice(&line)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_is_said_is_heard_and_anything_else_is_an_error() {
        let (mut here, there) = tokio::io::duplex(4_096);
        let mut there = tokio::io::BufReader::new(there);
        let said = [FromLead::Phase(Phase::Load), FromLead::Beat { sent_us: 7, at_us: 9 }];
        for one in &said {
            say(&mut here, one).await.expect("there is room");
            assert_eq!(hear::<FromLead>(&mut there).await.expect("it was said"), *one);
        }
        here.write_all(b"GET / HTTP/1.1\r\n").await.expect("there is room");
        assert!(hear::<FromAgent>(&mut there).await.is_err());
        drop(here);
        let end = hear::<FromAgent>(&mut there).await.expect_err("it is over");
        assert_eq!(end.kind(), io::ErrorKind::UnexpectedEof);
    }
}
