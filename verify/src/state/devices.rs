//! What is known of each device: its sessions, its progress, its unanswered sends and reads.

/// A send that has no answer yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct OpenSend {
    /// The message id.
    pub id: u64,
    /// Its conversation: what a device sends there goes out in order.
    pub conversation: u32,
    /// When it was invoked.
    pub since: u64,
    /// When the schedule wanted it.
    pub intended: u64,
    /// When it was refused for now the last time, unless it has come again; 0: it was not.
    pub refused_at: u64,
    /// When anything was heard of it, or of one before it in its conversation, the last time; 0: never.
    pub told_at: u64,
    /// When one before it in its conversation had its end the last time; 0: never.
    pub moved_at: u64,
    /// When it was refused for its token, unless it has come again; and for how long its device had been
    /// connected by then.
    pub unauthorised: Option<(u64, u64)>,
    pub certain: Certain,
}

/// What was certain of a send when it was invoked: its refusal must not contradict that.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Certain {
    /// By what its user was a member (see `Member::certain_member`).
    pub member: Option<(u32, u32)>,
    /// The sequence that it changes or answers.
    pub target: Option<u32>,
    /// Whether that was known as a message.
    pub is_message: bool,
    /// Whether it is an edit or a deletion.
    pub changes: bool,
    /// Whether it is a deletion.
    pub deletes: bool,
}

impl OpenSend {
    /// Since when its device waits to hear of it.
    pub fn waits_since(&self) -> u64 {
        self.since.max(self.told_at)
    }

    /// Since when its end is due.
    pub fn due_since(&self) -> u64 {
        self.since.max(self.moved_at)
    }
}

/// One device.
#[derive(Clone, Debug, Default)]
pub(crate) struct DeviceState {
    /// Whether it has a session.
    pub open: bool,
    /// The number of its session, from 1; 0: it never had one.
    pub session: u32,
    /// When that session began.
    pub opened_at: u64,
    /// When the device last got on: a welcome, a stream, an entry, an answer, an error, a close.
    pub progress_at: u64,
    /// Since when it has had no session, after it had one or failed to get one.
    pub down_since: Option<u64>,
    /// Sends without an answer, oldest first.
    pub open_sends: Vec<OpenSend>,
    /// The newest event of this device (see `recent`).
    pub recent: u64,
    /// For how long it was connected in all sessions that have ended.
    connected_us: u64,
    /// Sessions that ended after the heal: from when to when.
    past: Vec<(u64, u64)>,
}

impl DeviceState {
    /// Takes the open send of an id out.
    pub fn answer(&mut self, id: u64) -> Option<OpenSend> {
        let at = self.open_sends.iter().position(|open| open.id == id)?;
        Some(self.open_sends.remove(at))
    }

    /// The open send of an id.
    pub fn open_send(&mut self, id: u64) -> Option<&mut OpenSend> {
        self.open_sends.iter_mut().find(|open| open.id == id)
    }

    /// What was sent behind a send, to the same conversation, and has no answer yet.
    pub fn sent_behind(&mut self, send: &OpenSend) -> impl Iterator<Item = &mut OpenSend> {
        let (conversation, id) = (send.conversation, send.id);
        let open = self.open_sends.iter_mut();
        open.filter(move |open| open.conversation == conversation && open.id > id)
    }

    /// What another part knows of it: of its sessions the same, or everything.
    pub fn merge(&mut self, other: Self) {
        self.progress_at = self.progress_at.max(other.progress_at);
        self.open_sends.extend(other.open_sends);
        self.open_sends.sort_by_key(|open| open.since);
        self.down_since = self.down_since.or(other.down_since);
        self.connected_us = self.connected_us.max(other.connected_us);
        if other.session > self.session {
            let sends = std::mem::take(&mut self.open_sends);
            *self = Self {
                open_sends: sends,
                progress_at: self.progress_at,
                recent: self.recent,
                ..other
            };
        }
    }

    /// A session begins.
    pub fn begin(&mut self, now: u64, healed_at: Option<u64>) {
        // A session whose end nobody saw ends here.
        self.end(now, healed_at);
        (self.open, self.opened_at, self.down_since) = (true, now, None);
        self.session += 1;
    }

    /// The session ends, if there is one.
    pub fn end(&mut self, now: u64, healed_at: Option<u64>) {
        if std::mem::take(&mut self.open) {
            self.connected_us += now - self.opened_at;
            if let Some(healed) = healed_at {
                self.past.push((self.opened_at.max(healed), now));
            }
        }
    }

    /// For how long it has been connected, all its sessions together.
    pub fn connected_in_all(&self, now: u64) -> u64 {
        self.connected_us + if self.open { now.saturating_sub(self.opened_at) } else { 0 }
    }

    /// For how long it had a session between two times, both of them after the heal.
    pub fn connected(&self, from: u64, to: u64) -> u64 {
        let now = self.open.then_some((self.opened_at, u64::MAX));
        let sessions = self.past.iter().copied().chain(now);
        sessions.map(|(begin, end)| end.min(to).saturating_sub(begin.max(from))).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn connected_time_is_that_of_all_sessions_after_the_heal() {
        let mut device = DeviceState::default();
        device.begin(5, None);
        device.end(8, None);
        device.begin(9, None);
        device.end(14, Some(10));
        device.begin(20, Some(10));
        assert_eq!(device.connected(10, 18), 4);
        assert_eq!(device.connected(10, 25), 4 + 5);
        assert_eq!(device.connected(12, 21), 2 + 1);
        device.begin(30, Some(10));
        assert_eq!((device.session, device.connected(10, 31)), (4, 4 + 10 + 1));
    }
}
