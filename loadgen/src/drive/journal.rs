//! The events of a real run: stamped in one place, handed over in batches.
//!
//! The stamp is taken under the lock that puts the event in line, so that times never go backwards
//! whichever thread records.

use crate::recorder::Recorder;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;
use tokio::time::Instant;
use verify::history::{Event, What};

/// Takes the events of a run, one after another, on one thread.
pub type Sink = Box<dyn FnMut(&Event) + Send>;

/// Events that may wait for the sink. Beyond this the users wait for it, and their lateness tells.
const WAITING_MAX: usize = 1_000_000;

/// The sink's thread wakes up for so many events, or after a while: waking it for each one would cost
/// the users more than the events themselves.
const GATHER_EVENTS: usize = 4_096;
/// How long the first event may wait for others.
const GATHER: Duration = Duration::from_millis(5);

/// The journal of one run.
pub struct Journal {
    began: Instant,
    line: Mutex<Line>,
    /// There is something in line, or the line is closed.
    filled: Condvar,
    /// There is room in the line.
    emptied: Condvar,
    counts: Counts,
}

/// What happened how often so far.
#[derive(Default)]
pub struct Counts {
    /// Events.
    pub events: AtomicU64,
    /// Sessions that were opened.
    pub opened: AtomicU64,
    /// Sessions that ended.
    pub closed: AtomicU64,
}

#[derive(Default)]
struct Line {
    events: Vec<Event>,
    closed: bool,
}

impl Journal {
    /// An empty journal; the thread hands events to `sink` until the journal is closed.
    pub fn new(sink: Sink) -> (Arc<Self>, JoinHandle<()>) {
        let journal = Arc::new(Self {
            began: Instant::now(),
            line: Mutex::default(),
            filled: Condvar::new(),
            emptied: Condvar::new(),
            counts: Counts::default(),
        });
        let theirs = journal.clone();
        let thread = super::thread("judge", move || theirs.hand_over(sink));
        (journal, thread)
    }

    /// What happened how often so far.
    pub const fn counts(&self) -> &Counts {
        &self.counts
    }

    /// When the run began.
    pub const fn began(&self) -> Instant {
        self.began
    }

    /// No more events: the thread ends when it has handed over the last one.
    pub fn close(&self) {
        self.line().closed = true;
        self.filled.notify_all();
        self.emptied.notify_all();
    }

    fn hand_over(&self, mut sink: Sink) {
        let mut batch = Vec::new();
        loop {
            {
                let line = self.line();
                let line = self
                    .filled
                    .wait_while(line, |line| line.events.is_empty() && !line.closed)
                    .unwrap_or_else(PoisonError::into_inner);
                let gathers = |line: &mut Line| line.events.len() < GATHER_EVENTS && !line.closed;
                let (mut line, _) = self
                    .filled
                    .wait_timeout_while(line, GATHER, gathers)
                    .unwrap_or_else(PoisonError::into_inner);
                if line.events.is_empty() {
                    return;
                }
                std::mem::swap(&mut line.events, &mut batch);
            }
            self.emptied.notify_all();
            for event in batch.drain(..) {
                sink(&event);
            }
        }
    }

    fn line(&self) -> MutexGuard<'_, Line> {
        self.line.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Recorder for Journal {
    fn record(&self, what: What) {
        self.counts.events.fetch_add(1, Ordering::Relaxed);
        match &what {
            What::Opened { .. } => self.counts.opened.fetch_add(1, Ordering::Relaxed),
            What::Closed { .. } => self.counts.closed.fetch_add(1, Ordering::Relaxed),
            _ => 0,
        };
        let mut line = self
            .emptied
            .wait_while(self.line(), |line| line.events.len() >= WAITING_MAX && !line.closed)
            .unwrap_or_else(PoisonError::into_inner);
        if line.closed {
            return;
        }
        line.events.push(Event { at: self.now_us(), is: what });
        let count = line.events.len();
        drop(line);
        if count == 1 || count == GATHER_EVENTS {
            self.filled.notify_one();
        }
    }

    fn now_us(&self) -> u64 {
        self.began.elapsed().as_micros() as u64
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use protocol::UserId;

    #[test]
    fn times_never_go_backwards_and_nothing_is_lost() {
        let (sender, receiver) = std::sync::mpsc::channel();
        let (journal, thread) = Journal::new(Box::new(move |event| {
            sender.send(event.clone()).expect("somebody listens");
        }));
        let writers: Vec<_> = (0..4)
            .map(|user| {
                let journal = journal.clone();
                super::super::thread("writer", move || {
                    for _ in 0..5_000 {
                        journal.record(What::Revoked { user: UserId(user) });
                    }
                })
            })
            .collect();
        for writer in writers {
            writer.join().expect("it ends well");
        }
        journal.close();
        thread.join().expect("it ends well");
        let events: Vec<Event> = receiver.iter().collect();
        assert_eq!(events.len(), 20_000);
        assert!(events.is_sorted_by_key(|event| event.at));
    }
}
