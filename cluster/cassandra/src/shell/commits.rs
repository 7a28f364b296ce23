//! Commits: each batch takes the next slot of its partition, then its rows are put in place.

use super::apply;
use super::failure::{Failure, corrupt};
use super::link::Link;
use super::states;
use super::tracks::{Shared, Standing, Track};
use crate::core::numbers::stored;
use crate::core::outcome::{Asked, State, Verdict, judge, judge_anew};
use futures_util::future::join_all;
use ports::message_store::{Batch, Fenced, Lease, StoreError};
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
    let link = &*link;
    let ended = together.into_values().map(|batches| in_order(shared, link, batches));
    let ended = join_all(ended).await;
    let (mut fenced, mut is_begun, mut failure) = (Vec::new(), false, None);
    for (done, more, error) in ended {
        is_begun |= done;
        fenced.extend(more);
        failure = worse(failure, error);
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
    batches: Vec<&(Lease, Batch)>,
) -> (bool, Vec<Fenced>, Option<StoreError>) {
    let (mut is_begun, mut fenced) = (false, Vec::new());
    for (lease, batch) in batches {
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
    let payload = postcard::to_stdvec(batch).map_err(corrupt)?;
    let track = shared.track(partition);
    let mut standing = track.writing.lock().await;
    let attempt = Attempt { link, lease, number: shared.attempt(), payload };
    let slot = match attempt.take_slot(shared, &track, &mut standing).await? {
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

type Taken = Result<i64, ports::message_store::Ownership>;

impl Attempt<'_> {
    /// Takes the next slot. In front of it all rows are in place, so that the log can say so.
    async fn take_slot(
        &self,
        shared: &Shared,
        track: &Track,
        standing: &mut Option<Standing>,
    ) -> Result<Taken, StoreError> {
        let Lease { partition, epoch } = self.lease;
        let deadline = Instant::now() + shared.timing.settle;
        let mut asked = None;
        let mut last = String::new();
        loop {
            let head = match standing.take().filter(|known| known.epoch == epoch) {
                Some(known) => known.head,
                None => match self.look(asked).await {
                    Ok((_, Verdict::Done(slot))) => {
                        *standing = Some(Standing { epoch, head: slot });
                        return Ok(Ok(slot));
                    }
                    Ok((_, Verdict::Fenced(current))) => return Ok(Err(current)),
                    Ok((state, _)) => {
                        let of = (partition, track);
                        apply::up_to(shared, self.link, of, &state)
                            .await
                            .map_err(|it| open(it, asked))?;
                        state.head
                    }
                    // Whether it was carried out cannot be asked; it can be asked again, for a while.
                    Err(error) if asked.is_some() && Instant::now() < deadline => {
                        last = error.to_string();
                        sleep(PAUSE).await;
                        continue;
                    }
                    Err(error) => return Err(open(error, asked)),
                },
            };
            if track.applied() < head {
                // Rows of the slot before did not get in place: look, and put them there.
                continue;
            }
            if Instant::now() >= deadline {
                return Err(open(StoreError::Unavailable(last), asked));
            }
            match self.ask(head).await {
                Ok(true) => {
                    *standing = Some(Standing { epoch, head: head + 1 });
                    track.has_settled(head);
                    return Ok(Ok(head + 1));
                }
                // Somebody else has the slot, or another epoch rules: look.
                Ok(false) => "somebody else writes under the same lease".clone_into(&mut last),
                Err(failure) if failure.is_for_good || !(failure.is_open || asked.is_some()) => {
                    return Err(open(failure.of_read(), asked));
                }
                Err(failure) => {
                    if failure.is_open {
                        asked = Some(Asked { slot: head + 1, attempt: self.number });
                    }
                    last = failure.message;
                    sleep(PAUSE).await;
                }
            }
        }
    }

    async fn ask(&self, head: i64) -> Result<bool, Failure> {
        let partition = i32::from(self.lease.partition.0);
        let (slot, epoch) = (head + 1, stored(self.lease.epoch.0));
        let values =
            ((slot, head, self.number, self.number, &self.payload), (partition, slot, epoch, head));
        let ((a, b, c, d, e), (f, g, h, i)) = values;
        self.link.is_applied(&self.link.statements.commit, (a, b, c, d, e, f, g, h, i)).await
    }

    /// Where the partition stands, and what that says of this attempt.
    async fn look(&self, asked: Option<Asked>) -> Result<(State, Verdict), StoreError> {
        let partition = self.lease.partition;
        let state = states::decided(self.link, partition).await?;
        let verdict = match judge(&state, self.lease, asked) {
            Verdict::Look(Asked { slot, attempt }) => {
                let values = (i32::from(partition.0), slot - 1, slot, 1);
                let slots = self.link.rows(&self.link.statements.slots, values).await;
                let slots = slots.map_err(Failure::of_read)?;
                match slots.maybe_first_row::<(i64, i64, &[u8])>().map_err(corrupt)? {
                    Some((_, taken_by, _)) if taken_by == attempt => Verdict::Done(slot),
                    Some(_) => judge_anew(&state, self.lease),
                    // It was removed meanwhile, and nobody can say any more who took it.
                    None => {
                        let why = format!("slot {slot} of partition {partition} was removed");
                        return Err(StoreError::Unknown(why));
                    }
                }
            }
            verdict => verdict,
        };
        Ok((state, verdict))
    }
}

/// An error, when a slot may have been taken.
fn open(error: StoreError, asked: Option<Asked>) -> StoreError {
    match error {
        StoreError::Unavailable(why) if asked.is_some() => StoreError::Unknown(why),
        error => error,
    }
}
