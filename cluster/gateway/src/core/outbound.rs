//! The outbound queue of one session: it holds frames and counts them.
//!
//! Of state frames (receipts, typing, presence) that wait, only the newest about a user in a
//! conversation matters: it takes the place of the earlier one. Whether a session is slow is decided in `outlets`, which sees the level after every push. How the
//! hub and the task that writes to the connection share a queue is the shell's business: see `Outlet`.

use bytes::Bytes;
use protocol::{CloseCode, ConversationId, UserId};
use std::collections::{BTreeMap, VecDeque};

/// How much waits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Level {
    /// Frames.
    pub frames: usize,
    /// Their bytes.
    pub bytes: usize,
}

/// What a state frame is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Topic {
    /// Where.
    pub conversation: ConversationId,
    /// Who.
    pub user: UserId,
    /// Of which kind.
    pub kind: StateKind,
}

/// The kinds of state frames.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum StateKind {
    /// Cursors.
    Receipts,
    /// Who types.
    Typing,
    /// Who is online.
    Presence,
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
    /// Where the newest frame about something waits: the number that the frame had in the queue's whole
    /// life. Those below `gone` are taken already.
    newest: BTreeMap<Topic, u64>,
    /// Frames that have left the queue.
    gone: u64,
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
/// In a shorter queue no place is remembered: it is written at once, and looking would cost more.
const SHORT: usize = 16;

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

    /// Adds a state frame, or puts it in the place of an earlier one about the same. Without room for one
    /// more frame below this level it is dropped: state is best effort, and never what makes a session
    /// slow. The level behind it; `None`: dropped.
    pub fn push_state(&mut self, frame: Bytes, topic: Topic, room: Level) -> Option<Level> {
        let place = self.newest.get(&topic).and_then(|place| place.checked_sub(self.gone));
        if let Some(waiting) = place.and_then(|place| self.frames.get_mut(place as usize)) {
            self.bytes = self.bytes - waiting.len() + frame.len();
            *waiting = frame;
            return Some(self.level());
        }
        let count = self.frames.len();
        if count >= room.frames || self.bytes + frame.len() > room.bytes {
            return None;
        }
        if count >= SHORT && self.end.is_none() {
            if self.newest.len() > 2 * count {
                let gone = self.gone;
                self.newest.retain(|_, place| *place >= gone);
            }
            self.newest.insert(topic, self.gone + count as u64);
        }
        Some(self.push(frame))
    }

    /// What comes from now on about a conversation does not go before what waits: its stream begins or
    /// ends here.
    pub fn divide(&mut self, conversation: ConversationId) {
        if !self.newest.is_empty() {
            self.newest.retain(|topic, _| topic.conversation != conversation);
        }
    }

    fn pop(&mut self) -> Option<Bytes> {
        let frame = self.frames.pop_front()?;
        self.gone += 1;
        self.bytes -= frame.len();
        Some(frame)
    }

    /// Drops the oldest frames until the level is within a limit. Only for a bad design choice.
    pub fn drop_oldest(&mut self, limit: Level) {
        while self.frames.len() > limit.frames || self.bytes > limit.bytes {
            if self.pop().is_none() {
                break;
            }
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
            self.newest = BTreeMap::new();
            self.end = Some(code);
            self.news = true;
        }
    }

    /// The connection must stop now: it did not take its last frames in time.
    pub fn abandon(&mut self) {
        self.abandoned = true;
        self.frames = VecDeque::new();
        self.newest = BTreeMap::new();
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
        if let Some(frame) = self.pop() {
            let (frames, bytes) = (self.frames.len(), self.bytes);
            assert!(frames > 0 || bytes == 0, "{bytes} bytes in an empty queue");
            return Taken::Frame(frame);
        }
        if self.frames.capacity() > KEPT_CAPACITY {
            self.frames = VecDeque::new();
            self.newest = BTreeMap::new();
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

    fn about(user: u64) -> Topic {
        let (conversation, user) = (ConversationId(7), UserId(user));
        Topic { conversation, user, kind: StateKind::Receipts }
    }

    const ROOM: Level = Level { frames: 30, bytes: 1_000 };

    #[test]
    fn of_the_states_that_wait_only_the_newest_is_told() {
        let mut queue = Outbound::default();
        for _ in 0..SHORT {
            queue.push(Bytes::from_static(b"entry"));
        }
        queue.push_state(Bytes::from_static(b"1"), about(1), ROOM);
        queue.push_state(Bytes::from_static(b"two"), about(2), ROOM);
        queue.take();
        queue.push_state(Bytes::from_static(b"three"), about(1), ROOM);
        assert_eq!(queue.level(), Level { frames: SHORT + 1, bytes: 5 * SHORT - 5 + 5 + 3 });
        queue.divide(ConversationId(7));
        queue.push_state(Bytes::from_static(b"4"), about(1), ROOM);
        let mut taken = Vec::new();
        while let Taken::Frame(frame) = queue.take() {
            taken.push(frame);
        }
        assert_eq!(taken[SHORT - 1..], ["three", "two", "4"]);
        queue.push_state(Bytes::from_static(b"5"), about(1), ROOM);
        assert_eq!(queue.take(), Taken::Frame(Bytes::from_static(b"5")), "what is gone stays so");
    }

    #[test]
    fn state_takes_no_room_that_others_need() {
        let mut queue = Outbound::default();
        let mut kept =
            |user| queue.push_state(Bytes::from_static(b"."), about(user), ROOM).is_some();
        assert_eq!((0..100).filter(|user| kept(*user)).count(), ROOM.frames);
        assert!(queue.push_state(Bytes::from_static(b"new"), about(20), ROOM).is_some());
        assert_eq!(queue.level(), Level { frames: ROOM.frames, bytes: ROOM.frames + 2 });
        assert_eq!(queue.push_state(Bytes::from_static(b"new"), about(99), ROOM), None);
    }
}
