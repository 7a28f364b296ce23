//! The limits of the machine that generates the load, as it meets them.
//!
//! A connection that could not be made for want of a port or of a descriptor says nothing about the
//! cluster. Such failures are counted where the sockets are opened, and told in the history, so that
//! the judge takes what is late or missing for a doubt. What the cluster does is never counted here.

pub mod disk;
pub mod health;
mod length;
pub mod needs;
pub mod processors;
pub mod supply;

use nix::errno::Errno;
use ports::entered;
use real::network::NotFound;
use std::collections::BTreeMap;
use std::io;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use verify::history::What;
use workload::recorder::Recorder;

/// A second is bad if more than one attempt in so many failed for a reason of our own.
const BAD_ONE_IN: u64 = 20;
/// After so many bad seconds, without a good one in between, the run is given up.
const BAD_SECONDS: u32 = 5;

/// What was met how often so far.
#[derive(Default)]
pub struct Limits {
    met: Mutex<BTreeMap<&'static str, Times>>,
    attempts: AtomicU64,
    failures: AtomicU64,
    /// Seconds of the set-up.
    starved: AtomicU64,
}

#[derive(Clone, Copy, Default)]
struct Times {
    met: u64,
    told: u64,
}

impl Limits {
    /// Passes on what became of an attempt to connect, and counts it.
    pub fn attempt<T>(&self, outcome: io::Result<T>) -> io::Result<T> {
        self.attempts.fetch_add(1, Ordering::Relaxed);
        outcome.inspect_err(|error| {
            if limit_of(error).is_some() {
                self.failures.fetch_add(1, Ordering::Relaxed);
            }
            self.failed(error);
        })
    }

    /// Counts an error that was one of our own.
    pub fn failed(&self, error: &io::Error) {
        if let Some(limit) = limit_of(error) {
            self.add(limit, 1);
        }
    }

    /// A limit was met.
    pub fn add(&self, limit: &'static str, times: u64) {
        self.change(limit, |met| met + times);
    }

    /// A limit was met so many times in all, as somebody else counts.
    pub fn raise(&self, limit: &'static str, times: u64) {
        self.change(limit, |met| met.max(times));
    }

    fn change(&self, limit: &'static str, change: impl FnOnce(u64) -> u64) {
        let mut met = entered(self.met.lock());
        let times = met.entry(limit).or_default();
        times.met = change(times.met);
    }

    /// For a second of the set-up somebody waited for a processor.
    pub fn starved_in_set_up(&self) {
        self.starved.fetch_add(1, Ordering::Relaxed);
    }

    /// What is to be known of the set-up, which is no reason for a doubt.
    pub fn note_of_set_up(&self) -> Option<String> {
        let seconds = self.starved.load(Ordering::Relaxed);
        (seconds > 0).then(|| {
            format!(
                "for {seconds} s of the set-up the run's processes waited for a processor more than they \
                 ran: it took longer, and nothing was judged by its time yet"
            )
        })
    }

    /// Everything that was met.
    #[cfg(test)]
    pub fn met(&self) -> Vec<(&'static str, u64)> {
        let met = entered(self.met.lock());
        met.iter().map(|(limit, times)| (*limit, times.met)).collect()
    }

    /// Writes into the history what it does not say yet: a limit when it is met first, and again when
    /// it was met ten times as often; at the end (`all`) whatever is missing.
    pub fn tell(&self, recorder: &dyn Recorder, all: bool) {
        let mut met = entered(self.met.lock());
        for (limit, times) in met.iter_mut() {
            if times.met > times.told && (all || times.met >= times.told.saturating_mul(10)) {
                let more = times.met - times.told;
                times.told = times.met;
                let (limit, times) = ((*limit).into(), more);
                recorder.record(What::GeneratorLimited { limit, times });
            }
        }
    }

    /// Attempts to connect so far, and those of them that failed for reasons of our own.
    pub fn attempts(&self) -> (u64, u64) {
        (self.attempts.load(Ordering::Relaxed), self.failures.load(Ordering::Relaxed))
    }
}

/// The limit of this machine behind an error, in the words of errno(3). Whatever a peer or the way to
/// it can cause (refused, reset, unreachable, timed out) is none.
fn limit_of(error: &io::Error) -> Option<&'static str> {
    let source = error.get_ref().and_then(|source| source.downcast_ref::<NotFound>());
    if source.is_some() {
        return Some("name_resolution");
    }
    Some(match Errno::from_raw(error.raw_os_error()?) {
        // No port of the local range is free towards this address.
        Errno::EADDRNOTAVAIL => "EADDRNOTAVAIL",
        Errno::EMFILE => "EMFILE",
        Errno::ENFILE => "ENFILE",
        Errno::ENOBUFS => "ENOBUFS",
        Errno::ENOMEM => "ENOMEM",
        Errno::EAGAIN => "EAGAIN",
        // The local firewall, or its table of connections is full.
        Errno::EPERM => "EPERM",
        _ => return None,
    })
}

/// Notices that a run cannot work: connecting goes wrong, through no fault of the cluster, second
/// after second.
#[derive(Debug, Default)]
pub struct Hopelessness {
    attempts: u64,
    failures: u64,
    bad: u32,
}

impl Hopelessness {
    /// A second has passed; the counts are those of [`Limits::attempts`].
    pub fn is_certain(&mut self, (attempts, failures): (u64, u64)) -> bool {
        let (tried, failed) = (attempts - self.attempts, failures - self.failures);
        (self.attempts, self.failures) = (attempts, failures);
        if failed * BAD_ONE_IN > tried {
            self.bad += 1;
        } else if tried > 0 {
            self.bad = 0;
        }
        self.bad >= BAD_SECONDS
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Default)]
    struct Told(Mutex<Vec<(String, u64)>>);

    impl Recorder for Told {
        fn record(&self, what: What) {
            let What::GeneratorLimited { limit, times } = what else { panic!("{what:?}") };
            self.0.lock().unwrap().push((limit.to_string(), times));
        }

        fn now_us(&self) -> u64 {
            0
        }
    }

    fn error(errno: Errno) -> io::Error {
        io::Error::from_raw_os_error(errno as i32)
    }

    #[test]
    fn only_what_this_machine_lacks_is_a_limit_of_its_own() {
        let limits = Limits::default();
        for own in [Errno::EADDRNOTAVAIL, Errno::EMFILE, Errno::ENFILE, Errno::ENOBUFS] {
            assert!(limits.attempt::<()>(Err(error(own))).is_err());
        }
        let others =
            [Errno::ECONNREFUSED, Errno::ECONNRESET, Errno::ETIMEDOUT, Errno::EHOSTUNREACH];
        for other in others {
            assert!(limits.attempt::<()>(Err(error(other))).is_err());
        }
        assert!(limits.attempt::<()>(Err(io::Error::other("no such name"))).is_err());
        assert_eq!(limits.attempt(Ok(7)).ok(), Some(7));
        assert_eq!(limits.attempts(), (10, 4));
        let met: Vec<_> = limits.met().into_iter().map(|(limit, _)| limit).collect();
        assert_eq!(met, ["EADDRNOTAVAIL", "EMFILE", "ENFILE", "ENOBUFS"]);
    }

    #[test]
    fn a_limit_is_told_at_once_and_its_count_at_the_end() {
        let (limits, told) = (Limits::default(), Told::default());
        for round in 1..=25 {
            limits.add("EMFILE", 1);
            limits.tell(&told, round == 25);
        }
        limits.raise("lateness", 3);
        limits.raise("lateness", 2);
        limits.tell(&told, false);
        limits.tell(&told, true);
        let expected = [("EMFILE", 1), ("EMFILE", 9), ("EMFILE", 15), ("lateness", 3)];
        assert_eq!(
            *told.0.lock().unwrap(),
            expected.map(|(limit, times)| (limit.to_owned(), times))
        );
    }

    #[test]
    fn a_set_up_without_processors_is_noted_and_no_limit() {
        let (limits, told) = (Limits::default(), Told::default());
        assert_eq!(limits.note_of_set_up(), None);
        limits.starved_in_set_up();
        limits.starved_in_set_up();
        limits.tell(&told, true);
        assert!(told.0.lock().unwrap().is_empty());
        assert!(limits.note_of_set_up().unwrap().starts_with("for 2 s of the set-up"));
    }

    #[test]
    fn a_run_is_given_up_after_bad_seconds_without_a_good_one() {
        let after = |seconds: &[(u64, u64)]| {
            let (mut hopelessness, mut total) = (Hopelessness::default(), (0, 0));
            let mut certain = Vec::new();
            for (tried, failed) in seconds {
                total = (total.0 + tried, total.1 + failed);
                certain.push(hopelessness.is_certain(total));
            }
            certain.iter().position(|certain| *certain).map(|at| at + 1)
        };
        assert_eq!(after(&[(10, 10); 9]), Some(5));
        // Nobody tried in the third second: that tells nothing.
        assert_eq!(after(&[(9, 9), (9, 9), (0, 0), (9, 1), (1, 1), (4, 4)]), Some(6));
        assert_eq!(after(&[(9, 9), (9, 9), (9, 9), (9, 9), (9, 0), (9, 9)]), None);
        assert_eq!(after(&[(20, 1); 30]), None, "one in twenty is what the users can bear");
    }
}
