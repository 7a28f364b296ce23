//! The events of a real run: stamped in one place, handed over in batches.
//!
//! The stamp is taken under the lock that puts the event in line, so that times never go backwards
//! whichever thread records.

use ports::entered;
use protocol::{DeviceId, GatewayId, UserId};
use std::sync::atomic::{AtomicU16, AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::thread::JoinHandle;
use std::time::Duration;
use tokio::time::Instant;
use verify::history::event::{Device, Phase};
use verify::history::{Event, What};
use workload::measure::LATE;
use workload::recorder::Recorder;

/// Takes the events of a run, one after another, on one thread.
pub type Sink = Box<dyn FnMut(&Event) + Send>;

/// Events that may wait for the sink. Beyond this the users wait for it, and their lateness tells.
const WAITING_MAX: usize = 1_000_000;

/// The sink's thread wakes up for so many events, or after a while: waking it for each one would cost
/// the users more than the events themselves.
const GATHER_EVENTS: usize = 4_096;
/// How long the first event may wait for others.
const GATHER: Duration = Duration::from_millis(5);
/// The device that `gateway(user=7)` means.
const FIRST: DeviceId = DeviceId(1);

/// The journal of one run.
pub struct Journal {
    began: Instant,
    line: Mutex<Line>,
    /// There is something in line, or the line is closed.
    filled: Condvar,
    /// There is room in the line.
    emptied: Condvar,
    counts: Counts,
    /// Of each user's first device, the gateway of the newest session; 0: there was none.
    gateways: Vec<AtomicU16>,
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
    /// Messages, edits and deletions.
    pub sent: AtomicU64,
    /// Of these, recorded later than their schedule wanted it by more than `LATE`: a device invokes
    /// them whether or not it is connected, so that only the generator delays them.
    pub late: AtomicU64,
    /// Events that had to wait before the final reads, since the sink did not keep up. Later all deadlines have
    /// passed, and whoever reads back goes on when there is room.
    pub waited: AtomicU64,
}

impl Counts {
    /// Sessions that are open.
    pub fn connected(&self) -> u64 {
        let closed = self.closed.load(Ordering::Relaxed);
        self.opened.load(Ordering::Relaxed).saturating_sub(closed)
    }
}

#[derive(Default)]
struct Line {
    events: Vec<Event>,
    closed: bool,
    /// The final reads have begun.
    judging: bool,
    /// The run ends, or has ended: what happens to users from now on is no event of it.
    stopped: bool,
}

impl Journal {
    /// An empty journal for so many users; the thread hands events to `sink` until the journal is closed.
    pub fn new(users: u32, sink: Sink) -> (Arc<Self>, JoinHandle<()>) {
        let journal = Arc::new(Self {
            began: Instant::now(),
            line: Mutex::default(),
            filled: Condvar::new(),
            emptied: Condvar::new(),
            counts: Counts::default(),
            gateways: (0..=users).map(|_| AtomicU16::new(0)).collect(),
        });
        let theirs = journal.clone();
        let thread = crate::run::thread("judge", move || theirs.hand_over(sink));
        (journal, thread)
    }

    /// What happened how often so far.
    pub const fn counts(&self) -> &Counts {
        &self.counts
    }

    /// The gateway of the newest session of a user's first device, which may be over.
    pub fn gateway_of(&self, user: UserId) -> Option<GatewayId> {
        let known = self.gateways.get(user.0 as usize)?.load(Ordering::Relaxed);
        (known > 0).then_some(GatewayId(known))
    }

    fn note_gateway(&self, device: Device, gateway: GatewayId) {
        if device.device == FIRST
            && let Some(known) = self.gateways.get(device.user.0 as usize)
        {
            known.store(gateway.0, Ordering::Relaxed);
        }
    }

    /// When the run began.
    pub const fn began(&self) -> Instant {
        self.began
    }

    /// The run ends before its time. From here on the journal takes nothing that a user sees.
    pub fn stop(&self, why: &str) {
        let mut line = self.line();
        if !line.stopped {
            let why = What::Stopped { why: why.into() };
            self.counts.events.fetch_add(1, Ordering::Relaxed);
            line.events.push(Event { at: self.now_us(), is: why });
            line.stopped = true;
        }
        drop(line);
        self.filled.notify_one();
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
                let line = entered(
                    self.filled.wait_while(line, |line| line.events.is_empty() && !line.closed),
                );
                let gathers = |line: &mut Line| line.events.len() < GATHER_EVENTS && !line.closed;
                let (mut line, _) = entered(self.filled.wait_timeout_while(line, GATHER, gathers));
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
        entered(self.line.lock())
    }
}

impl Recorder for Journal {
    fn record(&self, what: What) {
        self.counts.events.fetch_add(1, Ordering::Relaxed);
        match &what {
            What::Opened { device, gateway, .. } => {
                self.note_gateway(*device, *gateway);
                self.counts.opened.fetch_add(1, Ordering::Relaxed)
            }
            What::Closed { .. } => self.counts.closed.fetch_add(1, Ordering::Relaxed),
            _ => 0,
        };
        let is_full = |line: &mut Line| line.events.len() >= WAITING_MAX && !line.closed;
        let mut line = self.line();
        if is_full(&mut line) {
            self.counts.waited.fetch_add(u64::from(!line.judging), Ordering::Relaxed);
            line = entered(self.emptied.wait_while(line, is_full));
        }
        if line.closed || line.stopped && !what.follows_a_stop() {
            return;
        }
        let at = self.now_us();
        if let What::Sent { intended, .. } = &what {
            self.counts.sent.fetch_add(1, Ordering::Relaxed);
            self.counts.late.fetch_add(u64::from(is_late(at, *intended)), Ordering::Relaxed);
        }
        line.judging |= what == What::Phase(Phase::Judge);
        // What comes behind the end, such as a push to somebody who has said goodbye, is no part of it.
        line.stopped |= what == What::Phase(Phase::End);
        line.events.push(Event { at, is: what });
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

const fn is_late(at: u64, intended: u64) -> bool {
    at.saturating_sub(intended) > LATE.as_micros() as u64
}

#[cfg(test)]
mod tests {
    use super::*;
    use protocol::{ClientMessageId, ConversationId};
    use verify::history::event::Said;

    /// The events that a journal hands over of what `write` does with it.
    fn events(write: impl FnOnce(&Arc<Journal>)) -> Vec<Event> {
        let (sender, receiver) = std::sync::mpsc::channel();
        let (journal, thread) = Journal::new(
            1,
            Box::new(move |event| {
                sender.send(event.clone()).expect("somebody listens");
            }),
        );
        write(&journal);
        journal.close();
        thread.join().expect("it ends well");
        receiver.iter().collect()
    }

    const DEVICE: Device = Device { user: UserId(1), device: DeviceId(1) };

    #[test]
    fn nothing_that_a_user_sees_follows_the_stop() {
        let (conversation, message) = (ConversationId(1), ClientMessageId(1));
        let events = events(|journal| {
            journal.record(What::Closed { device: DEVICE, code: 0 });
            journal.stop("SIGTERM");
            journal.record(What::Closed { device: DEVICE, code: 0 });
            journal.record(What::Unanswered { device: DEVICE, conversation, message });
            journal.stop("SIGTERM again");
            journal.record(What::Phase(Phase::End));
            journal.record(What::Revoked { user: UserId(1) });
        });
        let is: Vec<What> = events.into_iter().map(|event| event.is).collect();
        let expected = [
            What::Closed { device: DEVICE, code: 0 },
            What::Stopped { why: "SIGTERM".into() },
            What::Unanswered { device: DEVICE, conversation, message },
            What::Phase(Phase::End),
        ];
        assert_eq!(is, expected);
    }

    #[test]
    fn sends_after_their_time_are_counted_as_late() {
        events(|journal| {
            let (conversation, message) = (ConversationId(1), ClientMessageId(1));
            let (said, intended) = (Said::Join { user: UserId(1) }, journal.now_us());
            journal.record(What::Sent { device: DEVICE, conversation, message, said, intended });
            assert_eq!(journal.counts().sent.load(Ordering::Relaxed), 1);
        });
        let late = [(5, 7), (100_000, 0), (100_001, 0)].map(|(at, intended)| is_late(at, intended));
        assert_eq!(late, [false, false, true]);
    }

    /// How often a writer waited for a sink that did nothing until the line was full.
    fn waited(first: What) -> u64 {
        let (go, gate) = std::sync::mpsc::channel::<()>();
        let (journal, thread) = Journal::new(1, Box::new(move |_| _ = gate.recv()));
        let all = 2 * WAITING_MAX as u64 + 2;
        let writer = journal.clone();
        let writing = crate::run::thread("writer", move || {
            writer.record(first);
            for _ in 1..all {
                writer.record(What::Revoked { user: UserId(1) });
            }
        });
        // One batch may be with the sink, and as many wait: the next one finds no room.
        while journal.line().events.len() < WAITING_MAX {
            std::thread::yield_now();
        }
        std::thread::sleep(std::time::Duration::from_millis(50));
        drop(go);
        writing.join().expect("it ends well");
        journal.close();
        thread.join().expect("it ends well");
        journal.counts().waited.load(Ordering::Relaxed)
    }

    #[test]
    fn who_reads_back_may_wait_for_the_judge() {
        assert!(waited(What::Phase(Phase::Load)) > 0);
        assert_eq!(waited(What::Phase(Phase::Judge)), 0);
    }

    #[test]
    fn times_never_go_backwards_and_nothing_is_lost() {
        let events = events(|journal| {
            let write = |user| {
                let journal = journal.clone();
                crate::run::thread("writer", move || {
                    for _ in 0..5_000 {
                        journal.record(What::Revoked { user: UserId(user) });
                    }
                })
            };
            let writers: Vec<_> = (0..4).map(write).collect();
            for writer in writers {
                writer.join().expect("it ends well");
            }
        });
        assert_eq!(events.len(), 20_000);
        assert!(events.is_sorted_by_key(|event| event.at));
    }
}
