//! The gateway through its sockets: what clients do right and wrong, and the end.

mod fixture;
mod hostile;

use crate::GatewayConfig;
use fixture::{Client, Fixture};
use futures_util::{SinkExt, StreamExt};
use protocol::codec::Codec;
use protocol::frames::client::{Hello, Nonce, Renew, Send, plain_text};
use protocol::frames::trunk::{ClientBatch, ServerBatch};
use protocol::frames::{ClientTrunk, ServerTrunk, subprotocol};
use protocol::limits::GatewayLimits;
use protocol::{
    ClientFrame, ClientMessageId, CloseCode, ConversationId, DeviceId, ServerFrame, limits,
};
use std::sync::atomic::Ordering;
use std::time::Duration;
use tokio_tungstenite::tungstenite::Message;

fn hello(user: u64, device: u32) -> ClientFrame {
    let (cursors, device) = (Vec::new(), DeviceId(device));
    ClientFrame::Hello(Hello {
        token: user.to_string().into(),
        device,
        cursors,
        presence: false,
        more: false,
    })
}

fn send(message: u64, body: &str) -> ClientFrame {
    ClientFrame::Send(Send {
        conversation: ConversationId(7),
        client_message_id: ClientMessageId(message),
        body: body.to_owned(),
        reply_to: None,
        format: plain_text(),
    })
}

/// A session that is welcomed and attached.
async fn session(fixture: &Fixture, protocol: &str, user: u64) -> Client {
    let mut client = fixture.connect(Some(protocol)).await.unwrap();
    client.say(hello(user, 1)).await;
    assert!(matches!(client.hear().await, Ok(ServerFrame::Welcome(_))));
    assert!(matches!(client.hear().await, Ok(ServerFrame::Attached(_))));
    client
}

#[tokio::test(start_paused = true)]
async fn a_message_reaches_everybody_in_either_codec() {
    let fixture = Fixture::open(GatewayConfig::default()).await;
    let mut sender = session(&fixture, subprotocol::JSON, 1).await;
    let mut reader = session(&fixture, subprotocol::BINARY, 2).await;
    sender.say(send(1, "hello")).await;
    let Ok(ServerFrame::Entry(entry)) = reader.hear().await else { panic!("no entry") };
    assert_eq!((entry.sequence.0, entry.client_message_id.0), (3, 1));
    let mut heard = [sender.hear().await.unwrap(), sender.hear().await.unwrap()];
    heard.sort_by_key(|frame| matches!(frame, ServerFrame::Entry(_)));
    assert!(matches!(&heard[0], ServerFrame::Accepted(a) if a.sequence == entry.sequence));
    assert_eq!(heard[1], ServerFrame::Entry(entry));
}

#[tokio::test(start_paused = true)]
async fn mistakes_get_their_documented_answers() {
    let fixture = Fixture::open(GatewayConfig::default()).await;
    assert_eq!(fixture.connect(None).await.err(), Some(400));
    assert_eq!(fixture.connect(Some("chat")).await.err(), Some(400));
    let mut bystander = session(&fixture, subprotocol::JSON, 2).await;

    let long = "x".repeat(limits::MAX_FRAME_BYTES + 1);
    let wrong: [(Message, CloseCode); 6] = [
        (Message::binary(vec![1, 2]), CloseCode::Malformed),
        (Message::text("{"), CloseCode::Malformed),
        (Message::text(long), CloseCode::TooBig),
        (Message::text(r#"{"ping":{"nonce":1}}"#), CloseCode::OutOfOrder),
        (Message::text(r#"{"hello":{"token":"nobody","device":1}}"#), CloseCode::Unauthenticated),
        (Message::text(""), CloseCode::Malformed),
    ];
    for (message, code) in wrong {
        let mut client = fixture.connect(Some(subprotocol::JSON)).await.unwrap();
        client.socket.send(message).await.unwrap();
        assert_eq!(client.hear_end().await, code.code(), "{code:?}");
    }

    let mut client = session(&fixture, subprotocol::JSON, 1).await;
    client.socket.send(Message::text(r#"{"shout":{}}"#)).await.unwrap();
    assert!(matches!(client.hear().await, Ok(ServerFrame::Error(_))));
    client.say(hello(1, 1)).await;
    assert_eq!(client.hear_end().await, CloseCode::OutOfOrder.code());

    bystander.say(ClientFrame::Ping(Nonce { nonce: 9 })).await;
    assert_eq!(bystander.hear().await, Ok(ServerFrame::Pong(Nonce { nonce: 9 })));
}

#[tokio::test(start_paused = true)]
async fn only_what_the_state_allows_is_worth_a_signature() {
    let fixture = Fixture::open(GatewayConfig::default()).await;
    let mut client = session(&fixture, subprotocol::BINARY, 1).await;
    for _ in 0..100 {
        client.say(hello(1, 1)).await;
    }
    assert_eq!(client.hear_end().await, CloseCode::OutOfOrder.code());
    assert_eq!(fixture.verified.load(Ordering::Relaxed), 1);
    let mut client = session(&fixture, subprotocol::JSON, 1).await;
    let renew = |token: &str| ClientFrame::Renew(Renew { token: token.into() });
    client.say(renew("1")).await;
    assert!(matches!(client.hear().await, Ok(ServerFrame::Renewed(_))));
    client.say(renew("2")).await;
    assert!(matches!(client.hear().await, Ok(ServerFrame::Error(_))));
    client.say(send(1, "still user 1")).await;
    let heard = [client.hear().await.unwrap(), client.hear().await.unwrap()];
    assert!(heard.iter().any(|frame| matches!(frame, ServerFrame::Accepted(_))), "{heard:?}");
    assert_eq!(fixture.verified.load(Ordering::Relaxed), 4);
}

#[tokio::test(start_paused = true)]
async fn silence_is_answered_by_a_ping_and_then_by_the_end() {
    let fixture = Fixture::open(GatewayConfig::default()).await;
    let mut mute = fixture.connect(Some(subprotocol::JSON)).await.unwrap();
    assert_eq!(mute.hear_end().await, CloseCode::HelloTimeout.code());
    let mut client = session(&fixture, subprotocol::JSON, 1).await;
    assert!(matches!(client.hear().await, Ok(ServerFrame::Ping(_))));
    assert_eq!(client.hear_end().await, CloseCode::IdleTimeout.code());
}

#[tokio::test(start_paused = true)]
async fn the_same_device_replaces_its_earlier_session() {
    let fixture = Fixture::open(GatewayConfig::default()).await;
    let mut first = session(&fixture, subprotocol::JSON, 1).await;
    let _second = session(&fixture, subprotocol::BINARY, 1).await;
    assert_eq!(first.hear_end().await, CloseCode::Replaced.code());
}

#[tokio::test(start_paused = true)]
async fn a_reader_that_stalls_is_told_to_resync() {
    let config = {
        let limits = GatewayLimits { session_queue_frames: 50, ..GatewayLimits::default() };
        GatewayConfig { limits, ..GatewayConfig::default() }
    };
    let fixture = Fixture::open(config).await;
    let mut stalled = session(&fixture, subprotocol::JSON, 2).await;
    let mut sender = session(&fixture, subprotocol::JSON, 1).await;
    let body = "x".repeat(8_000);
    for message in 1..=150 {
        sender.say(send(message, &body)).await;
        while !matches!(sender.hear().await.unwrap(), ServerFrame::Accepted(_)) {}
    }
    let mut last = None;
    let code = loop {
        match stalled.hear().await {
            Ok(frame) => last = Some(frame),
            Err(code) => break code,
        }
    };
    // It is told if it reads before the gateway's patience ends.
    assert_eq!(code, CloseCode::SlowConsumer.code());
    assert!(matches!(last, Some(ServerFrame::Resync(_))), "{last:?}");
}

#[tokio::test(start_paused = true)]
async fn a_shutdown_tells_everybody_and_then_ends() {
    let config = GatewayConfig { drain_over: Duration::from_secs(2), ..GatewayConfig::default() };
    let fixture = Fixture::open(config).await;
    let mut client = session(&fixture, subprotocol::JSON, 1).await;
    fixture.shutdown.request();
    assert!(matches!(client.hear().await, Ok(ServerFrame::Drain(_))));
    for protocol in [subprotocol::JSON, subprotocol::BINARY, subprotocol::TRUNK] {
        let late = fixture.connect(Some(protocol)).await;
        assert_eq!(late.err(), Some(503), "who comes back must find another gateway");
    }
    assert_eq!(client.hear_end().await, CloseCode::Draining.code());
    drop(client);
    fixture.ended.await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_trunk_carries_sessions_like_any_other() {
    let fixture = Fixture::open(GatewayConfig::default()).await;
    let mut trunk = fixture.connect(Some(subprotocol::TRUNK)).await.unwrap();
    let frame = |slot, frame: &ClientFrame| ClientTrunk::Frame {
        slot,
        frame: Codec::Binary.encode_client(frame).into(),
    };
    let batch: ClientBatch = vec![
        ClientTrunk::Open { slot: 1 },
        frame(1, &hello(1, 1)),
        ClientTrunk::Open { slot: 2 },
        frame(2, &hello(2, 1)),
        ClientTrunk::Open { slot: 3 },
        ClientTrunk::Frame { slot: 3, frame: vec![0xff; 3].into() },
        ClientTrunk::Frame { slot: 4, frame: vec![0].into() },
        ClientTrunk::Alive,
    ];
    let bytes = postcard::to_stdvec(&batch).unwrap();
    trunk.socket.send(Message::binary(bytes)).await.unwrap();
    let (mut alive, mut closed, mut attached, mut shown, mut sent) = (0, Vec::new(), 0, 0, false);
    while shown < 2 {
        let Message::Binary(bytes) = trunk.socket.next().await.unwrap().unwrap() else { continue };
        for item in postcard::from_bytes::<ServerBatch>(&bytes).unwrap() {
            match item {
                ServerTrunk::Alive => alive += 1,
                ServerTrunk::Closed { slot, code } => closed.push((slot, code)),
                ServerTrunk::Frame { frame, .. } => {
                    match Codec::Binary.decode_server(&frame).unwrap() {
                        ServerFrame::Attached(_) => attached += 1,
                        ServerFrame::Entry(_) => shown += 1,
                        _ => {}
                    }
                }
            }
        }
        if attached == 2 && !std::mem::replace(&mut sent, true) {
            let batch = postcard::to_stdvec(&vec![frame(1, &send(1, "hello"))]).unwrap();
            trunk.socket.send(Message::binary(batch)).await.unwrap();
        }
    }
    assert!(alive >= 1);
    assert_eq!(closed.len(), 1);
    assert_eq!(closed[0].0, 3);

    trunk.socket.send(Message::binary(vec![9, 9, 9])).await.unwrap();
    assert_eq!(trunk_end(&mut trunk).await, CloseCode::Malformed.code());
}

/// The code of a trunk's close frame, whatever comes before.
async fn trunk_end(trunk: &mut Client) -> u16 {
    loop {
        if let Message::Close(frame) = trunk.socket.next().await.unwrap().unwrap() {
            return frame.unwrap().code.into();
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_gateway_ends_after_it_has_closed_its_trunks() {
    for sessions in [0, 1] {
        let drain_over = Duration::from_secs(2);
        let fixture = Fixture::open(GatewayConfig { drain_over, ..GatewayConfig::default() }).await;
        let mut trunk = fixture.connect(Some(subprotocol::TRUNK)).await.unwrap();
        let hello = Codec::Binary.encode_client(&hello(1, 1)).into();
        let batch: ClientBatch =
            vec![ClientTrunk::Open { slot: 1 }, ClientTrunk::Frame { slot: 1, frame: hello }];
        let batch = postcard::to_stdvec(&batch[..2 * sessions]).unwrap();
        trunk.socket.send(Message::binary(batch)).await.unwrap();
        tokio::time::sleep(Duration::from_millis(700)).await;
        fixture.shutdown.request();
        let code = tokio::select! {
            biased;
            _ = fixture.ended => panic!("the gateway has left the trunk behind"),
            code = trunk_end(&mut trunk) => code,
        };
        assert_eq!(code, CloseCode::Draining.code());
    }
}

#[tokio::test(start_paused = true)]
async fn a_trunk_is_told_why_it_ends() {
    let fixture = Fixture::open(GatewayConfig::default()).await;
    let large = vec![0; limits::MAX_TRUNK_FRAME_BYTES + 1];
    for (messages, code) in [
        (vec![Message::binary(large.clone())], CloseCode::TooBig),
        (vec![Message::text("x")], CloseCode::Malformed),
        // What comes behind a mistake does not hide it.
        (vec![Message::binary(vec![9, 9, 9]), Message::binary(large)], CloseCode::Malformed),
    ] {
        let mut trunk = fixture.connect(Some(subprotocol::TRUNK)).await.unwrap();
        for message in messages {
            // The gateway stops reading in the middle of a large one, so it may not go out.
            let sent = trunk.socket.send(message);
            let _ = tokio::time::timeout(Duration::from_millis(100), sent).await;
        }
        assert_eq!(trunk_end(&mut trunk).await, code.code());
    }
}

#[tokio::test(start_paused = true)]
async fn a_gateway_is_ready_when_whoever_comes_is_served() {
    let fixture = Fixture::open(GatewayConfig::default()).await;
    fixture.world.world.lock().unwrap().linked = false;
    for _ in 0..5 {
        assert_eq!(fixture.ask("/ready").await, 503);
        tokio::time::sleep(Duration::from_millis(300)).await;
    }
    fixture.world.world.lock().unwrap().linked = true;
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert_eq!(fixture.ask("/ready").await, 200);
    fixture.world.world.lock().unwrap().linked = false;
    assert_eq!(fixture.ask("/ready").await, 200, "the conversations of the others are served");
}
