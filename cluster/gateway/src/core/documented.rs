//! `docs/protocol.md` against the types: every example in it is decoded, and encodes to the same.

use protocol::codec::Codec;
use protocol::frames::client::{Cursor, Cursors, Hello, Send, plain_text};
use protocol::frames::trunk::ClientBatch;
use protocol::frames::{ClientTrunk, subprotocol};
use protocol::ids::MAX_CLIENT_CHOSEN_ID;
use protocol::{
    ClientFrame, ClientMessageId, CloseCode, ConversationId, DeviceId, RejectReason, Sequence,
    ServerFrame, codec, development, limits,
};
use serde_json::Value;
use std::collections::BTreeSet;

const PAGE: &str = include_str!("../../../../docs/protocol.md");

/// The lines of all code blocks with this label.
fn examples(label: &str) -> Vec<&'static str> {
    let mut found = Vec::new();
    let mut open = false;
    for line in PAGE.lines() {
        if line.starts_with("```") {
            open = !open && line == format!("```{label}");
        } else if open {
            found.push(line);
        }
    }
    assert!(!found.is_empty(), "no examples of {label}");
    found
}

fn kind(json: &str) -> String {
    let object: serde_json::Map<String, Value> = serde_json::from_str(json).unwrap();
    object.into_iter().next().unwrap().0
}

/// The bytes and the meaning of `05 ac 02 = {..}`.
fn binary(line: &str) -> (Vec<u8>, &str) {
    let (hex, meaning) = line.split_once(" = ").unwrap();
    let byte = |text| u8::from_str_radix(text, 16).unwrap();
    (hex.split(' ').map(byte).collect(), meaning)
}

#[test]
fn every_json_example_is_a_frame_and_every_frame_has_an_example() {
    let mut kinds = BTreeSet::new();
    for line in examples("json client") {
        let frame = Codec::Json.decode_client(line.as_bytes()).unwrap();
        let again = Codec::Json.encode_client(&frame);
        assert_eq!(Codec::Json.decode_client(&again), Ok(frame), "{line}");
        kinds.insert(kind(line));
    }
    assert_eq!(kinds, codec::CLIENT_FRAMES.iter().map(ToString::to_string).collect());
    kinds.clear();
    for line in examples("json server") {
        let frame = Codec::Json.decode_server(line.as_bytes()).unwrap();
        let written = Codec::Json.encode_server(&frame);
        let (written, shown): (Value, Value) =
            (serde_json::from_slice(&written).unwrap(), serde_json::from_str(line).unwrap());
        assert_eq!(written, shown, "the server writes it otherwise");
        kinds.insert(kind(line));
    }
    assert_eq!(kinds, codec::SERVER_FRAMES.iter().map(ToString::to_string).collect());
}

#[test]
fn the_binary_examples_are_true_to_the_byte() {
    for line in examples("binary client") {
        let (bytes, meaning) = binary(line);
        let frame: ClientFrame = serde_json::from_str(meaning).unwrap();
        assert_eq!(Codec::Binary.encode_client(&frame), bytes, "{line}");
        assert_eq!(Codec::Binary.decode_client(&bytes), Ok(frame));
    }
    for line in examples("binary server") {
        let (bytes, meaning) = binary(line);
        let frame: ServerFrame = serde_json::from_str(meaning).unwrap();
        assert_eq!(Codec::Binary.encode_server(&frame), bytes, "{line}");
    }
    let (bytes, _) = binary(examples("trunk client")[0]);
    let batch: ClientBatch = postcard::from_bytes(&bytes).unwrap();
    let frame = vec![5, 0xac, 2].into();
    assert_eq!(batch, [ClientTrunk::Open { slot: 9 }, ClientTrunk::Frame { slot: 9, frame }]);
}

#[test]
fn the_tables_number_the_frames_as_the_codec_does() {
    for (kinds, heading) in [
        (codec::CLIENT_FRAMES, "## Frames from the client"),
        (codec::SERVER_FRAMES, "## Frames from the server"),
    ] {
        let (_, section) = PAGE.split_once(heading).unwrap();
        for (number, kind) in kinds.iter().enumerate() {
            assert!(section.contains(&format!("| {number} | `{kind}` |")), "{number} {kind}");
        }
    }
}

#[test]
fn every_close_code_and_reason_and_subprotocol_is_documented() {
    for code in CloseCode::ALL {
        assert!(PAGE.contains(&format!("| {} | {code:?} |", code.code())), "{code:?}");
    }
    for number in 0_u8..9 {
        let reason: RejectReason = postcard::from_bytes(&[number]).unwrap();
        let name = serde_json::to_value(reason).unwrap();
        let name = name.as_str().unwrap();
        assert!(PAGE.contains(&format!("| {number} | `{name}`")), "{number} {name}");
    }
    assert!(postcard::from_bytes::<RejectReason>(&[9]).is_err(), "a reason is not documented");
    for name in [subprotocol::JSON, subprotocol::BINARY, subprotocol::TRUNK] {
        assert!(PAGE.contains(&format!("| `{name}` |")), "{name}");
    }
}

#[test]
fn the_page_tells_how_to_get_into_a_development_cluster() {
    let user = format!("username=user-7&password={}", development::PASSWORD);
    let service = format!("{}:{}", development::SERVICE_ID, development::SERVICE_SECRET);
    for secret in [user, service] {
        assert!(PAGE.contains(&secret), "{secret}");
    }
}

#[test]
fn a_kind_from_the_future_is_told_from_garbage() {
    let unknown = Codec::Json.decode_client(br#"{"shout":{"conversation":7}}"#);
    assert_eq!(unknown, Err(codec::DecodeError::UnknownFrame("shout".to_owned())));
    let unknown = Codec::Binary.decode_client(&[77, 1]);
    assert_eq!(unknown, Err(codec::DecodeError::UnknownFrame("77".to_owned())));
    let extended = br#"{"typing":{"conversation":7,"mood":"glad"}}"#;
    assert!(Codec::Json.decode_client(extended).is_ok());
    assert!(Codec::Binary.decode_client(&[5, 7, 99]).is_ok());
    for garbage in [&b"{"[..], b"{\"typing\":{}}", b"[]", b"\xff"] {
        let decoded = Codec::Json.decode_client(garbage);
        assert!(matches!(decoded, Err(codec::DecodeError::Malformed(_))), "{garbage:?}");
    }
}

#[test]
fn numbers_beyond_their_types_and_null_without_a_none_are_malformed() {
    let device = |number: u64| format!(r#"{{"hello":{{"token":"t","device":{number}}}}}"#);
    let send = |format: &str| {
        format!(
            r#"{{"send":{{"conversation":7,"client_message_id":1,"body":"hi","reply_to":null,"format":{format}}}}}"#
        )
    };
    let backlog = |limit: u64| {
        format!(r#"{{"backlog":{{"request":1,"conversation":7,"after":0,"limit":{limit}}}}}"#)
    };
    let nonce = |number: &str| format!(r#"{{"ping":{{"nonce":{number}}}}}"#);
    for (json, fine) in [
        (device((1 << 32) - 1), true),
        (device(1 << 32), false),
        (send("65535"), true),
        (send("65536"), false),
        (send("null"), false),
        (backlog((1 << 32) - 1), true),
        (backlog(1 << 32), false),
        (nonce("18446744073709551615"), true),
        (nonce("18446744073709551616"), false),
        (nonce("-1"), false),
        (nonce("1.5"), false),
    ] {
        let decoded = Codec::Json.decode_client(json.as_bytes());
        assert_eq!(decoded.is_ok(), fine, "{json}");
        assert!(fine || matches!(decoded, Err(codec::DecodeError::Malformed(_))), "{json}");
    }
}

#[test]
fn as_many_cursors_and_as_long_a_text_as_documented_fit_into_a_frame() {
    let most = Cursor {
        conversation: ConversationId(MAX_CLIENT_CHOSEN_ID),
        sequence: Sequence(MAX_CLIENT_CHOSEN_ID),
    };
    let hello = |cursors| {
        let (token, device) = ("x".repeat(1_000), DeviceId(u32::MAX));
        let cursors = vec![most; cursors];
        ClientFrame::Hello(Hello {
            token: token.into(),
            device,
            cursors,
            presence: true,
            more: true,
        })
    };
    let send = |text: &str| {
        ClientFrame::Send(Send {
            conversation: most.conversation,
            client_message_id: ClientMessageId(MAX_CLIENT_CHOSEN_ID),
            body: text.repeat(limits::MAX_BODY_BYTES),
            reply_to: None,
            format: plain_text(),
        })
    };
    let more = |count| ClientFrame::Cursors(Cursors { cursors: vec![most; count], more: true });
    for (codec, frame, fits) in [
        (Codec::Json, hello(limits::SAFE_CURSORS), true),
        (Codec::Json, more(limits::SAFE_CURSORS), true),
        (Codec::Binary, more(limits::MAX_CURSORS), true),
        (Codec::Json, hello(limits::MAX_CURSORS), false),
        (Codec::Binary, hello(limits::MAX_CURSORS), true),
        (Codec::Json, send("\""), true),
        (Codec::Json, send("\u{1}"), false),
        (Codec::Binary, send("\u{1}"), true),
    ] {
        let bytes = codec.encode_client(&frame).len();
        assert_eq!(bytes <= limits::MAX_FRAME_BYTES, fits, "{codec:?} {bytes}");
    }
}

#[test]
fn a_hello_from_before_there_was_more_is_read() {
    let hello = |more| {
        let (token, device) = ("t".into(), DeviceId(1));
        ClientFrame::Hello(Hello { token, device, cursors: Vec::new(), presence: true, more })
    };
    for more in [false, true] {
        let bytes = Codec::Binary.encode_client(&hello(more));
        assert_eq!(Codec::Binary.decode_client(&bytes), Ok(hello(more)));
        let earlier = &bytes[..bytes.len() - 1];
        assert_eq!(Codec::Binary.decode_client(earlier), Ok(hello(false)));
    }
    let wrong = br#"{"hello":{"token":"t","device":1,"more":7}}"#;
    assert!(Codec::Json.decode_client(wrong).is_err());
}

proptest::proptest! {
    #[test]
    fn no_bytes_make_a_decoder_panic(bytes: Vec<u8>) {
        let _ = Codec::Json.decode_client(&bytes);
        let _ = Codec::Binary.decode_client(&bytes);
        let _ = Codec::Binary.decode_server(&bytes);
        let _ = super::trunk::decode(&bytes);
    }

    #[test]
    fn no_mutated_frame_makes_a_decoder_panic(position: usize, value: u8, cut: usize) {
        for line in examples("json client") {
            let frame = Codec::Json.decode_client(line.as_bytes()).unwrap();
            for codec in [Codec::Json, Codec::Binary] {
                let mut bytes = codec.encode_client(&frame);
                let length = bytes.len();
                bytes[position % length] = value;
                let _ = codec.decode_client(&bytes);
                bytes.truncate(cut % length);
                let _ = codec.decode_client(&bytes);
            }
        }
    }
}
