//! Detaching: the owners hear what has certainly arrived, so that the rest can be pushed.
//!
//! Nobody answers that they have heard it. An owner that was away may not have: what was said a short
//! while ago is said again when it is back.

use super::calls::Call;
use super::hub::{Hub, Now};
use super::session::Lingering;
use super::stream::Phase;
use protocol::frames::client::Nonce;
use protocol::store_calls::DetachItem;
use protocol::{ConversationId, Sequence, SessionId, UserId};
use std::collections::BTreeMap;

/// How long a departure may have to be said again, milliseconds: longer than an owner that crashed or
/// was cut off takes to be noticed and to come back.
const KEPT_MS: u64 = 60_000;

/// Who went a short while ago: when, and what had arrived.
#[derive(Debug, Default)]
pub struct Departed {
    kept: BTreeMap<(UserId, ConversationId), (u64, Sequence)>,
}

impl Departed {
    fn keep(&mut self, now_ms: u64, item: &DetachItem, most: usize) {
        let key = (item.user, item.conversation);
        match item.arrived {
            Some(arrived) if self.kept.len() < most || self.kept.contains_key(&key) => {
                self.kept.insert(key, (now_ms, arrived));
            }
            Some(_) | None => {}
        }
    }

    /// A user has a session in a conversation again.
    pub fn back(&mut self, user: UserId, conversation: ConversationId) {
        self.kept.remove(&(user, conversation));
    }

    /// Forgets what is old.
    pub fn sweep(&mut self, now_ms: u64) {
        self.kept.retain(|_, (since, _)| now_ms < *since + KEPT_MS);
    }

    fn all(&self) -> Vec<DetachItem> {
        let item = |(key, kept): (&(UserId, ConversationId), &(u64, Sequence))| DetachItem {
            user: key.0,
            conversation: key.1,
            arrived: Some(kept.1),
        };
        self.kept.iter().map(item).collect()
    }
}

impl Hub {
    /// Detaches those of a user's conversations in which none of the user's sessions has a place. What
    /// arrived at one of the devices has arrived.
    pub(super) fn detach_unused(&mut self, now: Now, user: UserId, lingering: Vec<Lingering>) {
        let mut arrived: BTreeMap<ConversationId, Option<Sequence>> = BTreeMap::new();
        for (conversation, at) in lingering {
            let most = arrived.entry(conversation).or_default();
            *most = (*most).max(at);
        }
        arrived.retain(|conversation, _| {
            self.streams
                .get(conversation)
                .is_none_or(|stream| stream.places.iter().all(|place| place.user != user))
        });
        let mut items = Vec::with_capacity(arrived.len());
        for (conversation, arrived) in arrived {
            self.refreshes.remove(&(conversation, user));
            let item = DetachItem { conversation, user, arrived };
            self.departed.keep(now.ms, &item, self.config.limits.departures);
            items.push(item);
        }
        if !items.is_empty() {
            self.calls.push_back(Call::Detach(items));
        }
    }

    /// An owner is back. Which conversations are its own is not known here.
    pub(super) fn detach_again(&mut self) {
        let items = self.departed.all();
        if !items.is_empty() {
            self.calls.push_back(Call::Detach(items));
        }
    }

    /// A session was pinged: its answer will say that everything up to here has arrived.
    pub(super) fn pinged(&mut self, id: SessionId) {
        self.each_place(id, |place| {
            place.pinged = (place.told && place.phase == Phase::Streaming).then_some(place.at);
        });
    }

    /// A session answers a ping.
    pub(super) fn ponged(&mut self, id: SessionId, nonce: Nonce) {
        let pinged = self.outlets.sessions.get(id).map(|session| session.pinged_ms);
        // The answer to an earlier ping says nothing about what came before the latest one.
        if pinged == Some(nonce.nonce) {
            self.each_place(id, |place| place.arrived = place.arrived.max(place.pinged));
        }
    }

    fn each_place(&mut self, id: SessionId, change: impl Fn(&mut super::stream::Place)) {
        let Some(session) = self.outlets.sessions.get(id) else { return };
        for conversation in &session.conversations {
            let stream = self.streams.get_mut(conversation);
            if let Some(place) = stream.and_then(|stream| stream.place_mut(id)) {
                change(place);
            }
        }
    }
}
