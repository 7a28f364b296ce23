//! What devices confirm, and what the owners are told of it.

use super::Model;
use protocol::frames::client::Receipt;
use protocol::store_calls::DetachItem;
use protocol::{ClientFrame, Sequence};

impl Model {
    /// What is said to have arrived was shown on one of the user's devices, was there when one of them
    /// began, or is not for the user.
    pub(super) fn check_detached(&self, item: &DetachItem) {
        let DetachItem { conversation, user, arrived } = *item;
        let Some(arrived) = arrived else { return };
        let devices = self.readers.iter().filter(|reader| reader.user == user);
        let shown = devices.filter_map(|reader| reader.cursors.get(&conversation).copied());
        let begun = self.world.begun.get(&(conversation, user)).copied();
        let log = &self.world.logs[&conversation];
        // Only the membership of now counts: an earlier one is over.
        let Some(joined) = log.joined(user) else { return };
        let before = Sequence(joined.0 - 1);
        let shown = shown.chain(begun).max().unwrap_or_default().max(before);
        for sequence in shown.0 + 1..=arrived.0 {
            assert!(
                sequence <= log.removed || !log.is_member(user, Sequence(sequence)),
                "{user:?} was shown {shown:?} of {conversation:?}, said to have got {arrived:?}"
            );
        }
    }

    pub(super) fn pong(&mut self, index: usize) {
        let reader = &mut self.readers[index];
        let Some((id, _)) = reader.session else { return };
        for nonce in std::mem::take(&mut reader.pings) {
            self.hub.frame(id, ClientFrame::Pong(nonce), Ok(()));
        }
    }

    pub(super) fn report(&mut self, index: usize) {
        let reader = &self.readers[index];
        let Some((id, _)) = reader.session else { return };
        for (conversation, at) in reader.streams.clone() {
            let receipt = Receipt { conversation, delivered: at, read: at };
            self.hub.frame(id, ClientFrame::Receipt(receipt), Ok(()));
        }
    }
}
