//! Frames to bytes and back: a `send` from a client and an `entry` to one, in both codecs.
//!
//! A gateway decodes each `send` once and encodes each `entry` once per codec, whatever the number of
//! sessions that get it.

use benches::cpu_time::{self, CpuTime};
use criterion::{Criterion, Throughput};
use protocol::codec::Codec;
use protocol::frames::client::{Send, plain_text};
use protocol::{
    ClientFrame, ClientMessageId, Content, ConversationId, Entry, Epoch, NodeNumber, Sequence,
    ServerFrame, UserId,
};
use std::hint::black_box;

const CODECS: [(&str, Codec); 2] = [("json", Codec::Json), ("binary", Codec::Binary)];
/// A sentence of a chat, with a character to escape in JSON.
const BODY: &str = "shall we meet at \"the corner\" at seven? I shall be a little late, as always";

fn main() {
    let mut criterion = cpu_time::criterion();
    sends(&mut criterion);
    entries(&mut criterion);
    criterion.final_summary();
}

fn sends(criterion: &mut Criterion<CpuTime>) {
    let frame = ClientFrame::Send(Send {
        conversation: ConversationId(4_711),
        client_message_id: ClientMessageId(1 << 40),
        body: BODY.to_owned(),
        reply_to: Some(Sequence(1_234)),
        format: plain_text(),
    });
    let mut group = criterion.benchmark_group("codec/send");
    group.throughput(Throughput::Elements(1));
    for (name, codec) in CODECS {
        let bytes = codec.encode_client(&frame);
        assert_eq!(codec.decode_client(&bytes), Ok(frame.clone()));
        group.bench_function(format!("encode/{name}"), |bencher| {
            bencher.iter(|| codec.encode_client(black_box(&frame)));
        });
        group.bench_function(format!("decode/{name}"), |bencher| {
            bencher.iter(|| codec.decode_client(black_box(&bytes)));
        });
    }
}

fn entries(criterion: &mut Criterion<CpuTime>) {
    let frame = ServerFrame::Entry(Entry {
        conversation: ConversationId(4_711),
        sequence: Sequence(1_235),
        epoch: Epoch(3),
        owner: NodeNumber(1),
        author: UserId(42),
        client_message_id: ClientMessageId(1 << 40),
        at_ms: 1_700_000_000_000,
        content: Content::Message { body: BODY.to_owned(), reply_to: Some(Sequence(1_234)) },
    });
    let mut group = criterion.benchmark_group("codec/entry");
    group.throughput(Throughput::Elements(1));
    for (name, codec) in CODECS {
        let bytes = codec.encode_server(&frame);
        assert_eq!(codec.decode_server(&bytes), Ok(frame.clone()));
        group.bench_function(format!("encode/{name}"), |bencher| {
            bencher.iter(|| codec.encode_server(black_box(&frame)));
        });
        group.bench_function(format!("decode/{name}"), |bencher| {
            bencher.iter(|| codec.decode_server(black_box(&bytes)));
        });
    }
}
