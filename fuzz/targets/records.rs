//! Records in the queues of a broker: what partitions, gateways and notifiers take out of them.

#![no_main]

use libfuzzer_sys::fuzz_target;
use protocol::records::{self, Inbound, PushJob, ToGateway};

fuzz_target!(|bytes: &[u8]| {
    if let Ok(job) = PushJob::decode(bytes) {
        assert_eq!(PushJob::decode(&job.encode()), Ok(job));
    }
    if let Ok(record) = records::decode::<Inbound>(bytes) {
        assert_eq!(records::decode(&records::encode(&record)), Ok(record));
    }
    if let Ok(record) = records::decode::<ToGateway>(bytes) {
        assert_eq!(records::decode(&records::encode(&record)), Ok(record));
    }
});
