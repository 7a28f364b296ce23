//! Which cursors a device reports, and when: at its own beat, if there is anything new.

use protocol::frames::client::Receipt;
use protocol::{ConversationId, Sequence, tight};
use std::time::Duration;
use tokio::time::Instant;

/// What was reported last, and when to report again.
#[derive(Debug)]
pub struct Receipts {
    /// By conversation, sorted: what was delivered, and what was read.
    reported: Vec<(ConversationId, Sequence, Sequence)>,
    period: Duration,
    /// The next beat, or one that was passed without anything new.
    beat: Instant,
    is_due: bool,
}

impl Receipts {
    /// Reports come at `first` and every `period` after it; a period of zero: never.
    pub const fn new(first: Instant, period: Duration) -> Self {
        Self { reported: Vec::new(), period, beat: first, is_due: false }
    }

    /// When to report, if there may be anything new.
    pub fn due_at(&self) -> Option<Instant> {
        (self.is_due && !self.period.is_zero()).then_some(self.beat)
    }

    /// The beat at `due_at` has come: unless something is new after it there is no other.
    pub fn beat(&mut self, now: Instant) {
        self.is_due = false;
        self.pass(now);
    }

    /// There may be something new.
    pub fn moved(&mut self) {
        if !self.is_due {
            self.is_due = true;
            self.pass(Instant::now());
        }
    }

    /// Leaves the beats behind that are over.
    fn pass(&mut self, now: Instant) {
        if !self.period.is_zero() && self.beat <= now {
            let beats = (now - self.beat).as_nanos() / self.period.as_nanos() + 1;
            self.beat += self.period * u32::try_from(beats).unwrap_or(u32::MAX);
        }
    }

    /// A report, if there is something new. What was delivered at the last report counts as read:
    /// people read a moment after a message is shown.
    pub fn due(&self, conversation: ConversationId, cursor: Sequence) -> Option<Receipt> {
        let (delivered, read) = match self.find(conversation) {
            Ok(at) => (self.reported[at].1, self.reported[at].2),
            Err(_) => (Sequence::START, Sequence::START),
        };
        let receipt =
            Receipt { conversation, delivered: cursor.max(delivered), read: delivered.max(read) };
        (receipt.delivered > delivered || receipt.read > read).then_some(receipt)
    }

    /// A report was sent.
    pub fn sent(&mut self, receipt: Receipt) {
        let reported = (receipt.conversation, receipt.delivered, receipt.read);
        match self.find(receipt.conversation) {
            Ok(at) => self.reported[at] = reported,
            Err(at) => tight::insert(&mut self.reported, at, reported),
        }
        if receipt.read < receipt.delivered {
            self.moved();
        }
    }

    /// The connection is gone, maybe with the last reports: all are sent once more.
    pub fn lost(&mut self) {
        self.reported.clear();
        self.moved();
    }

    /// The user left.
    pub fn forget(&mut self, conversation: ConversationId) {
        if let Ok(at) = self.find(conversation) {
            self.reported.remove(at);
        }
    }

    fn find(&self, conversation: ConversationId) -> Result<usize, usize> {
        self.reported.binary_search_by_key(&conversation, |&(id, ..)| id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CONVERSATION: ConversationId = ConversationId(3);
    const PERIOD: Duration = Duration::from_secs(5);

    #[test]
    fn reading_follows_showing_and_then_there_is_silence() {
        let mut receipts = Receipts::new(Instant::now(), PERIOD);
        let mut reports = Vec::new();
        for cursor in [4, 4, 4, 6, 6, 6] {
            if let Some(receipt) = receipts.due(CONVERSATION, Sequence(cursor)) {
                reports.push((receipt.delivered.0, receipt.read.0));
                receipts.sent(receipt);
            }
        }
        assert_eq!(reports, [(4, 0), (4, 4), (6, 4), (6, 6)]);
        receipts.lost();
        assert!(receipts.due(CONVERSATION, Sequence(6)).is_some());
    }

    #[tokio::test(start_paused = true)]
    async fn a_device_reports_at_its_beat_and_only_what_is_new() {
        let first = Instant::now() + Duration::from_secs(1);
        let mut receipts = Receipts::new(first, PERIOD);
        assert_eq!(receipts.due_at(), None);
        receipts.moved();
        assert_eq!(receipts.due_at(), Some(first));
        receipts.beat(first);
        receipts.sent(receipts.due(CONVERSATION, Sequence(2)).expect("it is new"));
        assert_eq!(receipts.due_at(), Some(first + PERIOD), "what was delivered will be read");
        receipts.beat(first + PERIOD);
        receipts.sent(receipts.due(CONVERSATION, Sequence(2)).expect("it is read"));
        assert_eq!(receipts.due_at(), None);
        tokio::time::advance(Duration::from_secs(18)).await;
        receipts.moved();
        assert_eq!(receipts.due_at(), Some(first + 4 * PERIOD));
        assert_eq!(Receipts::new(first, Duration::ZERO).due_at(), None);
    }
}
