//! The rows of some keys: all of them are asked for at once.

use super::apply;
use super::reads::{At, Read};
use super::states;
use super::tracks::Shared;
use futures_util::future::{try_join, try_join_all};
use ports::message_store::{Keys, Rows};
use protocol::Partition;
use std::collections::BTreeMap;
use std::sync::Arc;
use tokio::time::Instant;

/// Fetches the rows of keys.
pub async fn prefetch(shared: &Shared, keys: &[(Partition, Keys)]) -> Read<Vec<Rows>> {
    let link = shared.link().await?;
    let began = Instant::now();
    let partitions = keys.iter().map(|(partition, _)| *partition);
    let states = states::current(&link, partitions).await?;
    let all = keys.iter().map(|(partition, keys)| {
        let (link, state) = (&*link, states.get(partition).copied().unwrap_or_default());
        async move {
            apply::before_reading(shared, link, *partition, &state).await?;
            of_partition(At { link, partition: *partition, slot: state.head }, keys).await
        }
    });
    let rows = try_join_all(all).await?;
    shared.in_time(began)?;
    Ok(rows)
}

async fn of_partition(at: At<'_>, keys: &Keys) -> Read<Rows> {
    let conversations = try_join_all(keys.conversations.iter().map(|id| async move {
        let (row, members) = try_join(at.conversation(*id), at.members(*id)).await?;
        Ok(row.map(|row| (*id, (row, members))))
    }));
    let decisions = try_join_all(keys.decisions.iter().map(|key| async move {
        let Some(row) = at.decision(key.0, key.1).await? else { return Ok(None) };
        let entry = match row.decision {
            Ok(sequence) => at.entry(row.conversation, sequence).await?,
            Err(_) => None,
        };
        Ok(Some((*key, row, entry)))
    }));
    let entries = try_join_all(keys.entries.iter().map(|key| async move {
        let both = try_join(at.entry(key.0, key.1), at.is_deleted(key.0, key.1)).await?;
        Ok((*key, both))
    }));
    let cursors = try_join_all(
        keys.cursors
            .iter()
            .map(|key| async move { Ok(at.cursor(key.0, key.1).await?.map(|row| (*key, row))) }),
    );
    let both = try_join(try_join(conversations, decisions), try_join(entries, cursors));
    let ((conversations, decisions), (asked, cursors)) = both.await?;
    let mut rows = Rows {
        conversations: conversations.into_iter().flatten().collect(),
        cursors: cursors.into_iter().flatten().collect(),
        decisions: BTreeMap::new(),
        ..Rows::default()
    };
    for (key, row, entry) in decisions.into_iter().flatten() {
        rows.decisions.insert(key, row);
        if let (Ok(sequence), Some(entry)) = (row.decision, entry) {
            rows.entries.insert((row.conversation, sequence), Arc::new(entry));
        }
    }
    for (key, (entry, is_deleted)) in asked {
        rows.entries.extend(entry.map(|entry| (key, Arc::new(entry))));
        rows.deletions.extend(is_deleted.then_some(key));
    }
    Ok(rows)
}
