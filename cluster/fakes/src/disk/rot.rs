//! What becomes of files that nobody writes: bits flip, sectors vanish, files are cut or lost.

use super::FakeDisk;
use ports::Disk;
use protocol::mix::SplitMix;

/// Where a disk fails as a whole.
const SECTOR: usize = 512;

/// One thing that happens to one file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Rot {
    /// A bit of a byte is another one.
    Flip(String, usize, u8),
    /// The sector from this offset on is zeros.
    Zeroed(String, usize),
    /// A file ends here.
    Cut(String, usize),
    /// A sector stands in the place of another.
    Misplaced(String, usize, usize),
    /// A file is gone.
    Removed(String),
}

impl Rot {
    /// Up to so many of each kind for each file, spread over it by chance; for a file with fewer bytes,
    /// every byte is hit.
    pub fn every_kind(disk: &FakeDisk, of_each: usize, seed: u64) -> Vec<Self> {
        let mut random = SplitMix::new(seed);
        let mut all = Vec::new();
        for name in disk.list().expect("a disk that works") {
            let length = disk.contents(&name).len();
            let mut places = |step: usize| -> Vec<usize> {
                let count = length.div_ceil(step);
                if count <= of_each {
                    return (0..count).map(|at| at * step).collect();
                }
                (0..of_each).map(|_| random.below(count as u64) as usize * step).collect()
            };
            let (flips, zeroed, cuts) = (places(1), places(SECTOR), places(1));
            let (from, to) = (places(SECTOR), places(SECTOR));
            all.extend(flips.into_iter().map(|at| Self::Flip(name.clone(), at, (at % 8) as u8)));
            all.extend(zeroed.into_iter().map(|at| Self::Zeroed(name.clone(), at)));
            all.extend(cuts.into_iter().map(|at| Self::Cut(name.clone(), at)));
            let pairs = from.into_iter().zip(to.into_iter().rev());
            all.extend(pairs.map(|(from, to)| Self::Misplaced(name.clone(), from, to)));
            all.push(Self::Removed(name));
        }
        all
    }

    /// A disk to which this has happened; `None` if it would be the same.
    pub fn befalls(&self, disk: &FakeDisk) -> Option<FakeDisk> {
        let rotten = FakeDisk::default();
        let mut is_same = true;
        for name in disk.list().expect("a disk that works") {
            let before = disk.contents(&name);
            match self.of(&name, &before) {
                Some(after) => {
                    is_same &= after == before;
                    rotten.put(&name, &after);
                }
                None => is_same = false,
            }
        }
        (!is_same).then_some(rotten)
    }

    /// What is left of a file, if it is.
    fn of(&self, name: &str, content: &[u8]) -> Option<Vec<u8>> {
        let mut bytes = content.to_vec();
        let sector = |at: usize| at..(at + SECTOR).min(content.len());
        match self {
            Self::Flip(file, at, bit) if file == name => bytes[*at] ^= 1 << bit,
            Self::Zeroed(file, at) if file == name => bytes[sector(*at)].fill(0),
            Self::Cut(file, at) if file == name => bytes.truncate(*at),
            Self::Misplaced(file, from, to) if file == name => {
                let (from, to) = (sector(*from), sector(*to));
                let length = from.len().min(to.len());
                bytes[to.start..to.start + length]
                    .copy_from_slice(&content[from.start..from.start + length]);
            }
            Self::Removed(file) if file == name => return None,
            _ => {}
        }
        Some(bytes)
    }
}

impl FakeDisk {
    /// All names and contents.
    pub fn everything(&self) -> Vec<(String, Vec<u8>)> {
        let names = self.list().expect("a disk that works");
        names.into_iter().map(|name| (name.clone(), self.contents(&name))).collect()
    }
}
