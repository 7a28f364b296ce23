//! The outbound queue of one session: it holds frames and counts them.
//!
//! Whether a session is slow is decided in `outlets`, which sees the level after every push. How the
//! hub and the task that writes to the connection share a queue is the shell's business: see `Outlet`.

use bytes::Bytes;
use protocol::CloseCode;
use std::collections::VecDeque;

/// How much waits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Level {
    /// Frames.
    pub frames: usize,
    /// Their bytes.
    pub bytes: usize,
}

/// Where the frames of one session go. The hub owns one per session and knows nothing else of the
/// connection behind it.
pub trait Outlet {
    /// Does something with the queue, and wakes the connection if there is news for it.
    fn queue<R>(&self, act: impl FnOnce(&mut Outbound) -> R) -> R;
}

/// The frames of one session.
#[derive(Debug, Default)]
pub struct Outbound {
    frames: VecDeque<Bytes>,
    bytes: usize,
    end: Option<CloseCode>,
    abandoned: bool,
    /// The connection is done with it.
    finished: bool,
    /// The hub waits for room.
    hungry: bool,
    /// Something was added since the connection was last woken.
    news: bool,
}

/// What a connection takes out of a queue.
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

impl Outbound {
    /// Adds a frame; the level behind it. Nothing is added behind the end.
    #[inline]
    pub fn push(&mut self, frame: Bytes) -> Level {
        if self.end.is_none() {
            self.bytes += frame.len();
            self.frames.push_back(frame);
            self.news = true;
        }
        self.level()
    }

    /// Drops the oldest frames until the level is within a limit. Only for a bad design choice.
    pub fn drop_oldest(&mut self, limit: Level) {
        while self.frames.len() > limit.frames || self.bytes > limit.bytes {
            let Some(frame) = self.frames.pop_front() else { break };
            self.bytes -= frame.len();
        }
    }

    /// The session ends behind what waits. The first end counts.
    pub fn close(&mut self, code: CloseCode) {
        if self.end.is_none() {
            self.end = Some(code);
            self.news = true;
        }
    }

    /// The session ends with this frame; what waits is dropped.
    pub fn close_instead(&mut self, last: Bytes, code: CloseCode) {
        if self.end.is_none() {
            self.bytes = last.len();
            self.frames = VecDeque::from([last]);
            self.end = Some(code);
            self.news = true;
        }
    }

    /// The connection must stop now: it did not take its last frames in time.
    pub fn abandon(&mut self) {
        self.abandoned = true;
        self.frames = VecDeque::new();
        self.bytes = 0;
        self.news = true;
    }

    /// Whether the connection must stop.
    pub const fn is_abandoned(&self) -> bool {
        self.abandoned
    }

    /// The connection has written everything, or is gone.
    pub const fn finish(&mut self) {
        self.finished = true;
    }

    /// Whether the connection is done with it.
    pub const fn is_finished(&self) -> bool {
        self.finished
    }

    /// What waits.
    #[inline]
    pub fn level(&self) -> Level {
        Level { frames: self.frames.len(), bytes: self.bytes }
    }

    /// The connection is to report when it has taken everything.
    pub const fn want_room(&mut self) {
        self.hungry = true;
    }

    /// Whether something was added since this was last asked.
    #[inline]
    pub const fn take_news(&mut self) -> bool {
        std::mem::replace(&mut self.news, false)
    }

    /// Takes the next frame.
    #[inline]
    pub fn take(&mut self) -> Taken {
        if self.abandoned {
            return Taken::Abandoned;
        }
        if let Some(frame) = self.frames.pop_front() {
            self.bytes -= frame.len();
            let (frames, bytes) = (self.frames.len(), self.bytes);
            assert!(frames > 0 || bytes == 0, "{bytes} bytes in an empty queue");
            return Taken::Frame(frame);
        }
        if self.frames.capacity() > KEPT_CAPACITY {
            self.frames = VecDeque::new();
        }
        match self.end {
            Some(code) => Taken::End(code),
            None => Taken::Empty { hungry: std::mem::take(&mut self.hungry) },
        }
    }
}

/// Tests hold the other end themselves: nobody has to be woken.
#[cfg(test)]
impl Outlet for std::rc::Rc<std::cell::RefCell<Outbound>> {
    fn queue<R>(&self, act: impl FnOnce(&mut Outbound) -> R) -> R {
        act(&mut self.borrow_mut())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_comes_behind_what_waits_and_nothing_behind_the_end() {
        let mut queue = Outbound::default();
        queue.push(Bytes::from_static(b"one"));
        queue.close(CloseCode::Draining);
        queue.push(Bytes::from_static(b"late"));
        queue.close(CloseCode::Full);
        assert_eq!(queue.take(), Taken::Frame(Bytes::from_static(b"one")));
        assert_eq!(queue.take(), Taken::End(CloseCode::Draining));
        queue.abandon();
        assert_eq!(queue.take(), Taken::Abandoned);
    }

    #[test]
    fn the_level_follows_what_is_taken() {
        let mut queue = Outbound::default();
        for _ in 0..3 {
            queue.push(Bytes::from_static(b"12345"));
        }
        queue.want_room();
        assert_eq!(queue.level(), Level { frames: 3, bytes: 15 });
        queue.take();
        assert_eq!(queue.level(), Level { frames: 2, bytes: 10 });
        queue.take();
        queue.take();
        assert_eq!(queue.take(), Taken::Empty { hungry: true });
        assert_eq!(queue.take(), Taken::Empty { hungry: false });
    }

    #[test]
    fn only_what_the_connection_has_to_see_is_news() {
        let mut queue = Outbound::default();
        queue.push(Bytes::from_static(b"one"));
        assert!(queue.take_news());
        queue.want_room();
        queue.drop_oldest(Level::default());
        assert!(!queue.take_news());
        queue.close(CloseCode::Draining);
        assert!(queue.take_news());
        queue.push(Bytes::from_static(b"late"));
        assert!(!queue.take_news(), "it was not added");
        queue.abandon();
        assert!(queue.take_news());
    }
}
