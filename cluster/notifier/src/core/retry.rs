//! What becomes of a job after an attempt: done, again later, held, or a dead letter.

use crate::core::breaker::Blame;
use crate::core::outcome::{Outcome, RETRY_AFTER_MAX};
use protocol::backoff::{bound, full_jitter};
use std::time::Duration;

/// How often and how soon a job is tried again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Policy {
    /// Most attempts at one job, from 1.
    pub attempts_max: u32,
    /// Upper end of the first delay.
    pub backoff_base: Duration,
    /// Upper end of every delay.
    pub backoff_max: Duration,
}

/// What becomes of a job.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Decision {
    /// It is done.
    Done,
    /// It comes again after this long; the attempt counts.
    Again(Duration),
    /// It stays here until the provider is back; the attempt does not count.
    Hold,
    /// It cannot be delivered, for this reason.
    DeadLetter(String),
}

impl Policy {
    /// Decides, after attempt number `attempt` (from 1). `random` is 64 uniform bits.
    pub fn decide(&self, outcome: &Outcome, attempt: u32, blame: Blame, random: u64) -> Decision {
        match outcome {
            Outcome::Delivered => Decision::Done,
            Outcome::Refused { status } => {
                Decision::DeadLetter(format!("the push provider refused it: status {status}"))
            }
            Outcome::Failed { .. } if blame == Blame::Provider => Decision::Hold,
            Outcome::Failed { why, .. } if attempt >= self.attempts_max => {
                Decision::DeadLetter(format!("{attempt} attempts, the last one: {why}"))
            }
            Outcome::Failed { retry_after, .. } => {
                let wanted = retry_after.unwrap_or_default().min(RETRY_AFTER_MAX);
                Decision::Again(self.backoff(attempt, random).max(wanted))
            }
        }
    }

    fn backoff(&self, attempt: u32, random: u64) -> Duration {
        let failures_before = attempt.saturating_sub(1);
        full_jitter(bound(self.backoff_base, self.backoff_max, failures_before), random)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const POLICY: Policy = Policy {
        attempts_max: 3,
        backoff_base: Duration::from_millis(100),
        backoff_max: Duration::from_millis(300),
    };

    fn failed(retry_after: Option<u64>) -> Outcome {
        let retry_after = retry_after.map(Duration::from_secs);
        Outcome::Failed { why: "status 503".into(), retry_after }
    }

    #[test]
    fn a_job_ends_by_its_outcome_and_attempts() {
        let ms = |ms| Decision::Again(Duration::from_millis(ms));
        let gave_up = |n| Decision::DeadLetter(format!("{n} attempts, the last one: status 503"));
        let refused = Decision::DeadLetter("the push provider refused it: status 410".into());
        for (outcome, attempt, blame, expected) in [
            (Outcome::Delivered, 9, Blame::Message, Decision::Done),
            (Outcome::Refused { status: 410 }, 1, Blame::Provider, refused),
            (failed(None), 1, Blame::Message, ms(100)),
            (failed(None), 2, Blame::Message, ms(200)),
            (failed(None), 3, Blame::Message, gave_up(3)),
            (failed(None), 4, Blame::Message, gave_up(4)),
            (failed(None), 9, Blame::Provider, Decision::Hold),
            (failed(Some(5)), 1, Blame::Message, ms(5_000)),
            (failed(Some(0)), 1, Blame::Message, ms(100)),
            (failed(Some(999_999)), 1, Blame::Message, Decision::Again(RETRY_AFTER_MAX)),
        ] {
            let decision = POLICY.decide(&outcome, attempt, blame, u64::MAX);
            assert_eq!(decision, expected, "{outcome:?} {attempt} {blame:?}");
        }
    }

    proptest! {
        #[test]
        fn a_delay_is_anywhere_below_its_bound(attempt in 1..100_u32, random: u64) {
            let delay = POLICY.backoff(attempt, random);
            let bound = if attempt == 1 { 100 } else if attempt == 2 { 200 } else { 300 };
            prop_assert!(delay <= Duration::from_millis(bound));
            prop_assert!(POLICY.backoff(attempt, u64::MAX) == Duration::from_millis(bound));
            prop_assert!(POLICY.backoff(attempt, 0) == Duration::ZERO);
        }
    }
}
