//! The sessions of a gateway as places where frames go: posting, room, slowness.

use super::encoded::Encoded;
use super::mailbox::Level;
use super::session::Session;
use super::slab::Slab;
use protocol::design::SlowSession;
use protocol::{ServerFrame, SessionId};

/// All sessions, and what happens to slow ones.
#[derive(Debug)]
pub struct Outlets {
    /// The sessions.
    pub sessions: Slab<Session>,
    /// Sessions that were found to be slow; the hub closes them before it returns.
    pub slow: Vec<SessionId>,
    /// The design choice.
    pub policy: SlowSession,
    /// More than this is slow.
    pub limit: Level,
    /// The highest level of a session that was kept, since it was last looked at.
    pub peak: Level,
    /// Frames posted since it was last looked at.
    pub posted: u64,
    /// Entries that streams could not keep, since it was last looked at.
    pub evicted: u64,
}

impl Outlets {
    /// Puts a frame into a session's mailbox.
    pub fn post(&mut self, id: SessionId, frame: &mut Encoded) {
        let Some(session) = self.sessions.get(id) else { return };
        let level = session.mailbox.push(frame.bytes(session.codec));
        self.posted += 1;
        if level.frames > self.limit.frames || level.bytes > self.limit.bytes {
            match self.policy {
                SlowSession::Disconnect => return self.slow.push(id),
                SlowSession::Unbounded => {}
                SlowSession::DropOldest => return session.mailbox.drop_oldest(self.limit),
            }
        }
        self.peak.frames = self.peak.frames.max(level.frames);
        self.peak.bytes = self.peak.bytes.max(level.bytes);
    }

    /// Puts a frame that nobody else gets into a session's mailbox.
    pub fn say(&mut self, id: SessionId, frame: ServerFrame) {
        self.post(id, &mut frame.into());
    }

    /// Whether more of a backlog may be written: a quarter of the queue stays free for what is new.
    pub fn has_room(&self, id: SessionId) -> bool {
        self.below(id, 3, 4)
    }

    /// Whether another page of a backlog should be asked for; if not, the connection reports when
    /// there is room.
    pub fn wants_page(&self, id: SessionId) -> bool {
        let wants = self.below(id, 1, 2);
        if !wants && let Some(session) = self.sessions.get(id) {
            session.mailbox.want_room();
        }
        wants
    }

    fn below(&self, id: SessionId, numerator: usize, denominator: usize) -> bool {
        self.sessions.get(id).is_some_and(|session| {
            let level = session.mailbox.level();
            level.frames < self.limit.frames * numerator / denominator
                && level.bytes < self.limit.bytes * numerator / denominator
        })
    }
}
