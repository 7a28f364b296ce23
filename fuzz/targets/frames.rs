//! Frames of clients and of gateways, in both codecs: what is read is written and read again as the same.

#![no_main]

use libfuzzer_sys::fuzz_target;
use protocol::codec::Codec;

fuzz_target!(|bytes: &[u8]| {
    for codec in [Codec::Json, Codec::Binary] {
        if let Ok(frame) = codec.decode_client(bytes) {
            assert_eq!(codec.decode_client(&codec.encode_client(&frame)), Ok(frame));
        }
        if let Ok(frame) = codec.decode_server(bytes) {
            assert_eq!(codec.decode_server(&codec.encode_server(&frame)), Ok(frame));
        }
    }
});
