//! Ephemeral events, which are not sequenced: receipts on their way to the owners (coalesced), and
//! typing (throttled).
//!
//! Both are best effort. A receipt that is lost is covered by the next one, since cursors only rise.

use super::calls::Call;
use super::config::HubConfig;
use super::effects::Effects;
use super::outbound::Outlet;
use protocol::design::Receipts;
use protocol::store_calls::ReceiptItem;
use protocol::{ConversationId, UserId};
use std::collections::BTreeMap;

/// How often receipts go to the owners, milliseconds.
const RECEIPTS_EVERY_MS: u64 = 250;
/// How often one user's typing is passed on in one conversation, milliseconds.
const TYPING_EVERY_MS: u64 = 2_000;

/// What waits to be passed on, and what was a moment ago.
#[derive(Debug)]
pub struct Ephemeral {
    receipts: BTreeMap<(ConversationId, UserId), ReceiptItem>,
    flushed_ms: u64,
    /// When each user's typing was passed on last.
    typing: BTreeMap<(ConversationId, UserId), u64>,
    policy: Receipts,
    /// As many receipts go before their time.
    receipts_max: usize,
}

impl Ephemeral {
    /// Nothing waits.
    pub const fn new(config: &HubConfig) -> Self {
        Self {
            receipts: BTreeMap::new(),
            flushed_ms: 0,
            typing: BTreeMap::new(),
            policy: config.design.receipts,
            receipts_max: config.limits.receipts,
        }
    }

    /// A device's cursors.
    pub fn receipt<O: Outlet>(&mut self, out: &mut Effects<O>, item: ReceiptItem) {
        let waiting = self.receipts.entry((item.conversation, item.user)).or_insert(item);
        *waiting = match self.policy {
            Receipts::Maximum => ReceiptItem {
                delivered: waiting.delivered.max(item.delivered),
                read: waiting.read.max(item.read),
                ..item
            },
            Receipts::Overwrite => item,
        };
        if self.receipts.len() >= self.receipts_max {
            self.flush(out);
        }
    }

    /// A user is typing.
    pub fn typing<O: Outlet>(
        &mut self,
        out: &mut Effects<O>,
        conversation: ConversationId,
        user: UserId,
    ) {
        let since = self.typing.get(&(conversation, user));
        if since.is_none_or(|since| out.now_ms >= *since + TYPING_EVERY_MS) {
            self.typing.insert((conversation, user), out.now_ms);
            out.calls.push_back(Call::Typing(conversation, user));
        }
    }

    /// Passes on what is due.
    pub fn tick<O: Outlet>(&mut self, out: &mut Effects<O>) {
        if out.now_ms >= self.flushed_ms + RECEIPTS_EVERY_MS {
            self.flushed_ms = out.now_ms;
            self.flush(out);
            self.typing.retain(|_, since| out.now_ms < *since + TYPING_EVERY_MS);
        }
    }

    fn flush<O: Outlet>(&mut self, out: &mut Effects<O>) {
        let waiting = std::mem::take(&mut self.receipts);
        if !waiting.is_empty() {
            out.calls.push_back(Call::Receipts(waiting.into_values().collect()));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::hub_model::{Shared, config};
    use super::*;
    use protocol::Sequence;

    fn item(user: u64, delivered: u64, read: u64) -> ReceiptItem {
        let (delivered, read) = (Sequence(delivered), Sequence(read));
        ReceiptItem { conversation: ConversationId(1), user: UserId(user), delivered, read }
    }

    #[test]
    fn receipts_are_coalesced_and_go_at_their_time_or_when_there_are_many() {
        let mut config = config(10);
        config.limits.receipts = 2;
        let (mut out, mut ephemeral) = (Effects::<Shared>::new(&config), Ephemeral::new(&config));
        for (delivered, read) in [(1, 1), (2, 1), (1, 0)] {
            ephemeral.receipt(&mut out, item(7, delivered, read));
        }
        out.now_ms = RECEIPTS_EVERY_MS - 1;
        ephemeral.tick(&mut out);
        assert!(out.calls.is_empty());
        out.now_ms = RECEIPTS_EVERY_MS;
        ephemeral.tick(&mut out);
        assert_eq!(out.calls.pop_front(), Some(Call::Receipts(vec![item(7, 2, 1)])));
        ephemeral.receipt(&mut out, item(7, 3, 3));
        ephemeral.receipt(&mut out, item(8, 1, 1));
        assert_eq!(out.calls.pop_front(), Some(Call::Receipts(vec![item(7, 3, 3), item(8, 1, 1)])));
    }

    #[test]
    fn typing_is_passed_on_once_in_a_while() {
        let config = config(10);
        let (mut out, mut ephemeral) = (Effects::<Shared>::new(&config), Ephemeral::new(&config));
        for ms in [0, TYPING_EVERY_MS - 1, TYPING_EVERY_MS] {
            out.now_ms = ms;
            ephemeral.typing(&mut out, ConversationId(1), UserId(7));
        }
        assert_eq!(out.calls.len(), 2);
    }
}
