//! Where frames go: the outlets of all sessions, what waits in them, and who is slow.

use super::encoded::Encoded;
use super::outbound::{Level, Outbound, Outlet};
use super::slab::Slab;
use protocol::codec::Codec;
use protocol::design::SlowSession;
use protocol::frames::server::Resync;
use protocol::limits::GatewayLimits;
use protocol::{CloseCode, Entry, ServerFrame, SessionId};
use std::collections::VecDeque;

/// How long a closed session may take to read its last frames, milliseconds.
pub const LINGER_MS: u64 = 2_000;

/// An entry without its text, with the longest numbers.
const BINARY_ENTRY_BYTES: usize = 80;
/// The same in JSON, with its names.
const JSON_ENTRY_BYTES: usize = 320;

/// See the module.
#[derive(Debug)]
pub struct Outlets<O> {
    open: Slab<(Codec, O)>,
    /// Closed, but their last frames may not be read yet, and until when they may be.
    ending: Vec<(u64, O)>,
    /// Never opened, and the same. So many at most: whoever is refused may come back at once, and each takes a
    /// descriptor until it has read why.
    refused: VecDeque<(u64, O)>,
    refused_max: usize,
    /// Found to be slow; the hub closes them before it returns.
    slow: Vec<SessionId>,
    policy: SlowSession,
    /// More than this is slow.
    limit: Level,
    /// Neither what is old nor what is best effort goes beyond: the rest is for what is new.
    room: Level,
    peak: Level,
    posted: u64,
    /// State frames for which there was no room.
    dropped: u64,
}

impl<O: Outlet> Outlets<O> {
    /// No sessions.
    pub fn new(policy: SlowSession, limits: &GatewayLimits) -> Self {
        let limit =
            Level { frames: limits.session_queue_frames, bytes: limits.session_queue_bytes };
        Self {
            open: Slab::default(),
            ending: Vec::new(),
            refused: VecDeque::new(),
            refused_max: (limits.greeting / 4).max(1),
            slow: Vec::new(),
            policy,
            limit,
            room: Level { frames: limit.frames * 3 / 4, bytes: limit.bytes * 3 / 4 },
            peak: Level::default(),
            posted: 0,
            dropped: 0,
        }
    }

    /// A session's outlet, and how its frames are written.
    pub fn open(&mut self, codec: Codec, outlet: O) -> SessionId {
        self.open.insert((codec, outlet))
    }

    /// Open sessions.
    pub fn len(&self) -> usize {
        self.open.len()
    }

    #[cfg(test)]
    fn contains(&self, id: SessionId) -> bool {
        self.open.get(id).is_some()
    }

    /// The open session in a slot.
    pub fn in_slot(&self, slot: usize) -> Option<SessionId> {
        self.open.key(slot)
    }

    /// All open sessions.
    pub fn all(&self) -> Vec<SessionId> {
        self.open.keys()
    }

    /// Posts a frame to a session.
    pub fn post(&mut self, id: SessionId, frame: &mut Encoded) {
        let Some((codec, outlet)) = self.open.get(id) else { return };
        let bytes = frame.bytes(*codec);
        let (topic, divides, room) = (frame.topic(), frame.divides(), self.room);
        let pushed = outlet.queue(|queue| {
            if let Some(topic) = topic {
                return queue.push_state(bytes, topic, room);
            }
            if let Some(conversation) = divides {
                queue.divide(conversation);
            }
            Some(queue.push(bytes))
        });
        let Some(level) = pushed else {
            self.dropped += 1;
            return;
        };
        self.posted += 1;
        // A single frame is never too much, however large it is.
        let is_beyond = level.bytes > self.limit.bytes && level.frames > 1;
        if is_beyond || level.frames > self.limit.frames {
            match self.policy {
                SlowSession::Disconnect => return self.slow.push(id),
                SlowSession::Unbounded => {}
                SlowSession::DropOldest => {
                    return outlet.queue(|queue| queue.drop_oldest(self.limit));
                }
            }
        }
        self.peak.frames = self.peak.frames.max(level.frames);
        self.peak.bytes = self.peak.bytes.max(level.bytes);
    }

    /// Posts a frame that nobody else gets.
    pub fn say(&mut self, id: SessionId, frame: ServerFrame) {
        self.post(id, &mut frame.into());
    }

    /// Posts a frame if there is room for all of it, or if nothing else waits; whether it is done with.
    /// If not, the connection reports when it has taken everything.
    pub fn post_if_room(&mut self, id: SessionId, frame: &mut Encoded) -> bool {
        let Some((codec, outlet)) = self.open.get(id) else { return true };
        let (size, room) = (frame.bytes(*codec).len(), self.room);
        let fits = outlet.queue(|queue| {
            let level = queue.level();
            let fits = level.frames < room.frames && level.bytes + size <= room.bytes;
            if !fits && level.frames > 0 {
                queue.want_room();
            }
            fits || level.frames == 0
        });
        if fits {
            self.post(id, frame);
        }
        fits
    }

    /// About the bytes of an entry as this session gets it: not less than they are.
    pub fn entry_bytes(&self, id: SessionId, entry: &Entry) -> usize {
        let body = entry.content.body();
        let is_json = self.open.get(id).is_some_and(|(codec, _)| *codec == Codec::Json);
        if is_json { JSON_ENTRY_BYTES + json_bytes(body) } else { BINARY_ENTRY_BYTES + body.len() }
    }

    /// Whether more of a backlog may be written: a quarter of the queue stays free for what is new.
    pub fn has_room(&self, id: SessionId) -> bool {
        self.open.get(id).is_some_and(|(_, outlet)| {
            let level = outlet.queue(|queue| queue.level());
            level.frames < self.room.frames && level.bytes < self.room.bytes
        })
    }

    /// Whether more of what is old should be asked for, a page or an attachment; if not, the connection
    /// reports when there is room. `expected`: attachments under way. Each is one frame whether there is
    /// room or not: an eighth of the queue is for these.
    pub fn wants_more(&self, id: SessionId, expected: usize) -> bool {
        self.open.get(id).is_some_and(|(_, outlet)| {
            outlet.queue(|queue| {
                let level = queue.level();
                let wants =
                    2 * level.frames < self.limit.frames && 2 * level.bytes < self.limit.bytes;
                if !wants {
                    queue.want_room();
                }
                wants && 8 * expected < self.limit.frames
            })
        })
    }

    /// The sessions that were found to be slow since this was last asked.
    pub fn take_slow(&mut self) -> Vec<SessionId> {
        std::mem::take(&mut self.slow)
    }

    /// The connection is gone; nothing can be written to it.
    pub fn remove(&mut self, id: SessionId) {
        self.open.remove(id);
    }

    /// Ends a session behind what waits for it.
    pub fn close(&mut self, now_ms: u64, id: SessionId, code: CloseCode) {
        if let Some((_, outlet)) = self.open.remove(id) {
            self.end(now_ms, outlet, code);
        }
    }

    /// Ends a session that was not opened, on a connection that others share.
    pub fn end(&mut self, now_ms: u64, outlet: O, code: CloseCode) {
        outlet.queue(|queue| queue.close(code));
        self.ending.push((now_ms + LINGER_MS, outlet));
    }

    /// Ends a session that was not opened, with its connection. Beyond a quarter of those that may be without a
    /// hello, the oldest one that still reads why is given up.
    pub fn refuse(&mut self, now_ms: u64, outlet: O, code: CloseCode) {
        if self.refused.len() >= self.refused_max
            && let Some((_, oldest)) = self.refused.pop_front()
        {
            oldest.queue(Outbound::abandon);
        }
        outlet.queue(|queue| queue.close(code));
        self.refused.push_back((now_ms + LINGER_MS, outlet));
    }

    /// Ends a slow session: what waits is dropped, and how much that was is told.
    pub fn close_slow(&mut self, now_ms: u64, id: SessionId) {
        let Some((codec, outlet)) = self.open.remove(id) else { return };
        outlet.queue(|queue| {
            let resync = Resync { waiting: queue.level().frames as u32 };
            let last = codec.encode_server(&ServerFrame::Resync(resync));
            queue.close_instead(last.into(), CloseCode::SlowConsumer);
        });
        self.ending.push((now_ms + LINGER_MS, outlet));
    }

    /// Gives up who did not read the last frames in time.
    pub fn abandon_late(&mut self, now_ms: u64) {
        let waits = |(deadline_ms, outlet): &(u64, O)| {
            outlet.queue(|queue| {
                let late = *deadline_ms <= now_ms;
                if late {
                    queue.abandon();
                }
                !late && !queue.is_finished()
            })
        };
        self.ending.retain(waits);
        self.refused.retain(waits);
    }

    /// Whether nobody is left, not even somebody who still reads last frames.
    pub fn is_empty(&self) -> bool {
        let finished = |outlet: &O| outlet.queue(|queue| queue.is_finished());
        let mut reading = self.ending.iter().chain(&self.refused);
        self.len() == 0 && reading.all(|(_, outlet)| finished(outlet))
    }

    /// The highest level of a session that was kept, the frames posted, and the state frames dropped,
    /// since the last look.
    pub fn take_figures(&mut self) -> (Level, u64, u64) {
        let Self { peak, posted, dropped, .. } = self;
        (std::mem::take(peak), std::mem::take(posted), std::mem::take(dropped))
    }
}

/// A text in JSON: quotes and backslashes are escaped, and control characters take up to six bytes.
fn json_bytes(text: &str) -> usize {
    let escaped = |byte| match byte {
        b'"' | b'\\' => 2,
        0..0x20 => 6,
        _ => 1,
    };
    text.bytes().map(escaped).sum()
}

#[cfg(test)]
mod tests {
    use super::super::outbound::Taken;
    use super::*;
    use protocol::frames::client::Nonce;
    use std::cell::RefCell;
    use std::rc::Rc;

    type Shared = Rc<RefCell<Outbound>>;

    fn outlets(policy: SlowSession, frames: usize) -> (Outlets<Shared>, Shared, SessionId) {
        let limits = GatewayLimits { session_queue_frames: frames, ..GatewayLimits::default() };
        let mut outlets = Outlets::new(policy, &limits);
        let queue = Shared::default();
        let id = outlets.open(Codec::Binary, queue.clone());
        (outlets, queue, id)
    }

    fn pong() -> ServerFrame {
        ServerFrame::Pong(Nonce { nonce: 1 })
    }

    #[test]
    fn a_backlog_stops_before_what_is_new_makes_a_session_slow() {
        let (mut outlets, queue, id) = outlets(SlowSession::Disconnect, 8);
        let mut room = Vec::new();
        for _ in 0..8 {
            room.push((outlets.wants_more(id, 0), outlets.has_room(id)));
            outlets.say(id, pong());
        }
        let stops = |index| (index < 4, index < 6);
        assert_eq!(room, (0..8).map(stops).collect::<Vec<_>>());
        assert_eq!(outlets.take_slow(), []);
        outlets.say(id, pong());
        assert_eq!(outlets.take_slow(), [id]);
        while let Taken::Frame(_) = queue.borrow_mut().take() {}
        assert_eq!(outlets.take_figures().0.frames, 8, "the last one was not kept");
    }

    #[test]
    fn those_who_are_refused_again_and_again_do_not_pile_up() {
        let limits = GatewayLimits { greeting: 8, ..GatewayLimits::default() };
        let mut outlets = Outlets::new(SlowSession::Disconnect, &limits);
        let mut refused: Vec<Shared> = Vec::new();
        for _ in 0..5 {
            refused.push(Shared::default());
            outlets.refuse(0, refused[refused.len() - 1].clone(), CloseCode::Full);
        }
        let heard = refused.iter().map(|queue| queue.borrow_mut().take());
        let heard: Vec<_> = heard.map(|taken| taken == Taken::End(CloseCode::Full)).collect();
        assert_eq!(heard, [false, false, false, true, true], "the last two are told why");
        assert!(!outlets.is_empty());
        outlets.abandon_late(LINGER_MS);
        assert!(outlets.is_empty());
    }

    #[test]
    fn who_does_not_read_the_last_frames_is_given_up() {
        let (mut outlets, queue, id) = outlets(SlowSession::Disconnect, 8);
        outlets.say(id, pong());
        outlets.close_slow(100, id);
        assert!(!outlets.contains(id) && !outlets.is_empty());
        outlets.abandon_late(100 + LINGER_MS - 1);
        assert_eq!(queue.borrow().level().frames, 1, "the frame that says so");
        outlets.abandon_late(100 + LINGER_MS);
        assert_eq!(queue.borrow_mut().take(), Taken::Abandoned);
        assert!(outlets.is_empty());
    }
}
