//! A timer that is set again and again without being registered each time.
//!
//! A busy session moves its deadline with every frame, almost always to a later time. Leaving the old
//! timer in place and looking again when it fires saves the runtime a registration per frame.

use std::pin::Pin;
use tokio::time::{Instant, Sleep, sleep_until};

/// A timer of one task.
#[derive(Debug, Default)]
pub struct Alarm(Option<Pin<Box<Sleep>>>);

impl Alarm {
    /// Ends at `due`, or never if there is none. Cancel safe; call it anew with another time.
    pub async fn at(&mut self, due: Option<Instant>) {
        let Some(due) = due else { return std::future::pending().await };
        let sleep = self.0.get_or_insert_with(|| Box::pin(sleep_until(due)));
        loop {
            if due < sleep.deadline() || sleep.is_elapsed() {
                sleep.as_mut().reset(due);
            }
            sleep.as_mut().await;
            if Instant::now() >= due {
                return;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;
    use tokio::time::timeout;

    #[tokio::test(start_paused = true)]
    async fn it_rings_at_the_time_that_was_asked_for_last() {
        let began = Instant::now();
        let mut alarm = Alarm::default();
        for (set_ms, asked_ms) in [(50, 30), (10, 90), (200, 120)] {
            let set = began + Duration::from_millis(set_ms);
            let early = timeout(Duration::from_millis(5), alarm.at(Some(set))).await;
            assert!(early.is_err() || set <= Instant::now());
            let asked = began + Duration::from_millis(asked_ms);
            alarm.at(Some(asked)).await;
            assert_eq!(began.elapsed(), Duration::from_millis(asked_ms));
        }
        assert!(timeout(Duration::from_secs(9), alarm.at(None)).await.is_err());
    }
}
