//! How many attempts were made at each job, by this life of the notifier.
//!
//! `Delivery::redelivered` alone would not do: it also counts deliveries that were lost with a
//! connection before anything was attempted, and ten lost connections must not make dead letters of
//! jobs that were never tried. It is an upper bound, though: each attempt that counted ended with a
//! redelivery.

use protocol::records::PushJob;
use protocol::{ConversationId, Sequence, UserId};
use std::collections::BTreeMap;

type Key = (UserId, ConversationId, Sequence);

/// Attempts that counted, by job.
#[derive(Debug)]
pub struct Attempts {
    remembered: usize,
    made: BTreeMap<Key, u32>,
}

impl Attempts {
    /// Remembers so many jobs.
    pub fn new(remembered: usize) -> Self {
        Self { remembered, made: BTreeMap::new() }
    }

    /// The number of the next attempt at a job, from 1.
    pub fn next(&self, job: &PushJob, redelivered: u32) -> u32 {
        let made = self.made.get(&key(job)).copied().unwrap_or(0);
        made.min(redelivered).saturating_add(1)
    }

    /// Attempt number `attempt` failed and the job will come again.
    pub fn failed(&mut self, job: &PushJob, attempt: u32) {
        self.made.insert(key(job), attempt);
        if self.made.len() > self.remembered {
            self.made.pop_first();
        }
    }

    /// The job is over.
    pub fn ended(&mut self, job: &PushJob) {
        self.made.remove(&key(job));
    }
}

fn key(job: &PushJob) -> Key {
    (job.user, job.conversation, job.sequence)
}

#[cfg(test)]
mod tests {
    use super::*;

    const JOBS: usize = 64;

    fn job(user: u64) -> PushJob {
        PushJob {
            user: UserId(user),
            conversation: ConversationId(1),
            sequence: Sequence(1),
            author: UserId(1),
            preview: String::new(),
            at_ms: 0,
        }
    }

    #[test]
    fn only_attempts_that_failed_count() {
        let mut attempts = Attempts::new(JOBS);
        assert_eq!(attempts.next(&job(1), 0), 1);
        assert_eq!(attempts.next(&job(1), 7), 1, "lost connections are no attempts");
        attempts.failed(&job(1), 1);
        attempts.failed(&job(1), 2);
        assert_eq!(attempts.next(&job(1), 7), 3);
        assert_eq!(attempts.next(&job(2), 7), 1);
        attempts.ended(&job(1));
        assert_eq!(attempts.next(&job(1), 7), 1);
    }

    #[test]
    fn a_requeued_dead_letter_starts_afresh() {
        let mut attempts = Attempts::new(JOBS);
        attempts.failed(&job(1), 4);
        assert_eq!(attempts.next(&job(1), 0), 1);
    }

    #[test]
    fn the_memory_is_bounded() {
        let mut attempts = Attempts::new(JOBS);
        for user in 0..2 * JOBS as u64 {
            attempts.failed(&job(user), 1);
        }
        assert_eq!(attempts.made.len(), JOBS);
    }
}
