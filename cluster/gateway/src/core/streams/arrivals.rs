//! What has certainly arrived at the devices, and who hears of it when they go.

use super::Streams;
use super::stream::Stream;
use super::subscriber::{Phase, Subscriber};
use crate::core::calls::Call;
use crate::core::effects::Effects;
use crate::core::outbound::Outlet;
use crate::core::sessions::Lingering;
use protocol::frames::client::Receipt;
use protocol::frames::server::{ErrorCode, ErrorNotice};
use protocol::store_calls::DetachItem;
use protocol::{ConversationId, Sequence, SessionId, UserId};
use std::collections::BTreeMap;

impl Streams {
    /// A device reports how far it has got; whose it is, or why the report cannot be true.
    pub fn reported(&mut self, id: SessionId, receipt: Receipt) -> Result<UserId, ErrorNotice> {
        let Receipt { conversation, delivered, read } = receipt;
        let subscriber = self
            .by_conversation
            .get_mut(&conversation)
            .and_then(|stream| stream.subscriber_mut(id));
        let Some(subscriber) =
            subscriber.filter(|subscriber| !matches!(subscriber.phase, Phase::Attaching { .. }))
        else {
            let detail = format!("receipt: conversation {conversation} is not attached");
            return Err(ErrorNotice { code: ErrorCode::NotAttached, detail });
        };
        if read > delivered || delivered > subscriber.at {
            let detail = format!(
                "receipt: read {read} <= delivered {delivered} <= {}, the last one sent, does not hold",
                subscriber.at
            );
            return Err(ErrorNotice { code: ErrorCode::BadValue, detail });
        }
        subscriber.arrived = subscriber.arrived.max(Some(delivered));
        Ok(subscriber.user)
    }

    /// Detaches those of a user's conversations to which none of the user's sessions subscribes. What arrived
    /// at one of the devices has arrived.
    pub fn detach_unused<O: Outlet>(
        &mut self,
        out: &mut Effects<O>,
        user: UserId,
        lingering: Vec<Lingering>,
    ) {
        let mut arrived: BTreeMap<ConversationId, Option<Sequence>> = BTreeMap::new();
        for (conversation, at) in lingering {
            let most = arrived.entry(conversation).or_default();
            *most = (*most).max(at);
        }
        let is_read =
            |stream: &Stream| stream.subscribers.iter().any(|subscriber| subscriber.user == user);
        arrived
            .retain(|conversation, _| !self.by_conversation.get(conversation).is_some_and(is_read));
        let mut items = Vec::with_capacity(arrived.len());
        for (conversation, arrived) in arrived {
            self.attachments.forget(conversation, user);
            let item = DetachItem { conversation, user, arrived };
            self.departed.keep(out.now_ms, &item);
            items.push(item);
        }
        if !items.is_empty() {
            out.calls.push_back(Call::Detach(items));
        }
    }

    /// A conversation that no session of a user reads, with what is known to have arrived.
    pub fn lingering(&self, conversation: ConversationId, user: UserId) -> Lingering {
        (conversation, self.departed.arrived(user, conversation))
    }

    /// An owner is back, and may not have heard who went. Which conversations are its own is not known
    /// here: all of them.
    pub fn detach_again<O: Outlet>(&self, out: &mut Effects<O>) {
        let items = self.departed.all();
        if !items.is_empty() {
            out.calls.push_back(Call::Detach(items));
        }
    }

    /// Forgets departures that are old.
    pub fn sweep<O: Outlet>(&mut self, out: &Effects<O>) {
        self.departed.sweep(out.now_ms);
    }

    /// A session was pinged: its answer will say that everything up to here has arrived.
    pub fn pinged(&mut self, id: SessionId) {
        self.each_subscription(id, |subscriber| {
            subscriber.pinged =
                (subscriber.told && subscriber.phase == Phase::Streaming).then_some(subscriber.at);
        });
    }

    /// A session answers the latest ping.
    pub fn ponged(&mut self, id: SessionId) {
        self.each_subscription(id, |subscriber| {
            subscriber.arrived = subscriber.arrived.max(subscriber.pinged);
        });
    }

    fn each_subscription(&mut self, id: SessionId, change: impl Fn(&mut Subscriber)) {
        let Some(reader) = self.readers.get(id) else { return };
        for conversation in &reader.conversations {
            let stream = self.by_conversation.get_mut(conversation);
            if let Some(subscriber) = stream.and_then(|stream| stream.subscriber_mut(id)) {
                change(subscriber);
            }
        }
    }
}
