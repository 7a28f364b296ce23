//! Claims and renewals.

use super::failure::Failure;
use super::link::Link;
use super::states;
use super::tracks::Shared;
use crate::core::numbers::stored;
use crate::core::outcome::{Claimed, State, judge_claim};
use futures_util::future::try_join_all;
use ports::message_store::{Claim, Fenced, Lease, Ownership, StoreError};
use std::time::Duration;
use tokio::time::{Instant, sleep};

/// Before a transaction of unknown outcome is looked into again.
const PAUSE: Duration = Duration::from_millis(50);

/// Makes a claim.
pub async fn acquire(shared: &Shared, claim: &Claim) -> Result<Option<Lease>, StoreError> {
    let link = shared.link().await?;
    let Claim { partition, seen, .. } = *claim;
    let lease = Lease { partition, epoch: seen.epoch.next() };
    let attempt = shared.attempt();
    let deadline = Instant::now() + shared.timing.settle;
    let mut is_open = false;
    loop {
        let mut why = match ask(&link, claim, attempt).await {
            Ok(true) => return Ok(Some(lease)),
            // A refusal may follow an attempt of this one whose answer was lost.
            Ok(false) => "the claim was refused, though nothing has changed".to_owned(),
            Err(failure) if failure.is_for_good || !(failure.is_open || is_open) => {
                return Err(failure.of_read());
            }
            Err(failure) => {
                is_open |= failure.is_open;
                failure.message
            }
        };
        match states::decided(&link, partition).await {
            Ok(state) => match judge_claim(&state, seen, attempt) {
                Claimed::Yes => return Ok(Some(lease)),
                Claimed::No => return Ok(None),
                Claimed::NotYet => {}
            },
            Err(error) => why = error.to_string(),
        }
        if Instant::now() >= deadline {
            return Err(StoreError::Unknown(why));
        }
        sleep(PAUSE).await;
    }
}

async fn ask(link: &Link, claim: &Claim, attempt: i64) -> Result<bool, Failure> {
    let Claim { partition, owner, seen } = *claim;
    let (number, node) = (i32::from(partition.0), i32::from(owner.0));
    if seen == Ownership::default() {
        link.is_applied(&link.statements.claim_first, (node, attempt, number)).await
    } else {
        let (before, epoch) = (i32::from(seen.owner.0), stored(seen.epoch.0));
        let (next, renewals) = (stored(seen.epoch.next().0), stored(seen.renewals));
        let values = (node, next, attempt, number, before, epoch, renewals);
        link.is_applied(&link.statements.claim, values).await
    }
}

/// Renews leases, all at once; who owns the others. Beside commits, and never waiting for them: a commit that
/// is stuck does not make its owner look dead.
pub async fn renew(shared: &Shared, leases: &[Lease]) -> Result<Vec<Fenced>, StoreError> {
    let link = shared.link().await?;
    let ended = try_join_all(leases.iter().map(|lease| renew_one(shared, &link, *lease))).await?;
    Ok(ended.into_iter().flatten().collect())
}

async fn renew_one(
    shared: &Shared,
    link: &Link,
    lease: Lease,
) -> Result<Option<Fenced>, StoreError> {
    let Lease { partition, epoch } = lease;
    let deadline = Instant::now() + shared.timing.settle;
    let mut why = None;
    loop {
        let State { ownership, .. } = match states::decided(link, partition).await {
            Ok(state) => state,
            Err(StoreError::Unavailable(error)) if why.is_some() => {
                return Err(StoreError::Unknown(error));
            }
            Err(error) => return Err(error),
        };
        if ownership.epoch != epoch {
            return Ok(Some(Fenced { partition, current: ownership }));
        }
        let (now, next) = (stored(ownership.renewals), stored(ownership.renewals + 1));
        let values = (next, i32::from(partition.0), stored(epoch.0), now);
        match link.is_applied(&link.statements.renew, values).await {
            Ok(true) => return Ok(None),
            // Another call renews the same lease.
            Ok(false) => {}
            Err(failure) if failure.is_open && !failure.is_for_good => why = Some(failure.message),
            Err(failure) => return Err(failure.of_read()),
        }
        if let Some(why) = &why
            && Instant::now() >= deadline
        {
            return Err(StoreError::Unknown(why.clone()));
        }
        sleep(PAUSE).await;
    }
}
