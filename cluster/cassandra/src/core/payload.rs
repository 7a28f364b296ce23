//! What stands in a slot: the batch, or where it is, if it is a large one. Cassandra takes no large values, and a
//! transaction carries its values several times.

use super::rows::{Key, Kind, Place, Row};
use ports::message_store::Batch;
use protocol::Partition;
use serde::{Deserialize, Serialize};

/// The largest part of a batch that is written at once.
pub const PART_BYTES: usize = 1024 * 1024;

/// What stands in a slot.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Payload {
    /// The batch.
    Here(Batch),
    /// In how many rows under the attempt's number it is.
    Elsewhere(u32),
}

/// A batch as it is written: the payload, and rows before it.
pub fn encode(
    partition: Partition,
    attempt: i64,
    batch: &Batch,
) -> Result<(Vec<u8>, Vec<Row>), postcard::Error> {
    let whole = postcard::to_stdvec(&Payload::Here(batch.clone()))?;
    if whole.len() <= PART_BYTES {
        return Ok((whole, Vec::new()));
    }
    let place = Place::payload(partition, attempt);
    let parts = (0..).zip(whole.chunks(PART_BYTES)).map(|(number, part)| Row {
        key: Key { place, kind: Kind::Part, a: number, b: 0 },
        version: 0,
        value: part.to_vec(),
        is_first: true,
    });
    let parts: Vec<Row> = parts.collect();
    let count = u32::try_from(parts.len()).expect("a batch is in memory");
    Ok((postcard::to_stdvec(&Payload::Elsewhere(count))?, parts))
}

#[cfg(test)]
mod tests {
    use super::*;
    use protocol::{ConversationId, Sequence};

    fn batch(deletions: u64) -> Batch {
        let all = (0..deletions).map(|n| (ConversationId(1 << 50), Sequence((1 << 50) + n)));
        Batch { deletions: all.collect(), ..Batch::default() }
    }

    #[test]
    fn a_large_batch_comes_back_from_its_parts() {
        let large = batch(200_000);
        let (payload, parts) = encode(Partition(3), -7, &large).unwrap();
        assert_eq!(postcard::from_bytes(&payload), Ok(Payload::Elsewhere(parts.len() as u32)));
        assert!(parts.len() > 2 && parts.iter().all(|part| part.value.len() <= PART_BYTES));
        let whole: Vec<u8> = parts.into_iter().flat_map(|part| part.value).collect();
        assert_eq!(postcard::from_bytes(&whole), Ok(Payload::Here(large)));
    }

    #[test]
    fn a_small_one_is_in_its_slot() {
        let (payload, parts) = encode(Partition(3), 1, &batch(9)).unwrap();
        assert!(parts.is_empty());
        assert_eq!(postcard::from_bytes(&payload), Ok(Payload::Here(batch(9))));
    }
}
