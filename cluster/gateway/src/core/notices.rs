//! What is not sequenced: receipts (coalesced), typing (throttled).
//!
//! Both are best effort. A receipt that is lost is covered by the next one, since cursors only rise.

use super::calls::Call;
use super::hub::{Hub, Now};
use super::stream::Phase;
use protocol::design::Receipts;
use protocol::frames::client::{Receipt, Typing};
use protocol::frames::server::ErrorCode;
use protocol::store_calls::ReceiptItem;
use protocol::{ConversationId, SessionId, UserId};
use std::collections::BTreeMap;

/// How often receipts go to the owners, milliseconds.
const RECEIPTS_EVERY_MS: u64 = 250;
/// Receipts that go to the owners before their time, because there are so many.
const RECEIPTS: usize = 10_000;
/// How often one user's typing is passed on in one conversation, milliseconds.
const TYPING_EVERY_MS: u64 = 2_000;

/// What waits to be passed on.
#[derive(Debug, Default)]
pub struct Notices {
    receipts: BTreeMap<(ConversationId, UserId), ReceiptItem>,
    flushed_ms: u64,
    typing: BTreeMap<(ConversationId, UserId), u64>,
}

impl Hub {
    /// A device's cursors.
    pub(super) fn receipt(&mut self, id: SessionId, receipt: Receipt) {
        let Receipt { conversation, delivered, read } = receipt;
        let place = self.streams.get(&conversation).and_then(|stream| stream.place(id)).copied();
        let Some(place) = place.filter(|place| !matches!(place.phase, Phase::Attaching { .. }))
        else {
            let detail = format!("receipt: conversation {conversation} is not attached");
            return self.complain(id, ErrorCode::NotAttached, detail);
        };
        if read > delivered || delivered > place.at {
            let detail = format!(
                "receipt: read {read} <= delivered {delivered} <= {}, the last one sent, does not hold",
                place.at
            );
            return self.complain(id, ErrorCode::BadValue, detail);
        }
        let item = ReceiptItem { conversation, user: place.user, delivered, read };
        let waiting = self.notices.receipts.entry((conversation, place.user)).or_insert(item);
        *waiting = match self.config.design.receipts {
            Receipts::Maximum => ReceiptItem {
                delivered: waiting.delivered.max(delivered),
                read: waiting.read.max(read),
                ..item
            },
            Receipts::Overwrite => item,
        };
        if self.notices.receipts.len() >= RECEIPTS {
            self.flush_receipts();
        }
    }

    /// The user of a session is typing.
    pub(super) fn typing(&mut self, now: Now, id: SessionId, typing: Typing) {
        let conversation = typing.conversation;
        let place = self.streams.get(&conversation).and_then(|stream| stream.place(id)).copied();
        let Some(place) = place else {
            let detail = format!("typing: conversation {conversation} is not attached");
            return self.complain(id, ErrorCode::NotAttached, detail);
        };
        let since = self.notices.typing.entry((conversation, place.user)).or_insert(u64::MAX);
        if *since != u64::MAX && now.ms < *since + TYPING_EVERY_MS {
            return;
        }
        *since = now.ms;
        self.calls.push_back(Call::Typing(conversation, place.user));
    }

    pub(super) fn pass_on_notices(&mut self, now: Now) {
        if now.ms >= self.notices.flushed_ms + RECEIPTS_EVERY_MS {
            self.notices.flushed_ms = now.ms;
            self.flush_receipts();
            self.notices.typing.retain(|_, since| now.ms < *since + TYPING_EVERY_MS);
        }
    }

    fn flush_receipts(&mut self) {
        let waiting = std::mem::take(&mut self.notices.receipts);
        if !waiting.is_empty() {
            self.calls.push_back(Call::Receipts(waiting.into_values().collect()));
        }
    }
}
