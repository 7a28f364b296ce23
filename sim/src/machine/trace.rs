//! What a host did, as running hashes: two runs of one seed that differ anywhere differ here, in the
//! step in which they begin to.
//!
//! Off unless it is asked for (`fracas twin`): hashing every byte that is written and read costs about
//! as much as carrying it.

use fakes::FakeDisk;
use fakes::disk::{Step, Watch};
use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use xxhash_rust::xxh3::{Xxh3, xxh3_64};

/// The hashes of one host, if anybody wants them; clones are the same.
#[derive(Clone, Debug, Default)]
pub struct Trace(Option<Arc<Hashes>>);

#[derive(Debug, Default)]
struct Hashes {
    now: [AtomicU64; KINDS.len()],
    /// What was told last, to leave out hosts that did nothing.
    told: [AtomicU64; KINDS.len()],
}

/// What is hashed.
#[derive(Clone, Copy, Debug)]
pub enum Kind {
    /// Which task was polled when.
    Tasks,
    /// What was written to which connection, and what was read from it.
    Network,
    /// What was written to the disk, in which order with what was forced.
    Disk,
    /// What was drawn.
    Random,
}

const KINDS: [&str; 4] = ["tasks", "network", "disk", "random"];

impl Trace {
    /// A trace, or none.
    pub fn new(wanted: bool) -> Self {
        Self(wanted.then(Arc::default))
    }

    /// Whether it is wanted: if not, nothing needs to be gathered for it.
    pub fn is_on(&self) -> bool {
        self.0.is_some()
    }

    /// A number follows.
    pub fn number(&self, kind: Kind, number: u64) {
        if let Some(hashes) = &self.0 {
            let cell = &hashes.now[kind as usize];
            let mixed = cell.load(Ordering::Relaxed).rotate_left(5) ^ number;
            // FxHash: only the simulating thread writes, and nobody means harm.
            cell.store(mixed.wrapping_mul(0x517c_c1b7_2722_0a95), Ordering::Relaxed);
        }
    }

    /// Bytes follow.
    pub fn bytes(&self, kind: Kind, bytes: &[u8]) {
        if self.is_on() {
            self.number(kind, bytes.len() as u64);
            self.number(kind, xxh3_64(bytes));
        }
    }

    /// A disk whose changes follow.
    pub fn watched_disk(&self) -> FakeDisk {
        if !self.is_on() {
            return FakeDisk::default();
        }
        let trace = self.clone();
        FakeDisk::watched(Watch(Arc::new(move |step: &Step| {
            let mut hasher = Xxh3::new();
            step.hash(&mut hasher);
            trace.number(Kind::Disk, hasher.finish());
        })))
    }

    /// Where the host stands, if it did anything since the last call.
    pub fn news(&self) -> Option<String> {
        let hashes = self.0.as_ref()?;
        let mut changed = false;
        let mut text = String::new();
        for ((kind, now), told) in KINDS.iter().zip(&hashes.now).zip(&hashes.told) {
            let now = now.load(Ordering::Relaxed);
            changed |= told.swap(now, Ordering::Relaxed) != now;
            // Writing to a string does not fail.
            let _ = fmt::Write::write_fmt(&mut text, format_args!(" {kind}={now:016x}"));
        }
        changed.then_some(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_trace_tells_what_changed_and_only_if_it_did() {
        let [one, other] = [(); 2].map(|()| Trace::new(true));
        assert_eq!(one.news(), None);
        one.bytes(Kind::Network, b"ab");
        one.number(Kind::Random, 7);
        other.number(Kind::Random, 7);
        other.bytes(Kind::Network, b"a");
        other.bytes(Kind::Network, b"b");
        let words = |trace: &Trace| {
            let news = trace.news().expect("it has news");
            news.split_whitespace().map(str::to_owned).collect::<Vec<_>>()
        };
        let (one_words, other_words) = (words(&one), words(&other));
        let same: Vec<bool> = one_words.iter().zip(&other_words).map(|(a, b)| a == b).collect();
        assert_eq!(same, [true, false, true, true], "{one_words:?} {other_words:?}");
        assert_eq!(one.news(), None);
    }

    #[test]
    fn a_trace_that_nobody_wants_has_no_news() {
        let trace = Trace::default();
        trace.bytes(Kind::Disk, b"ab");
        assert_eq!(trace.news(), None);
    }
}
