//! Links that are carried by proxies, between an echo and whoever talks to it.

use super::*;
use scenarios::faults::claims::{Claim, Latency};
use scenarios::faults::target::Pair;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};
use tokio::time::{Instant, timeout};

/// So long nothing has arrived: it will not.
const SILENCE: Duration = Duration::from_millis(300);
/// So long everything has arrived.
const SOON: Duration = Duration::from_secs(5);

fn pair(from: &str, to: &str) -> Pair {
    (from.into(), to.into())
}

fn both() -> Vec<Pair> {
    vec![pair("a", "b"), pair("b", "a")]
}

/// A peer that says again what it hears, or is not there, behind a link from `a` to `b`.
fn link(is_there: bool) -> (Proxies, String) {
    let listen = || {
        let socket = TcpSocket::new_v4().unwrap();
        socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
        socket.listen(8).unwrap()
    };
    let (echo, free) = (listen(), listen());
    let reaches = echo.local_addr().unwrap().to_string();
    let at = free.local_addr().unwrap().to_string();
    drop(free);
    let machine = crate::machine::machine("test", 1, &Arc::default());
    if is_there {
        let of_streams = machine.clone();
        machine.spawn("echoes", async move {
            while let Ok((mut stream, _)) = echo.accept().await {
                of_streams.spawn("echo", async move {
                    let (mut reads, mut writes) = stream.split();
                    let _ = tokio::io::copy(&mut reads, &mut writes).await;
                });
            }
        });
    }
    let carried = Carried { from: "a".into(), to: "b".into(), at: at.clone(), reaches };
    let deadlines = Deadlines {
        delivered_us: 1_000_000,
        stuck_us: 1_000_000,
        recovered_us: 1_000_000,
        revocation_us: 1_000_000,
        pushed_us: None,
    };
    (Proxies::start(&[carried], machine, (Arc::default(), deadlines)).unwrap(), at)
}

async fn connect(at: &str) -> TcpStream {
    TcpSocket::new_v4().unwrap().connect(at.parse().unwrap()).await.unwrap()
}

/// Whether words come back.
async fn echoes(stream: &mut TcpStream, words: &[u8], within: Duration) -> bool {
    stream.write_all(words).await.unwrap();
    hears(stream, words, within).await
}

async fn hears(stream: &mut TcpStream, words: &[u8], within: Duration) -> bool {
    let mut heard = vec![0; words.len()];
    timeout(within, stream.read_exact(&mut heard)).await.is_ok_and(|read| {
        read.unwrap();
        heard == words
    })
}

async fn hears_the_end(stream: &mut TcpStream) -> bool {
    timeout(SILENCE, stream.read_u8()).await.is_ok_and(|read| read.is_err())
}

#[tokio::test(flavor = "multi_thread")]
async fn an_untouched_link_carries_words_and_ends() {
    let (proxies, at) = link(true);
    let mut stream = connect(&at).await;
    assert!(echoes(&mut stream, &vec![7; 300_000], SOON).await);
    stream.shutdown().await.unwrap();
    assert!(hears_the_end(&mut stream).await);
    assert_eq!(proxies.board().lift(1), 0);
    let (_proxies, at) = link(false);
    assert!(hears_the_end(&mut connect(&at).await).await, "nobody is there");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_link_holds_arrives_late() {
    let (proxies, at) = link(true);
    let (mut stream, board) = (connect(&at).await, proxies.board());
    assert!(echoes(&mut stream, b"before", SOON).await);
    board.lay(1, Claim::Hold, both());
    assert!(!echoes(&mut stream, b"late", SILENCE).await);
    let mut other = connect(&at).await;
    assert!(!echoes(&mut other, b"new", SILENCE).await);
    drop(other);
    assert_eq!(board.lift(1), 2, "a write and a connect");
    assert!(hears(&mut stream, b"late", SOON).await, "nothing is lost");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_cut_meets_is_dead_for_ever_and_what_is_new_is_not() {
    let (proxies, at) = link(true);
    let (mut idle, mut stream, board) = (connect(&at).await, connect(&at).await, proxies.board());
    assert!(echoes(&mut idle, b"before", SOON).await);
    assert!(echoes(&mut stream, b"before", SOON).await);
    board.lay(1, Claim::Cut, both());
    assert!(!echoes(&mut stream, b"gone", SILENCE).await);
    let mut nobody = connect(&at).await;
    assert!(!echoes(&mut nobody, b"hello", SILENCE).await);
    assert_eq!(board.lift(1), 2, "a write and a connect");
    assert!(!echoes(&mut stream, b"still", SILENCE).await);
    assert!(!echoes(&mut nobody, b"hello", SILENCE).await);
    assert!(!hears_the_end(&mut stream).await, "without a word");
    assert!(echoes(&mut connect(&at).await, b"anew", SOON).await);
    assert!(echoes(&mut idle, b"unaware", SOON).await, "it has not met it");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_one_way_cut_leaves_the_other_way() {
    let (proxies, at) = link(true);
    let (mut stream, board) = (connect(&at).await, proxies.board());
    assert!(echoes(&mut stream, b"before", SOON).await);
    board.lay(1, Claim::Cut, vec![pair("b", "a")]);
    assert!(!echoes(&mut stream, b"heard", SILENCE).await);
    assert_eq!(board.lift(1), 1, "the answer");
    board.lay(2, Claim::Cut, vec![pair("b", "a")]);
    stream.write_all(b"again").await.unwrap();
    tokio::time::sleep(SILENCE).await;
    assert_eq!(board.lift(2), 1, "the echo has heard it");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slow_link_keeps_the_order() {
    let (proxies, at) = link(true);
    let (mut stream, board) = (connect(&at).await, proxies.board());
    assert!(echoes(&mut stream, b"before", SOON).await);
    let [min, max] = [50, 80].map(Duration::from_millis);
    board.lay(1, Claim::Slow(Latency { max, min }), both());
    let began = Instant::now();
    let words: Vec<u8> = (0..=255).cycle().take(40_000).collect();
    assert!(echoes(&mut stream, &words, SOON).await);
    assert!(began.elapsed() >= 2 * min, "{:?}", began.elapsed());
    assert!(board.lift(1) >= 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_narrow_link_carries_everything_in_order_as_fast_as_it_can() {
    let (proxies, at) = link(true);
    let (mut stream, board) = (connect(&at).await, proxies.board());
    assert!(echoes(&mut stream, b"before", SOON).await);
    board.lay(1, Claim::Narrow(100_000), vec![pair("a", "b")]);
    let began = Instant::now();
    let words: Vec<u8> = (0..=255).cycle().take(60_000).collect();
    assert!(echoes(&mut stream, &words, SOON).await);
    let least = Duration::from_millis(600);
    assert!(began.elapsed() >= least, "{:?}", began.elapsed());
    // Whoever connects anew stands in the same line, until the link is wide again.
    let mut other = connect(&at).await;
    stream.write_all(&words).await.unwrap();
    assert!(!echoes(&mut other, b"behind", SILENCE).await);
    let waited = board.lift(1);
    assert!((60_000..120_006).contains(&waited), "{waited} bytes");
    assert!(hears(&mut other, b"behind", SILENCE).await);
    assert!(hears(&mut stream, &words, SOON).await, "nothing is lost");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_byte_of_what_is_said_arrives_as_another_one() {
    let (proxies, at) = link(true);
    let (mut stream, board) = (connect(&at).await, proxies.board());
    board.lay(1, Claim::Corrupt, vec![pair("a", "b")]);
    stream.write_all(b"words").await.unwrap();
    let mut heard = [0; 5];
    timeout(SOON, stream.read_exact(&mut heard)).await.expect("all arrive").unwrap();
    let changed = heard.iter().zip(b"words").filter(|(heard, said)| heard != said);
    assert_eq!((changed.count(), board.lift(1)), (1, 1));
    assert!(echoes(&mut stream, b"words", SOON).await, "it is over");
}

#[tokio::test(flavor = "multi_thread")]
async fn whatever_is_said_resets_its_stream_for_both_ends() {
    let (proxies, at) = link(true);
    let (mut idle, mut stream, board) = (connect(&at).await, connect(&at).await, proxies.board());
    assert!(echoes(&mut idle, b"before", SOON).await);
    assert!(echoes(&mut stream, b"before", SOON).await);
    board.lay(1, Claim::Reset, both());
    stream.write_all(b"gone").await.unwrap();
    let ended = timeout(SOON, stream.read_u8()).await.expect("it hears at once").unwrap_err();
    assert_eq!(ended.kind(), std::io::ErrorKind::ConnectionReset, "no end, a reset");
    assert_eq!(board.lift(1), 1);
    assert!(echoes(&mut idle, b"unaware", SOON).await, "it has not met it");
    assert!(echoes(&mut connect(&at).await, b"anew", SOON).await);
}
