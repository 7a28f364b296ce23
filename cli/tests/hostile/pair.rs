//! Two users who talk to each other, at a steady pace, whatever happens around them.

use super::cluster::Cluster;
use super::{CLOSE, TEXT, connect, received, text, upgraded};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::io::Write;
use std::net::{Ipv4Addr, Shutdown, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::{Scope, sleep};
use std::time::Duration;
use tokio::time::Instant;

/// Between two messages, by turns.
const PACE: Duration = Duration::from_millis(20);
/// How long the last messages may take before they count as lost.
const AT_LAST: Duration = Duration::from_secs(10);

const USERS: [u64; 2] = [1, 2];

/// Both are connected.
pub struct Pair {
    conversation: u64,
    sockets: [TcpStream; 2],
}

/// What they have seen.
pub struct Talk {
    began: Instant,
    /// By message, how long after it was due it was shown to the other one.
    shown: Mutex<BTreeMap<u64, Duration>>,
    sent: AtomicU64,
    is_over: AtomicBool,
}

/// What 99 of 100 take at most.
pub fn p99(took: &[Duration]) -> Duration {
    let mut took = took.to_vec();
    took.sort_unstable();
    took[(took.len() * 99 / 100).min(took.len() - 1)]
}

impl Pair {
    pub fn meet(cluster: &Cluster) -> Self {
        let tokens = USERS.map(|user| cluster.token(user));
        let conversation = cluster.group(&tokens[0], &USERS[1..]);
        let sockets = tokens.map(|token| {
            let socket = connect(Ipv4Addr::LOCALHOST, cluster.address, None).unwrap();
            let mut socket = upgraded(socket).unwrap();
            let hello = text(&json!({ "hello": { "token": token, "device": 1 } }));
            socket.write_all(&hello).unwrap();
            while !String::from_utf8_lossy(&received(&mut socket).unwrap().1).contains("attached") {
            }
            socket.set_read_timeout(None).unwrap();
            socket
        });
        Self { conversation, sockets }
    }

    /// They talk until they are told to stop and everything has arrived.
    pub fn talk<'scope>(
        self,
        scope: &'scope Scope<'scope, '_>,
        stop: &'scope AtomicBool,
    ) -> Arc<Talk> {
        let talk = Arc::new(Talk {
            began: Instant::now(),
            shown: Mutex::default(),
            sent: AtomicU64::new(0),
            is_over: AtomicBool::new(false),
        });
        for (socket, user) in self.sockets.iter().zip(USERS) {
            let (socket, talk) = (socket.try_clone().unwrap(), talk.clone());
            scope.spawn(move || talk.read(socket, user));
        }
        let talking = talk.clone();
        scope.spawn(move || talking.write(self, stop));
        talk
    }
}

impl Talk {
    /// How long the messages take that are sent meanwhile. Every one of them arrives.
    pub fn during(&self, act: impl FnOnce()) -> Vec<Duration> {
        let first = self.sent.load(Ordering::Relaxed) + 1;
        act();
        let last = self.sent.load(Ordering::Relaxed);
        self.wait_for(last);
        let shown = self.shown.lock().unwrap();
        shown.range(first..=last).map(|(_, took)| *took).collect()
    }

    fn wait_for(&self, last: u64) {
        let since = Instant::now();
        while (self.shown.lock().unwrap().len() as u64) < last {
            assert!(since.elapsed() < AT_LAST, "of {last} messages some were lost");
            sleep(PACE);
        }
    }

    fn write(&self, mut pair: Pair, stop: &AtomicBool) {
        while !stop.load(Ordering::Relaxed) {
            let number = self.sent.load(Ordering::Relaxed) + 1;
            sleep(self.due(number).saturating_duration_since(Instant::now()));
            let send = json!({ "conversation": pair.conversation, "client_message_id": number,
                "body": "Are you still there?" });
            let author = &mut pair.sockets[number as usize % 2];
            author.write_all(&text(&json!({ "send": send }))).unwrap();
            self.sent.store(number, Ordering::Relaxed);
        }
        self.wait_for(self.sent.load(Ordering::Relaxed));
        self.is_over.store(true, Ordering::Relaxed);
        for socket in pair.sockets {
            socket.shutdown(Shutdown::Both).unwrap();
        }
    }

    fn due(&self, number: u64) -> Instant {
        self.began + PACE * number as u32
    }

    fn read(&self, mut socket: TcpStream, user: u64) {
        let mut last = None;
        loop {
            let (first, payload) = match received(&mut socket) {
                Ok(frame) => frame,
                Err(_) if self.is_over.load(Ordering::Relaxed) => return,
                Err(error) => panic!("user {user}: {error}"),
            };
            assert_ne!(first, CLOSE, "user {user} was closed: {payload:?}");
            if first != TEXT {
                continue;
            }
            let frame: Value = serde_json::from_slice(&payload).unwrap();
            assert!(frame.get("rejected").is_none(), "user {user}: {frame}");
            let Some(entry) = frame.get("entry") else { continue };
            let sequence = entry["sequence"].as_u64().unwrap();
            assert!(last.is_none_or(|last| sequence == last + 1), "{frame} after {last:?}");
            last = Some(sequence);
            let number = entry["client_message_id"].as_u64().unwrap();
            if entry["author"] != user && number != 0 {
                self.shown.lock().unwrap().insert(number, self.due(number).elapsed());
            }
        }
    }
}
