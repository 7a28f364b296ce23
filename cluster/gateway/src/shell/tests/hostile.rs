//! What greedy and hostile clients get: an answer that is documented, and no more.

use super::fixture::{Client, Fixture, SERVICE};
use super::{hello, session};
use crate::GatewayConfig;
use futures_util::SinkExt;
use protocol::frames::client::Nonce;
use protocol::frames::subprotocol;
use protocol::limits::{GatewayLimits, MAX_FRAGMENTS};
use protocol::{ClientFrame, CloseCode, ServerFrame};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::frame::Frame;
use tokio_tungstenite::tungstenite::protocol::frame::coding::{Data, OpCode};

async fn open(limits: GatewayLimits) -> Fixture {
    Fixture::open(GatewayConfig { limits, ..GatewayConfig::default() }).await
}

/// Sends the same message more often than a gateway takes it; the close code.
async fn flood(client: &mut Client, message: Message) -> u16 {
    for _ in 0..2_000 {
        let sent = client.socket.send(message.clone());
        // When the gateway has had enough it may read no more.
        if !matches!(tokio::time::timeout(Duration::from_millis(1), sent).await, Ok(Ok(()))) {
            break;
        }
    }
    client.hear_end().await
}

#[tokio::test(start_paused = true)]
async fn a_trunk_is_opened_by_a_service() {
    let fixture = Fixture::open(GatewayConfig::default()).await;
    let trunk = Some(subprotocol::TRUNK);
    assert_eq!(fixture.connect_with(trunk, None).await.err(), Some(401));
    assert_eq!(fixture.connect_with(trunk, Some("nobody")).await.err(), Some(401));
    assert_eq!(fixture.connect_with(trunk, Some("1")).await.err(), Some(403), "a user");
    assert!(fixture.connect_with(trunk, Some(SERVICE)).await.is_ok());
}

#[tokio::test(start_paused = true)]
async fn strangers_leave_room_for_others() {
    // All of them come from one address, which has half of the places.
    let limits = GatewayLimits { greeting: 6, ..GatewayLimits::default() };
    let fixture = open(limits).await;
    let mut strangers = Vec::new();
    for _ in 0..3 {
        strangers.push(fixture.connect(Some(subprotocol::JSON)).await.unwrap());
    }
    let mut one_more = fixture.connect(Some(subprotocol::JSON)).await.unwrap();
    assert_eq!(one_more.hear_end().await, CloseCode::Full.code());
    strangers[0].say(hello(1, 1)).await;
    assert!(matches!(strangers[0].hear().await, Ok(ServerFrame::Welcome(_))));
    session(&fixture, subprotocol::BINARY, 2).await;
    drop(strangers);
    tokio::time::sleep(Duration::from_millis(10)).await;
    for _ in 0..3 {
        let mut stranger = fixture.connect(Some(subprotocol::JSON)).await.unwrap();
        assert_eq!(stranger.hear_end().await, CloseCode::HelloTimeout.code());
    }
}

#[tokio::test(start_paused = true)]
async fn a_crowd_of_one_address_is_refused_and_counted() {
    let limits = GatewayLimits { connections: 8, ..GatewayLimits::default() };
    let fixture = open(limits).await;
    let mut crowd = Vec::new();
    for _ in 0..8 {
        crowd.push(fixture.stream().await);
    }
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(fixture.memory.telemetry.counted("link_refused_connections_total"), 4);
    for refused in &mut crowd[4..] {
        assert_eq!(refused.read(&mut [0]).await.unwrap(), 0);
    }
    // What is refused makes no place, and what is closed or becomes a session does.
    crowd.truncate(3);
    tokio::time::sleep(Duration::from_millis(10)).await;
    let mut sessions = Vec::new();
    for user in 1..=20 {
        let mut client = fixture.connect(Some(subprotocol::BINARY)).await.unwrap();
        client.say(hello(user, 1)).await;
        assert!(matches!(client.hear().await, Ok(ServerFrame::Welcome(_))));
        sessions.push(client);
    }
    assert_eq!(fixture.memory.telemetry.counted("link_refused_connections_total"), 4);
}

#[tokio::test(start_paused = true)]
async fn a_message_has_so_many_fragments_and_no_more() {
    let fixture = Fixture::open(GatewayConfig::default()).await;
    let fragment = |opcode, is_last, text: &str| {
        Message::Frame(Frame::message(text.as_bytes().to_vec(), OpCode::Data(opcode), is_last))
    };
    let mut client = session(&fixture, subprotocol::JSON, 1).await;
    client.socket.send(fragment(Data::Text, false, r#"{"ping":"#)).await.unwrap();
    for _ in 3..MAX_FRAGMENTS {
        client.socket.send(fragment(Data::Continue, false, "")).await.unwrap();
    }
    client.socket.send(fragment(Data::Continue, true, r#"{"nonce":4}}"#)).await.unwrap();
    assert_eq!(client.hear().await, Ok(ServerFrame::Pong(Nonce { nonce: 4 })));

    let stranger = fixture.connect(Some(subprotocol::JSON)).await.unwrap();
    for mut client in [client, stranger] {
        client.socket.send(fragment(Data::Text, false, "")).await.unwrap();
        let code = flood(&mut client, fragment(Data::Continue, false, "")).await;
        assert_eq!(code, CloseCode::TooBig.code());
    }
}

#[tokio::test(start_paused = true)]
async fn control_frames_count_like_others() {
    let limits = GatewayLimits { rate_strikes: 10, ..GatewayLimits::tiny() };
    let fixture = open(limits).await;
    let known = session(&fixture, subprotocol::JSON, 1).await;
    let stranger = fixture.connect(Some(subprotocol::JSON)).await.unwrap();
    for mut client in [known, stranger] {
        let code = flood(&mut client, Message::Pong("x".into())).await;
        assert_eq!(code, CloseCode::RateLimited.code());
    }
    let mut other = session(&fixture, subprotocol::JSON, 2).await;
    other.say(ClientFrame::Ping(Nonce { nonce: 9 })).await;
    assert_eq!(other.hear().await, Ok(ServerFrame::Pong(Nonce { nonce: 9 })));
}

#[tokio::test(start_paused = true)]
async fn a_request_names_its_host_once() {
    let fixture = Fixture::open(GatewayConfig::default()).await;
    for (hosts, status) in [("", 400), ("Host: a\r\nHost: b\r\n", 400), ("Host: a\r\n", 200)] {
        let mut stream = fixture.stream().await;
        let request = format!("GET /health HTTP/1.1\r\n{hosts}Connection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{hosts:?}: {answer}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_user_has_so_many_sessions_and_the_oldest_makes_room() {
    let fixture = open(GatewayLimits { user_sessions: 3, ..GatewayLimits::default() }).await;
    let mut all = Vec::new();
    for device in 1..=4 {
        let mut client = fixture.connect(Some(subprotocol::JSON)).await.unwrap();
        client.say(hello(1, device)).await;
        assert!(matches!(client.hear().await, Ok(ServerFrame::Welcome(_))));
        all.push(client);
    }
    assert_eq!(all[0].hear_end().await, CloseCode::Replaced.code());
    session(&fixture, subprotocol::JSON, 2).await;
    all[1].say(ClientFrame::Ping(Nonce { nonce: 4 })).await;
    while all[1].hear().await != Ok(ServerFrame::Pong(Nonce { nonce: 4 })) {}
}

#[tokio::test(start_paused = true)]
async fn whatever_asks_for_no_websocket_is_told_what_would() {
    const KEY: &str = "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";
    let fixture = Fixture::open(GatewayConfig::default()).await;
    let ask = async |line: &str, key: &str| {
        let mut stream = fixture.stream().await;
        let request = format!(
            "{line}\r\nHost: chat\r\nConnection: close, Upgrade\r\nUpgrade: websocket\r\n\
             Sec-WebSocket-Version: 13\r\nSec-WebSocket-Protocol: {}\r\n{key}\r\n",
            subprotocol::JSON
        );
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = vec![0; 4_096];
        let length = stream.read(&mut answer).await.unwrap();
        let answer = String::from_utf8_lossy(&answer[..length]).to_lowercase();
        let (line, headers) = answer.split_once("\r\n").unwrap();
        (line.split(' ').nth(1).unwrap().parse::<u16>().unwrap(), headers.to_owned())
    };
    assert_eq!(ask("GET /v1/ws HTTP/1.1", KEY).await.0, 101);
    let (status, headers) = ask("POST /v1/ws HTTP/1.1", KEY).await;
    assert!(status == 405 && headers.contains("allow: get"), "{status} {headers}");
    let (status, headers) = ask("GET /v1/ws HTTP/1.0", KEY).await;
    assert!(status == 426 && headers.contains("upgrade: websocket"), "{status} {headers}");
    for key in ["", "Sec-WebSocket-Key: zzz\r\n", &KEY.repeat(2)] {
        assert_eq!(ask("GET /v1/ws HTTP/1.1", key).await.0, 400, "{key}");
    }
}
