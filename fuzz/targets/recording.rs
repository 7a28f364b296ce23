//! Recordings to replay: one that is read is written and read again as the same.

#![no_main]

use libfuzzer_sys::fuzz_target;
use workload::Recording;

fuzz_target!(|bytes: &[u8]| {
    let Ok(recording) = Recording::read(bytes) else { return };
    let mut again = Vec::new();
    recording.write(&mut again).expect("memory takes all");
    assert_eq!(Recording::read(&*again).ok(), Some(recording));
});
