//! How much waits: the end of each partition less what is settled of it.

use super::clients::{ASK_TIMEOUT, Reading, bounds, number};
use super::uplink::Uplink;
use crate::core::claim::Claim;
use crate::core::topology::Place;
use crate::core::window::Progress;
use ports::broker::{Origin, Queue};
use protocol::Partition;
use rdkafka::consumer::Consumer;
use rdkafka::error::KafkaResult;
use rdkafka::{Offset, TopicPartitionList};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::sleep;

/// How often publishers ask how far the consumers are.
const ASK_EVERY: Duration = Duration::from_millis(500);

/// The durable queues that have any messages.
pub fn waiting(client: &Reading, queues: &[(Origin, Place)]) -> KafkaResult<Vec<(Queue, u64)>> {
    let committed = progress(client, queues.iter().map(|(_, place)| place))?;
    let mut found = Vec::new();
    for (origin, place) in queues {
        let (first, end) = bounds(client, place)?;
        let settled = committed.get(place).cloned().unwrap_or_else(|| Progress::at(first));
        let waiting = settled.waiting(end);
        if waiting > 0 {
            found.push((Queue::from(*origin), waiting));
        }
    }
    Ok(found)
}

/// How far each of these partitions is; those of which nothing was ever committed are left out.
fn progress<'a>(
    client: &Reading,
    places: impl IntoIterator<Item = &'a Place>,
) -> KafkaResult<BTreeMap<Place, Progress>> {
    let mut list = TopicPartitionList::new();
    for place in places {
        list.add_partition(&place.topic, place.partition);
    }
    let answer = client.committed_offsets(list, ASK_TIMEOUT)?;
    let mut found = BTreeMap::new();
    for element in answer.elements() {
        element.error()?;
        let Offset::Offset(base) = element.offset() else { continue };
        let base = number(base);
        let claim = Claim::decode(base, element.metadata());
        let progress = claim.map_or_else(|| Progress::at(base), |claim| claim.progress);
        let place = Place { topic: element.topic().to_owned(), partition: element.partition() };
        found.insert(place, progress);
    }
    Ok(found)
}

/// Tells the publisher how much room there is in the partitions that it publishes to, for ever.
pub async fn keep_room(uplink: Arc<Uplink>) {
    loop {
        sleep(ASK_EVERY).await;
        let partitions = uplink.publisher.bounded();
        if partitions.is_empty() {
            continue;
        }
        let place = |partition: &Partition| uplink.topology.place(Origin::Inbound(*partition));
        let places: Vec<Place> = partitions.iter().map(place).collect();
        let asked = places.clone();
        match uplink.ask(move |client| progress(client, &asked)).await {
            Ok(found) => {
                for (partition, place) in partitions.into_iter().zip(places) {
                    if let Some(progress) = found.get(&place) {
                        uplink.publisher.committed(partition, progress.base());
                    }
                }
            }
            Err(error) => tracing::debug!(%error, "how much room there is, is not known"),
        }
    }
}
