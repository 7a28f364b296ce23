//! One address that takes every place it can get, and newcomers who want one.

use super::attacks::{Enemy, Turns, hold};
use super::cluster::Cluster;
use super::{connect, exchange, head, received, text, upgraded};
use serde_json::json;
use std::collections::VecDeque;
use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, TcpStream};
use std::time::Duration;

/// More than the whole process has descriptors for.
const CROWD: usize = 450;
/// WebSockets that a crowd has at a time: some without a hello, and some that still read why they are refused.
const STRANGERS: usize = 200;
/// What a newcomer may take on a machine that is busy with the crowd.
const IN_TIME: Duration = Duration::from_secs(5);

const HEALTH: &str = "GET /health HTTP/1.1\r\nHost: gateway\r\n\r\n";

/// Each has asked once, has its answer, and may stay for the next request.
pub fn kept(enemy: &Enemy, turns: &Turns<'_>) {
    hold(turns, CROWD, || {
        let mut stream = enemy.connect()?;
        stream.write_all(HEALTH.as_bytes())?;
        let (_, head) = head(&mut stream)?;
        let length = head.to_lowercase().lines().find_map(|line| {
            line.strip_prefix("content-length:").and_then(|length| length.trim().parse().ok())
        });
        stream.read_exact(&mut vec![0; length.ok_or(io::ErrorKind::InvalidData)?])?;
        Ok(stream)
    });
}

/// WebSockets without a hello, ever new ones, as fast as they are opened.
pub fn strangers(enemy: &Enemy, turns: &Turns<'_>) {
    let mut held = VecDeque::new();
    while turns.go_on() {
        held.extend(enemy.stranger());
        if held.len() > STRANGERS {
            held.pop_front();
        }
    }
}

/// A connection that asks until nobody listens, and reads no answer.
pub fn deaf(enemy: &Enemy) -> io::Result<TcpStream> {
    let mut stream = enemy.connect_with(4 * 1024)?;
    let many = HEALTH.repeat(1_000);
    while stream.write_all(many.as_bytes()).is_ok() {}
    Ok(stream)
}

/// Somebody who was not there before asks something, and logs in.
pub fn newcomer(cluster: &Cluster, token: &str) -> io::Result<()> {
    let (status, _) = exchange(Ipv4Addr::LOCALHOST, cluster.address, "GET /health", "", "")?;
    assert_eq!(status, 200);
    let stream = connect(Ipv4Addr::LOCALHOST, cluster.address, None)?;
    stream.set_read_timeout(Some(IN_TIME))?;
    let mut stream = upgraded(stream)?;
    stream.write_all(&text(&json!({ "hello": { "token": token, "device": 1 } })))?;
    let (_, said) = received(&mut stream)?;
    if said.starts_with(b"{\"welcome\"") {
        return Ok(());
    }
    Err(io::Error::other(format!("no welcome: {:?}", String::from_utf8_lossy(&said))))
}
