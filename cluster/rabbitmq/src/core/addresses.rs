//! Which of several addresses is tried next, and when.

use protocol::backoff::Backoff;
use std::time::Duration;

/// The bound of the first wait.
const FIRST_BACKOFF: Duration = Duration::from_millis(50);
/// The longest wait: a broker that is back is found within this and a connect to each address.
const LONGEST_BACKOFF: Duration = Duration::from_secs(1);
/// A connection that held for this long was a good one: the backoff begins anew.
const GOOD_CONNECTION: Duration = Duration::from_secs(5);

/// The addresses of a cluster, in turns.
#[derive(Clone, Debug)]
pub struct Addresses {
    all: Vec<String>,
    next: usize,
    failed_in_a_row: usize,
    backoff: Backoff,
}

impl Addresses {
    /// Begins at a random one, so that the nodes of a cluster spread over those of the broker. There is at
    /// least one.
    pub fn new(all: Vec<String>, random: u64) -> Self {
        assert!(!all.is_empty(), "whoever chose this engine gave it an address");
        let next = (random % all.len() as u64) as usize;
        let backoff = Backoff::new(FIRST_BACKOFF, LONGEST_BACKOFF);
        Self { all, next, failed_in_a_row: 0, backoff }
    }

    /// The one to connect to.
    pub fn current(&self) -> &str {
        &self.all[self.next]
    }

    /// The connection to the current one ended after `held`, or was never made (`None`): the next one has
    /// its turn after this long. One round over all of them is made without waiting.
    pub fn lost(&mut self, held: Option<Duration>, random: u64) -> Duration {
        self.next = (self.next + 1) % self.all.len();
        if held.is_some_and(|held| held >= GOOD_CONNECTION) {
            self.backoff.reset();
            self.failed_in_a_row = 0;
        }
        self.failed_in_a_row += 1;
        if self.failed_in_a_row < self.all.len() {
            return Duration::ZERO;
        }
        self.backoff.next(random)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_address_has_its_turn_before_anybody_waits() {
        let all = ["a:1", "b:1", "c:1"].map(str::to_owned).to_vec();
        let mut addresses = Addresses::new(all, 4);
        let mut tried = Vec::new();
        for _ in 0..4 {
            let current = addresses.current().to_owned();
            tried.push((current, addresses.lost(None, u64::MAX)));
        }
        let [none, first, second] = [0, 50, 100].map(Duration::from_millis);
        let expected = [("b:1", none), ("c:1", none), ("a:1", first), ("b:1", second)];
        assert_eq!(tried, expected.map(|(address, wait)| (address.to_owned(), wait)));
        // A good connection was lost: the others are tried at once.
        assert_eq!(addresses.lost(Some(GOOD_CONNECTION), u64::MAX), none);
    }

    #[test]
    fn a_single_address_is_never_hammered() {
        let mut addresses = Addresses::new(vec!["a:1".to_owned()], 7);
        let waits: Vec<_> = (0..8).map(|_| addresses.lost(None, u64::MAX).as_millis()).collect();
        assert_eq!(waits, [50, 100, 200, 400, 800, 1_000, 1_000, 1_000]);
        assert_eq!(addresses.lost(Some(GOOD_CONNECTION), u64::MAX), FIRST_BACKOFF);
    }
}
