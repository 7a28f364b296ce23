//! What a client can do to a server, each until it is told to stop. Whatever the gateway does about it is
//! fine with the attacker, who comes back; only an answer that is documented otherwise is a failure.

use super::cluster::{Cluster, DESCRIPTORS};
use super::{CLOSE, JSON, TEXT, connect, exchange, frame, head, received, text, upgrade_request};
use serde_json::json;
use std::cell::Cell;
use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::sleep;
use std::time::Duration;

/// One of the attacks.
pub type Attack = fn(&Enemy, &Turns<'_>);

/// When an attacker acts, and how long.
pub struct Turns<'a> {
    pub pause: Duration,
    pub is_over: &'a AtomicBool,
}

impl Turns<'_> {
    pub fn go_on(&self) -> bool {
        !self.is_over.load(Ordering::Relaxed)
    }

    /// Waits for the next one; whether there is one.
    fn next(&self) -> bool {
        sleep(self.pause);
        self.go_on()
    }
}

/// By name, in the order in which they come alone.
pub const ALONE: [(&str, Attack); 17] = [
    ("connections that say nothing", idle),
    ("handshakes byte by byte", byte_by_byte),
    ("WebSockets without hello", silent),
    ("hellos with wrong tokens", wrong_tokens),
    ("hello again and again", many_hellos),
    ("trunks without a token", trunks),
    ("empty fragments before hello", fragments_of_strangers),
    ("empty fragments", fragments),
    ("huge frames", huge_frames),
    ("pings before hello", pings_of_strangers),
    ("pings", pings),
    ("unknown formats", unknown_formats),
    ("wrong passwords", wrong_passwords),
    ("metrics, documents, tokens", open_requests),
    ("a reader that never reads", never_reads),
    ("backlog that is never read", unread_backlog),
    ("no host, two hosts", hosts),
];

/// Where attackers come from: not from where the others come, whose address has an allowance, too.
const FROM: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 66);
/// The type of what is asked for tokens.
const FORM: &str = "Content-Type: application/x-www-form-urlencoded\r\n";
/// So many frames at a turn of those who send floods.
const FLOOD: usize = 200;
/// So many of what costs the gateway more than a look.
const MORE_THAN_ALLOWED: usize = 50;

/// The attacker's users.
const USERS: [u64; 8] = [11, 12, 13, 14, 15, 16, 17, 18];
/// By what they do, their places among these.
const AUTHOR: usize = 0;
const DEAF: usize = 1;
const GREEDY: usize = 2;
const ODD: usize = 3;
const GREETER: usize = 4;
const SPLITTER: usize = 5;
const GIANT: usize = 6;
const PINGER: usize = 7;

/// An attacker with some users of its own.
pub struct Enemy {
    gateway: SocketAddr,
    /// By user, in the order of `USERS`.
    tokens: [String; USERS.len()],
    /// In which the author says more than others want to read.
    loud: u64,
    /// In which the odd one is alone.
    odd: u64,
}

impl Enemy {
    pub fn of(cluster: &Cluster) -> Self {
        let tokens = USERS.map(|user| cluster.token(user));
        let loud = cluster.group(&tokens[AUTHOR], &[USERS[DEAF], USERS[GREEDY]]);
        let odd = cluster.group(&tokens[ODD], &[]);
        Self { gateway: cluster.address, tokens, loud, odd }
    }

    pub fn connect(&self) -> io::Result<TcpStream> {
        connect(FROM, self.gateway, None)
    }

    /// With a socket that holds so many bytes unread.
    pub fn connect_with(&self, window: usize) -> io::Result<TcpStream> {
        connect(FROM, self.gateway, Some(window))
    }

    /// A WebSocket without a hello.
    pub fn stranger(&self) -> io::Result<TcpStream> {
        super::upgraded(self.connect()?)
    }

    /// A WebSocket that has said hello, with a socket that holds so many bytes unread.
    fn session(&self, user: usize, window: Option<usize>) -> io::Result<TcpStream> {
        let mut stream = super::upgraded(connect(FROM, self.gateway, window)?)?;
        stream.write_all(&self.hello(user))?;
        while !received(&mut stream)?.1.starts_with(b"{\"welcome\"") {}
        Ok(stream)
    }

    fn hello(&self, user: usize) -> Vec<u8> {
        text(&json!({ "hello": { "token": self.tokens[user], "device": 1 } }))
    }
}

/// Comes back whatever the gateway does.
fn again(turns: &Turns<'_>, mut attempt: impl FnMut() -> io::Result<()>) {
    while turns.next() {
        // Refused, closed or left waiting.
        let _ = attempt();
    }
}

/// Holds so many connections open, and replaces those that were closed.
pub fn hold(turns: &Turns<'_>, count: usize, open: impl Fn() -> io::Result<TcpStream>) {
    let mut held: Vec<TcpStream> = Vec::new();
    while turns.next() {
        held.retain(is_open);
        while held.len() < count && turns.go_on() {
            let Ok(stream) = open() else { break };
            held.push(stream);
        }
    }
}

fn is_open(stream: &TcpStream) -> bool {
    let is_silent = |error: io::Error| error.kind() == io::ErrorKind::WouldBlock;
    let looked = stream.set_nonblocking(true).and_then(|()| stream.peek(&mut [0]));
    looked.map_or_else(is_silent, |bytes| bytes > 0)
}

/// Writes the same bytes until the gateway has had enough, and reads what it says to that.
fn flood(stream: &mut TcpStream, bytes: &[u8], turns: &Turns<'_>) -> io::Result<()> {
    while stream.write_all(bytes).is_ok() && turns.next() {}
    while received(stream)?.0 != CLOSE {}
    Ok(())
}

fn idle(enemy: &Enemy, turns: &Turns<'_>) {
    hold(turns, 250, || enemy.connect());
}

/// More connections than the whole process has descriptors; each asks for a token, which takes one more.
pub fn crowd(enemy: &Enemy, turns: &Turns<'_>) {
    let user = Cell::new(0);
    hold(turns, DESCRIPTORS + 100, || {
        user.set(user.get() % 800 + 1);
        let body =
            format!("grant_type=password&username=user-{}&password=fracas", 100 + user.get());
        let mut stream = enemy.connect()?;
        let request = format!(
            "POST /oauth2/token HTTP/1.1\r\nHost: gateway\r\nContent-Length: {}\r\n{FORM}\r\n{body}",
            body.len()
        );
        stream.write_all(request.as_bytes())?;
        Ok(stream)
    });
}

fn byte_by_byte(enemy: &Enemy, turns: &Turns<'_>) {
    let request = upgrade_request(JSON, "");
    let mut held: Vec<TcpStream> = (0..50).filter_map(|_| enemy.connect().ok()).collect();
    for byte in request.bytes() {
        if !turns.next() {
            break;
        }
        held.retain_mut(|stream| stream.write_all(&[byte]).is_ok());
    }
}

fn silent(enemy: &Enemy, turns: &Turns<'_>) {
    hold(turns, 100, || enemy.stranger());
}

fn wrong_tokens(enemy: &Enemy, turns: &Turns<'_>) {
    // The head and the claims of a token that was honoured, under another signature.
    let (signed, signature) = enemy.tokens[0].rsplit_once('.').unwrap();
    let forged = format!("{signed}.{}", signature.chars().rev().collect::<String>());
    let hello = text(&json!({ "hello": { "token": forged, "device": 1 } })).repeat(FLOOD);
    again(turns, || flood(&mut enemy.stranger()?, &hello, turns));
}

fn many_hellos(enemy: &Enemy, turns: &Turns<'_>) {
    let hello = enemy.hello(GREETER).repeat(FLOOD);
    again(turns, || flood(&mut enemy.session(GREETER, None)?, &hello, turns));
}

fn trunks(enemy: &Enemy, turns: &Turns<'_>) {
    let user = format!("Authorization: Bearer {}\r\n", enemy.tokens[0]);
    again(turns, || {
        for (more, expected) in [("", 401), (&*user, 403)] {
            let mut stream = enemy.connect()?;
            stream.write_all(upgrade_request("fracas.v1.trunk", more).as_bytes())?;
            assert_eq!(head(&mut stream)?.0, expected);
        }
        Ok(())
    });
}

fn fragments_of_strangers(enemy: &Enemy, turns: &Turns<'_>) {
    again(turns, || endless_message(&mut enemy.stranger()?, turns));
}

fn fragments(enemy: &Enemy, turns: &Turns<'_>) {
    again(turns, || endless_message(&mut enemy.session(SPLITTER, None)?, turns));
}

/// A message of empty fragments without an end.
fn endless_message(stream: &mut TcpStream, turns: &Turns<'_>) -> io::Result<()> {
    stream.write_all(&frame(0x01, b""))?;
    flood(stream, &frame(0x00, b"").repeat(FLOOD), turns)
}

fn huge_frames(enemy: &Enemy, turns: &Turns<'_>) {
    let piece = vec![b'x'; 64 * 1024];
    again(turns, || {
        let mut stream = enemy.stranger()?;
        // Of a terabyte.
        stream.write_all(&[TEXT, 0x80 + 127, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0])?;
        flood(&mut stream, &piece, turns)?;
        let just_too_large = frame(TEXT, &vec![b' '; 65_537]);
        flood(&mut enemy.session(GIANT, None)?, &just_too_large, turns)
    });
}

fn pings_of_strangers(enemy: &Enemy, turns: &Turns<'_>) {
    let pings = frame(0x89, b"are you there").repeat(FLOOD);
    again(turns, || flood(&mut enemy.stranger()?, &pings, turns));
}

fn pings(enemy: &Enemy, turns: &Turns<'_>) {
    let of_both_kinds =
        [frame(0x89, b"are you there"), text(&json!({ "ping": { "nonce": 1 } }))].concat();
    let pings = of_both_kinds.repeat(FLOOD);
    again(turns, || flood(&mut enemy.session(PINGER, None)?, &pings, turns));
}

fn unknown_formats(enemy: &Enemy, turns: &Turns<'_>) {
    let mut number = 1_000_000;
    again(turns, || {
        let mut stream = enemy.session(ODD, None)?;
        while turns.next() {
            for _ in 0..MORE_THAN_ALLOWED {
                number += 1;
                let send = json!({ "conversation": enemy.odd, "client_message_id": number,
                    "body": "?", "format": 99 });
                stream.write_all(&text(&json!({ "send": send })))?;
            }
            for _ in 0..MORE_THAN_ALLOWED {
                while !received(&mut stream)?.1.starts_with(b"{\"rejected\"") {}
            }
        }
        Ok(())
    });
}

fn wrong_passwords(enemy: &Enemy, turns: &Turns<'_>) {
    let mut user = 100;
    again(turns, || {
        user = 100 + (user + 1) % 800;
        let body = format!("grant_type=password&username=user-{user}&password=guess-{user}");
        let (status, told) = enemy.ask("POST /oauth2/token", &body)?;
        assert!(matches!(status, 400 | 401 | 429), "{status} {told}");
        Ok(())
    });
}

fn open_requests(enemy: &Enemy, turns: &Turns<'_>) {
    again(turns, || {
        for path in ["/metrics", "/openapi.json", "/oauth2/jwks"] {
            let (status, told) = enemy.ask(&format!("GET {path}"), "")?;
            assert!(matches!(status, 200 | 429), "{status} {told}");
        }
        let (status, told) = enemy.ask("POST /oauth2/token", "grant_type=nonsense")?;
        assert!(matches!(status, 400 | 429), "{status} {told}");
        Ok(())
    });
}

/// One writes all that it may, and the other one, who is online, does not read.
fn never_reads(enemy: &Enemy, turns: &Turns<'_>) {
    let mut number = 2_000_000;
    let body = "x".repeat(16 * 1024);
    again(turns, || {
        let mut author = enemy.session(AUTHOR, None)?;
        let _deaf = enemy.session(DEAF, Some(4 * 1024))?;
        author.set_read_timeout(Some(Duration::from_millis(1)))?;
        let mut unread = vec![0; 64 * 1024];
        while turns.next() {
            number += 1;
            let send = json!({ "conversation": enemy.loud, "client_message_id": number,
                "body": body });
            author.write_all(&text(&json!({ "send": send })))?;
            // What the author gets is read, and of no interest.
            while author.read(&mut unread).is_ok_and(|bytes| bytes > 0) {}
        }
        Ok(())
    });
}

fn unread_backlog(enemy: &Enemy, turns: &Turns<'_>) {
    let ask = json!({ "backlog": { "request": 1, "conversation": enemy.loud, "after": 0,
        "limit": 200 } });
    let ask = text(&ask).repeat(MORE_THAN_ALLOWED);
    again(turns, || {
        let mut stream = enemy.session(GREEDY, Some(4 * 1024))?;
        while turns.next() {
            stream.write_all(&ask)?;
        }
        Ok(())
    });
}

fn hosts(enemy: &Enemy, turns: &Turns<'_>) {
    again(turns, || {
        for hosts in ["", "Host: a\r\nHost: b\r\n"] {
            let mut stream = enemy.connect()?;
            let request = format!("GET /health HTTP/1.1\r\n{hosts}Connection: close\r\n\r\n");
            stream.write_all(request.as_bytes())?;
            assert_eq!(head(&mut stream)?.0, 400);
        }
        Ok(())
    });
}

impl Enemy {
    fn ask(&self, request_line: &str, body: &str) -> io::Result<(u16, String)> {
        exchange(FROM, self.gateway, request_line, FORM, body)
    }
}
