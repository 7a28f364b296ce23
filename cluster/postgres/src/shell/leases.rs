//! Claims, renewals and writers' numbers: single statements, each its own transaction.

use super::rows::{Cells, Read, all};
use super::session::Session;
use crate::core::failure::Purpose;
use crate::core::numbers::stored;
use crate::core::writers::Writers;
use ports::message_store::{Claim, Fenced, Lease, Ownership, StoreError};
use protocol::{Epoch, Partition};
use std::collections::BTreeMap;
use tokio_postgres::Row;
use tokio_postgres::types::ToSql;

/// Of two at once one finds a row of the other: by which of the unique keys it does so, nobody can say.
const CLAIM_FIRST: &str = "INSERT INTO ownerships (partition, owner, epoch, renewals, writer) \
    VALUES ($1, $2, 1, 0, $3) ON CONFLICT DO NOTHING RETURNING partition";

/// Waits for the commits under the lease that it ends: it changes what they lock.
const CLAIM_NEXT: &str = "UPDATE ownerships \
    SET owner = $2, epoch = epoch + 1, renewals = 0, writer = $3 \
    WHERE partition = $1 AND owner = $4 AND epoch = $5 AND renewals = $6 RETURNING partition";

/// Waits for nobody but claims: it changes nothing that a commit locks.
const RENEW: &str = "UPDATE ownerships SET renewals = renewals + 1 \
    FROM unnest($1::integer[], $2::bigint[]) AS lease(partition, epoch) \
    WHERE ownerships.partition = lease.partition AND ownerships.epoch = lease.epoch \
    RETURNING ownerships.partition";

const RAISE: &str = "UPDATE ownerships SET writer = writer + 1 \
    FROM unnest($1::integer[], $2::bigint[]) AS lease(partition, epoch) \
    WHERE ownerships.partition = lease.partition AND ownerships.epoch = lease.epoch \
    RETURNING ownerships.partition, ownerships.writer";

/// Who owns what.
pub const OWNERSHIPS: &str = "SELECT partition, owner, epoch, renewals FROM ownerships";

/// Makes a claim.
pub async fn acquire(session: &Session, claim: &Claim) -> Result<Option<Lease>, StoreError> {
    let Claim { partition, owner, seen } = *claim;
    let (number, node) = (i32::from(partition.0), i32::from(owner.0));
    let acquired = if seen == Ownership::default() {
        session.query(CLAIM_FIRST, &[&number, &node, &Writers::FIRST]).await
    } else {
        let (before, epoch) = (i32::from(seen.owner.0), stored(seen.epoch.0));
        let renewals = stored(seen.renewals);
        let parameters: [&(dyn ToSql + Sync); 6] =
            [&number, &node, &Writers::FIRST, &before, &epoch, &renewals];
        session.query(CLAIM_NEXT, &parameters).await
    };
    let acquired = acquired.map_err(|failure| failure.told(Purpose::Write))?;
    Ok((!acquired.is_empty()).then_some(Lease { partition, epoch: seen.epoch.next() }))
}

/// Renews leases; who owns the others.
pub async fn renew(session: &Session, leases: &[Lease]) -> Result<Vec<Fenced>, StoreError> {
    let (partitions, epochs) = columns(leases);
    let renewed = session.query(RENEW, &[&partitions, &epochs]).await;
    // It changes nothing that counts: a renewal that came twice says the same.
    let renewed = renewed.map_err(|failure| failure.told(Purpose::Write))?;
    let renewed: Vec<Partition> = all(&renewed, Cells::partition)?;
    let lost: Vec<&Lease> =
        leases.iter().filter(|lease| !renewed.contains(&lease.partition)).collect();
    if lost.is_empty() {
        return Ok(Vec::new());
    }
    let rows = session.query(OWNERSHIPS, &[]).await;
    let rows = rows.map_err(|failure| failure.told(Purpose::Write))?;
    let current: BTreeMap<Partition, Ownership> = ownerships(&rows)?;
    let fenced = |lease: &&Lease| {
        let partition = lease.partition;
        Fenced { partition, current: current.get(&partition).copied().unwrap_or_default() }
    };
    Ok(lost.iter().map(fenced).collect())
}

/// Raises the writer's numbers of leases, of those that are still the newest. From then on nothing that was
/// sent under a lower number is carried out; what is being carried out is waited for.
pub async fn raise(session: &Session, leases: &[Lease]) -> Result<Vec<(Lease, i64)>, StoreError> {
    let (partitions, epochs) = columns(leases);
    let raised = session.query(RAISE, &[&partitions, &epochs]).await;
    // If it was raised all the same, it is raised once more.
    let raised = raised.map_err(|failure| failure.told(Purpose::Read))?;
    let numbers: BTreeMap<Partition, i64> =
        all(&raised, |cells| Ok((cells.partition()?, cells.writer()?)))?;
    let number = |lease: &Lease| Some((*lease, *numbers.get(&lease.partition)?));
    Ok(leases.iter().filter_map(number).collect())
}

/// The rows of `OWNERSHIPS`.
pub fn ownerships(rows: &[Row]) -> Read<BTreeMap<Partition, Ownership>> {
    all(rows, |cells| Ok((cells.partition()?, cells.ownership()?)))
}

fn columns(leases: &[Lease]) -> (Vec<i32>, Vec<i64>) {
    let epoch = |epoch: Epoch| stored(epoch.0);
    leases.iter().map(|lease| (i32::from(lease.partition.0), epoch(lease.epoch))).unzip()
}
