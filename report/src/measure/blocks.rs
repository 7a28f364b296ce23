//! The latencies of a run, block by block of its seconds, so that what came before a moment can be left out.
//!
//! A block is one second long, and twice as long each time there would be too many blocks: memory stays
//! bounded, and the moment is known to a block.

use super::latency::Distribution;
use hdrhistogram::serialization::{Deserializer, Serializer, V2Serializer};

/// Blocks that are kept: a load of eight minutes second by second, of a day to three minutes.
const BLOCKS_MAX: usize = 512;

/// All blocks of a run, from its beginning on.
pub(crate) struct Blocks {
    most: usize,
    /// Each a histogram in HdrHistogram's V2 form; empty: nothing was measured.
    over: Vec<Vec<u8>>,
    /// Seconds of a block.
    length: usize,
    now: Distribution,
    /// Seconds of the block that is under way.
    in_now: usize,
}

impl Blocks {
    pub(crate) fn new() -> Self {
        Self::at_most(BLOCKS_MAX)
    }

    fn at_most(most: usize) -> Self {
        Self { most, over: Vec::new(), length: 1, now: Distribution::new(), in_now: 0 }
    }

    /// A second is over.
    pub(crate) fn end_second(&mut self, second: &Distribution) {
        self.now.add(second);
        self.in_now += 1;
        if self.in_now < self.length {
            return;
        }
        self.over.push(packed(&self.now));
        self.now.clear();
        self.in_now = 0;
        if self.over.len() == self.most {
            self.length *= 2;
            self.over = self.over.chunks(2).map(|pair| packed(&sum(pair))).collect();
        }
    }

    /// The first second of a block, from this one on.
    pub(crate) fn begin_of_block(&self, second: usize) -> usize {
        second.next_multiple_of(self.length)
    }

    /// What was measured from a second on, which is the first of its block.
    pub(crate) fn since(&self, second: usize) -> Distribution {
        assert_eq!(second % self.length, 0, "blocks are {} s long", self.length);
        let block = second / self.length;
        let mut since = sum(self.over.get(block..).unwrap_or_default());
        if block <= self.over.len() {
            since.add(&self.now);
        }
        since
    }
}

fn packed(distribution: &Distribution) -> Vec<u8> {
    let mut bytes = Vec::new();
    if !distribution.is_empty() {
        let mut serializer = V2Serializer::new();
        let written = serializer.serialize(distribution.histogram(), &mut bytes);
        written.expect("memory takes all, and no count is above 2^63");
        bytes.shrink_to_fit();
    }
    bytes
}

fn sum(blocks: &[Vec<u8>]) -> Distribution {
    let (mut sum, mut deserializer) = (Distribution::new(), Deserializer::new());
    for block in blocks.iter().filter(|block| !block.is_empty()) {
        let histogram = deserializer.deserialize(&mut block.as_slice());
        let fits = sum.add_histogram(&histogram.expect("it was packed here"));
        assert!(fits, "all have the same bounds");
    }
    sum
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(32))]
        #[test]
        fn what_is_since_a_moment_is_what_was_recorded_since_then(
            seconds in prop::collection::vec(
                prop::collection::vec(1_u64..9_000_000, 0..4), 0..44
            ),
            from in 0_usize..50,
        ) {
            let mut blocks = Blocks::at_most(16);
            for second in &seconds {
                let mut distribution = Distribution::new();
                for us in second {
                    distribution.record(*us);
                }
                blocks.end_second(&distribution);
            }
            let begin = blocks.begin_of_block(from);
            prop_assert!(begin >= from && begin < from + 4, "{} for {}", begin, from);
            let mut want = Distribution::new();
            for us in seconds.iter().skip(begin).flatten() {
                want.record(*us);
            }
            let got = blocks.since(begin);
            prop_assert_eq!(got.len(), want.len());
            // A block keeps no value more exactly than its histogram does, not even the highest.
            let [got, want] = [got, want].map(|of| of.quantile(0.5).unwrap_or(0));
            prop_assert!(got.abs_diff(want) <= want / 1_000 + 1, "{} instead of {}", got, want);
            prop_assert!(blocks.over.len() < 16);
        }
    }
}
