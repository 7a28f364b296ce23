//! What is known of each device: its session, its progress, its unanswered sends.

/// A send that has no answer yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct OpenSend {
    /// The message id.
    pub id: u64,
    /// When it was invoked.
    pub since: u64,
    /// When the schedule wanted it.
    pub intended: u64,
}

/// One device.
#[derive(Clone, Debug, Default)]
pub(crate) struct DeviceState {
    /// Whether it has a session. Sessions that end after the judging began still count as open.
    pub open: bool,
    /// The number of its session, from 1.
    pub session: u32,
    /// When that session began.
    pub opened_at: u64,
    /// When the device last got on: a welcome, a stream, an entry, an answer, an error, a close.
    pub progress_at: u64,
    /// Since when it should have a session and has none.
    pub down_since: Option<u64>,
    /// Sends without an answer, oldest first.
    pub open_sends: Vec<OpenSend>,
    /// The newest event of this device (see `recent`).
    pub recent: u64,
}

impl DeviceState {
    /// Takes the open send of an id out.
    pub fn answer(&mut self, id: u64) -> Option<OpenSend> {
        let at = self.open_sends.iter().position(|open| open.id == id)?;
        Some(self.open_sends.remove(at))
    }
}
