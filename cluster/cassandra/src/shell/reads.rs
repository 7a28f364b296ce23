//! Rows as of a slot.

use super::failure::{Failure, corrupt};
use super::link::Link;
use crate::core::numbers::{bound, read, stored};
use crate::core::rows::{Key, Kind, Place};
use crate::core::versions::{AsOf, Trims};
use futures_util::TryStreamExt;
use futures_util::future::try_join;
use ports::message_store::{ConversationRow, Cursors, DecisionRow, StoreError};
use protocol::store_calls::{Membership, ReceiptItem, UserConversation};
use protocol::{ClientMessageId, ConversationId, Entry, Partition, Sequence, UserId};
use scylla::errors::NextRowError;
use scylla::serialize::row::SerializeRow;
use scylla::statement::prepared::PreparedStatement;
use serde::de::DeserializeOwned;
use std::collections::BTreeMap;

pub type Read<T> = Result<T, StoreError>;

/// Rows of one answer, at most.
const PAGE: usize = 1_000;

/// One partition at one of its slots.
#[derive(Clone, Copy)]
pub struct At<'a> {
    pub link: &'a Link,
    pub partition: Partition,
    pub slot: i64,
}

/// A row of a list: (a, b, version, value).
type Found = (i64, i64, i64, Vec<u8>);

fn decoded<T: DeserializeOwned>(value: &[u8]) -> Read<T> {
    postcard::from_bytes(value).map_err(|error| corrupt(format!("a row cannot be read: {error}")))
}

impl At<'_> {
    /// The newest version of a row: (version, value).
    async fn point(&self, key: Key) -> Read<Option<(i64, Vec<u8>)>> {
        let Key { place, kind, a, b } = key;
        let values = (place.partition, place.scope(), place.id, kind.number(), a, b, self.slot);
        let rows = self.link.rows(&self.link.statements.point, values).await;
        let rows = rows.map_err(Failure::of_read)?;
        rows.maybe_first_row::<(i64, Vec<u8>)>().map_err(corrupt)
    }

    /// The newest versions of the rows of a kind.
    pub async fn list(&self, place: Place, kind: Kind) -> Read<Vec<Found>> {
        let (values, statement) = (of_kind(place, kind), &self.link.statements.list);
        newest(self.link, statement, values, AsOf::slot(self.slot), usize::MAX, |_| true).await
    }

    async fn trims(&self, id: ConversationId) -> Read<Trims> {
        let all = self.list(Place::conversation(self.partition, id), Kind::Trim).await?;
        Ok(Trims(all.into_iter().map(|(first, _, slot, _)| (first, slot)).collect()))
    }

    fn of(&self, id: ConversationId, kind: Kind, (a, b): (u64, u64)) -> Key {
        let place = Place::conversation(self.partition, id);
        Key { place, kind, a: stored(a), b: stored(b) }
    }

    pub async fn conversation(&self, id: ConversationId) -> Read<Option<ConversationRow>> {
        let row = self.point(self.of(id, Kind::Conversation, (0, 0))).await?;
        row.map(|(_, value)| decoded(&value)).transpose()
    }

    /// From an id on, at most so many.
    pub async fn conversations(
        &self,
        from: ConversationId,
        limit: usize,
    ) -> Read<Vec<(ConversationId, ConversationRow)>> {
        let mut found = Vec::new();
        // One below, if there is one: the ends of a range are left out.
        let mut after = bound(from.0).saturating_sub(1);
        while found.len() < limit {
            let place = Place::listing(self.partition);
            let (partition, scope, id, kind) = of_kind(place, Kind::Listed);
            let values = (partition, scope, id, kind, after, i64::MAX);
            let wanted = (limit - found.len()).min(PAGE);
            let statement = &self.link.statements.range;
            let listed =
                newest(self.link, statement, values, AsOf::slot(self.slot), wanted, |_| true)
                    .await?;
            let rows = listed.iter().map(|(id, ..)| self.conversation(ConversationId(read(*id))));
            let rows = futures_util::future::try_join_all(rows).await?;
            let Some((last, ..)) = listed.last() else { break };
            after = *last;
            let is_last = listed.len() < wanted;
            // A conversation that is newer than the view is listed as well.
            let rows = listed.into_iter().zip(rows);
            found.extend(rows.filter_map(|((id, ..), row)| Some((ConversationId(read(id)), row?))));
            if is_last {
                break;
            }
        }
        Ok(found)
    }

    pub async fn members(&self, id: ConversationId) -> Read<Vec<Membership>> {
        let all = self.list(Place::conversation(self.partition, id), Kind::Member).await?;
        all.into_iter().map(membership).collect()
    }

    pub async fn memberships(&self, id: ConversationId, user: UserId) -> Read<Vec<Membership>> {
        let (partition, scope, place, kind) =
            of_kind(Place::conversation(self.partition, id), Kind::Member);
        let user = stored(user.0);
        let (after, before) = (user.checked_sub(1), user.checked_add(1));
        let ends = (after.unwrap_or(i64::MIN), before.unwrap_or(i64::MAX));
        let values = (partition, scope, place, kind, ends.0, ends.1);
        let view = AsOf::slot(self.slot);
        let statement = &self.link.statements.range;
        let all = newest(self.link, statement, values, view, usize::MAX, |_| true).await?;
        all.into_iter().map(membership).collect()
    }

    pub async fn decision(
        &self,
        author: UserId,
        message: ClientMessageId,
    ) -> Read<Option<DecisionRow>> {
        let place = Place::author(self.partition, author);
        let key = Key { place, kind: Kind::Decision, a: stored(message.0), b: 0 };
        self.point(key).await?.map(|(_, value)| decoded(&value)).transpose()
    }

    pub async fn entry(&self, id: ConversationId, sequence: Sequence) -> Read<Option<Entry>> {
        let value = self.kept(id, Kind::Entry, sequence).await?;
        value.map(|value| decoded(&value)).transpose()
    }

    pub async fn is_deleted(&self, id: ConversationId, sequence: Sequence) -> Read<bool> {
        Ok(self.kept(id, Kind::Deletion, sequence).await?.is_some())
    }

    /// What no trim has taken.
    async fn kept(
        &self,
        id: ConversationId,
        kind: Kind,
        sequence: Sequence,
    ) -> Read<Option<Vec<u8>>> {
        let row = self.point(self.of(id, kind, (sequence.0, 0)));
        let (row, trims) = try_join(row, self.trims(id)).await?;
        let is_kept = |(version, _): &(i64, Vec<u8>)| !trims.hide(stored(sequence.0), *version);
        Ok(row.filter(is_kept).map(|(_, value)| value))
    }

    /// Between two sequences, oldest first, at most so many.
    pub async fn entries(
        &self,
        id: ConversationId,
        after: Sequence,
        before: Sequence,
        limit: usize,
    ) -> Read<Vec<Entry>> {
        let (partition, scope, place, kind) =
            of_kind(Place::conversation(self.partition, id), Kind::Entry);
        let values = (partition, scope, place, kind, bound(after.0), bound(before.0));
        if after >= before || limit == 0 {
            return Ok(Vec::new());
        }
        let trims = self.trims(id).await?;
        let statement = &self.link.statements.range;
        let kept = |(sequence, _, version, _): &Found| !trims.hide(*sequence, *version);
        let all = newest(self.link, statement, values, AsOf::slot(self.slot), limit, kept).await?;
        all.iter().map(|(.., value)| decoded(value)).collect()
    }

    pub async fn cursor(&self, id: ConversationId, user: UserId) -> Read<Option<Cursors>> {
        let row = self.point(self.of(id, Kind::Cursors, (user.0, 0))).await?;
        row.map(|(_, value)| decoded(&value)).transpose()
    }

    pub async fn cursors(&self, id: ConversationId) -> Read<Vec<ReceiptItem>> {
        let all = self.list(Place::conversation(self.partition, id), Kind::Cursors).await?;
        let receipt = |(user, _, _, value): Found| {
            let Cursors { delivered, read: seen } = decoded(&value)?;
            Ok(ReceiptItem { conversation: id, user: UserId(read(user)), delivered, read: seen })
        };
        all.into_iter().map(receipt).collect()
    }
}

/// All rows of a kind in a place.
fn of_kind(place: Place, kind: Kind) -> (i32, i8, i64, i8) {
    (place.partition, place.scope(), place.id, kind.number())
}

fn membership((user, joined, _, value): Found) -> Read<Membership> {
    let (user, joined) = (UserId(read(user)), Sequence(read(joined)));
    Ok(Membership { user, joined, left: decoded(&value)? })
}

/// The conversations that a user is a member of at these slots; none of partitions without one.
pub async fn conversations_of(
    link: &Link,
    user: UserId,
    slot: impl Fn(Partition) -> Option<i64>,
) -> Read<Vec<UserConversation>> {
    let place = Place::user(user);
    let values = of_kind(place, Kind::Membership);
    // All versions: each row is of a partition of its own.
    let mut rows = pager(link, &link.statements.list, values, PAGE).await?;
    let mut views: BTreeMap<Partition, AsOf> = BTreeMap::new();
    let mut joined_at: BTreeMap<ConversationId, Sequence> = BTreeMap::new();
    while let Some((conversation, joined, version, value)) = next(&mut rows).await? {
        let (partition, left): (Partition, Option<Sequence>) = decoded(&value)?;
        let Some(slot) = slot(partition) else { continue };
        let view = views.entry(partition).or_insert_with(|| AsOf::slot(slot));
        if view.sees((conversation, joined), version) && left.is_none() {
            joined_at.insert(ConversationId(read(conversation)), Sequence(read(joined)));
        }
    }
    let all = joined_at.into_iter();
    Ok(all.map(|(conversation, joined)| UserConversation { user, conversation, joined }).collect())
}

/// The newest versions among the rows of a statement, at most so many.
async fn newest(
    link: &Link,
    statement: &PreparedStatement,
    values: impl SerializeRow,
    mut view: AsOf,
    limit: usize,
    is_wanted: impl Fn(&Found) -> bool,
) -> Read<Vec<Found>> {
    let mut rows = pager(link, statement, values, limit).await?;
    let mut found = Vec::new();
    while let Some(row) = next(&mut rows).await? {
        if view.sees((row.0, row.1), row.2) && is_wanted(&row) {
            found.push(row);
            if found.len() >= limit {
                break;
            }
        }
    }
    Ok(found)
}

type Rows = scylla::client::pager::TypedRowStream<Found>;

/// The rows of a statement, page by page.
async fn pager(
    link: &Link,
    statement: &PreparedStatement,
    values: impl SerializeRow,
    limit: usize,
) -> Read<Rows> {
    /// So that a small page has room for some older versions.
    const MORE: usize = 20;
    let mut statement = statement.clone();
    let page = limit.saturating_add(MORE).min(PAGE);
    statement.set_page_size(i32::try_from(page).unwrap_or(i32::MAX));
    let pages = Box::pin(link.session.execute_iter(statement, values)).await;
    let pages = pages.map_err(|it| StoreError::Unavailable(ports::with_causes(&it)))?;
    pages.rows_stream().map_err(corrupt)
}

async fn next(rows: &mut Rows) -> Read<Option<Found>> {
    rows.try_next().await.map_err(|error| match &error {
        NextRowError::RowDeserializationError(_) => corrupt(ports::with_causes(&error)),
        _ => StoreError::Unavailable(ports::with_causes(&error)),
    })
}
