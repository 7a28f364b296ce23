//! Claims of partitions: asked for, and committed.

use super::clients::{ASK_TIMEOUT, Reading, at, bounds, number};
use super::reader::Wanted;
use super::uplink::Uplink;
use crate::core::claim::{Access, Claim, access};
use crate::core::topology::Place;
use crate::core::window::{Progress, Window};
use ports::Worker;
use ports::broker::ConsumeError;
use rdkafka::consumer::{CommitMode, Consumer};
use rdkafka::error::KafkaResult;
use rdkafka::{Offset, TopicPartitionList};
use std::sync::Arc;
use std::time::Duration;
use tokio::time::{Instant, sleep};

/// Between two looks at a partition that somebody has.
pub const LOOK: Duration = Duration::from_millis(25);
/// So many messages more than are handed out are said to be in a commit: then it need not be made before
/// each of them. After an accident they all may have been handed out before.
pub const STRIDE: u64 = 10_000;

/// A window, what was committed for it, and the end of the partition.
pub type Claimed = Result<(Window, Claim, u64), ConsumeError>;

/// Takes a partition, as soon as it can be had.
///
/// It asks on a worker of its own: where a partition has no leader each question takes seconds, and no other claim
/// waits for that.
pub async fn claim(uplink: &Arc<Uplink>, on: &dyn Worker, wanted: &Wanted) -> KafkaResult<Claimed> {
    let began = Instant::now();
    let found = loop {
        let place = wanted.place.clone();
        let found = uplink.ask_on(on, move |client| committed(client, &place, ASK_TIMEOUT)).await?;
        let claim = found.as_ref().and_then(|found| found.claim.as_ref());
        let now_ms = uplink.machine.clock.now_ms();
        match access(claim, wanted.epoch, now_ms, began.elapsed()) {
            Access::Granted => break found,
            Access::Wait => sleep(LOOK).await,
            Access::Refused => return Ok(Err(ConsumeError::Taken)),
        }
    };
    let place = wanted.place.clone();
    let (first, end) = uplink.ask_on(on, move |client| bounds(client, &place)).await?;
    let (progress, mark) = match found {
        Some(Committed { claim: Some(Claim { progress, mark, .. }), .. }) => (progress, mark),
        // Somebody has set it by hand: whatever is there may have been handed out.
        Some(Committed { base, claim: None }) => (Progress::at(base), end),
        None => (Progress::at(first), first),
    };
    let (progress, mark) = if progress.next > end {
        // What is in the places of the lost ones may be new, and nobody knows from where on.
        let (place, next) = (&wanted.place, progress.next);
        tracing::error!(
            ?place,
            next,
            end,
            "Kafka has lost the end of a partition: the rest comes again"
        );
        (Progress::at(first), end)
    } else {
        (progress, mark)
    };
    let mut window = Window::resume(progress, mark, wanted.prefetch);
    report_missing(uplink, wanted, window.skip_to(first));
    let mine = Claim {
        epoch: wanted.epoch,
        holder: uplink.machine.entropy.next_u64().max(1),
        at_ms: uplink.machine.clock.now_ms(),
        mark: mark.max(window.next() + STRIDE),
        progress: window.progress(),
    };
    let (place, said) = (wanted.place.clone(), mine.clone());
    uplink.ask_on(on, move |client| commit(client, &place, &said)).await?;
    Ok(Ok((window, mine, end)))
}

/// Kafka no longer had them.
pub fn report_missing(uplink: &Uplink, wanted: &Wanted, missing: u64) {
    if missing == 0 {
        return;
    }
    let place = &wanted.place;
    if wanted.most.is_some() {
        uplink.machine.telemetry.count("broker_shed_notifications", missing);
        tracing::warn!(?place, missing, "Kafka has removed what nobody had done yet");
    } else {
        uplink.machine.telemetry.count("broker_lost_messages", missing);
        tracing::error!(?place, missing, "Kafka has lost messages, or somebody has removed them");
    }
}

/// What is committed for a partition.
pub struct Committed {
    pub base: u64,
    pub claim: Option<Claim>,
}

/// Asks for it, and waits for so long; `None`: nothing.
pub fn committed(
    client: &Reading,
    place: &Place,
    patience: Duration,
) -> KafkaResult<Option<Committed>> {
    let mut list = TopicPartitionList::new();
    list.add_partition(&place.topic, place.partition);
    let found = client.committed_offsets(list, patience)?;
    let elements = found.elements();
    let Some(element) = elements.first() else { return Ok(None) };
    element.error()?;
    let Offset::Offset(base) = element.offset() else { return Ok(None) };
    let base = number(base);
    Ok(Some(Committed { base, claim: Claim::decode(base, element.metadata()) }))
}

/// Says how far a consumer is, and that it is the one.
pub fn commit(client: &Reading, place: &Place, claim: &Claim) -> KafkaResult<()> {
    let mut list = TopicPartitionList::new();
    let mut element = list.add_partition(&place.topic, place.partition);
    element.set_offset(at(claim.progress.base()))?;
    element.set_metadata(claim.encode());
    client.commit(&list, CommitMode::Sync)
}
