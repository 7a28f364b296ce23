//! What is not sequenced: receipts (coalesced), typing (throttled).
//!
//! Both are best effort. A receipt that is lost is covered by the next one, since cursors only rise.
//! Records of an owner may come twice: it publishes again what was not confirmed. So what is told of a
//! member is kept, and nobody is told less than that.

use super::calls::Call;
use super::encoded::Encoded;
use super::hub::{Hub, Now};
use super::stream::Phase;
use protocol::design::Receipts;
use protocol::frames::client::{Receipt, Typing};
use protocol::frames::server::{ErrorCode, Receipts as Told};
use protocol::store_calls::ReceiptItem;
use protocol::{ConversationId, Sequence, ServerFrame, SessionId, UserId};
use std::collections::BTreeMap;

/// How often receipts go to the owners, milliseconds.
const RECEIPTS_EVERY_MS: u64 = 250;
/// How often one user's typing is passed on in one conversation, milliseconds.
const TYPING_EVERY_MS: u64 = 2_000;

/// What waits to be passed on.
#[derive(Debug, Default)]
pub struct Notices {
    receipts: BTreeMap<(ConversationId, UserId), ReceiptItem>,
    flushed_ms: u64,
    typing: BTreeMap<(ConversationId, UserId), u64>,
}

/// The members of a conversation whose cursors were told here, sorted: 24 bytes each.
#[derive(Debug, Default)]
pub struct MemberCursors(Vec<(UserId, Sequence, Sequence)>);

impl MemberCursors {
    /// Whether a member has got further than was told; what is to be told then.
    fn raise(&mut self, told: Told) -> Option<Told> {
        let index = match self.0.binary_search_by_key(&told.user, |(user, ..)| *user) {
            Ok(index) => index,
            Err(index) => {
                self.0.insert(index, (told.user, Sequence::START, Sequence::START));
                index
            }
        };
        let (_, delivered, read) = &mut self.0[index];
        let risen = told.delivered > *delivered || told.read > *read;
        *delivered = told.delivered.max(*delivered);
        *read = told.read.max(*read);
        risen.then_some(Told { delivered: *delivered, read: *read, ..told })
    }
}

impl Hub {
    /// How far a member has got, as the owner says.
    pub(super) fn receipts(&mut self, told: Told) {
        let Some(stream) = self.streams.get_mut(&told.conversation) else { return };
        let told = match self.config.design.receipts {
            Receipts::Maximum => stream.cursors.raise(told),
            Receipts::Overwrite => Some(told),
        };
        let Some(told) = told else { return };
        let mut frame = Encoded::from(ServerFrame::Receipts(told));
        self.tell_others(told.conversation, told.user, false, &mut frame);
    }

    /// A device's cursors.
    pub(super) fn receipt(&mut self, id: SessionId, receipt: Receipt) {
        let Receipt { conversation, delivered, read } = receipt;
        let place = self.streams.get_mut(&conversation).and_then(|stream| stream.place_mut(id));
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
        place.arrived = place.arrived.max(Some(delivered));
        let user = place.user;
        let item = ReceiptItem { conversation, user, delivered, read };
        let waiting = self.notices.receipts.entry((conversation, user)).or_insert(item);
        *waiting = match self.config.design.receipts {
            Receipts::Maximum => ReceiptItem {
                delivered: waiting.delivered.max(delivered),
                read: waiting.read.max(read),
                ..item
            },
            Receipts::Overwrite => item,
        };
        if self.notices.receipts.len() >= self.config.limits.receipts {
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
