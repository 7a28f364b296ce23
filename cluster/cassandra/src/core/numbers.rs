//! Numbers of the protocol as CQL has them: a `bigint` has a sign, and ours have none.

/// As a key or a value. Bit by bit, so every number has a place of its own, and those of the protocol,
/// which end at 2^53, are the same to whoever reads the tables. Beyond 2^63 the order is another one: only
/// numbers that somebody made up are there, and nothing is read in their order.
pub const fn stored(number: u64) -> i64 {
    number.cast_signed()
}

/// The same back.
pub const fn read(number: i64) -> u64 {
    number.cast_unsigned()
}

/// As an end of a range: what is beyond the largest number of CQL is beyond every row.
pub fn bound(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_number_comes_back() {
        for number in [0, 1, 1 << 53, i64::MAX as u64, i64::MAX as u64 + 1, u64::MAX] {
            assert_eq!(read(stored(number)), number);
        }
        assert_eq!(stored(5), 5, "as people read it");
    }

    #[test]
    fn a_range_never_ends_before_it_begins() {
        assert_eq!((bound(7), bound(u64::MAX)), (7, i64::MAX));
    }
}
