//! What the faults that are under way want of every link, for the proxies that carry them.

use ports::entered;
use scenarios::faults::claims::{Claim, Claims, Flip, Latency};
use scenarios::faults::target::Pair;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until};

/// The claims, and who waits for a change.
#[derive(Debug)]
pub struct Board {
    /// Times of lines count from here.
    began: Instant,
    disturbed: AtomicBool,
    claims: Mutex<Claims>,
    changes: watch::Sender<u64>,
}

impl Default for Board {
    fn default() -> Self {
        let (disturbed, claims) = (AtomicBool::default(), Mutex::default());
        Self { began: Instant::now(), disturbed, claims, changes: watch::Sender::default() }
    }
}

/// One link, from both of its ends.
#[derive(Clone, Debug)]
pub struct Directions {
    /// From who connects to its peer.
    pub there: Pair,
    /// From the peer.
    pub back: Pair,
}

impl Board {
    /// A fault lays a claim on directed pairs.
    pub fn lay(&self, fault: u32, claim: Claim, pairs: Vec<Pair>) {
        entered(self.claims.lock()).lay(fault, claim, pairs);
        self.disturbed.store(true, Ordering::Release);
        self.changes.send_modify(|changes| *changes += 1);
    }

    /// A fault takes its claims back; how many writes and connects they affected, or bytes stood in line or
    /// were flipped.
    pub fn lift(&self, fault: u32) -> u64 {
        let mut claims = entered(self.claims.lock());
        let effect = claims.lift(fault);
        self.disturbed.store(!claims.is_empty(), Ordering::Release);
        drop(claims);
        self.changes.send_modify(|changes| *changes += 1);
        effect
    }

    /// Something is written onto a stream in this direction: what is claimed on it.
    pub fn writes(&self, pair: &Pair) -> (Option<Claim>, Option<Latency>) {
        self.ask(|claims| {
            claims.meet(&[pair]);
            (claims.on(pair), claims.latency(pair))
        })
    }

    /// Somebody connects, which takes packets in both directions: the strongest claim on either, and the
    /// slowest latency.
    pub fn connects(&self, link: &Directions) -> (Option<Claim>, Option<Latency>) {
        let Directions { there, back } = link;
        self.ask(|claims| {
            claims.meet(&[there, back]);
            let claim = claims.on(there).max(claims.on(back));
            (claim, claims.latency(there).max(claims.latency(back)))
        })
    }

    /// Waits until packets in this direction do not wait any more; whether they get through, or vanish.
    pub async fn passes(&self, pair: &Pair) -> bool {
        if !self.disturbed.load(Ordering::Acquire) {
            return true;
        }
        let mut changes = self.changes.subscribe();
        loop {
            changes.mark_unchanged();
            match self.ask(|claims| claims.on(pair)) {
                Some(Claim::Cut) => return false,
                Some(Claim::Hold) => {}
                Some(Claim::Slow(_) | Claim::Narrow(_) | Claim::Corrupt | Claim::Reset) | None => {
                    return true;
                }
            }
            if changes.changed().await.is_err() {
                return true;
            }
        }
    }

    /// So many bytes are written onto a stream in this direction: which of them arrives as another one, as `below`
    /// draws it.
    pub fn flip(&self, pair: &Pair, bytes: usize, below: impl FnMut(u64) -> u64) -> Option<Flip> {
        self.ask(|claims| {
            let flip = claims.flip(pair, bytes, below)?;
            claims.flipped(pair);
            Some(flip)
        })
    }

    /// So many bytes are written onto a stream in this direction: which of them have passed a narrow link when;
    /// nothing if it is not narrow.
    pub fn line_up(&self, pair: &Pair, bytes: usize) -> Vec<(usize, Instant)> {
        let now = self.began.elapsed();
        let parts = self.ask(|claims| claims.line_up(pair, bytes, now));
        parts.into_iter().map(|part| (part.bytes, self.began + part.passes_at)).collect()
    }

    /// Waits until this time, or until the link is narrow no more.
    pub async fn stands_in_line(&self, pair: &Pair, until: Instant) {
        let mut changes = self.changes.subscribe();
        loop {
            changes.mark_unchanged();
            if !self.ask(|claims| claims.is_narrow(pair)) {
                return;
            }
            tokio::select! {
                biased;
                () = sleep_until(until) => return,
                changed = changes.changed() => {
                    if changed.is_err() {
                        return;
                    }
                }
            }
        }
    }

    /// Nothing is claimed as long as no fault of links is under way.
    fn ask<T: Default>(&self, what: impl FnOnce(&mut Claims) -> T) -> T {
        if self.disturbed.load(Ordering::Acquire) {
            let mut claims = entered(self.claims.lock());
            what(&mut claims)
        } else {
            T::default()
        }
    }
}
