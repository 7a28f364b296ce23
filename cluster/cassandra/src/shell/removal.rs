//! Removes what nobody reads any more, in the background. What fails is left: it is removed when its row is
//! replaced again, and takes room until then.

use super::link::Link;
use super::tracks::Shared;
use crate::core::retired::Removal;
use crate::core::rows::{Key, Kind, Place};
use futures_util::stream::{self, StreamExt};
use ports::entered;
use scylla::errors::ExecutionError;
use std::collections::BTreeMap;
use std::sync::Weak;
use tokio::time::sleep;

/// Requests that are under way at once.
const AT_ONCE: usize = 8;

/// Goes on until the adapter is dropped.
pub async fn keep_small(shared: Weak<Shared>) {
    let mut removed = BTreeMap::new();
    loop {
        let Some(patience) = shared.upgrade().map(|shared| shared.timing.view * 2) else { return };
        sleep(patience).await;
        let Some(shared) = shared.upgrade() else { return };
        let removals = entered(shared.retired.lock()).turn();
        let Ok(link) = shared.link().await else { continue };
        let link = &*link;
        let ended = stream::iter(removals).map(|removal| remove(link, removal));
        let mut ended = ended.buffer_unordered(AT_ONCE);
        while let Some(ended) = ended.next().await {
            if let Err(error) = ended {
                tracing::debug!(error = ports::with_causes(&error), "old versions are left");
            }
        }
        for (partition, track) in shared.tracks() {
            let settled = track.settled();
            let gone: Vec<_> = {
                let mut large = entered(track.large.lock());
                large.extract_if(.., |(slot, _)| *slot < settled).collect()
            };
            for (_, attempt) in gone {
                let place = Place::payload(partition, attempt);
                if let Err(error) = below(link, place, Kind::Part, i64::MAX, 1).await {
                    tracing::debug!(error = ports::with_causes(&error), "a large batch is left");
                }
            }
            if removed.insert(partition, settled).is_none_or(|before| before < settled) {
                let values = (i32::from(partition.0), settled);
                let gone = link.session.execute_unpaged(&link.statements.remove_slots, values);
                if let Err(error) = gone.await {
                    removed.remove(&partition);
                    tracing::debug!(error = ports::with_causes(&error), "old slots are left");
                }
            }
        }
    }
}

async fn remove(link: &Link, removal: Removal) -> Result<(), ExecutionError> {
    match removal {
        Removal::Versions(Key { place, kind, a, b }, slot) => {
            let (partition, scope, id) = (place.partition, place.scope(), place.id);
            let values = (slot, partition, scope, id, kind.number(), a, b, slot);
            link.session.execute_unpaged(&link.statements.remove_versions, values).await?;
        }
        Removal::Trimmed(place, first, slot) => {
            // The smaller trims last: until then they hide what is not removed yet.
            for kind in [Kind::Entry, Kind::Deletion, Kind::Trim] {
                below(link, place, kind, first, slot).await?;
            }
        }
    }
    Ok(())
}

async fn below(
    link: &Link,
    place: Place,
    kind: Kind,
    first: i64,
    slot: i64,
) -> Result<(), ExecutionError> {
    let values = (slot, place.partition, place.scope(), place.id, kind.number(), first);
    link.session.execute_unpaged(&link.statements.remove_below, values).await.map(|_| ())
}
