//! What was stored at one instant: a transaction that only reads, for as long as somebody looks.

#![expect(
    clippy::redundant_closure_for_method_calls,
    reason = "a method is for cells of one lifetime, a closure for those of any"
)]

use super::leases::{OWNERSHIPS, ownerships};
use super::prefetch::BEGIN;
use super::rows::{Cells, Read, all};
use super::session::{Parameters, Session};
use super::store::PostgresStore;
use crate::core::failure::{Failure, Purpose};
use crate::core::numbers::{bound, stored};
use futures_util::future::join;
use ports::message_store::{
    ConversationRow, Cursors, DecisionRow, Ownership, Span, Standing, StoreError, StoreView,
};
use protocol::store_calls::{Membership, ReceiptItem, UserConversation};
use protocol::{ClientMessageId, ConversationId, Entry, Partition, Sequence, UserId};
use std::collections::{BTreeMap, BTreeSet};
use tokio_postgres::Row;

/// The entries of each span, with the place of the question.
const ENTRIES_OF: &str = "\
SELECT asked.place, it.entry \
FROM unnest($1::integer[], $2::bigint[], $3::bigint[], $4::bigint[], $5::bigint[]) \
WITH ORDINALITY AS asked(partition, conversation, after, before, most, place), \
LATERAL (SELECT sequence, entry FROM entries \
WHERE partition = asked.partition AND conversation = asked.conversation \
AND sequence > asked.after AND sequence < asked.before \
ORDER BY sequence LIMIT asked.most) AS it ORDER BY asked.place, it.sequence";

/// The memberships of each asked user, with the place of the question.
const MEMBERSHIPS: &str = "\
SELECT asked.place, it.member, it.joined, it.left_at \
FROM unnest($1::integer[], $2::bigint[], $3::bigint[]) \
WITH ORDINALITY AS asked(partition, conversation, member, place), \
LATERAL (SELECT * FROM members WHERE partition = asked.partition \
AND conversation = asked.conversation AND member = asked.member OFFSET 0) AS it \
ORDER BY asked.place, it.joined";

/// The cursors of each, likewise.
const CURSORS: &str = "\
SELECT asked.place, it.delivered, it.seen \
FROM unnest($1::integer[], $2::bigint[], $3::bigint[]) \
WITH ORDINALITY AS asked(partition, conversation, member, place), \
LATERAL (SELECT * FROM cursors WHERE partition = asked.partition \
AND conversation = asked.conversation AND member = asked.member OFFSET 0) AS it";

/// The instant begins with its first statement, which reads who owns what: every answer is checked against
/// that.
pub struct PostgresView<'a> {
    store: &'a PostgresStore,
    session: Option<Session>,
    ownerships: BTreeMap<Partition, Ownership>,
}

impl<'a> PostgresView<'a> {
    /// Begins.
    pub fn begin(store: &'a PostgresStore) -> Result<Self, StoreError> {
        let (session, rows) = store.wait(async {
            let session = store.sessions().get().await?;
            let begun = session.in_time(async {
                let statement = session.client().prepare_cached(OWNERSHIPS).await?;
                let begun = session.client().batch_execute(BEGIN);
                let (begun, rows) = join(begun, session.client().query(&statement, &[])).await;
                begun?;
                rows
            });
            let rows = begun.await.map_err(|failure| failure.told(Purpose::Read));
            Ok::<_, StoreError>((session, rows))
        })?;
        // From here on the transaction is ended in any case.
        let mut view = Self { store, session: Some(session), ownerships: BTreeMap::new() };
        view.ownerships = ownerships(&rows?)?;
        Ok(view)
    }

    fn session(&self) -> &Session {
        self.session.as_ref().expect("it is taken when the view is dropped")
    }

    fn query(&self, sql: &str, parameters: Parameters<'_>) -> Read<Vec<Row>> {
        let rows = self.store.wait(self.session().query(sql, parameters));
        rows.map_err(|failure| failure.told(Purpose::Read))
    }

    fn list<T>(
        &self,
        sql: &str,
        parameters: Parameters<'_>,
        read: impl Fn(&mut Cells<'_>) -> Read<T>,
    ) -> Read<Vec<T>> {
        all(&self.query(sql, parameters)?, |cells| read(cells))
    }

    fn one<T>(
        &self,
        sql: &str,
        parameters: Parameters<'_>,
        read: impl Fn(&mut Cells<'_>) -> Read<T>,
    ) -> Read<Option<T>> {
        let rows = self.query(sql, parameters)?;
        rows.first().map(|row| read(&mut Cells::of(row))).transpose()
    }
}

impl Drop for PostgresView<'_> {
    fn drop(&mut self) {
        // One that is not to be used again is closed, which ends its transaction.
        if let Some(session) = self.session.take().filter(Session::is_good) {
            // Nobody waits for it; the connection goes back to the pool when it is done.
            self.store.in_background(async move {
                let _ = session.in_time(session.client().batch_execute("ROLLBACK")).await;
            });
        }
    }
}

fn part(partition: Partition) -> i32 {
    i32::from(partition.0)
}

fn limited(limit: usize) -> i64 {
    i64::try_from(limit).unwrap_or(i64::MAX)
}

impl StoreView for PostgresView<'_> {
    fn ownership(&self, partition: Partition) -> Result<Ownership, StoreError> {
        Ok(self.ownerships.get(&partition).copied().unwrap_or_default())
    }

    fn conversation(
        &self,
        partition: Partition,
        conversation: ConversationId,
    ) -> Result<Option<ConversationRow>, StoreError> {
        let sql = "SELECT kind, head, first, founders FROM conversations \
                   WHERE partition = $1 AND id = $2";
        let parameters: Parameters<'_> = &[&part(partition), &stored(conversation.0)];
        self.one(sql, parameters, |cells| cells.conversation_row())
    }

    fn conversations(
        &self,
        partition: Partition,
        from: ConversationId,
        limit: usize,
    ) -> Result<Vec<(ConversationId, ConversationRow)>, StoreError> {
        let sql = "SELECT id, kind, head, first, founders FROM conversations \
                   WHERE partition = $1 AND id >= $2 ORDER BY id LIMIT $3";
        let parameters: Parameters<'_> = &[&part(partition), &bound(from.0), &limited(limit)];
        self.list(sql, parameters, |cells| Ok((cells.conversation()?, cells.conversation_row()?)))
    }

    fn members(
        &self,
        partition: Partition,
        conversation: ConversationId,
    ) -> Result<Vec<Membership>, StoreError> {
        let sql = "SELECT member, joined, left_at FROM members \
                   WHERE partition = $1 AND conversation = $2 ORDER BY member, joined";
        let parameters: Parameters<'_> = &[&part(partition), &stored(conversation.0)];
        self.list(sql, parameters, |cells| cells.membership())
    }

    fn memberships(
        &self,
        partition: Partition,
        conversation: ConversationId,
        user: UserId,
    ) -> Result<Vec<Membership>, StoreError> {
        let sql = "SELECT member, joined, left_at FROM members \
                   WHERE partition = $1 AND conversation = $2 AND member = $3 ORDER BY joined";
        let parameters: Parameters<'_> =
            &[&part(partition), &stored(conversation.0), &stored(user.0)];
        self.list(sql, parameters, |cells| cells.membership())
    }

    fn decision(
        &self,
        partition: Partition,
        author: UserId,
        message: ClientMessageId,
    ) -> Result<Option<DecisionRow>, StoreError> {
        let sql = "SELECT conversation, sequence, refusal, epoch, owner FROM decisions \
                   WHERE partition = $1 AND author = $2 AND message = $3";
        let parameters: Parameters<'_> = &[&part(partition), &stored(author.0), &stored(message.0)];
        self.one(sql, parameters, |cells| cells.decision())
    }

    fn entry(
        &self,
        partition: Partition,
        conversation: ConversationId,
        sequence: Sequence,
    ) -> Result<Option<Entry>, StoreError> {
        let sql = "SELECT entry FROM entries \
                   WHERE partition = $1 AND conversation = $2 AND sequence = $3";
        let parameters: Parameters<'_> =
            &[&part(partition), &stored(conversation.0), &stored(sequence.0)];
        self.one(sql, parameters, |cells| cells.entry())
    }

    fn is_deleted(
        &self,
        partition: Partition,
        conversation: ConversationId,
        sequence: Sequence,
    ) -> Result<bool, StoreError> {
        let sql = "SELECT sequence FROM deletions \
                   WHERE partition = $1 AND conversation = $2 AND sequence = $3";
        let parameters: Parameters<'_> =
            &[&part(partition), &stored(conversation.0), &stored(sequence.0)];
        Ok(self.one(sql, parameters, |cells| cells.sequence())?.is_some())
    }

    fn entries(
        &self,
        partition: Partition,
        conversation: ConversationId,
        after: Sequence,
        before: Sequence,
        limit: usize,
    ) -> Result<Vec<Entry>, StoreError> {
        let sql = "SELECT entry FROM entries WHERE partition = $1 AND conversation = $2 \
                   AND sequence > $3 AND sequence < $4 ORDER BY sequence LIMIT $5";
        let (after, before) = (bound(after.0), bound(before.0));
        let parameters: Parameters<'_> =
            &[&part(partition), &stored(conversation.0), &after, &before, &limited(limit)];
        self.list(sql, parameters, |cells| cells.entry())
    }

    fn entries_of(&self, spans: &[Span]) -> Result<Vec<Vec<Entry>>, StoreError> {
        let partitions: Vec<i32> = spans.iter().map(|span| part(span.partition)).collect();
        let conversations: Vec<i64> =
            spans.iter().map(|span| stored(span.conversation.0)).collect();
        let afters: Vec<i64> = spans.iter().map(|span| bound(span.after.0)).collect();
        let befores: Vec<i64> = spans.iter().map(|span| bound(span.before.0)).collect();
        let limits: Vec<i64> = spans.iter().map(|span| limited(span.limit)).collect();
        let parameters: Parameters<'_> = &[&partitions, &conversations, &afters, &befores, &limits];
        let mut found = vec![Vec::new(); spans.len()];
        for (place, entry) in
            self.list(ENTRIES_OF, parameters, |cells| Ok((cells.place()?, cells.entry()?)))?
        {
            found[place].push(entry);
        }
        Ok(found)
    }

    fn conversations_of(
        &self,
        users: &[UserId],
        _: &BTreeSet<Partition>,
    ) -> Result<Vec<UserConversation>, StoreError> {
        // Of all partitions: the index that has all of it does not have these.
        let sql = "SELECT member, conversation, max(joined) FROM members \
                   WHERE member = ANY($1::bigint[]) AND left_at IS NULL \
                   GROUP BY member, conversation ORDER BY member, conversation";
        let users: Vec<i64> = users.iter().map(|user| stored(user.0)).collect();
        self.list(sql, &[&users], |cells| {
            Ok(UserConversation {
                user: cells.user()?,
                conversation: cells.conversation()?,
                joined: cells.sequence()?,
            })
        })
    }

    fn standings(
        &self,
        of: &[(Partition, ConversationId, UserId)],
    ) -> Result<Vec<Standing>, StoreError> {
        let columns: Vec<_> =
            of.iter().map(|(at, id, user)| (part(*at), stored(id.0), stored(user.0))).collect();
        let partitions: Vec<i32> = columns.iter().map(|column| column.0).collect();
        let conversations: Vec<i64> = columns.iter().map(|column| column.1).collect();
        let users: Vec<i64> = columns.iter().map(|column| column.2).collect();
        let parameters: Parameters<'_> = &[&partitions, &conversations, &users];
        let session = self.session();
        let (members, cursors) = self.store.wait(async {
            join(session.query(MEMBERSHIPS, parameters), session.query(CURSORS, parameters)).await
        });
        let told = |failure: Failure| failure.told(Purpose::Read);
        let mut standings = vec![Standing::default(); of.len()];
        for (place, membership) in all::<_, Vec<_>>(&members.map_err(told)?, |cells| {
            Ok((cells.place()?, cells.membership()?))
        })? {
            standings[place].memberships.push(membership);
        }
        for (place, cursors) in all::<_, Vec<_>>(&cursors.map_err(told)?, |cells| {
            Ok((cells.place()?, cells.cursors()?))
        })? {
            standings[place].cursors = cursors;
        }
        Ok(standings)
    }

    fn cursor(
        &self,
        partition: Partition,
        conversation: ConversationId,
        user: UserId,
    ) -> Result<Option<Cursors>, StoreError> {
        let sql = "SELECT delivered, seen FROM cursors \
                   WHERE partition = $1 AND conversation = $2 AND member = $3";
        let parameters: Parameters<'_> =
            &[&part(partition), &stored(conversation.0), &stored(user.0)];
        self.one(sql, parameters, |cells| cells.cursors())
    }

    fn cursors(
        &self,
        partition: Partition,
        conversation: ConversationId,
    ) -> Result<Vec<ReceiptItem>, StoreError> {
        let sql = "SELECT member, delivered, seen FROM cursors \
                   WHERE partition = $1 AND conversation = $2 ORDER BY member";
        let parameters: Parameters<'_> = &[&part(partition), &stored(conversation.0)];
        self.list(sql, parameters, |cells| cells.receipt(conversation))
    }

    fn count(&self, partition: Partition) -> Result<u64, StoreError> {
        let sql = "SELECT count(*) FROM conversations WHERE partition = $1";
        Ok(self.one(sql, &[&part(partition)], |cells| cells.count())?.unwrap_or_default())
    }
}
