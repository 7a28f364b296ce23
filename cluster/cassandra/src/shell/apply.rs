//! Puts the rows of slots in place. Anybody may, and may again: each row is the same each time.

use super::failure::{Failure, corrupt};
use super::link::Link;
use super::reads::At;
use super::states;
use super::tracks::{Shared, Track};
use crate::core::outcome::State;
use crate::core::payload::Payload;
use crate::core::rows::{Kind, Place, Row, requests, rows};
use futures_util::stream::{self, StreamExt, TryStreamExt};
use ports::entered;
use ports::message_store::{Batch, StoreError};
use protocol::Partition;
use scylla::statement::batch::{Batch as Statements, BatchType};

/// Requests of one slot that are under way at once.
const AT_ONCE: usize = 64;
/// Slots that are read at once.
const SLOTS: i32 = 8;

/// Makes sure that the rows of all slots up to one are in place, of which a state is known.
pub async fn up_to(
    shared: &Shared,
    link: &Link,
    (partition, track): (Partition, &Track),
    state: &State,
) -> Result<(), StoreError> {
    let head = state.head;
    let mut from = track.applied().max(state.applied);
    while from < head {
        let values = (i32::from(partition.0), from, head, SLOTS);
        let found = link.rows(&link.statements.slots, values).await.map_err(Failure::of_read)?;
        let found = found.rows::<(i64, i64, &[u8])>().map_err(corrupt)?;
        let before = from;
        for slot in found {
            let (slot, attempt, payload) = slot.map_err(corrupt)?;
            if slot != from + 1 {
                break;
            }
            let Some(batch) = batch_of(link, partition, attempt, payload).await? else { break };
            slot_in_place(shared, link, partition, slot, &batch).await?;
            from = slot;
        }
        if from == before {
            // Slots are removed only after the log has it that their rows are in place.
            let now = states::decided(link, partition).await?;
            if now.applied <= from {
                let slot = from + 1;
                return Err(corrupt(format!("slot {slot} of partition {partition} is missing")));
            }
            from = now.applied;
        }
        track.has_applied(from.min(head));
    }
    track.has_applied(head);
    Ok(())
}

/// The batch of a slot; `None`: its parts are not there.
async fn batch_of(
    link: &Link,
    partition: Partition,
    attempt: i64,
    payload: &[u8],
) -> Result<Option<Batch>, StoreError> {
    let unread =
        |error| corrupt(format!("a slot of partition {partition} cannot be read: {error}"));
    let count = match postcard::from_bytes(payload).map_err(unread)? {
        Payload::Here(batch) => return Ok(Some(batch)),
        Payload::Elsewhere(count) => count,
    };
    let at = At { link, partition, slot: i64::MAX };
    let parts = at.list(Place::payload(partition, attempt), Kind::Part).await?;
    if parts.len() != count as usize {
        return Ok(None);
    }
    let whole: Vec<u8> = parts.into_iter().flat_map(|(.., part)| part).collect();
    match postcard::from_bytes(&whole).map_err(unread)? {
        Payload::Here(batch) => Ok(Some(batch)),
        Payload::Elsewhere(_) => Err(corrupt("the parts of a batch name further ones")),
    }
}

/// Puts the rows of one slot in place; those of the slots before are.
pub async fn slot_in_place(
    shared: &Shared,
    link: &Link,
    partition: Partition,
    slot: i64,
    batch: &Batch,
) -> Result<(), StoreError> {
    let rows = rows(partition, slot, batch).map_err(corrupt)?;
    write(link, &rows).await?;
    entered(shared.retired.lock()).written(&rows);
    Ok(())
}

/// Writes rows, of which those of one place are behind each other.
pub async fn write(link: &Link, rows: &[Row]) -> Result<(), StoreError> {
    let requests = requests(rows).into_iter().map(|rows| request(link, rows));
    stream::iter(requests).buffer_unordered(AT_ONCE).try_collect().await
}

async fn request(link: &Link, rows: &[Row]) -> Result<(), StoreError> {
    let values = |row: &Row| {
        let Row { key, version, value, .. } = row;
        let (place, kind) = (key.place, key.kind.number());
        let time = (*version).max(1);
        (
            (place.partition, place.scope(), place.id, kind),
            (key.a, key.b, *version, value.clone(), time),
        )
    };
    let values = rows.iter().map(values).map(|((partition, scope, id, kind), rest)| {
        (partition, scope, id, kind, rest.0, rest.1, rest.2, rest.3, rest.4)
    });
    let values: Vec<_> = values.collect();
    let statement = &link.statements.row;
    let written = if let [values] = &values[..] {
        link.session.execute_unpaged(statement, values).await
    } else {
        let mut batch = Statements::new(BatchType::Unlogged);
        for _ in rows {
            batch.append_statement(statement.clone());
        }
        batch.set_consistency(scylla::statement::Consistency::Quorum);
        link.session.batch(&batch, &values).await
    };
    written.map(|_| ()).map_err(|error| Failure::from(error).of_read())
}

/// The same before somebody reads as of a state.
pub async fn before_reading(
    shared: &Shared,
    link: &Link,
    partition: Partition,
    state: &State,
) -> Result<(), StoreError> {
    let track = shared.track(partition);
    if track.applied() >= state.head {
        return Ok(());
    }
    // A commit of this node may be about to do it.
    let _writing = track.writing.lock().await;
    up_to(shared, link, (partition, &track), state).await
}
