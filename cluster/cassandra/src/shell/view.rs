//! What was stored at one instant: each partition at the slot that was its newest when the view began.

use super::apply;
use super::link::Link;
use super::reads::{self, At, Read};
use super::states;
use super::store::CassandraStore;
use crate::core::outcome::State;
use futures_util::future::try_join;
use futures_util::stream::{self, StreamExt, TryStreamExt};
use ports::message_store::{
    ConversationRow, Cursors, DecisionRow, Ownership, Span, Standing, StoreView,
};
use protocol::store_calls::{Membership, ReceiptItem, UserConversation};
use protocol::{ClientMessageId, ConversationId, Entry, Partition, Sequence, UserId};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use tokio::time::Instant;

/// Questions that are under way at a time, of those that are asked together.
const AT_ONCE: usize = 32;

/// Versions that it sees stay for longer than it may be used.
pub struct CassandraView<'a> {
    store: &'a CassandraStore,
    link: Arc<Link>,
    began: Instant,
    states: BTreeMap<Partition, State>,
}

impl<'a> CassandraView<'a> {
    /// Begins.
    pub fn begin(store: &'a CassandraStore) -> Read<Self> {
        let shared = store.shared();
        store.wait(async {
            let link = shared.link().await?;
            let began = Instant::now();
            let states = states::current(&link, (0..shared.partitions).map(Partition)).await?;
            Ok(Self { store, link, began, states })
        })
    }

    fn state(&self, partition: Partition) -> State {
        self.states.get(&partition).copied().unwrap_or_default()
    }

    /// The rows of partitions that this view sees are in place.
    async fn before_reading(&self, partitions: &BTreeSet<Partition>) -> Read<()> {
        let (shared, link) = (self.store.shared(), &*self.link);
        let one = async |partition: &Partition| {
            apply::before_reading(shared, link, *partition, &self.state(*partition)).await
        };
        stream::iter(partitions).map(one).buffered(AT_ONCE).try_collect().await
    }

    /// What a work on a partition brings, unless it took too long.
    fn read<'b, T>(
        &'b self,
        partition: Partition,
        work: impl AsyncFnOnce(At<'b>) -> Read<T>,
    ) -> Read<T> {
        let (state, link) = (self.state(partition), &*self.link);
        let found = self.store.wait(async {
            apply::before_reading(self.store.shared(), link, partition, &state).await?;
            work(At { link, partition, slot: state.head }).await
        })?;
        self.store.shared().in_time(self.began).map(|()| found)
    }
}

impl StoreView for CassandraView<'_> {
    fn ownership(&self, partition: Partition) -> Read<Ownership> {
        Ok(self.state(partition).ownership)
    }

    fn conversation(
        &self,
        partition: Partition,
        conversation: ConversationId,
    ) -> Read<Option<ConversationRow>> {
        self.read(partition, async |at| at.conversation(conversation).await)
    }

    fn conversations(
        &self,
        partition: Partition,
        from: ConversationId,
        limit: usize,
    ) -> Read<Vec<(ConversationId, ConversationRow)>> {
        self.read(partition, async |at| at.conversations(from, limit).await)
    }

    fn members(&self, partition: Partition, conversation: ConversationId) -> Read<Vec<Membership>> {
        self.read(partition, async |at| at.members(conversation).await)
    }

    fn memberships(
        &self,
        partition: Partition,
        conversation: ConversationId,
        user: UserId,
    ) -> Read<Vec<Membership>> {
        self.read(partition, async |at| at.memberships(conversation, user).await)
    }

    fn decision(
        &self,
        partition: Partition,
        author: UserId,
        message: ClientMessageId,
    ) -> Read<Option<DecisionRow>> {
        self.read(partition, async |at| at.decision(author, message).await)
    }

    fn entry(
        &self,
        partition: Partition,
        conversation: ConversationId,
        sequence: Sequence,
    ) -> Read<Option<Entry>> {
        self.read(partition, async |at| at.entry(conversation, sequence).await)
    }

    fn is_deleted(
        &self,
        partition: Partition,
        conversation: ConversationId,
        sequence: Sequence,
    ) -> Read<bool> {
        self.read(partition, async |at| at.is_deleted(conversation, sequence).await)
    }

    fn entries(
        &self,
        partition: Partition,
        conversation: ConversationId,
        after: Sequence,
        before: Sequence,
        limit: usize,
    ) -> Read<Vec<Entry>> {
        self.read(partition, async |at| at.entries(conversation, after, before, limit).await)
    }

    fn entries_of(&self, spans: &[Span]) -> Read<Vec<Vec<Entry>>> {
        let link = &*self.link;
        let partitions: BTreeSet<Partition> = spans.iter().map(|span| span.partition).collect();
        let entries = async |&Span { partition, conversation, after, before, limit }: &Span| {
            let at = At { link, partition, slot: self.state(partition).head };
            at.entries(conversation, after, before, limit).await
        };
        let found = self.store.wait(async {
            self.before_reading(&partitions).await?;
            stream::iter(spans).map(entries).buffered(AT_ONCE).try_collect().await
        })?;
        self.store.shared().in_time(self.began).map(|()| found)
    }

    fn conversations_of(
        &self,
        users: &[UserId],
        partitions: &BTreeSet<Partition>,
    ) -> Read<Vec<UserConversation>> {
        let link = &*self.link;
        let found: Vec<Vec<_>> = self.store.wait(async {
            self.before_reading(partitions).await?;
            let slot =
                |partition| partitions.contains(&partition).then(|| self.state(partition).head);
            let of_user = |user: &UserId| reads::conversations_of(link, *user, slot);
            stream::iter(users).map(of_user).buffered(AT_ONCE).try_collect().await
        })?;
        self.store.shared().in_time(self.began).map(|()| found.concat())
    }

    fn standings(&self, of: &[(Partition, ConversationId, UserId)]) -> Read<Vec<Standing>> {
        let link = &*self.link;
        let partitions: BTreeSet<Partition> = of.iter().map(|(partition, ..)| *partition).collect();
        let standing = async |&(partition, conversation, user): &_| {
            let at = At { link, partition, slot: self.state(partition).head };
            let found = try_join(at.memberships(conversation, user), at.cursor(conversation, user));
            let (memberships, cursors) = found.await?;
            Ok(Standing { memberships, cursors: cursors.unwrap_or_default() })
        };
        let found = self.store.wait(async {
            self.before_reading(&partitions).await?;
            stream::iter(of).map(standing).buffered(AT_ONCE).try_collect().await
        })?;
        self.store.shared().in_time(self.began).map(|()| found)
    }

    fn cursor(
        &self,
        partition: Partition,
        conversation: ConversationId,
        user: UserId,
    ) -> Read<Option<Cursors>> {
        self.read(partition, async |at| at.cursor(conversation, user).await)
    }

    fn cursors(
        &self,
        partition: Partition,
        conversation: ConversationId,
    ) -> Read<Vec<ReceiptItem>> {
        self.read(partition, async |at| at.cursors(conversation).await)
    }

    fn count(&self, partition: Partition) -> Read<u64> {
        let all = async |at: At<'_>| at.conversations(ConversationId(0), usize::MAX).await;
        self.read(partition, all).map(|all| all.len() as u64)
    }
}
