//! Fingerprints of some of the entries of a log that were compacted: of every eighth sequence, and when that is too
//! much of every sixteenth, and so on.

/// A sequence in so many at first.
const STRIDE: u32 = 8;
/// So many of a log: 4 KiB.
const MOST: usize = 1_024;

/// The samples of a log.
#[derive(Debug)]
pub(crate) struct Samples {
    stride: u32,
    /// Of the multiples of the stride; 0: none.
    of: Vec<u32>,
}

impl Default for Samples {
    fn default() -> Self {
        Self { stride: STRIDE, of: Vec::new() }
    }
}

impl Samples {
    /// An entry is compacted. Sequences rise.
    pub fn add(&mut self, sequence: u32, fingerprint: u32) {
        while sequence.is_multiple_of(self.stride) {
            let at = (sequence / self.stride) as usize;
            if at < MOST {
                self.of.resize(at + 1, 0);
                self.of[at] = fingerprint;
                return;
            }
            let mut nth = 0;
            self.of.retain(|_| {
                nth += 1;
                nth % 2 == 1
            });
            self.stride *= 2;
        }
    }

    /// What an entry was, if that is among them.
    pub fn get(&self, sequence: u32) -> Option<u32> {
        let at = (sequence / self.stride) as usize;
        let sample = self.of.get(at).filter(|_| sequence.is_multiple_of(self.stride));
        sample.copied().filter(|fingerprint| *fingerprint != 0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_log_of_any_length_keeps_so_many() {
        let mut samples = Samples::default();
        let end = 100_000;
        for sequence in (1..=end).filter(|sequence| sequence % 1_000 != 0) {
            samples.add(sequence, sequence + 7);
        }
        assert!(samples.of.len() <= MOST);
        assert_eq!(samples.stride, 128);
        for sequence in 1..=end + 128 {
            let is_there = sequence <= end && sequence % 128 == 0 && sequence % 1_000 != 0;
            assert_eq!(samples.get(sequence), is_there.then_some(sequence + 7), "{sequence}");
        }
    }
}
