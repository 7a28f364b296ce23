//! Commits: each batch takes the next slot of its partition, then its rows are put in place.

use super::apply;
use super::failure::{Failure, corrupt};
use super::link::Link;
use super::states;
use super::tracks::{Shared, Standing, Track};
use crate::core::numbers::stored;
use crate::core::outcome::{Asked, Judged, Verdict, judge, judge_anew};
use crate::core::payload;
use futures_util::future::join_all;
use ports::entered;
use ports::message_store::{Batch, Fenced, Lease, Ownership, StoreError};
use protocol::Partition;
use std::collections::BTreeMap;
use std::time::Duration;
use tokio::time::{Instant, sleep};

/// Before a transaction of unknown outcome is looked into again.
const PAUSE: Duration = Duration::from_millis(50);

/// Writes batches: those of different partitions at once, those of one in their order.
pub async fn commit(
    shared: &Shared,
    batches: &[(Lease, Batch)],
) -> Result<Vec<Fenced>, StoreError> {
    let link = shared.link().await?;
    let mut together: BTreeMap<Partition, Vec<&(Lease, Batch)>> = BTreeMap::new();
    for one in batches {
        together.entry(one.0.partition).or_default().push(one);
    }
    // Each copy of a batch has versions of its own, and those of entries are never removed.
    let mut written = std::mem::take(&mut *entered(shared.written.lock()));
    written.retain(|partition, before| {
        let is_repeated =
            together.get(partition).is_some_and(|now| now.iter().copied().eq(&*before));
        if is_repeated {
            together.remove(partition);
        }
        is_repeated
    });
    let link = &*link;
    let partitions: Vec<_> = together.keys().copied().collect();
    let ended = together.values().map(|batches| in_order(shared, link, batches));
    let ended = join_all(ended).await;
    let (mut fenced, mut is_begun, mut failure) = (Vec::new(), !written.is_empty(), None);
    let has_failed = ended.iter().any(|(.., error)| error.is_some());
    for (partition, (done, more, error)) in partitions.into_iter().zip(ended) {
        if has_failed && error.is_none() && more.is_empty() {
            let batches = together.get(&partition).into_iter().flatten();
            written.insert(partition, batches.map(|one| (*one).clone()).collect());
        }
        is_begun |= done;
        fenced.extend(more);
        failure = worse(failure, error);
    }
    if has_failed {
        *entered(shared.written.lock()) = written;
    }
    match failure {
        None => Ok(fenced),
        // Some of it is done.
        Some(StoreError::Unavailable(why)) if is_begun => Err(StoreError::Unknown(why)),
        Some(error) => Err(error),
    }
}

/// What is to be told of two errors.
fn worse(one: Option<StoreError>, other: Option<StoreError>) -> Option<StoreError> {
    let weight = |error: &Option<StoreError>| match error {
        None => 0,
        Some(StoreError::Unavailable(_)) => 1,
        Some(StoreError::Unknown(_)) => 2,
        Some(StoreError::Corrupt(_)) => 3,
    };
    if weight(&other) > weight(&one) { other } else { one }
}

/// The batches of one partition: whether anything was written, what was fenced, and why it ended early.
async fn in_order(
    shared: &Shared,
    link: &Link,
    batches: &[&(Lease, Batch)],
) -> (bool, Vec<Fenced>, Option<StoreError>) {
    let (mut is_begun, mut fenced) = (false, Vec::new());
    for (lease, batch) in batches.iter().copied() {
        match write(shared, link, *lease, batch).await {
            Ok(None) => is_begun = true,
            Ok(Some(one)) => fenced.push(one),
            Err(error) => return (is_begun, fenced, Some(error)),
        }
    }
    (is_begun, fenced, None)
}

/// Writes one batch; `Some`: its lease is not the newest.
async fn write(
    shared: &Shared,
    link: &Link,
    lease: Lease,
    batch: &Batch,
) -> Result<Option<Fenced>, StoreError> {
    let partition = lease.partition;
    let number = shared.attempt();
    let (payload, parts) = payload::encode(partition, number, batch).map_err(corrupt)?;
    let track = shared.track(partition);
    let mut standing = track.writing.lock().await;
    let mut asked = None;
    let taking = async {
        apply::write(link, &parts).await?;
        let attempt = Attempt { link, lease, number, payload };
        attempt.take_slot(shared, &track, &mut standing, &mut asked).await
    };
    let taken = taking.await;
    if !parts.is_empty() {
        // Without a slot they are of no use to anybody; one that was asked for last may be theirs.
        let slot = match &taken {
            Ok(Ok(slot)) => *slot,
            Ok(Err(_)) => i64::MIN,
            Err(_) => asked.map_or(i64::MIN, |asked: Asked| asked.slot),
        };
        entered(track.large.lock()).push((slot, number));
    }
    let slot = match taken? {
        Ok(slot) => slot,
        Err(current) => return Ok(Some(Fenced { partition, current })),
    };
    match apply::slot_in_place(shared, link, partition, slot, batch).await {
        Ok(()) => track.has_applied(slot),
        // It is committed; whoever reads or writes next puts the rows in place.
        Err(error) => tracing::warn!(%partition, slot, %error, "rows are not in place yet"),
    }
    Ok(None)
}

/// A batch that wants a slot.
struct Attempt<'a> {
    link: &'a Link,
    lease: Lease,
    number: i64,
    payload: Vec<u8>,
}

type Taken = Result<i64, Ownership>;

impl Attempt<'_> {
    /// Takes the next slot. In front of it all rows are in place, so that the log can say so.
    async fn take_slot(
        &self,
        shared: &Shared,
        track: &Track,
        standing: &mut Option<Standing>,
        asked: &mut Option<Asked>,
    ) -> Result<Taken, StoreError> {
        let epoch = self.lease.epoch;
        let deadline = Instant::now() + shared.timing.settle;
        // Whether the last slot that was asked for may have been given without an answer.
        let mut is_open = false;
        let mut last = String::new();
        loop {
            let known = standing.take().filter(|known| known.epoch == epoch);
            let looked = match known {
                Some(known) => Ok(Verdict::Next(known.head + 1)),
                None => self.look(shared, track, *asked).await,
            };
            let slot = match looked {
                Ok(Verdict::Done(slot)) => {
                    *standing = Some(Standing { epoch, head: slot });
                    return Ok(Ok(slot));
                }
                Ok(Verdict::Fenced(current)) => return Ok(Err(current)),
                // Rows of the slot before did not get in place: look, and put them there.
                Ok(Verdict::Next(slot)) if track.applied() < slot - 1 => continue,
                Ok(Verdict::Next(slot)) => slot,
                // What became of it can be asked again, for a while.
                Err(StoreError::Unavailable(why)) if is_open && Instant::now() < deadline => {
                    last = why;
                    sleep(PAUSE).await;
                    continue;
                }
                Err(error) => return Err(open(error, is_open)),
            };
            if Instant::now() >= deadline {
                return Err(open(StoreError::Unavailable(last), is_open));
            }
            *asked = Some(Asked { slot, attempt: self.number });
            match self.ask(slot).await {
                Ok(true) => {
                    *standing = Some(Standing { epoch, head: slot });
                    track.has_settled(slot - 1);
                    return Ok(Ok(slot));
                }
                // Somebody else has the slot, or another epoch rules: look.
                Ok(false) => "somebody else writes under the same lease".clone_into(&mut last),
                Err(failure) if failure.is_for_good || !(failure.is_open || is_open) => {
                    return Err(open(failure.of_read(), is_open));
                }
                Err(failure) => {
                    is_open |= failure.is_open;
                    last = failure.message;
                    sleep(PAUSE).await;
                }
            }
        }
    }

    async fn ask(&self, slot: i64) -> Result<bool, Failure> {
        let partition = i32::from(self.lease.partition.0);
        let (head, epoch, number) = (slot - 1, stored(self.lease.epoch.0), self.number);
        let values = (slot, head, number, number, &self.payload, partition, slot, epoch, head);
        self.link.is_applied(&self.link.statements.commit, values).await
    }

    /// What the partition's state says of this attempt. If it is to go on, all rows are in place.
    async fn look(
        &self,
        shared: &Shared,
        track: &Track,
        asked: Option<Asked>,
    ) -> Result<Verdict, StoreError> {
        let partition = self.lease.partition;
        let state = states::decided(self.link, partition).await?;
        let verdict = match judge(&state, self.lease, asked) {
            Judged::Look(asked) => match self.taken_by(asked.slot).await? {
                Some(attempt) if attempt == asked.attempt => Verdict::Done(asked.slot),
                Some(_) => judge_anew(&state, self.lease),
                // It was removed meanwhile, and nobody can say any more who took it.
                None => {
                    let slot = asked.slot;
                    let why = format!("slot {slot} of partition {partition} was removed");
                    return Err(StoreError::Unknown(why));
                }
            },
            Judged::Verdict(verdict) => verdict,
        };
        if matches!(verdict, Verdict::Next(_)) {
            apply::up_to(shared, self.link, (partition, track), &state).await?;
        }
        Ok(verdict)
    }

    async fn taken_by(&self, slot: i64) -> Result<Option<i64>, StoreError> {
        let values = (i32::from(self.lease.partition.0), slot - 1, slot, 1);
        let slots = self.link.rows(&self.link.statements.slots, values).await;
        let slots = slots.map_err(Failure::of_read)?;
        let found = slots.maybe_first_row::<(i64, i64, &[u8])>().map_err(corrupt)?;
        Ok(found.map(|(_, attempt, _)| attempt))
    }
}

/// An error, when a slot may have been taken.
fn open(error: StoreError, is_open: bool) -> StoreError {
    match error {
        StoreError::Unavailable(why) if is_open => StoreError::Unknown(why),
        error => error,
    }
}
