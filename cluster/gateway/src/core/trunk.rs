//! Batches of a trunk connection.

use protocol::frames::trunk::ClientBatch;

/// The bytes are no batch. Nobody can tell whose frames they were, so the whole connection is closed;
/// every other mistake harms the session in its slot only.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("malformed batch")]
pub struct Malformed;

/// The batch of some bytes.
pub fn decode(bytes: &[u8]) -> Result<ClientBatch, Malformed> {
    postcard::from_bytes(bytes).map_err(|_| Malformed)
}

#[cfg(test)]
mod tests {
    use super::*;
    use protocol::frames::ClientTrunk;

    #[test]
    fn garbage_is_no_batch() {
        assert_eq!(decode(&[3, 0xff, 0xff]), Err(Malformed));
        let batch = vec![ClientTrunk::Open { slot: 1 }, ClientTrunk::Alive];
        assert_eq!(decode(&postcard::to_stdvec(&batch).unwrap()), Ok(batch));
    }

    #[test]
    fn a_batch_may_be_empty_or_have_bytes_behind_it_but_no_unknown_items() {
        assert_eq!(decode(&[0]), Ok(Vec::new()));
        assert_eq!(decode(&[1, 3, 77, 77]), Ok(vec![ClientTrunk::Alive]));
        assert_eq!(decode(&[2, 3, 4]), Err(Malformed));
        assert_eq!(decode(&[]), Err(Malformed));
    }
}
