//! The topics, made if they are not there; and the removal of what nobody needs.

use super::clients::{ASK_TIMEOUT, Reading, one};
use super::uplink::{Removable, Uplink};
use crate::core::topology::{Place, Topic};
use protocol::backoff::Backoff;
use rdkafka::admin::{AdminOptions, NewPartitions, NewTopic, TopicReplication};
use rdkafka::consumer::Consumer;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::topic_partition_list::TopicPartitionListElem;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::sleep;

/// The bounds of the wait between two attempts.
const FIRST_BACKOFF: Duration = Duration::from_millis(100);
const LONGEST_BACKOFF: Duration = Duration::from_secs(1);
/// Between two rounds of removing: Kafka looks for what it can delete every few minutes only.
const REMOVE_EVERY: Duration = Duration::from_secs(30);

#[derive(Debug, thiserror::Error)]
enum NotMade {
    #[error(transparent)]
    Kafka(#[from] KafkaError),
    #[error("Kafka refuses the topic {topic}: {code}")]
    Refused { topic: String, code: RDKafkaErrorCode },
    #[error("the topic {0} is there and has no partition with a leader")]
    NoLeader(String),
}

/// Tries until all topics are there.
pub async fn until_made(uplink: &Arc<Uplink>) {
    let mut backoff = Backoff::new(FIRST_BACKOFF, LONGEST_BACKOFF);
    let mut told = String::new();
    loop {
        match make(uplink).await {
            Ok(()) => return,
            Err(error) => {
                let (node, error) = (&uplink.machine.name, ports::with_causes(&error));
                // Whoever has made a mistake must hear of it.
                if error == told {
                    tracing::warn!(%node, error, "cannot use Kafka");
                } else {
                    tracing::error!(%node, error, "Kafka cannot be used: trying until it can");
                    told = error;
                }
            }
        }
        sleep(backoff.next(uplink.machine.entropy.next_u64())).await;
    }
}

fn patiently() -> AdminOptions {
    AdminOptions::new().request_timeout(Some(ASK_TIMEOUT)).operation_timeout(Some(ASK_TIMEOUT))
}

async fn make(uplink: &Arc<Uplink>) -> Result<(), NotMade> {
    let topics = uplink.topology.topics();
    let admin = &uplink.admin;
    let new: Vec<NewTopic<'_>> = topics.iter().map(new).collect();
    let mut there = Vec::new();
    for (topic, made) in topics.iter().zip(admin.create_topics(&new, &patiently()).await?) {
        match made {
            Ok(_) => {}
            Err((_, RDKafkaErrorCode::TopicAlreadyExists)) => there.push(topic),
            Err((_, code)) => return Err(NotMade::Refused { topic: topic.name.to_owned(), code }),
        }
    }
    for topic in there {
        grow(uplink, topic).await?;
    }
    Ok(())
}

fn new<'a>(topic: &'a Topic<'a>) -> NewTopic<'a> {
    let replication = TopicReplication::Fixed(topic.replication);
    let settings = topic.settings.iter();
    settings.fold(NewTopic::new(topic.name, topic.partitions, replication), |new, (key, value)| {
        new.set(key, value)
    })
}

/// A cluster that has grown needs more partitions; which one a message goes to is said by its number, so
/// nothing moves.
async fn grow(uplink: &Arc<Uplink>, topic: &Topic<'_>) -> Result<(), NotMade> {
    let name = topic.name.to_owned();
    let count = move |client: &Reading| {
        let metadata = client.fetch_metadata(Some(&name), ASK_TIMEOUT)?;
        let topic = metadata.topics().iter().find(|topic| topic.name() == name);
        Ok(topic.map_or(0, |topic| topic.partitions().len()))
    };
    let found = uplink.ask(count).await?;
    let wanted = usize::try_from(topic.partitions).unwrap_or(0);
    if found == 0 {
        return Err(NotMade::NoLeader(topic.name.to_owned()));
    }
    if found >= wanted {
        return Ok(());
    }
    tracing::info!(topic = topic.name, found, wanted, "the topic gets more partitions");
    let more = [NewPartitions::new(topic.name, wanted)];
    for made in uplink.admin.create_partitions(&more, &patiently()).await? {
        match made {
            // Another node was first.
            Ok(_) | Err((_, RDKafkaErrorCode::InvalidPartitions)) => {}
            Err((_, code)) => return Err(NotMade::Refused { topic: topic.name.to_owned(), code }),
        }
    }
    Ok(())
}

/// Removes what was acknowledged, for ever: Kafka keeps what is not too old, whoever has read it.
pub async fn remove_needless(uplink: Arc<Uplink>, mut removable: Removable) {
    uplink.ready().await;
    let mut is_told = false;
    loop {
        sleep(REMOVE_EVERY).await;
        let mut latest: BTreeMap<Place, u64> = BTreeMap::new();
        while let Ok((place, offset)) = removable.try_recv() {
            latest.insert(place, offset);
        }
        for (place, offset) in latest {
            if let Err(error) = remove(&uplink, &place, offset).await {
                // The next round asks for more anyway.
                if is_told {
                    tracing::warn!(?place, offset, %error, "Kafka keeps what is done");
                } else {
                    tracing::error!(?place, offset, %error, "Kafka keeps what is done: its disk fills");
                    is_told = true;
                }
            }
        }
    }
}

async fn remove(uplink: &Uplink, place: &Place, offset: u64) -> Result<(), KafkaError> {
    let removed = uplink.admin.delete_records(&one(place, offset)?, &patiently()).await?;
    removed.elements().iter().try_for_each(TopicPartitionListElem::error)
}
