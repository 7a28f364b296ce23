//! What the faults that are under way want of every link, for the proxies that carry them.

use ports::entered;
use scenarios::faults::claims::{Claim, Claims, Latency};
use scenarios::faults::target::Pair;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use tokio::sync::watch;

/// The claims, and who waits for a change.
#[derive(Debug, Default)]
pub struct Board {
    disturbed: AtomicBool,
    claims: Mutex<Claims>,
    changes: watch::Sender<u64>,
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

    /// A fault takes its claims back; how many writes and connects they affected.
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
                Some(Claim::Slow(_) | Claim::Reset) | None => return true,
            }
            if changes.changed().await.is_err() {
                return true;
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
