//! What a node sees of the database: each question is a call.

use super::Connection;
use ports::message_store::{
    ConversationRow, Cursors, DecisionRow, Ownership, Span, Standing, StoreError, StoreView,
};
use protocol::store_calls::{Membership, ReceiptItem, UserConversation};
use protocol::{ClientMessageId, ConversationId, Entry, Partition, Sequence, UserId};
use std::collections::BTreeSet;

/// A view over a connection. Who owns what came with its beginning.
pub struct RemoteView<'a> {
    pub connection: &'a Connection,
    pub view: Box<dyn StoreView + 'a>,
}

type Read<T> = Result<T, StoreError>;

impl RemoteView<'_> {
    fn ask<T>(&self, question: impl FnOnce(&dyn StoreView) -> Read<T>) -> Read<T> {
        self.connection.question()?;
        question(&*self.view)
    }
}

impl StoreView for RemoteView<'_> {
    fn ownership(&self, partition: Partition) -> Read<Ownership> {
        self.view.ownership(partition)
    }

    fn conversation(&self, at: Partition, id: ConversationId) -> Read<Option<ConversationRow>> {
        self.ask(|view| view.conversation(at, id))
    }

    fn conversations(
        &self,
        partition: Partition,
        from: ConversationId,
        limit: usize,
    ) -> Read<Vec<(ConversationId, ConversationRow)>> {
        self.ask(|view| view.conversations(partition, from, limit))
    }

    fn members(&self, partition: Partition, id: ConversationId) -> Read<Vec<Membership>> {
        self.ask(|view| view.members(partition, id))
    }

    fn memberships(
        &self,
        partition: Partition,
        id: ConversationId,
        user: UserId,
    ) -> Read<Vec<Membership>> {
        self.ask(|view| view.memberships(partition, id, user))
    }

    fn decision(
        &self,
        partition: Partition,
        author: UserId,
        message: ClientMessageId,
    ) -> Read<Option<DecisionRow>> {
        self.ask(|view| view.decision(partition, author, message))
    }

    fn entry(
        &self,
        partition: Partition,
        id: ConversationId,
        sequence: Sequence,
    ) -> Read<Option<Entry>> {
        self.ask(|view| view.entry(partition, id, sequence))
    }

    fn is_deleted(
        &self,
        partition: Partition,
        id: ConversationId,
        sequence: Sequence,
    ) -> Read<bool> {
        self.ask(|view| view.is_deleted(partition, id, sequence))
    }

    fn entries(
        &self,
        partition: Partition,
        id: ConversationId,
        after: Sequence,
        before: Sequence,
        limit: usize,
    ) -> Read<Vec<Entry>> {
        self.ask(|view| view.entries(partition, id, after, before, limit))
    }

    fn entries_of(&self, spans: &[Span]) -> Read<Vec<Vec<Entry>>> {
        self.ask(|view| view.entries_of(spans))
    }

    fn conversations_of(
        &self,
        users: &[UserId],
        partitions: &BTreeSet<Partition>,
    ) -> Read<Vec<UserConversation>> {
        self.ask(|view| view.conversations_of(users, partitions))
    }

    fn standings(&self, of: &[(Partition, ConversationId, UserId)]) -> Read<Vec<Standing>> {
        self.ask(|view| view.standings(of))
    }

    fn cursor(
        &self,
        partition: Partition,
        id: ConversationId,
        user: UserId,
    ) -> Read<Option<Cursors>> {
        self.ask(|view| view.cursor(partition, id, user))
    }

    fn cursors(&self, partition: Partition, id: ConversationId) -> Read<Vec<ReceiptItem>> {
        self.ask(|view| view.cursors(partition, id))
    }

    fn count(&self, partition: Partition) -> Read<u64> {
        self.ask(|view| view.count(partition))
    }
}
