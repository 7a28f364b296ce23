//! Locks that nobody enters after a panic inside of them: half a mutation may be left in there.
//!
//! A process of the cluster does not outlive a panic (a real one aborts, a simulated one is never
//! polled again). So a poisoned lock is met only where neither is in force, in tests and in
//! destructors.

use std::sync::{LockResult, PoisonError};

/// The guard of a lock, as `lock`, `read`, `write` and the waits of a condition variable return it.
///
/// Panics if somebody panicked while holding the lock.
pub fn entered<Guard>(lock: LockResult<Guard>) -> Guard {
    lock.unwrap_or_else(refuse)
}

#[expect(clippy::disallowed_methods, reason = "the one place that may look behind a panic")]
fn refuse<Guard>(poisoned: PoisonError<Guard>) -> Guard {
    // A second panic would hide the first.
    assert!(std::thread::panicking(), "whoever held this lock panicked");
    poisoned.into_inner()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::panic::{AssertUnwindSafe, catch_unwind};
    use std::sync::Mutex;

    #[test]
    fn nobody_goes_on_with_half_a_mutation() {
        let mutex = Mutex::new(1);
        *entered(mutex.lock()) += 1;
        let in_the_middle = catch_unwind(AssertUnwindSafe(|| {
            let _guard = entered(mutex.lock());
            panic!("in the middle");
        }));
        assert!(in_the_middle.is_err());
        let after = catch_unwind(AssertUnwindSafe(|| *entered(mutex.lock())));
        let said = after.unwrap_err();
        assert_eq!(said.downcast_ref(), Some(&"whoever held this lock panicked"));
    }
}
