//! What waits to be written to one session, between the hub and the connection's task.
//!
//! A mailbox only holds and counts. Whether a session is slow is the hub's decision: it sees the
//! level after every push.

use bytes::Bytes;
use ports::entered;
use protocol::CloseCode;
use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard};
use std::task::{Context, Waker};

/// How much waits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Level {
    /// Frames.
    pub frames: usize,
    /// Their bytes.
    pub bytes: usize,
}

/// The frames of one session.
#[derive(Debug)]
pub struct Mailbox {
    queue: Mutex<Queue>,
    trunk: Option<(Arc<Ready>, u32)>,
}

#[derive(Debug, Default)]
struct Queue {
    frames: VecDeque<Bytes>,
    bytes: usize,
    end: Option<CloseCode>,
    abandoned: bool,
    /// The connection is done with it.
    finished: bool,
    /// The hub waits for room.
    hungry: bool,
    /// On a trunk: its slot is in the ready list already.
    announced: bool,
    waker: Option<Waker>,
}

/// What a connection takes out of a mailbox.
#[derive(Debug, PartialEq, Eq)]
pub enum Taken {
    /// The next frame.
    Frame(Bytes),
    /// The session ends here; nothing comes behind.
    End(CloseCode),
    /// Stop at once, without ceremony.
    Abandoned,
    /// Nothing waits. `hungry`: the hub wants to know that there is room.
    Empty {
        /// See above.
        hungry: bool,
    },
}

/// An empty queue that once was long gives its memory back.
const KEPT_CAPACITY: usize = 16;

impl Mailbox {
    /// The mailbox of a connection of its own.
    pub fn new() -> Arc<Self> {
        Arc::new(Self { queue: Mutex::default(), trunk: None })
    }

    /// The mailbox of a slot on a trunk.
    pub fn on_trunk(ready: Arc<Ready>, slot: u32) -> Arc<Self> {
        Arc::new(Self { queue: Mutex::default(), trunk: Some((ready, slot)) })
    }

    /// Adds a frame; the level behind it. Nothing is added behind the end.
    pub fn push(&self, frame: Bytes) -> Level {
        let mut queue = self.lock();
        if queue.end.is_none() {
            queue.bytes += frame.len();
            queue.frames.push_back(frame);
            self.ring(&mut queue);
        }
        queue.level()
    }

    /// Drops the oldest frames until the level is within a limit. Only for a bad design choice.
    pub fn drop_oldest(&self, limit: Level) {
        let mut queue = self.lock();
        while queue.frames.len() > limit.frames || queue.bytes > limit.bytes {
            let Some(frame) = queue.frames.pop_front() else { break };
            queue.bytes -= frame.len();
        }
    }

    /// The session ends behind what waits. The first end counts.
    pub fn close(&self, code: CloseCode) {
        let mut queue = self.lock();
        if queue.end.is_none() {
            queue.end = Some(code);
            self.ring(&mut queue);
        }
    }

    /// The session ends with this frame; what waits is dropped, and its level returned.
    pub fn close_instead(&self, last: Bytes, code: CloseCode) {
        let mut queue = self.lock();
        if queue.end.is_none() {
            queue.frames = VecDeque::from([last]);
            queue.bytes = queue.frames[0].len();
            queue.end = Some(code);
            self.ring(&mut queue);
        }
    }

    /// The connection must stop now: it did not take its last frames in time.
    pub fn abandon(&self) {
        let mut queue = self.lock();
        queue.abandoned = true;
        queue.frames = VecDeque::new();
        queue.bytes = 0;
        self.ring(&mut queue);
    }

    /// The connection has written everything, or is gone.
    pub fn finish(&self) {
        self.lock().finished = true;
    }

    /// Whether the connection is done with it.
    pub fn is_finished(&self) -> bool {
        self.lock().finished
    }

    /// What waits.
    pub fn level(&self) -> Level {
        self.lock().level()
    }

    /// The connection is to report when it has taken everything.
    pub fn want_room(&self) {
        self.lock().hungry = true;
    }

    /// Takes the next frame; if nothing waits, the context is woken by the next push.
    pub fn take(&self, context: &Context<'_>) -> Taken {
        let mut queue = self.lock();
        if queue.abandoned {
            return Taken::Abandoned;
        }
        if let Some(frame) = queue.frames.pop_front() {
            queue.bytes -= frame.len();
            let (frames, bytes) = (queue.frames.len(), queue.bytes);
            assert!(frames > 0 || bytes == 0, "{bytes} bytes in an empty queue");
            return Taken::Frame(frame);
        }
        if queue.frames.capacity() > KEPT_CAPACITY {
            queue.frames = VecDeque::new();
        }
        queue.announced = false;
        match &mut queue.waker {
            Some(waker) => waker.clone_from(context.waker()),
            none => *none = Some(context.waker().clone()),
        }
        match queue.end {
            Some(code) => Taken::End(code),
            None => Taken::Empty { hungry: std::mem::take(&mut queue.hungry) },
        }
    }

    /// Whether the connection must stop; if not, the context is woken when that changes.
    pub fn is_abandoned(&self, context: &Context<'_>) -> bool {
        let mut queue = self.lock();
        queue.waker = Some(context.waker().clone());
        queue.abandoned
    }

    fn ring(&self, queue: &mut Queue) {
        match &self.trunk {
            Some((ready, slot)) => {
                if !std::mem::replace(&mut queue.announced, true) {
                    ready.announce(*slot);
                }
            }
            None => {
                if let Some(waker) = queue.waker.take() {
                    waker.wake();
                }
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, Queue> {
        entered(self.queue.lock())
    }
}

impl Queue {
    fn level(&self) -> Level {
        Level { frames: self.frames.len(), bytes: self.bytes }
    }
}

/// The slots of a trunk whose mailboxes hold something, in the order in which they were filled.
#[derive(Debug, Default)]
pub struct Ready {
    slots: Mutex<ReadySlots>,
}

#[derive(Debug, Default)]
struct ReadySlots {
    waiting: VecDeque<u32>,
    waker: Option<Waker>,
}

impl Ready {
    /// The next slot; if there is none, the context is woken by the next one.
    pub fn next(&self, context: &Context<'_>) -> Option<u32> {
        let mut slots = entered(self.slots.lock());
        let next = slots.waiting.pop_front();
        if next.is_none() {
            slots.waker = Some(context.waker().clone());
        }
        next
    }

    /// A slot goes (back) to the end of the line.
    pub fn announce(&self, slot: u32) {
        let mut slots = entered(self.slots.lock());
        slots.waiting.push_back(slot);
        if let Some(waker) = slots.waker.take() {
            waker.wake();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn take(mailbox: &Mailbox) -> Taken {
        mailbox.take(&Context::from_waker(Waker::noop()))
    }

    #[test]
    fn the_end_comes_behind_what_waits_and_nothing_behind_the_end() {
        let mailbox = Mailbox::new();
        mailbox.push(Bytes::from_static(b"one"));
        mailbox.close(CloseCode::Draining);
        mailbox.push(Bytes::from_static(b"late"));
        mailbox.close(CloseCode::Full);
        assert_eq!(take(&mailbox), Taken::Frame(Bytes::from_static(b"one")));
        assert_eq!(take(&mailbox), Taken::End(CloseCode::Draining));
        mailbox.abandon();
        assert_eq!(take(&mailbox), Taken::Abandoned);
    }

    #[test]
    fn the_level_follows_what_is_taken() {
        let mailbox = Mailbox::new();
        for _ in 0..3 {
            mailbox.push(Bytes::from_static(b"12345"));
        }
        mailbox.want_room();
        assert_eq!(mailbox.level(), Level { frames: 3, bytes: 15 });
        take(&mailbox);
        assert_eq!(mailbox.level(), Level { frames: 2, bytes: 10 });
        take(&mailbox);
        take(&mailbox);
        assert_eq!(take(&mailbox), Taken::Empty { hungry: true });
        assert_eq!(take(&mailbox), Taken::Empty { hungry: false });
    }

    #[test]
    fn a_slot_is_announced_once_until_it_is_emptied() {
        let ready = Arc::new(Ready::default());
        let mailbox = Mailbox::on_trunk(ready.clone(), 7);
        mailbox.push(Bytes::from_static(b"a"));
        mailbox.push(Bytes::from_static(b"b"));
        let context = Context::from_waker(Waker::noop());
        assert_eq!(ready.next(&context), Some(7));
        assert_eq!(ready.next(&context), None);
        for _ in 0..3 {
            take(&mailbox);
        }
        mailbox.push(Bytes::from_static(b"c"));
        assert_eq!(ready.next(&context), Some(7));
    }
}
