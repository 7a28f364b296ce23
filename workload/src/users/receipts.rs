//! Which cursors a device reports.

use protocol::frames::client::Receipt;
use protocol::{ConversationId, Sequence};
use std::collections::BTreeMap;

/// What was reported last.
#[derive(Debug, Default)]
pub struct Receipts(BTreeMap<ConversationId, (Sequence, Sequence)>);

impl Receipts {
    /// A report, if there is something new. What was delivered at the last report counts as read:
    /// people read a moment after a message is shown.
    pub fn due(&self, conversation: ConversationId, cursor: Sequence) -> Option<Receipt> {
        let (delivered, read) = self.0.get(&conversation).copied().unwrap_or_default();
        let receipt =
            Receipt { conversation, delivered: cursor.max(delivered), read: delivered.max(read) };
        (receipt.delivered > delivered || receipt.read > read).then_some(receipt)
    }

    /// A report was sent.
    pub fn sent(&mut self, receipt: Receipt) {
        self.0.insert(receipt.conversation, (receipt.delivered, receipt.read));
    }

    /// The connection is gone, maybe with the last reports: all are sent once more.
    pub fn lost(&mut self) {
        self.0.clear();
    }

    /// The user left.
    pub fn forget(&mut self, conversation: ConversationId) {
        self.0.remove(&conversation);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reading_follows_showing_and_then_there_is_silence() {
        let mut receipts = Receipts::default();
        let conversation = ConversationId(1);
        let mut reports = Vec::new();
        for cursor in [4, 4, 4, 6, 6, 6] {
            if let Some(receipt) = receipts.due(conversation, Sequence(cursor)) {
                reports.push((receipt.delivered.0, receipt.read.0));
                receipts.sent(receipt);
            }
        }
        assert_eq!(reports, [(4, 0), (4, 4), (6, 4), (6, 6)]);
        receipts.lost();
        assert!(receipts.due(conversation, Sequence(6)).is_some());
    }
}
