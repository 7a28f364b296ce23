//! Batches of trunks, both ways.

#![no_main]

use libfuzzer_sys::fuzz_target;
use protocol::frames::trunk::{ClientBatch, ServerBatch};

fuzz_target!(|bytes: &[u8]| {
    if let Ok(batch) = postcard::from_bytes::<ClientBatch>(bytes) {
        let again = postcard::to_stdvec(&batch).expect("known lengths");
        assert_eq!(postcard::from_bytes::<ClientBatch>(&again), Ok(batch));
    }
    if let Ok(batch) = postcard::from_bytes::<ServerBatch>(bytes) {
        let again = postcard::to_stdvec(&batch).expect("known lengths");
        assert_eq!(postcard::from_bytes::<ServerBatch>(&again), Ok(batch));
    }
});
