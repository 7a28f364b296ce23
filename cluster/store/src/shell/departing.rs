//! What follows when users go, or seem to.

use super::attaching;
use super::owner::Owner;
use crate::core::absences::{self, Departure};
use crate::core::attachments::{GatewayLife, LinkId, Loss, Turn};
use protocol::design::DeadSession;
use protocol::store_calls::{DetachItem, PushAdvice, PushRef};
use protocol::{ConversationId, UserId};

impl Owner {
    /// Users of a link that is lost: their gateway attaches them again, or they go to another one. What
    /// arrived there, nobody says any more: since the streams began, only their cursors.
    pub(super) fn lost(&mut self, losses: &[Loss]) {
        let until_ms = self.now_ms() + absences::LINK_MS;
        for Loss { life, conversation, user, turn } in losses {
            let departure = turn.map(|turn| Departure::of(turn, turn.since));
            self.went((*life, until_ms), *conversation, *user, departure);
        }
        let turns = losses.iter().filter_map(|loss| loss.turn);
        attaching::tell(turns, &self.attachments, &mut self.whispers);
    }

    /// Users who were removed. Should they be members again at once, their gateways may hear of both late.
    pub(super) fn expelled(&mut self, expelled: Vec<(GatewayLife, ConversationId, UserId)>) {
        let until_ms = self.now_ms() + absences::LINK_MS;
        for (life, conversation, user) in expelled {
            self.went((life, until_ms), conversation, user, None);
        }
    }

    /// A gateway has no session of a user any more. It says so again when it comes back to an owner
    /// that may not have heard of it.
    pub(super) fn detach(&mut self, link: LinkId, item: DetachItem) -> Option<Turn> {
        let DetachItem { conversation, user, arrived } = item;
        let life = self.attachments.life(link)?;
        let turn = self.attachments.detach(link, conversation, user);
        if !self.attachments.is_online(conversation, user) {
            let departure = arrived.map(|after| match turn {
                Some(turn) => Departure::of(turn, after),
                None => Departure { conversation, user, after, upto: None },
            });
            let until_ms = self.now_ms() + absences::SESSION_MS;
            if turn.is_some() || departure.is_some() {
                self.went((life, until_ms), conversation, user, departure);
            }
        }
        turn
    }

    fn went(
        &mut self,
        until: (GatewayLife, u64),
        conversation: ConversationId,
        user: UserId,
        departure: Option<Departure>,
    ) {
        let pushed = self.config.design.dead_session == DeadSession::Pushed;
        self.absences.went(until, conversation, user, departure.filter(|_| pushed));
    }

    /// Who has the conversation attached is shown the message; if the connection turns out to be dead,
    /// that is a departure.
    pub(super) fn advice(&self, push: PushRef, is_open: bool) -> PushAdvice {
        let PushRef { user, conversation, .. } = push;
        if !is_open || self.attachments.is_online(conversation, user) {
            return PushAdvice::Never;
        }
        self.absences.advice(self.now_ms(), conversation, user)
    }
}
