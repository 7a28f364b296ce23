//! When a silent consumer is consumed anew.
//!
//! A quorum queue can take the node of a consumer for lost although it is there: messages are ready, the
//! consumer is registered and may hold more, its connection stands, and nothing comes. Closing its channel and
//! consuming on another one cures that, and delivers again what was not acknowledged.
//!
//! Silence alone says nothing: the queue may be empty, or the consumer may hold all that it asked for. So the
//! queue is asked twice, a while apart, and both times messages must have been ready although there was room
//! for them and nothing came. One answer is not enough: a message can be published just before the question.

use std::time::Duration;

/// Silence before each question. A healthy queue delivers what is ready within milliseconds; a queue whose
/// leader died has another one within about a second, and says until then that nothing is ready.
const PATIENCE: Duration = Duration::from_secs(3);

/// What a consumer has had so far, in deliveries.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Progress {
    /// Taken from the channel.
    pub delivered: u64,
    /// Acknowledged of these.
    pub settled: u64,
}

/// What is to be done now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    /// Nothing before this time.
    Wait(Duration),
    /// Ask how many messages are ready.
    Ask,
}

/// One consumer, from the view of its channel. Times count from when it began.
#[derive(Clone, Copy, Debug)]
pub struct Silence {
    prefetch: u64,
    progress: Progress,
    /// Since the last delivery, acknowledgement or answer.
    since: Duration,
    /// Messages were ready at the last answer.
    suspicious: bool,
}

impl Silence {
    /// Of a consumer that holds at most so many deliveries.
    pub fn new(prefetch: u16) -> Self {
        let (progress, since) = (Progress::default(), Duration::ZERO);
        Self { prefetch: prefetch.into(), progress, since, suspicious: false }
    }

    /// Nothing is there to be taken from the channel.
    pub fn next(&mut self, now: Duration, progress: Progress) -> Next {
        self.excuse(now, progress);
        let at = self.since + PATIENCE;
        if now < at { Next::Wait(at) } else { Next::Ask }
    }

    /// So many messages are ready, none if that cannot be told, and nothing is there to be taken: whether to
    /// consume anew.
    pub fn answered(&mut self, now: Duration, progress: Progress, ready: u32) -> bool {
        let is_suspicious = !self.excuse(now, progress) && ready > 0;
        self.since = now;
        std::mem::replace(&mut self.suspicious, is_suspicious) && is_suspicious
    }

    /// Whether something came or was acknowledged since the last time, or the consumer holds all it may.
    fn excuse(&mut self, now: Duration, progress: Progress) -> bool {
        let held = progress.delivered.saturating_sub(progress.settled);
        let excused = progress != self.progress || held >= self.prefetch;
        if excused {
            (self.progress, self.since, self.suspicious) = (progress, now, false);
        }
        excused
    }
}

#[cfg(test)]
mod tests;
